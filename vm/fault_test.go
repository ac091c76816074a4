package vm_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// TestFaults runs programs that the kernel's verifier would refuse, on a
// packet of 60 bytes.
func TestFaults(t *testing.T) {
	tests := []struct {
		name, text string
		typ        abi.ProgType
		index      int
		register   ebpf.Register
		want       string // of the message
	}{
		{"null pointer", `r1 = 0
			r0 = *(u8 *)(r1 + 4)`, abi.XDP, 1, ebpf.R1,
			"load of 1 bytes at 0x4 (r1+4): not memory: a null pointer or a small number"},
		{"wild pointer", `r1 = -1
			r0 = *(u64 *)(r1 - 3)`, abi.XDP, 1, ebpf.R1,
			"load of 8 bytes at 0xfffffffffffffffc (r1-3): not memory: nearest is the packet"},
		{"behind the packet", `r1 = *(u32 *)(r1 + 0)
			r0 = *(u32 *)(r1 + 60)`, abi.XDP, 1, ebpf.R1,
			"0 bytes behind the packet"},
		{"half behind the packet", `r1 = *(u32 *)(r1 + 4)
			r0 = *(u64 *)(r1 - 3)`, abi.XDP, 1, ebpf.R1,
			"the last 5 bytes lie behind the packet"},
		{"before the packet", `r1 = *(u32 *)(r1 + 0)
			r0 = *(u16 *)(r1 - 10)`, abi.XDP, 1, ebpf.R1,
			"10 bytes before the packet"},
		{"read-only packet", `r1 = *(u32 *)(r1 + 76)
			*(u8 *)(r1 + 0) = 1`, abi.CGroupSKB, 1, ebpf.R1,
			"store of 1 bytes at 0x50100 (r1+0): in the packet, which is read-only"},
		{"below the frame", `*(u64 *)(r10 - 520) = 1`, abi.XDP, 0, ebpf.R10,
			"8 bytes before the stack"},
		{"above the frame", `r0 = *(u8 *)(r10 + 0)`, abi.XDP, 0, ebpf.R10,
			"0 bytes behind the stack"},
		{"half above the frame", `r0 = *(u64 *)(r10 - 4)`, abi.XDP, 0, ebpf.R10,
			"the last 4 bytes lie behind the stack"},
		{"frame of a function that has returned", `call f
			r0 = *(u64 *)(r10 - 600)
			exit
		f:	r0 = *(u64 *)(r10 - 88)`, abi.XDP, 1, ebpf.R10, "88 bytes before the stack"},
		{"store to a context field", `*(u32 *)(r1 + 0) = 1`, abi.XDP, 0, ebpf.R1,
			"xdp_md.data at offset 0: xdp programs have no such access to it"},
		{"narrow load of a pointer", `r0 = *(u16 *)(r1 + 76)`, abi.SchedCLS, 0, ebpf.R1,
			"__sk_buff.data at offset 76: sched_cls programs have no such access to it"},
		{"field of another type", `r0 = *(u32 *)(r1 + 76)`, abi.SocketFilter, 0, ebpf.R1,
			"__sk_buff.data at offset 76: socket_filter programs have no such access to it"},
		{"padding", `r0 = *(u8 *)(r1 + 181)`, abi.SchedCLS, 0, ebpf.R1,
			"offset 181 of struct __sk_buff"},
		{"behind the context", `r0 = *(u32 *)(r1 + 24)`, abi.XDP, 0, ebpf.R1,
			"0 bytes behind the context"},
		{"atomic in the context", `r2 = 1
			lock *(u32 *)(r1 + 8) += r2`, abi.SchedCLS, 1, ebpf.R1,
			"__sk_buff.mark at offset 8: the context takes no atomic operations"},
		{"unaligned atomic", `r2 = 1
			lock *(u64 *)(r10 - 12) += r2`, abi.XDP, 1, ebpf.R10,
			"atomic operations need an aligned address"},
		{"unaligned load-acquire", `r2 = load_acquire((u32 *)(r10 - 6))`, abi.XDP, 0, ebpf.R10,
			"load of 4 bytes"},
		{"legacy load without the context", `r6 = 1
			r0 = *(u8 *)skb[0]`, abi.SchedCLS, 1, ebpf.R6,
			"r6 is 0x1, not the context"},
		{"helper without the context", `r1 = 7
			call bpf_xdp_get_buff_len`, abi.XDP, 1, ebpf.R1,
			"xdp_get_buff_len: r1 = 0x7: must be the context"},
		{"helper with memory too small", `r2 = 0
			r3 = r10
			r3 += -4
			r4 = 8
			call bpf_skb_load_bytes`, abi.SchedCLS, 4, ebpf.R3,
			"the last 4 bytes lie behind the stack"},
		{"helper with size 0", `r2 = 0
			r3 = r10
			r3 += -4
			r4 = 0
			call bpf_skb_load_bytes`, abi.SchedCLS, 4, ebpf.R4,
			"must be a size above 0"},
		{"helper with a huge size", `r2 = 0
			r3 = r10
			r3 += -4
			r4 = -1
			call bpf_skb_load_bytes`, abi.SchedCLS, 4, ebpf.R3,
			"for a store of 18446744073709551615 bytes"},
		{"calls without end", `f: call f`, abi.XDP, 0, 0,
			"more than 8 functions are active"},
	}
	for _, tt := range tests {
		res := run(t, tt.typ, tt.text+"\nexit", make([]byte, 60))
		var f *vm.Fault
		if !errors.As(res.Fault, &f) {
			t.Errorf("%s: fault is %v", tt.name, res.Fault)
			continue
		}
		if f.Index != tt.index || f.Register != tt.register || !strings.Contains(f.Msg, tt.want) || res.Return != 0 {
			t.Errorf("%s: at %d, %v, returned %d: %s\nwant at %d, r%d: %s", tt.name, f.Index, f.Register, res.Return, f.Msg, tt.index, tt.register, tt.want)
		}
		if line := f.Error(); strings.Contains(line, "\n") || !strings.HasPrefix(line, fmt.Sprintf("instruction %d (%v): ", f.Index, f.Insn)) {
			t.Errorf("%s: %%v is %q", tt.name, line)
		}
	}
}

