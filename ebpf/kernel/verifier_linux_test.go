package kernel_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// loadRaw gives a program to bpf() as it is, also one that Load would refuse,
// and returns the verifier's log at its most detailed.
func loadRaw(t *testing.T, prog []ebpf.Instruction) (log string, accepted bool) {
	t.Helper()
	raw, license := ebpf.Append(nil, prog, binary.NativeEndian), []byte("GPL\x00")
	buf := make([]byte, 1<<16)
	attr := struct { // the start of union bpf_attr for BPF_PROG_LOAD
		typ, count          uint32
		insns, license      uint64
		logLevel, logSize   uint32
		logBuf              uint64
		kernVersion, flags  uint32
		name                [16]byte
		ifindex, attachType uint32
	}{
		typ: uint32(abi.SchedCLS), count: uint32(len(prog)),
		insns: address(raw), license: address(license),
		logLevel: 2, logSize: uint32(len(buf)), logBuf: address(buf),
	}
	fd, errno := uintptr(0), unix.EAGAIN
	for errno == unix.EAGAIN { // a signal of the Go runtime came in between
		fd, _, errno = unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	}
	runtime.KeepAlive(raw)
	runtime.KeepAlive(license)
	if errno == 0 {
		unix.Close(int(fd))
	}
	if errno == unix.EPERM {
		t.Fatal("bpf() is not permitted")
	}
	return unix.ByteSliceToString(buf), errno == 0
}

func address(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(&b[0]))) }

// sample makes instructions in all opcodes with edge operands, most of them
// invalid. Each comes in a program that gives all registers a value and
// surrounds it with targets for its jumps.
func sample(rnd *rand.Rand, op ebpf.Opcode) (prog []ebpf.Instruction, at int) {
	ins := ebpf.Instruction{Op: op}
	pick := func(n int) bool { return rnd.IntN(n) == 0 }
	if !pick(4) {
		ins.Dst = []ebpf.Register{1, 2, 9, 10, 11, 15}[rnd.IntN(6)]
	}
	if !pick(3) {
		ins.Src = []ebpf.Register{1, 2, 3, 4, 5, 6, 9, 10, 12}[rnd.IntN(9)]
	}
	if !pick(2) {
		ins.Off = []int16{1, 2, -1, 8, 16, 32, -32768, 32767}[rnd.IntN(8)]
	}
	if !pick(3) {
		ins.Imm = []int32{1, 2, -1, 16, 32, 64, 0x40, 0x50, 0xa0, 0x41, 0x51, 0xa1, 0xe1, 0xf1, 0xe0,
			0x100, 0x110, 0x111, -2147483648, 2147483647}[rnd.IntN(20)]
	}
	for r := ebpf.R0; r < ebpf.R10; r++ {
		prog = append(prog, ebpf.Mov64Imm(r, 1))
	}
	// What follows the instruction must be reachable without it.
	prog = append(prog, ebpf.JumpIfImm(ebpf.Jeq, ebpf.R0, 2, int16(ins.Width())))
	at = len(prog)
	prog = append(prog, ins)
	if ins.Width() == 2 {
		prog = append(prog, ebpf.Instruction{Imm: ins.Imm})
	}
	for range 2 {
		prog = append(prog, ebpf.Mov64Imm(ebpf.R0, 0))
	}
	return append(prog, ebpf.Return()), at
}

// instructionLine is a line of the log that shows an instruction; what the
// verifier knows of the registers follows behind a semicolon.
var instructionLine = regexp.MustCompile(`(?m)^(\d+): \([0-9a-f]{2}\) (.*?)(?:\s*;.*)?$`)

// TestTextIsTheKernels lets the verifier print instructions (it does so before
// it judges them) and compares with our disassembler.
func TestTextIsTheKernels(t *testing.T) {
	available(t)
	rnd := rand.New(rand.NewPCG(7, 7))
	compared := map[ebpf.Opcode]int{}
	for op := range 256 {
		for try := 0; try < 2000 && compared[ebpf.Opcode(op)] < 8; try++ {
			prog, at := sample(rnd, ebpf.Opcode(op))
			text := ebpf.Disassemble(prog)
			if strings.HasPrefix(text[at], "invalid") {
				continue
			}
			log, _ := loadRaw(t, prog)
			for _, m := range instructionLine.FindAllStringSubmatch(log, -1) {
				if m[1] != strconv.Itoa(at) {
					continue
				}
				compared[prog[at].Op]++
				if got := asKernel(prog[at], text[at]); got != m[2] {
					t.Errorf("%+v: %q, the kernel writes %q", prog[at], got, m[2])
				}
				break
			}
		}
	}
	if len(compared) != 128 { // all that there are
		t.Errorf("%d opcodes were compared", len(compared))
	}
}

// asKernel takes back where our text says more than the kernel's.
func asKernel(ins ebpf.Instruction, text string) string {
	switch {
	case ins.Op == ebpf.LoadImm64:
		return strings.TrimSuffix(text, " ll")
	case ins.Op == ebpf.ClassJMP|ebpf.Call && ins.Src == ebpf.CallKfunc: // by the name in its BTF
		return fmt.Sprintf("call #%d", ins.Imm)
	}
	return text
}

// encodingFault matches what the verifier says about an instruction that is
// wrong in itself.
var encodingFault = regexp.MustCompile(`unknown opcode|reserved fields|invalid bpf_ld_imm64|unrecognized bpf_ld_imm64|` +
	`invalid BPF_ALU opcode|invalid BPF_JMP/JMP32 opcode|invalid atomic|uses invalid atomic|invalid may_goto|` +
	`R\d+ is invalid|frame pointer is read only|addr_space_cast insn|last insn is not an exit or jmp|` +
	`jump out of range|jump into the middle of ldimm64|invalid insn idx`)

// otherFault matches what the verifier finds first where Validate finds an
// encoding fault: no map or BTF of that number, a function outside the
// program, constant division by 0 or shift beyond the width.
var otherFault = regexp.MustCompile(`fd_array|valid bpf_map|BTF|call to invalid destination|div by zero|invalid shift`)

// TestValidateIsTheKernels compares Validate with the verifier's judgement of
// single instructions.
func TestValidateIsTheKernels(t *testing.T) {
	available(t)
	rnd := rand.New(rand.NewPCG(8, 8))
	valid, invalid := 0, 0
	for range 30 {
		for op := range 256 {
			prog, at := sample(rnd, ebpf.Opcode(op))
			log, accepted := loadRaw(t, prog)
			err := ebpf.Validate(prog)
			if err == nil {
				valid++
				if m := encodingFault.FindString(log); m != "" && prog[at].Op != ebpf.CallX { // see package ebpf
					t.Errorf("%+v is valid, the kernel says %q", prog[at], m)
				}
				continue
			}
			invalid++
			if accepted && prog[at].Op == ebpf.ClassJMP|ebpf.Exit {
				continue // the kernel ignores Off of an exit
			}
			if accepted || encodingFault.FindString(log) == "" && otherFault.FindString(log) == "" {
				lines := strings.Split(strings.TrimSpace(log), "\n")
				t.Errorf("%v: %+v, but the kernel: %v %q", err, prog[at], accepted, lines[max(0, len(lines)-2)])
			}
		}
	}
	if valid < 400 || invalid < 4000 {
		t.Errorf("%d valid and %d invalid instructions", valid, invalid)
	}
}
