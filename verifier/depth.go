package verifier

import (
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// tailCallDepth is how much stack there may be above a tail call, because the
// program that is called needs 512 bytes, too, and so on 33 times.
const tailCallDepth = 256

// checkDepth checks that no chain of calls needs more stack than there is
// (check_max_stack_depth). Paths have shown how much each function uses.
func (t *task) checkDepth() *failure {
	d := depths{t: t, tail: make([]bool, len(t.a.funcs)), seen: map[[2]int32]int32{}}
	for pc := 0; pc < len(t.p.Insns); pc += t.p.Insns[pc].Width() {
		ins := t.p.Insns[pc]
		if ins.Op == ebpf.ClassJMP|ebpf.Call && ins.Src == ebpf.CallHelper && ins.Imm == abi.TailCall {
			d.tail[t.a.fn[pc]] = true
		}
	}
	return d.below(0, 0, 0)
}

type depths struct {
	t    *task
	tail []bool // functions that make tail calls

	// The most stack with which a function was looked at, by its place in
	// the chain: with less there is nothing to find. Without it the time
	// would be that of all chains.
	seen map[[2]int32]int32
}

// below adds up the stack of function fn and of what it calls, above being
// what its callers need. A chain has at most eight functions, or the search
// would have failed.
func (d *depths) below(fn int, above, frames int32) *failure {
	a := d.t.a
	if d.tail[fn] && above >= tailCallDepth {
		return &failure{code: StackDepth, pc: int(a.funcs[fn].start), reg: -1, msg: "a tail call with " + itoa(above) + " bytes of stack in use by callers, where 256 are too many"}
	}
	total := above + roundUp(d.t.last.depth[fn])
	if total > frameSize {
		return &failure{code: StackDepth, pc: int(a.funcs[fn].start), reg: -1, msg: "the chain of calls needs " + itoa(total) + " bytes of stack, of which there are 512"}
	}
	place := [2]int32{int32(fn), frames}
	if most, ok := d.seen[place]; ok && most >= above || frames == maxFrames {
		return nil
	}
	d.seen[place] = above
	for pc := int(a.funcs[fn].start); pc < int(a.funcs[fn].end); pc++ {
		if target, ok := calls(d.t.p.Insns, pc); ok {
			if f := d.below(int(a.fn[target]), total, frames+1); f != nil {
				return f
			}
		}
		pc += d.t.p.Insns[pc].Width() - 1
	}
	return nil
}

// calls returns the function that an instruction calls, or gives to a helper
// to call.
func calls(prog []ebpf.Instruction, pc int) (target int, ok bool) {
	ins := prog[pc]
	if ins.Op == ebpf.ClassJMP|ebpf.Call && ins.Src == ebpf.CallLocal || ins.Op == ebpf.LoadImm64 && ins.Src == ebpf.WideFunc {
		return ins.Target(pc)
	}
	return 0, false
}

// roundUp is the stack that a function takes for what it uses: the kernel's
// machine code keeps it aligned.
func roundUp(n int32) int32 { return (n + 15) &^ 15 }
