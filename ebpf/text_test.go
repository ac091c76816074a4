package ebpf_test

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
)

// instructionTexts shows every kind of instruction as bytes, as the text we
// write, and in other spellings that mean the same.
var instructionTexts = []struct {
	bytes string // little-endian, without blanks
	text  string // "" if the bytes are invalid
	also  []string
}{
	{"bf16000000000000", "r6 = r1", []string{" r6=r1 ; comment", "r6 = r1 // comment", "r6\t=\tr1# comment", "12: (bf) r6 = r1", "x: y: r6 = r1"}},
	{"b701000005000000", "r1 = 5", []string{"r1 = 0x5", "r1 = +5", "7: r1 = 5"}},
	{"b7010000ffffffff", "r1 = -1", []string{"r1 = -0x1", "r1 = - 1"}},
	{"b401000000000080", "w1 = -2147483648", []string{"w1 = 2147483648", "w1 = 0x80000000"}},
	{"071a000008000000", "", nil}, // r10 += 8 with a source register
	{"0f21000000000000", "r1 += r2", []string{"r1 +=r2"}},
	{"1c21000000000000", "w1 -= w2", nil},
	{"2701000007000000", "r1 *= 7", nil},
	{"3701000007000000", "r1 /= 7", nil},
	{"3701010007000000", "r1 s/= 7", nil},
	{"3c21010000000000", "w1 s/= w2", nil},
	{"9701000007000000", "r1 %= 7", nil},
	{"9f21010000000000", "r1 s%= r2", nil},
	{"4701000007000000", "r1 |= 7", nil},
	{"5401000000ff0000", "w1 &= 65280", []string{"w1 &= 0xff00"}},
	{"6701000020000000", "r1 <<= 32", nil},
	{"7701000020000000", "r1 >>= 32", nil},
	{"c701000020000000", "r1 s>>= 32", nil},
	{"a701000007000000", "r1 ^= 7", nil},
	{"8701000000000000", "r1 = -r1", []string{"r1 = - r1"}},
	{"8401000000000000", "w1 = -w1", nil},
	{"bf21080000000000", "r1 = (s8)r2", []string{"r1 = (s8) r2"}},
	{"bf21200000000000", "r1 = (s32)r2", nil},
	{"bc21100000000000", "w1 = (s16)w2", nil},
	{"bc21200000000000", "", nil}, // a 32-bit move from 32 bits
	{"d401000010000000", "r1 = le16 r1", nil},
	{"dc01000020000000", "r1 = be32 r1", nil},
	{"d701000040000000", "r1 = bswap64 r1", nil},
	{"1801000005000000" + "0000000000000000", "r1 = 0x5 ll", []string{"r1 = 5 ll", "3: (18) r1 = 0x5"}},
	{"1801000000000000" + "0000000001000000", "r1 = 0x100000000 ll", nil},
	{"18010000ffffffff" + "00000000ffffffff", "r1 = 0xffffffffffffffff ll", []string{"r1 = -1 ll"}},
	{"1811000005000000" + "0000000000000000", "r1 = map[fd:5]", nil},
	{"1821000005000000" + "0000000008000000", "r1 = map[fd:5][0]+8", nil},
	{"1821000005000000" + "0000000000000000", "r1 = map[fd:5][0]+0", []string{"r1 = map[fd:5][0]"}},
	{"1831000007000000" + "0000000002000000", "r1 = btf[id:7 fd:2]", nil},
	{"1841000007000000" + "0000000000000000", "r1 = subprog[+7]", nil},
	{"1851000003000000" + "0000000000000000", "r1 = map[idx:3]", nil},
	{"1861000003000000" + "0000000004000000", "r1 = map[idx:3][0]+4", nil},
	{"6121040000000000", "r1 = *(u32 *)(r2 +4)", []string{"r1 = *(u32 *)(r2 + 4)", "r1 = *(u32*)(r2+4)", "w1 = *(u32 *)(r2 +4)"}},
	{"71a1f8ff00000000", "r1 = *(u8 *)(r10 -8)", []string{"r1 = *(u8 *)(fp - 8)"}},
	{"7921000000000000", "r1 = *(u64 *)(r2 +0)", []string{"r1 = *(u64 *)(r2)"}},
	{"9121040000000000", "r1 = *(s8 *)(r2 +4)", nil},
	{"631afcff00000000", "*(u32 *)(r10 -4) = r1", []string{"*(u32 *)(r10 -4) = w1"}},
	{"7a0af8ffffffffff", "*(u64 *)(r10 -8) = -1", nil},
	{"620afcffffffffff", "*(u32 *)(r10 -4) = -1", []string{"*(u32 *)(r10 -4) = 0xffffffff", "*(u32 *)(r10 -4) = 4294967295"}},
	{"300000000e000000", "r0 = *(u8 *)skb[14]", []string{"r0 = *(u8 *)skb[0xe]"}},
	{"2000000000f0ffff", "r0 = *(u32 *)skb[-4096]", []string{"r0 = *(u32 *)skb[0xfffff000]"}},
	{"482000000e000000", "r0 = *(u16 *)skb[r2 + 14]", []string{"r0 = *(u16 *)skb[r2+14]"}},
	{"48200000fcffffff", "r0 = *(u16 *)skb[r2 + -4]", []string{"r0 = *(u16 *)skb[r2 - 4]"}},
	{"db21080000000000", "lock *(u64 *)(r1 +8) += r2", nil},
	{"c321080040000000", "lock *(u32 *)(r1 +8) |= r2", []string{"lock *(u32 *)(r1 +8) |= w2"}},
	{"db21080001000000", "r2 = atomic64_fetch_add((u64 *)(r1 +8), r2)", []string{"r2 = atomic_fetch_add((u64 *)(r1 + 8), r2)"}},
	{"c3210800a1000000", "r2 = atomic_fetch_xor((u32 *)(r1 +8), r2)", []string{"w2 = atomic_fetch_xor((u32 *)(r1 + 8), w2)"}},
	{"db210800e1000000", "r2 = atomic64_xchg((u64 *)(r1 +8), r2)", nil},
	{"c3210800f1000000", "r0 = atomic_cmpxchg((u32 *)(r1 +8), r0, r2)", nil},
	{"d321080000010000", "r1 = load_acquire((u8 *)(r2 +8))", nil},
	{"cb21080010010000", "store_release((u16 *)(r1 +8), r2)", nil},
	{"0500030000000000", "goto pc+3", []string{"goto +3"}},
	{"06000000ffffffff", "gotol pc-1", []string{"x: gotol x"}},
	{"e500030000000000", "may_goto pc+3", nil},
	{"1501030005000000", "if r1 == 0x5 goto pc+3", []string{"if r1 == 5 goto +3", "if r1==5 goto pc+3"}},
	{"15010300ffffffff", "if r1 == 0xffffffff goto pc+3", []string{"if r1 == -1 goto pc+3"}},
	{"16010300ffffffff", "if w1 == 0xffffffff goto pc+3", []string{"if w1 == 4294967295 goto pc+3"}},
	{"6d21feff00000000", "if r1 s> r2 goto pc-2", nil},
	{"4601030008000000", "if w1 & 0x8 goto pc+3", nil},
	{"850000001a000000", "call bpf_skb_load_bytes#26", []string{"call 26", "call bpf_skb_load_bytes", "call bpf_skb_load_bytes # comment"}},
	{"85000000e8030000", "call unknown#1000", []string{"call 1000"}},
	{"8510000002000000", "call pc+2", []string{"call +2"}},
	{"85200000e8030000", "call kernel-function#1000", nil},
	{"85200100e8030000", "call kernel-function#1000[1]", nil},
	{"9500000000000000", "exit", []string{"exit ; done"}},
	{"8d01000000000000", "callx r1", []string{"callx   r1"}},
	{"8d00000001000000", "", nil}, // callx as clang 16 encodes it
	{"8d01000001000000", "", nil},
	{"0d01000000000000", "", nil}, // gotox
}

