package vm_test

import (
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// semantics is what single instructions do, by the tables of RFC 9669. Each
// text leaves a 64-bit result in r0.
var semantics = []struct {
	name, text string
	want       uint64
}{
	{"mov sign-extends its immediate", `r0 = -1`, 0xffffffffffffffff},
	{"mov32 clears the upper half", `r0 = -1
		w0 = -2`, 0xfffffffe},
	{"mov32 of a register", `r1 = -1
		w0 = w1`, 0xffffffff},
	{"movsx 8", `r1 = 0x80
		r0 = (s8)r1`, 0xffffffffffffff80},
	{"movsx 16", `r1 = 0x18000
		r0 = (s16)r1`, 0xffffffffffff8000},
	{"movsx 32", `r1 = 0x80000000 ll
		r0 = (s32)r1`, 0xffffffff80000000},
	{"movsx 8 to 32 bits", `r1 = 0xff
		w0 = (s8)w1`, 0xffffffff},
	{"movsx 16 to 32 bits", `r1 = 0x7fff
		w0 = (s16)w1`, 0x7fff},
	{"64-bit immediate", `r0 = 0x123456789abcdef0 ll`, 0x123456789abcdef0},

	{"add wraps", `r0 = -1
		r0 += 2`, 1},
	{"add32 wraps at 32 bits", `r0 = -1
		w0 += 2`, 1},
	{"add32 with a negative immediate", `r0 = 1
		w0 += -2`, 0xffffffff},
	{"sub", `r0 = 1
		r1 = 2
		r0 -= r1`, 0xffffffffffffffff},
	{"sub32", `r0 = 1
		r1 = 2
		w0 -= w1`, 0xffffffff},
	{"mul", `r0 = 0x100000001 ll
		r0 *= -1`, 0xfffffffeffffffff},
	{"mul32", `r0 = 0x10001
		w0 *= 0x10001`, 0x20001},
	{"neg", `r0 = 1
		r0 = -r0`, 0xffffffffffffffff},
	{"neg32", `r0 = 1
		w0 = -w0`, 0xffffffff},
	{"and sign-extends its immediate", `r0 = -1
		r0 &= -2`, 0xfffffffffffffffe},
	{"and32", `r0 = -1
		w0 &= -2`, 0xfffffffe},
	{"or", `r0 = 0xf0
		r0 |= 0x0f`, 0xff},
	{"or32 zero-extends", `r0 = 0
		w0 |= -1`, 0xffffffff},
	{"xor", `r0 = -1
		r1 = -1
		r0 ^= r1`, 0},

	{"lsh masks its count to 6 bits", `r0 = 1
		r1 = 65
		r0 <<= r1`, 2},
	{"lsh32 masks its count to 5 bits", `r0 = 1
		r1 = 33
		w0 <<= w1`, 2},
	{"rsh", `r0 = -1
		r0 >>= 63`, 1},
	{"rsh32 ignores the upper half", `r0 = -1
		w0 >>= 31`, 1},
	{"arsh", `r0 = -8
		r0 s>>= 1`, 0xfffffffffffffffc},
	{"arsh32 takes bit 31 for the sign", `r0 = 0x80000000 ll
		w0 s>>= 4`, 0xf8000000},
	{"arsh masks its count", `r0 = -8
		r1 = 64
		r0 s>>= r1`, 0xfffffffffffffff8},

	{"div is unsigned", `r0 = -1
		r0 /= 2`, 0x7fffffffffffffff},
	{"div sign-extends its immediate", `r0 = -1
		r0 /= -1`, 1},
	{"div32", `r0 = -1
		w0 /= 2`, 0x7fffffff},
	{"div by zero is 0", `r0 = 5
		r1 = 0
		r0 /= r1`, 0},
	{"div32 looks at the lower half of the divisor", `r0 = 5
		r1 = 0x100000000 ll
		w0 /= w1`, 0},
	{"mod", `r0 = 17
		r0 %= 5`, 2},
	{"mod by zero is the dividend", `r0 = -5
		r1 = 0
		r0 %= r1`, 0xfffffffffffffffb},
	{"mod32 by zero clears the upper half", `r0 = -5
		r1 = 0
		w0 %= w1`, 0xfffffffb},
	{"sdiv truncates", `r0 = -7
		r1 = 2
		r0 s/= r1`, 0xfffffffffffffffd},
	{"sdiv by zero is 0", `r0 = -7
		r1 = 0
		r0 s/= r1`, 0},
	{"sdiv of the most negative by -1", `r0 = 0x8000000000000000 ll
		r0 s/= -1`, 0x8000000000000000},
	{"sdiv32 of the most negative by -1", `r0 = 0x80000000 ll
		w0 s/= -1`, 0x80000000},
	{"smod has the sign of the dividend", `r0 = -7
		r0 s%= 2`, 0xffffffffffffffff},
	{"smod of the most negative by -1", `r0 = 0x8000000000000000 ll
		r0 s%= -1`, 0},
	{"smod by zero is the dividend", `r0 = -7
		r1 = 0
		r0 s%= r1`, 0xfffffffffffffff9},
	{"smod32 by zero clears the upper half", `r0 = -7
		r1 = 0
		w0 s%= w1`, 0xfffffff9},

	{"be16 swaps and cuts", `r0 = 0x1122334455667788 ll
		r0 = be16 r0`, 0x8877},
	{"be32", `r0 = 0x1122334455667788 ll
		r0 = be32 r0`, 0x88776655},
	{"be64", `r0 = 0x1122334455667788 ll
		r0 = be64 r0`, 0x8877665544332211},
	{"le16 cuts", `r0 = 0x1122334455667788 ll
		r0 = le16 r0`, 0x7788},
	{"le32 cuts", `r0 = 0x1122334455667788 ll
		r0 = le32 r0`, 0x55667788},
	{"le64 does nothing", `r0 = 0x1122334455667788 ll
		r0 = le64 r0`, 0x1122334455667788},
	{"bswap16 cuts", `r0 = 0x1122334455667788 ll
		r0 = bswap16 r0`, 0x8877},
	{"bswap32 cuts", `r0 = 0x1122334455667788 ll
		r0 = bswap32 r0`, 0x88776655},
	{"bswap64", `r0 = 0x1122334455667788 ll
		r0 = bswap64 r0`, 0x8877665544332211},

	{"memory is little endian", `r1 = 0x1122334455667788 ll
		*(u64 *)(r10 - 8) = r1
		r0 = *(u8 *)(r10 - 8)
		r1 = *(u16 *)(r10 - 6)
		r1 <<= 16
		r0 |= r1
		r1 = *(u32 *)(r10 - 4)
		r1 <<= 32
		r0 |= r1`, 0x1122334455660088},
	{"stores of an immediate sign-extend it", `*(u64 *)(r10 - 8) = -2
		r0 = *(u64 *)(r10 - 8)`, 0xfffffffffffffffe},
	{"narrow stores leave the rest", `*(u64 *)(r10 - 8) = -1
		*(u16 *)(r10 - 6) = 0
		*(u8 *)(r10 - 1) = 0x12
		r0 = *(u64 *)(r10 - 8)`, 0x12ffffff0000ffff},
	{"sign-extending loads", `*(u64 *)(r10 - 8) = 0x80
		r0 = *(s8 *)(r10 - 8)`, 0xffffffffffffff80},
	{"sign-extending load of 32 bits", `r1 = 0x80000000 ll
		*(u64 *)(r10 - 8) = r1
		r0 = *(s32 *)(r10 - 8)`, 0xffffffff80000000},
	{"sign-extending load of 16 bits", `*(u64 *)(r10 - 8) = 0x7fff
		r0 = *(s16 *)(r10 - 8)`, 0x7fff},

	{"atomic add", `*(u64 *)(r10 - 8) = 40
		r1 = 2
		lock *(u64 *)(r10 - 8) += r1
		r0 = *(u64 *)(r10 - 8)`, 42},
	{"atomic add of 32 bits does not carry", `*(u64 *)(r10 - 8) = -1
		r1 = 1
		lock *(u32 *)(r10 - 8) += r1
		r0 = *(u64 *)(r10 - 8)`, 0xffffffff00000000},
	{"atomic fetch add gives the old value", `*(u64 *)(r10 - 8) = 40
		r1 = 2
		r1 = atomic64_fetch_add((u64 *)(r10 - 8), r1)
		r0 = r1`, 40},
	{"atomic fetch or of 32 bits clears the upper half", `*(u64 *)(r10 - 8) = -1
		r1 = -1
		r1 = atomic_fetch_or((u32 *)(r10 - 8), r1)
		r0 = r1`, 0xffffffff},
	{"atomic and, or, xor", `*(u64 *)(r10 - 8) = 0xff
		r1 = 0x3c
		lock *(u64 *)(r10 - 8) &= r1
		r1 = 0x81
		lock *(u64 *)(r10 - 8) |= r1
		r1 = 0x01
		lock *(u64 *)(r10 - 8) ^= r1
		r0 = *(u64 *)(r10 - 8)`, 0xbc},
	{"exchange", `*(u64 *)(r10 - 8) = 1
		r1 = 2
		r1 = atomic64_xchg((u64 *)(r10 - 8), r1)
		r0 = *(u64 *)(r10 - 8)
		r0 <<= 8
		r0 |= r1`, 0x201},
	{"compare and exchange that is equal", `*(u64 *)(r10 - 8) = 5
		r0 = 5
		r1 = 6
		r0 = atomic64_cmpxchg((u64 *)(r10 - 8), r0, r1)
		r1 = *(u64 *)(r10 - 8)
		r0 <<= 8
		r0 |= r1`, 0x506},
	{"compare and exchange that is not", `*(u64 *)(r10 - 8) = 5
		r0 = 4
		r1 = 6
		r0 = atomic64_cmpxchg((u64 *)(r10 - 8), r0, r1)
		r1 = *(u64 *)(r10 - 8)
		r0 <<= 8
		r0 |= r1`, 0x505},
	{"compare and exchange of 32 bits", `*(u64 *)(r10 - 8) = -1
		r0 = -1
		r1 = 0
		r0 = atomic_cmpxchg((u32 *)(r10 - 8), r0, r1)
		r1 = *(u64 *)(r10 - 8)
		r0 += r1`, 0xffffffff + 0xffffffff00000000},

	{"load-acquire and store-release", `*(u64 *)(r10 - 8) = 0
		r1 = -2
		store_release((u8 *)(r10 - 7), r1)
		store_release((u16 *)(r10 - 6), r1)
		store_release((u32 *)(r10 - 4), r1)
		r0 = load_acquire((u64 *)(r10 - 8))
		r1 = load_acquire((u16 *)(r10 - 8))
		r0 += r1
		r1 = load_acquire((u8 *)(r10 - 7))
		r0 += r1`, 0xfffffffefffefe00 + 0xfe00 + 0xfe},
	{"store-release of 64 bits", `r1 = -2
		store_release((u64 *)(r10 - 8), r1)
		r0 = load_acquire((u32 *)(r10 - 4))`, 0xffffffff},

	{"equal", branch(`r1 = -1`, `if r1 == -1`), 1},
	{"equal32 ignores the upper half", branch(`r1 = 0x100000005 ll`, `if w1 == 5`), 1},
	{"greater is unsigned", branch(`r1 = -1`, `if r1 > 5`), 1},
	{"greater signed", branch(`r1 = -1`, `if r1 s> 5`), 0},
	{"less signed", branch(`r1 = -1`, `if r1 s< 0`), 1},
	{"less signed 32", branch(`r1 = 0x80000000 ll`, `if w1 s< 0`), 1},
	{"less signed 64 of the same", branch(`r1 = 0x80000000 ll`, `if r1 s< 0`), 0},
	{"less or equal", branch(`r1 = 5`, `if r1 <= 5`), 1},
	{"greater or equal signed of registers", branch(`r1 = -1
		r2 = -2`, `if r1 s>= r2`), 1},
	{"set sign-extends its immediate", branch(`r1 = 0x100000000 ll`, `if r1 & -1`), 1},
	{"set32", branch(`r1 = 0x100000000 ll`, `if w1 & -1`), 0},
	{"long jump", `r0 = 1
		if r0 != 1 goto m
		gotol l
	m:	r0 = 2
	l:	r0 += 4`, 5},
	{"may_goto falls through", `r0 = 1
		may_goto l
		r0 = 2
	l:	r0 += 4`, 6},
}

// branch makes the body of a test that gives 1 if a condition holds.
func branch(setup, condition string) string {
	return "r0 = 1\n" + setup + "\n" + condition + " goto l\nr0 = 0\nl:"
}

func TestSemantics(t *testing.T) {
	for _, tt := range semantics {
		low := run(t, abi.SchedCLS, tt.text+"\nexit", nil)
		high := run(t, abi.SchedCLS, tt.text+"\nr0 >>= 32\nexit", nil)
		if low.Fault != nil || high.Fault != nil {
			t.Errorf("%s: %v, %v", tt.name, low.Fault, high.Fault)
			continue
		}
		if got := uint64(low.Return) | uint64(high.Return)<<32; got != tt.want {
			t.Errorf("%s: %#x, want %#x", tt.name, got, tt.want)
		}
	}
}

// run runs a program's text once on a packet.
func run(t testing.TB, typ abi.ProgType, text string, data []byte) engine.Result {
	t.Helper()
	return runPacket(t, typ, text, engine.Packet{Data: data, WireLen: uint32(len(data))}, vm.Options{})
}

func runPacket(t testing.TB, typ abi.ProgType, text string, p engine.Packet, o vm.Options) engine.Result {
	t.Helper()
	return runOn(t, machine(t, typ, text, o), p)
}

func runMachine(t testing.TB, m *vm.Machine, data []byte) engine.Result {
	t.Helper()
	return runOn(t, m, packetOf(data))
}

func packetOf(data []byte) engine.Packet {
	return engine.Packet{Data: data, WireLen: uint32(len(data))}
}

func runOn(t testing.TB, m *vm.Machine, p engine.Packet) engine.Result {
	t.Helper()
	var out [1]engine.Result
	if err := m.Run([]engine.Packet{p}, out[:]); err != nil {
		t.Fatal(err)
	}
	return out[0]
}

func machine(t testing.TB, typ abi.ProgType, text string, o vm.Options) *vm.Machine {
	t.Helper()
	prog, err := ebpf.Assemble(text)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	m, err := vm.New(typ, prog, o)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	t.Cleanup(func() { m.Close() })
	return m
}
