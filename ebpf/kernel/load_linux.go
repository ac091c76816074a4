package kernel

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"

	cilium "github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// A Program is a program in the kernel. It must be closed.
type Program struct {
	prog *cilium.Program
	name string
	log  []string
}

// Load loads a program. The name is for the kernel's listings, which keep the
// first 15 bytes of it and only letters, digits and "_". The error is a
// [*VerifierError] if the kernel's verifier refuses the program, an
// [*ebpf.Error] if it is no program at all.
func Load(name string, t abi.ProgType, prog []ebpf.Instruction) (*Program, error) {
	p, _, err := load(name, t, prog, 0)
	return p, err
}

// LoadVerbose is Load with the verifier's log at its most detailed: each
// instruction on each path with the state of the registers. For a program that
// is refused the log is in the error.
func LoadVerbose(name string, t abi.ProgType, prog []ebpf.Instruction) (*Program, []string, error) {
	return load(name, t, prog, cilium.LogLevelInstruction|cilium.LogLevelStats)
}

// unlimitMemory lifts the limit on locked memory, to which kernels before 5.11
// charge programs. Failing is no error: newer kernels do not need it, and an
// older one will refuse the load itself. (Package rlimit of cilium/ebpf would ask
// the kernel which it is by making a map, whenever a process starts that has it.)
var unlimitMemory = sync.OnceValue(func() error {
	return unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY})
})

func load(name string, t abi.ProgType, prog []ebpf.Instruction, level cilium.LogLevel) (*Program, []string, error) {
	if err := ebpf.Validate(prog); err != nil {
		return nil, nil, err
	}
	code, err := instructions(name, prog)
	if err != nil {
		return nil, nil, err
	}
	return newProgram(name, &cilium.ProgramSpec{
		Type: cilium.ProgramType(t), AttachType: attachType(t), License: license, Instructions: code,
	}, level)
}

// instructions makes the library's form of a program.
func instructions(name string, prog []ebpf.Instruction) (asm.Instructions, error) {
	raw := bytes.NewReader(ebpf.Append(nil, prog, binary.NativeEndian))
	code, err := asm.AppendInstructions(nil, raw, nativeEndian, "linux")
	if err != nil {
		return nil, fmt.Errorf("preparing program %q: %w", name, err)
	}
	return code, nil
}

func newProgram(name string, spec *cilium.ProgramSpec, level cilium.LogLevel) (*Program, []string, error) {
	unlimitMemory()
	spec.Name = objectName(name)
	p, err := cilium.NewProgramWithOptions(spec, cilium.ProgramOptions{LogLevel: level})
	if err != nil {
		return nil, nil, loadError(name, spec, err)
	}
	return &Program{prog: p, name: name}, strings.Split(strings.TrimSpace(p.VerifierLog), "\n"), nil
}

// nativeEndian is the machine's byte order as one of the two values that
// package asm knows.
var nativeEndian = func() binary.ByteOrder {
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return binary.LittleEndian
	}
	return binary.BigEndian
}()

// attachType returns the attach type that the kernel wants to know at load
// time, for the types where it does.
func attachType(t abi.ProgType) cilium.AttachType {
	if t == abi.CGroupSKB {
		return cilium.AttachCGroupInetIngress
	}
	return cilium.AttachNone
}

// objectName makes a name that the kernel takes (bpf_obj_name_cpy).
func objectName(name string) string {
	clean := []byte(name[:min(len(name), unix.BPF_OBJ_NAME_LEN-1)])
	for i, c := range clean {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_') {
			clean[i] = '_'
		}
	}
	return string(clean)
}

func loadError(name string, spec *cilium.ProgramSpec, err error) error {
	var refused *cilium.VerifierError
	switch {
	case errors.As(err, &refused) && len(refused.Log) > 0:
		return &VerifierError{Program: name, Cause: refused.Cause, Log: refused.Log, Hint: strictness()}
	case errors.Is(err, unix.EPERM):
		with := "CAP_NET_ADMIN"
		switch spec.Type {
		case cilium.Kprobe, cilium.TracePoint, cilium.RawTracepoint, cilium.Tracing: // is_perfmon_prog_type
			with = "CAP_PERFMON"
		}
		return fmt.Errorf("loading program %q: %w; it takes root, or CAP_BPF with %s", name, unix.EPERM, with)
	case spec.AttachType == cilium.AttachTraceRawTp && errors.Is(err, cilium.ErrNotSupported) && probeBTF().OK:
		// The library looks for the type of the tracepoint among the kernel's.
		return noTracepoint(Hook{Kind: HookTracepointBTF, Where: spec.AttachTo}, err)
	}
	return fmt.Errorf("loading program %q: %w", name, err)
}

// strictness tells users without CAP_PERFMON why the kernel's verifier may refuse
// what it accepts from root (bpf_allow_ptr_leaks, bpf_bypass_spec_v1).
func strictness() string {
	if have, err := capabilities(); err != nil || have.has(unix.CAP_PERFMON) {
		return ""
	}
	return "without CAP_PERFMON it forbids much arithmetic with pointers: run with sudo, or setcap cap_perfmon+ep FILE"
}

// Log returns the lines of the verifier's log, if it was asked for
// ([Collection.Log]).
func (p *Program) Log() []string { return p.log }

// Close removes the program from the kernel.
func (p *Program) Close() error { return p.prog.Close() }

// Info asks the kernel about the program.
func (p *Program) Info() (Info, error) {
	info, err := p.prog.Info()
	if err != nil {
		return Info{}, fmt.Errorf("asking for program %q: %w", p.name, err)
	}
	translated, _ := info.TranslatedSize()
	jited, _ := info.JitedSize()
	verified, _ := info.VerifiedInstructions()
	return Info{Translated: translated, Jited: int(jited), Tag: info.Tag, Verified: verified}, nil
}

// Available returns nil if programs can be loaded and test-run here, and
// otherwise the reason.
func Available() error {
	p, err := Load("probe", abi.SchedCLS, []ebpf.Instruction{ebpf.Mov64Imm(ebpf.R0, 0), ebpf.Return()})
	if errors.Is(err, unix.ENOSYS) {
		return fmt.Errorf("this kernel is built without bpf(): %w", ErrNotSupported)
	}
	if err != nil {
		return err
	}
	defer p.Close()
	_, _, err = p.TestRun(make([]byte, 64))
	return err
}
