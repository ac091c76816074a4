package ebpf_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
)

// FuzzDecode takes any bytes for a program: showing it in all formats must not
// fail, and what can be read back must come back; valid programs also through
// the assembler.
func FuzzDecode(f *testing.F) {
	f.Add(ebpf.Append(nil, assemble(f, sampleProgram), binary.LittleEndian))
	edges := "\x18\x61\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x08\x00\x00\x00" + "\xdb\x21\x08\x00\xf1\x00\x00\x00" + "\x95\x00\x00\x00\x00\x00\x00\x00"
	f.Add([]byte(edges))
	f.Add([]byte("\x05\x00\x00\x80\x00\x00\x00\x00\x06\x00\x00\x00\xff\xff\xff\x7f\x18"))
	f.Fuzz(func(t *testing.T, data []byte) {
		prog, err := ebpf.Decode(data, binary.LittleEndian)
		if err != nil {
			return
		}
		if back := ebpf.Append(nil, prog, binary.LittleEndian); !bytes.Equal(back, data) {
			t.Fatalf("% x is encoded as % x", data, back)
		}
		for _, format := range []ebpf.Format{ebpf.FormatJSON, ebpf.FormatHex, ebpf.FormatRawBE} {
			back, err := ebpf.Parse(write(t, format, prog, ebpf.WriteOptions{}), format)
			if err != nil || !equal(back, prog) {
				t.Fatalf("%s: %v, %v", format, back, err)
			}
		}
		write(t, ebpf.FormatDot, prog, ebpf.WriteOptions{})
		if ebpf.Validate(prog) != nil {
			return
		}
		listing := string(write(t, ebpf.FormatAsm, prog, ebpf.WriteOptions{}))
		for _, text := range []string{listing, strings.Join(ebpf.Disassemble(prog), "\n")} {
			if back, err := ebpf.Assemble(text); err != nil || !equal(back, prog) {
				t.Fatalf("%s\nassembles to %v, %v", text, back, err)
			}
		}
	})
}

// FuzzAssemble takes any text for a program. What assembles must come back
// from its disassembly.
func FuzzAssemble(f *testing.F) {
	f.Add(sampleProgram)
	f.Add("lock *(u64 *)(r1 +8) += r2\nr1 = map[fd:5][0]+8\nr1 = subprog[x]\nx: call kernel-function#5[1]\n" +
		"r0 = atomic64_cmpxchg((u64 *)(fp - 8), r0, r2)\nstore_release((u8 *)(r1), w2)")
	f.Add("0: (18) r1 = 0x5 ; R1_w=5\n2: (d7) r1 = bswap16 r1 // x\nif w1 s>= -0x80000000 goto +2 # y\nr3 = (s32)r4")
	f.Add(".map a type array key 4 value 8 entries 1\nr1 = map[a] ll\nr2 = map[a][0]-8\nr3 = map[idx:4]\ncallx r9")
	f.Fuzz(func(t *testing.T, text string) {
		prog, err := ebpf.Assemble(text)
		if err != nil {
			return
		}
		lines := strings.Join(ebpf.Disassemble(prog), "\n")
		if back, err := ebpf.Assemble(lines); err != nil || !equal(back, prog) {
			t.Fatalf("%q assembles to\n%s\nwhich assembles to %v, %v", text, lines, back, err)
		}
	})
}

// FuzzParseAny takes any bytes for a program in some format.
func FuzzParseAny(f *testing.F) {
	prog := assemble(f, sampleProgram)
	for _, format := range ebpf.Formats() {
		f.Add(write(f, format, prog, ebpf.WriteOptions{Section: "xdp", Comment: comment}))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		prog, format, err := ebpf.ParseAny(data)
		if err != nil || ebpf.Validate(prog) != nil {
			return
		}
		back, as, err := ebpf.ParseAny(write(t, format, prog, ebpf.WriteOptions{}))
		if err != nil || as != format || !equal(back, prog) {
			t.Fatalf("%s comes back as %s: %v, %v", format, as, back, err)
		}
	})
}
