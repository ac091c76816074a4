package ebpf_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/testdata/require"
)

// llvmLine is a line of llvm-mc's output: text and encoding.
var llvmLine = regexp.MustCompile(`(?m)^\s*(\S.*?)\s*[#@] encoding: \[([0-9a-fx,]+)\]`)

// TestLLVM gives instructions as bytes to LLVM's disassembler and assembles
// the text that it makes of them: the bytes must come out again. LLVM 16 is
// not asked about what came later (signed division, sign extension, gotol,
// acquire and release); it does not know stores of immediates and "&" as a
// comparison, and has its own spelling for exchanges.
func TestLLVM(t *testing.T) {
	mc := require.Command(t, "llvm-mc-16", "llvm-mc")
	for triple, order := range map[string]binary.ByteOrder{"bpfel": binary.LittleEndian, "bpfeb": binary.BigEndian} {
		var hex strings.Builder
		for _, prog := range llvmPrograms() {
			for _, b := range ebpf.Append(nil, prog, order) {
				fmt.Fprintf(&hex, "0x%02x ", b)
			}
			hex.WriteByte('\n')
		}
		cmd := exec.Command(mc, "-triple", triple, "-mcpu=v3", "--disassemble", "--show-encoding")
		cmd.Stdin = strings.NewReader(hex.String())
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		opcodes := map[byte]bool{}
		for _, m := range llvmLine.FindAllStringSubmatch(string(out), -1) {
			raw := parseEncoding(t, m[2])
			if ownSpelling(m[1]) {
				continue
			}
			opcodes[raw[0]] = true
			want, _ := ebpf.Decode(raw, order)
			got, err := ebpf.Assemble(m[1])
			if err != nil {
				t.Errorf("%q: %v", m[1], err)
			} else if !equal(got, want) {
				t.Errorf("%q assembles to %v, LLVM says %v", m[1], got, want)
			}
		}
		if len(opcodes) != 112 { // of 128
			t.Errorf("%s: LLVM has shown %d opcodes", triple, len(opcodes))
		}
	}
}

// llvmPrograms makes single instructions of all opcodes with random operands.
func llvmPrograms() [][]ebpf.Instruction {
	rnd := rand.New(rand.NewPCG(3, 4))
	var progs [][]ebpf.Instruction
	for op := range 256 {
		made := 0
		for try := 0; try < 5000 && made < 20; try++ {
			ins := ebpf.Instruction{Op: ebpf.Opcode(op)}
			if rnd.IntN(4) > 0 {
				ins.Dst = ebpf.Register(rnd.IntN(11))
			}
			if rnd.IntN(4) > 0 {
				ins.Src = ebpf.Register(rnd.IntN(11))
			}
			if rnd.IntN(2) > 0 {
				ins.Off = int16(rnd.Uint32())
			}
			if rnd.IntN(3) > 0 {
				ins.Imm = []int32{16, 32, 64, int32(rnd.Uint32()), int32(rnd.Uint32N(256))}[rnd.IntN(5)]
			}
			prog := []ebpf.Instruction{ins}
			if ins.Width() == 2 {
				prog = append(prog, ebpf.Instruction{Imm: int32(rnd.Uint32())})
			}
			if knownToLLVM(prog) {
				progs = append(progs, prog)
				made++
			}
		}
	}
	return progs
}

func knownToLLVM(prog []ebpf.Instruction) bool {
	ins := prog[0]
	if strings.HasPrefix(ebpf.Disassemble(prog)[0], "invalid") {
		return false
	}
	switch class := ins.Op.Class(); {
	case class == ebpf.ClassALU || class == ebpf.ClassALU64:
		return ins.Off == 0 // signed division, sign extension
	case ins.Op == ebpf.LoadImm64:
		return ins.Src == ebpf.WideValue
	case ins.Op.Class() == ebpf.ClassLD && ins.Op.Mode() == ebpf.ModeIND:
		return ins.Imm == 0 // left out of LLVM's text
	case ins.Op == ebpf.CallX:
		return false // the register in the immediate, see package object
	case ins.Op == ebpf.ClassJMP|ebpf.Call:
		return ins.Src == ebpf.CallHelper && ins.Imm >= 0
	case class == ebpf.ClassSTX && ins.Op.Mode() == ebpf.ModeATOMIC:
		return ins.Imm != ebpf.LoadAcquire && ins.Imm != ebpf.StoreRelease
	}
	return true
}

// ownSpelling reports whether the text is an exchange as LLVM writes it,
// without the type: "r1 = xchg_64(r2 + 0, r1)".
func ownSpelling(text string) bool { return strings.Contains(text, "xchg") }

func parseEncoding(t *testing.T, s string) []byte {
	t.Helper()
	var raw []byte
	for f := range strings.SplitSeq(s, ",") {
		b, err := strconv.ParseUint(f, 0, 8)
		if err != nil {
			t.Fatal(err)
		}
		raw = append(raw, byte(b))
	}
	return raw
}
