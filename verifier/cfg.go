package verifier

import (
	"fmt"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// An analysis is what can be said about a program before its paths are
// followed: its functions and loops, where paths meet, and which values may
// still be read. The search uses it to forget what does not matter; nothing in
// it is a proof. A value that is wrongly said to be dead can cost a program
// its acceptance, never make an unsafe one pass.
type analysis struct {
	p     *Program
	funcs []function // rising by start; funcs[0] is the program
	calls []callSite // rising by slot

	// By slot.
	fn         []int32  // index of the function in funcs
	loop       []int32  // number of the cycle (strongly connected component) that the slot is in, 0 for none
	checkpoint []bool   // states are compared here
	liveRegs   []uint16 // bit r: register r may be read before it is written, from this slot on; always set for R10
	liveSlots  []uint64 // bit i: likewise for a byte of the stack slot at R10-8(i+1) of the function's own frame

	graph
	effects []effect // by slot
}

// A function is a range of slots that calls, or the program's start, enter at
// its first slot only.
type function struct {
	start, end  int32
	movesPacket bool  // it, or what it calls, may move the packet
	callback    bool  // its address is taken
	mayGoto     bool  // it has a may_goto
	callers     int32 // places that call it or take its address
	exits       int32 // places at which it returns
}

// A callSite is an instruction that names a function of the program.
type callSite struct {
	slot    int32
	fn      int32 // index of the function
	address bool  // it takes the function's address for a callback

	// frames are the argument registers that may point into the caller's
	// frame.
	frames uint16
}

// Limits of the kernel: BPF_COMPLEXITY_LIMIT_INSNS, BPF_MAX_SUBPROGS and
// MAX_USED_MAPS.
const (
	maxSlots     = 1_000_000
	maxFunctions = 256
	maxMaps      = 64
)

// analyse looks at a program that [ebpf.Validate] accepts. The failures are
// those of its shape: Unreachable, LeavesFunc and TooLarge.
func analyse(p *Program) (*analysis, *failure) {
	n := len(p.Insns)
	if n > maxSlots {
		return nil, misshapen(TooLarge, 0, "the program has %d slots, more than %d", n, maxSlots)
	}
	a := &analysis{p: p, fn: make([]int32, n)}
	leaders := a.findFunctions()
	if f := a.checkSize(); f != nil {
		return nil, f
	}
	if f := a.checkEdges(); f != nil {
		return nil, f
	}
	a.findBlocks(leaders)
	a.findComponents()
	if f := a.checkReached(); f != nil {
		return nil, f
	}
	a.placeCheckpoints()
	a.propagateMoves()
	a.findEffects()
	a.findLiveness()
	return a, nil
}

func misshapen(code Code, pc int32, format string, args ...any) *failure {
	return &failure{code: code, pc: int(pc), reg: -1, msg: fmt.Sprintf(format, args...)}
}

// findFunctions fills in funcs, calls and fn. It returns the slots at which a
// basic block begins: targets, and what is behind a jump.
func (a *analysis) findFunctions() (leaders []bool) {
	insns := a.p.Insns
	leaders = make([]bool, len(insns)+1)
	leaders[0] = true
	starts := make([]int32, 1, 8)
	for i := 0; i < len(insns); i += insns[i].Width() {
		ins := insns[i]
		switch class := ins.Op.Class(); {
		case class == ebpf.ClassJMP || class == ebpf.ClassJMP32:
		case ins.Op == ebpf.LoadImm64 && ins.Src == ebpf.WideFunc:
		default:
			continue
		}
		target, ok := ins.Target(i)
		address := ins.Op == ebpf.LoadImm64
		if ok {
			leaders[target] = true
		}
		switch {
		case ok && (address || ins.Op.Operation() == ebpf.Call):
			starts = append(starts, int32(target))
			a.calls = append(a.calls, callSite{slot: int32(i), fn: int32(target), address: address})
		case ins.Op.Operation() != ebpf.Call:
			leaders[i+1] = true
		}
	}
	a.splitFunctions(starts)
	return leaders
}

// splitFunctions makes the functions that start at the given slots, in any
// order and some more than once, and resolves the calls, which hold slots.
func (a *analysis) splitFunctions(starts []int32) {
	for _, s := range starts {
		a.fn[s] = 1
	}
	index := int32(-1)
	a.fn[0] = 1
	for i := range a.fn {
		if a.fn[i] == 1 {
			index++
			a.funcs = append(a.funcs, function{start: int32(i)})
		}
		a.fn[i] = index
		a.funcs[index].end = int32(i) + 1
	}
	for i := range a.calls {
		c := &a.calls[i]
		c.fn = a.fn[c.fn]
		f := &a.funcs[c.fn]
		f.callers++
		f.callback = f.callback || c.address
	}
	a.funcs[0].callers++ // the kernel
}

func (a *analysis) checkSize() *failure {
	if len(a.funcs) > maxFunctions {
		return misshapen(TooLarge, a.funcs[maxFunctions].start, "the program has %d functions, more than %d", len(a.funcs), maxFunctions)
	}
	if len(a.p.Maps) <= maxMaps {
		return nil
	}
	used := make(map[int32]bool)
	insns := a.p.Insns
	for i := 0; i < len(insns); i += insns[i].Width() {
		if index, ok := mapOf(insns[i]); ok {
			used[index] = true
		}
		if len(used) > maxMaps {
			return misshapen(TooLarge, int32(i), "the program uses more than %d maps", maxMaps)
		}
	}
	return nil
}

// mapOf returns the index of the map that an instruction loads the address of,
// or of whose value.
func mapOf(ins ebpf.Instruction) (index int32, ok bool) {
	if ins.Op != ebpf.LoadImm64 {
		return 0, false
	}
	switch ins.Src {
	case ebpf.WideMapFD, ebpf.WideMapValue, ebpf.WideMapIndex, ebpf.WideMapIndexValue:
		return ins.Imm, true
	}
	return 0, false
}

// checkEdges checks that control enters and leaves functions by calls and
// exits alone, as check_subprogs in kernel/bpf/verifier.c does.
func (a *analysis) checkEdges() *failure {
	insns := a.p.Insns
	for i := 0; i < len(insns); i += insns[i].Width() {
		class := insns[i].Op.Class()
		if class != ebpf.ClassJMP && class != ebpf.ClassJMP32 || insns[i].Op.Operation() == ebpf.Call {
			continue
		}
		if target, ok := insns[i].Target(i); ok && a.fn[target] != a.fn[i] {
			return misshapen(LeavesFunc, int32(i), "the jump to %d leaves the function, which is the slots %d to %d", target, a.funcs[a.fn[i]].start, a.funcs[a.fn[i]].end-1)
		}
	}
	for _, f := range a.funcs {
		// The second slot of a wide load has an opcode that is neither.
		if last := insns[f.end-1]; !isExit(last) && !isJump(last) {
			return misshapen(LeavesFunc, f.end-1, "the function that starts at %d runs past its end: the last instruction must be exit or an unconditional jump", f.start)
		}
	}
	return nil
}

func isExit(ins ebpf.Instruction) bool { return ins.Op == ebpf.ClassJMP|ebpf.Exit }

// isJump reports whether an instruction is an unconditional jump.
func isJump(ins ebpf.Instruction) bool {
	return ins.Op == ebpf.ClassJMP|ebpf.Ja || ins.Op == ebpf.ClassJMP32|ebpf.Ja
}

// isBranch reports whether an instruction compares and jumps. May_goto, which
// compares nothing of the program's, is none.
func isBranch(ins ebpf.Instruction) bool {
	switch ins.Op.Class() {
	case ebpf.ClassJMP, ebpf.ClassJMP32:
		switch ins.Op.Operation() {
		case ebpf.Ja, ebpf.Call, ebpf.Exit, ebpf.Jcond:
			return false
		}
		return true
	}
	return false
}

func isMayGoto(ins ebpf.Instruction) bool { return ins.Op == ebpf.ClassJMP|ebpf.Jcond }

// isLegacyLoad reports whether an instruction is a packet load of classic BPF,
// which returns 0 from the function if the bytes are not there.
func isLegacyLoad(ins ebpf.Instruction) bool {
	return ins.Op.Class() == ebpf.ClassLD && (ins.Op.Mode() == ebpf.ModeABS || ins.Op.Mode() == ebpf.ModeIND)
}

// isCall reports whether an instruction calls something: a helper function, a
// function of the program or of the kernel, or what a register points to.
func isCall(ins ebpf.Instruction) bool {
	return ins.Op == ebpf.ClassJMP|ebpf.Call || ins.Op == ebpf.CallX
}

func isLocalCall(ins ebpf.Instruction) bool {
	return ins.Op == ebpf.ClassJMP|ebpf.Call && ins.Src == ebpf.CallLocal
}

// takesCallback reports whether a helper function calls a function of the
// program.
func takesCallback(h *abi.Helper) bool {
	if h == nil {
		return false
	}
	for _, arg := range h.Args {
		if arg == abi.ArgFunc {
			return true
		}
	}
	return false
}