func TestText(t *testing.T) {
	for _, tt := range instructionTexts {
		raw := unhex(t, tt.bytes)
		prog, err := ebpf.Decode(raw, binary.LittleEndian)
		if err != nil {
			t.Fatal(err)
		}
		got := ebpf.Disassemble(prog)[0]
		if tt.text == "" {
			if !strings.HasPrefix(got, "invalid "+tt.bytes[:2]) {
				t.Errorf("%s disassembles to %q", tt.bytes, got)
			}
			continue
		}
		if got != tt.text {
			t.Errorf("%s disassembles to %q, want %q", tt.bytes, got, tt.text)
		}
		for _, text := range append(tt.also, tt.text) {
			back, err := ebpf.Assemble(text)
			if err != nil || !equal(back, prog) {
				t.Errorf("%q assembles to %v, %v; want %s", text, back, err, tt.bytes)
			}
		}
	}
}

func TestLabels(t *testing.T) {
	prog, err := ebpf.Assemble(`
# a subprogram, a loop, a forward jump over a 64-bit immediate
        r6 = r1
again:  r1 = subprog[double]    ; two slots
        if w6 s< 5 goto done
        call double
        goto again
done:
        exit
double:
        r0 = r1
        r0 += r0
        if r0 > r1 goto back
        gotol double
back:   may_goto double
        exit`)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"r6 = r1", "r1 = subprog[+5]", "", "if w6 s< 0x5 goto pc+2", "call pc+2", "goto pc-5", "exit",
		"r0 = r1", "r0 += r0", "if r0 > r1 goto pc+1", "gotol pc-4", "may_goto pc-5", "exit"}
	if got := ebpf.Disassemble(prog); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if err := ebpf.Validate(prog); err != nil {
		t.Error(err)
	}
}

