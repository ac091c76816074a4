package verifier

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// helperOf returns the prototype of the helper function that an instruction
// calls, nil if it calls something else or one that is not known.
func (p *Program) helperOf(ins ebpf.Instruction) *abi.Helper {
	if ins.Op != ebpf.ClassJMP|ebpf.Call || ins.Src != ebpf.CallHelper {
		return nil
	}
	if h := abi.HelperByID(ins.Imm); h != nil {
		return h
	}
	for i := range p.Helpers {
		if p.Helpers[i].ID == ins.Imm {
			return &p.Helpers[i]
		}
	}
	return nil
}

// checkHelpers refuses prototypes of the user that the verifier could not hold
// a program to, or not in the way in which an engine will.
func (p *Program) checkHelpers() *failure {
	for i := range p.Helpers {
		h := &p.Helpers[i]
		why := problem(h)
		if slices.ContainsFunc(p.Helpers[:i], func(o abi.Helper) bool { return o.ID == h.ID }) {
			why = "there are two of that number"
		}
		if why != "" {
			return &failure{code: Malformed, reg: -1, msg: fmt.Sprintf("the prototype of helper function %d: %s", h.ID, why)}
		}
	}
	return nil
}

// problem says what is wrong with a prototype of the user, "" if nothing is.
func problem(h *abi.Helper) string {
	if known := abi.HelperByID(h.ID); known != nil {
		if !reflect.DeepEqual(known, h) {
			return "a known function has another one"
		}
		return ""
	}
	switch {
	case len(h.Args) > 5:
		return "there are five registers for arguments"
	case h.Returns != abi.ReturnsScalar && h.Returns != abi.ReturnsNothing && h.Returns != abi.ReturnsLength:
		return "only known functions return pointers"
	case h.Releases:
		return "only known functions give back what was acquired"
	}
	filled := 0
	for i, arg := range h.Args {
		if arg == abi.ArgWriteMem || arg == abi.ArgWriteMemOrNull || arg == abi.ArgMapValueOut || arg == abi.ArgWriteLong || arg == abi.ArgReadWriteWord {
			if filled++; filled > 1 {
				return "two arguments are memory to fill"
			}
		}
		if why := argumentProblem(h, i, arg); why != "" {
			return fmt.Sprintf("argument %d: %s", i+1, why)
		}
	}
	return ""
}

func argumentProblem(h *abi.Helper, i int, arg abi.ArgKind) string {
	next := abi.ArgScalar
	if i+1 < len(h.Args) {
		next = h.Args[i+1]
	}
	switch arg {
	case abi.ArgContext, abi.ArgScalar, abi.ArgOptional, abi.ArgWriteLong, abi.ArgReadWriteWord, abi.ArgString:
	case abi.ArgReadMem, abi.ArgReadMemOrNull, abi.ArgWriteMem, abi.ArgWriteMemOrNull:
		if next != abi.ArgSize && next != abi.ArgSizeOrZero {
			return "no size follows"
		}
	case abi.ArgSize, abi.ArgSizeOrZero:
		if i == 0 || !slices.Contains([]abi.ArgKind{abi.ArgReadMem, abi.ArgReadMemOrNull, abi.ArgWriteMem, abi.ArgWriteMemOrNull}, h.Args[i-1]) {
			return "no memory is before the size"
		}
	case abi.ArgMap:
		if i != 0 {
			return "a map is the first argument"
		}
	case abi.ArgMapKey, abi.ArgMapValue, abi.ArgMapValueOut:
		if h.Args[0] != abi.ArgMap {
			return "the first one is no map"
		}
	default:
		return "only known functions have such arguments"
	}
	return ""
}