func TestFaultKeepsRegistersAndCount(t *testing.T) {
	res := run(t, abi.XDP, `r3 = 42
		r4 = 0x1234567800000000 ll
		r0 = *(u8 *)(r4 + 16)
		exit`, nil)
	var f *vm.Fault
	if !errors.As(res.Fault, &f) {
		t.Fatal(res.Fault)
	}
	if f.Index != 3 || f.Registers[3] != 42 || f.Address != 0x1234567800000010 || res.Executed != 2 {
		t.Errorf("%+v, executed %d", f, res.Executed)
	}
}

// TestMachineGoesOnAfterFault checks that a fault in a function leaves nothing
// behind for the next packet.
func TestMachineGoesOnAfterFault(t *testing.T) {
	m := machine(t, abi.XDP, `
		r1 = *(u32 *)(r1 + 0)
		*(u64 *)(r10 - 8) = 5
		call f
		exit
	f:	r0 = *(u64 *)(r10 - 8)
		*(u64 *)(r10 - 8) = 7
		r2 = *(u8 *)(r1 + 13)
		r0 += r2
		exit`, vm.Options{})
	good := engine.Packet{Data: make([]byte, 14)}
	good.Data[13] = 1
	in := []engine.Packet{good, {Data: make([]byte, 13)}, good, {}, good}
	out := make([]engine.Result, len(in))
	if err := m.Run(in, out); err != nil {
		t.Fatal(err)
	}
	for i := range out {
		wantFault := i%2 == 1
		if (out[i].Fault != nil) != wantFault || !wantFault && out[i].Return != 1 {
			t.Errorf("packet %d: returned %d, fault %v", i, out[i].Return, out[i].Fault)
		}
	}
}

func TestBudget(t *testing.T) {
	loop := `l: r0 += 1
		goto l`
	for _, budget := range []uint64{1, 2, 1001} {
		res := runPacket(t, abi.XDP, loop, engine.Packet{}, vm.Options{Budget: budget})
		if res.Fault != vm.ErrBudget || res.Executed != budget {
			t.Errorf("budget %d: executed %d, %v", budget, res.Executed, res.Fault)
		}
	}
	for _, text := range []string{"r0 = 1\nexit", "r0 = 1\ngoto +0\nexit"} {
		n := uint64(strings.Count(text, "\n") + 1)
		res := runPacket(t, abi.XDP, text, engine.Packet{}, vm.Options{Budget: n})
		if res.Fault != nil || res.Executed != n || res.Return != 1 {
			t.Errorf("%q with budget %d: %+v", text, n, res)
		}
	}
}

func TestMayGotoEnds(t *testing.T) {
	res := runPacket(t, abi.XDP, `l: may_goto end
		r0 += 1
		goto l
	end:	exit`, engine.Packet{}, vm.Options{})
	if res.Fault != nil || res.Return != 8<<20 {
		t.Errorf("%+v", res)
	}
}