func TestSyntaxErrors(t *testing.T) {
	far := "if r1 == 0 goto end\n" + strings.Repeat("r0 = 0\n", 40000) + "end: exit"
	tests := []struct {
		text         string
		line, column int
		msg          string // part of the message
	}{
		{"exit\nfrob r1", 2, 1, `expected an instruction, found "frob"`},
		{"r1 = r11", 1, 6, `expected a register, a number, a load or an atomic operation, found "r11"`},
		{"r1", 1, 3, "expected an assignment"},
		{"r1 =", 1, 5, "found the end of the line"},
		{"r1 = ;5", 1, 6, "found the end of the line"},
		{"r1 = r2 r3", 1, 9, `expected the end of the line, found "r3"`},
		{"r1 = w2", 1, 6, "both registers must be"},
		{"w1 += r2", 1, 7, "both registers must be"},
		{"r1 = 0xffffffff", 1, 6, "sign-extended"},
		{"r1 &= 4294967040", 1, 7, "sign-extended"},
		{"if r1 == 4294967295 goto +1", 1, 10, "sign-extended"},
		{"w1 = 4294967296", 1, 6, "32 bits"},
		{"r1 = 99999999999999999999 ll", 1, 6, "at most 64 bits"},
		{"r1 = 0xfg", 1, 6, "not a number"},
		{"w1 = 5 ll", 1, 1, "64-bit register"},
		{"r1 = -r2", 1, 7, "must be the same"},
		{"r1 = be16 r2", 1, 11, "must be the same"},
		{"w1 = be16 w1", 1, 1, "64-bit registers"},
		{"r1 = (u8)r2", 1, 7, "s8, s16 or (on 64 bits) s32"},
		{"w1 = (s32)w2", 1, 7, "s8, s16 or (on 64 bits) s32"},
		{"r1 = *(u24 *)(r2 +0)", 1, 8, "expected a type"},
		{"r1 = *(s64 *)(r2 +0)", 1, 8, "expected a type"},
		{"r1 = *(u32 *)(r2 +40000)", 1, 18, "16 bits"},
		{"r1 = *(u32 *)(w2 +4)", 1, 15, "64-bit register, found w2"},
		{"w1 = *(u64 *)(r2 +4)", 1, 1, "fills 64 bits"},
		{"r1 = *(u8 *)skb[5]", 1, 1, "go to r0"},
		{"r0 = *(u64 *)skb[5]", 1, 7, "u8, u16 or u32"},
		{"*(s8 *)(r1 +0) = r2", 1, 2, "only loads"},
		{"*(u64 *)(r1 +0) = w2", 1, 19, "64-bit register"},
		{"lock *(u64 *)(r1 +0) -= r2", 1, 22, "one of += |= &= ^="},
		{"lock *(u8 *)(r1 +0) += r2", 1, 7, "u32 or u64"},
		{"r1 = atomic64_fetch_add((u64 *)(r2 +0), r3)", 1, 41, "both must be the same"},
		{"r1 = atomic64_fetch_add((u32 *)(r2 +0), r1)", 1, 25, "of type u64"},
		{"r1 = atomic64_cmpxchg((u64 *)(r2 +0), r0, r1)", 1, 39, "r0"},
		{"goto 5", 1, 6, "a label or a distance"},
		{"goto r1", 1, 6, "a label or a distance"},
		{"goto +40000", 1, 6, "16 bits"},
		{"goto nowhere", 1, 6, `no label "nowhere"`},
		{"x: exit\nx: exit", 2, 1, `"x" is defined twice`},
		{"r1: exit", 1, 1, `"r1" cannot be a label`},
		{far, 1, 17, "slots away"},
		{"if r1 = 5 goto +1", 1, 7, "expected a comparison"},
		{"if r1 == 5 +1", 1, 12, `expected "goto"`},
		{"call bpf_redirect#1", 1, 6, "helper 1 is bpf_map_lookup_elem, not bpf_redirect"},
		{"call bpf_redirect#1000", 1, 6, "bpf_redirect is helper 23, not 1000"},
		{"call bpf_cpumask_create#61234", 1, 6, "kernel-function#61234"},
		{"call", 1, 5, "a label or a distance"},
		{"r1 = map[name:5]", 1, 10, `no map "name"`},
		{"r1 = map[fd:5", 1, 14, `expected "]"`},
		{"0: (b7) r1 += 5", 1, 9, "the line says opcode 0xb7, but the text means 0x07"},
		{"0: (zz) r1 = 5", 1, 5, "opcode of two hexadecimal digits"},
		{strings.Repeat("x", 1<<20), 1, 1, `expected an instruction, found "xxxxxxxxxxxxxxxxxxxx…"`},
		{"x: r10 += 8", 1, 4, "r10, the frame pointer, is read-only"},
		{"invalid ff 00 00 00 00 00 00 00", 1, 1, "expected an instruction"},
		{"r1 = é", 1, 6, `found "é"`},
		{"\xff", 1, 1, "expected an instruction"},
	}
	for _, tt := range tests {
		_, err := ebpf.Assemble(tt.text)
		var syntax *ebpf.SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%.60q: %v", tt.text, err)
			continue
		}
		if syntax.Line != tt.line || syntax.Column != tt.column || !strings.Contains(syntax.Msg, tt.msg) {
			t.Errorf("%.60q: %v; want line %d, column %d: …%s…", tt.text, err, tt.line, tt.column, tt.msg)
		}
	}
}

// TestCutText cuts every kind of instruction short at every place, and puts a
// wrong character there: that is an error with the place, or a shorter
// instruction, and no panic.
func TestCutText(t *testing.T) {
	rejected := 0
	for _, tt := range instructionTexts {
		for cut := range len(tt.text) {
			for _, text := range []string{tt.text[:cut], tt.text[:cut] + "?" + tt.text[cut:], tt.text[:cut] + "w9" + tt.text[cut:]} {
				prog, err := ebpf.Assemble(text)
				var syntax *ebpf.SyntaxError
				switch {
				case err == nil:
					if got := ebpf.Disassemble(prog); len(got) > 0 && strings.HasPrefix(got[0], "invalid") {
						t.Errorf("%q assembles to %q", text, got)
					}
				case !errors.As(err, &syntax) || syntax.Line != 1 || syntax.Column < 1 || syntax.Column > len(text)+1:
					t.Errorf("%q: %v", text, err)
				default:
					rejected++
				}
			}
		}
	}
	if rejected < 1000 {
		t.Errorf("only %d texts were refused", rejected)
	}
}

func TestValidate(t *testing.T) {
	tests := []struct {
		bytes  string
		index  int
		offset int
		msg    string // "" for valid
	}{
		{"9500000000000000", 0, 0, ""},
		{"", 0, 0, "empty program"},
		{"b700000000000000", 0, 0, "runs past its end"},
		{"0500fdff00000000", 0, 2, "target -2 is outside the program of 1 slots"},
		{"05000100000000009500000000000000", 0, 2, "target 2 is outside"},
		{"05000000000000009500000000000000", 0, 0, ""},
		{"0500010000000000180100000000000000000000000000009500000000000000", 0, 2, "target 2 is the second slot"},
		{"1801000000000000", 0, 0, "second slot of the 64-bit immediate load is missing"},
		{"18010000000000009500000000000000", 1, 8, "has opcode 0x95"},
		{"180100000000000000100000000000009500000000000000", 1, 9, "has registers"},
		{"180100000000000000000100000000009500000000000000", 1, 10, "has offset 1"},
		{"181100000000000000000000010000009500000000000000", 1, 12, "second immediate"},
		{"b7000000000000008d000000010000009500000000000000", 1, 12, "reserved immediate is 1"},
		{"b7000000000000000d010000000000009500000000000000", 1, 8, "unknown opcode 0x0d"},
		{"b70b0000000000009500000000000000", 0, 1, "no register r11"},
		{"b70a0000000000009500000000000000", 0, 1, "read-only"},
		{"db2a000000000000" + "9500000000000000", 0, 0, ""}, // lock *(u64 *)(r10 +0) += r2
		{"dba1000001000000" + "9500000000000000", 0, 1, "read-only"},
		{"9500000001000000", 0, 4, "reserved immediate is 1"},
		{"9500010000000000", 0, 2, "reserved offset is 1"},
		{"8530000000000000" + "9500000000000000", 0, 1, "unknown kind of call 3"},
		{"8510000001000000" + "9500000000000000", 0, 4, "target 2 is outside"},
		{"db21000002000000" + "9500000000000000", 0, 4, "unknown atomic operation 0x2"},
		{"d321000000000000" + "9500000000000000", 0, 0, "no atomic operation on 8 bits"},
		{"dc01000008000000" + "9500000000000000", 0, 4, "bytes of 8 bits"},
		{"3701020007000000" + "9500000000000000", 0, 2, "must be 0 (unsigned) or 1 (signed)"},
	}
	for _, tt := range tests {
		prog, err := ebpf.Decode(unhex(t, tt.bytes), binary.LittleEndian)
		if err != nil {
			t.Fatal(err)
		}
		err = ebpf.Validate(prog)
		var e *ebpf.Error
		switch {
		case tt.msg == "":
			if err != nil {
				t.Errorf("%s: %v", tt.bytes, err)
			}
		case !errors.As(err, &e) || e.Index != tt.index || e.Offset != tt.offset || !strings.Contains(e.Msg, tt.msg):
			t.Errorf("%s: %v; want instruction %d, offset %d: …%s…", tt.bytes, err, tt.index, tt.offset, tt.msg)
		}
	}
}

func TestDecodeCutOff(t *testing.T) {
	_, err := ebpf.Decode(make([]byte, 21), binary.LittleEndian)
	var e *ebpf.Error
	if !errors.As(err, &e) || e.Index != 2 || e.Offset != 16 {
		t.Errorf("21 bytes: %v", err)
	}
}

// TestBigEndianRegisters checks the one part of the encoding that changes
// with the byte order by more than swapping.
func TestBigEndianRegisters(t *testing.T) {
	store := []ebpf.Instruction{ebpf.Store(ebpf.SizeW, ebpf.R10, -4, ebpf.R1)}
	if got := ebpf.Append(nil, store, binary.BigEndian); string(got) != "\x63\xa1\xff\xfc\x00\x00\x00\x00" {
		t.Errorf("% x", got)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	raw, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