func TestLoadErrors(t *testing.T) {
	tests := []struct {
		name string
		typ  abi.ProgType
		prog []ebpf.Instruction
		want string
	}{
		{"program type", 9, []ebpf.Instruction{ebpf.Return()}, "programs of type cgroup_sock are not supported"},
		{"netfilter", 32, []ebpf.Instruction{ebpf.Return()}, "programs of type netfilter are not supported"},
		{"empty", abi.XDP, nil, "empty program"},
		{"invalid", abi.XDP, []ebpf.Instruction{{Op: 0xff}}, "unknown opcode 0xff"},
		{"no such helper", abi.XDP, []ebpf.Instruction{ebpf.CallTo(9999), ebpf.Return()}, "instruction 0 (byte offset 0): there is no helper function 9999"},
		{"unsupported helper", abi.XDP, []ebpf.Instruction{ebpf.Return(), ebpf.CallTo(27), ebpf.Return()}, "instruction 1 (byte offset 8): helper bpf_get_stackid (27) is not supported"},
		{"helper of other types", abi.XDP, []ebpf.Instruction{ebpf.CallTo(26), ebpf.Return()}, "xdp programs cannot call helper bpf_skb_load_bytes (26)"},
		{"kernel function", abi.XDP, []ebpf.Instruction{{Op: ebpf.ClassJMP | ebpf.Call, Src: ebpf.CallKfunc, Imm: 77}, ebpf.Return()}, "kernel functions are not supported: call to BTF id 77"},
		{"map", abi.XDP, []ebpf.Instruction{{Op: ebpf.LoadImm64, Src: ebpf.WideMapFD, Imm: 3}, {}, ebpf.Return()}, "there is no map 3: the machine has 0"},
		{"legacy loads in XDP", abi.XDP, []ebpf.Instruction{ebpf.LoadAbs(ebpf.SizeB, 0), ebpf.Return()}, "xdp programs cannot use legacy packet loads"},
	}
	for _, tt := range tests {
		m, err := vm.New(tt.typ, tt.prog, vm.Options{})
		if err == nil {
			m.Close()
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
}

// TestLegacyLoadsOutsideThePacket checks what a test run in the kernel cannot
// show: packets with other headers, and functions.
func TestLegacyLoadsOutsideThePacket(t *testing.T) {
	data := []byte{0, 1, 2, 3, 4, 5, 6, 7}
	tests := []struct {
		text string
		meta cbpf.Metadata
		want uint32
	}{
		{`r0 = *(u16 *)skb[6]`, cbpf.Metadata{}, 0x607},
		{`r0 = *(u16 *)skb[7]`, cbpf.Metadata{}, 0},
		{`r0 = *(u8 *)skb[-0x100000]`, cbpf.Metadata{NetworkOffset: 4}, 4},
		{`r0 = *(u8 *)skb[-0x100000]`, cbpf.Metadata{NetworkOffset: 8}, 0},
		{`r0 = *(u8 *)skb[-0x100000]`, cbpf.Metadata{NetworkOffset: -1}, 0},
		{`r0 = *(u8 *)skb[-0x1fffff]`, cbpf.Metadata{HasLink: true, LinkOffset: 2}, 3},
		{`r0 = *(u8 *)skb[-0x1fffff]`, cbpf.Metadata{LinkOffset: 2}, 0},
		{`r0 = *(u8 *)skb[-0x200001]`, cbpf.Metadata{HasLink: true, LinkOffset: 2}, 0},
		{`r0 = *(u8 *)skb[-4096]`, cbpf.Metadata{HasLink: true}, 0},
	}
	for _, tt := range tests {
		p := engine.Packet{Data: data, WireLen: 8, Meta: tt.meta}
		text := "r6 = r1\nr0 = 99\n" + tt.text
		if res := runPacket(t, abi.SocketFilter, text+"\nexit", p, vm.Options{}); res.Return != tt.want || res.Fault != nil {
			t.Errorf("%s: %d, %v, want %d", tt.text, res.Return, res.Fault, tt.want)
		}
		// A failed load ends only the function that it is in.
		res := runPacket(t, abi.SocketFilter, "r6 = r1\ncall f\nr0 += 100\nexit\nf: "+tt.text+"\nexit", p, vm.Options{})
		if res.Return != tt.want+100 || res.Fault != nil {
			t.Errorf("%s in a function: %d, %v, want %d", tt.text, res.Return, res.Fault, tt.want+100)
		}
	}
}
