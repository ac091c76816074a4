package kernel

import (
	"slices"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// A test run cannot set every field of the context. That matters only to
// programs that look: contextReads finds out what a program may read. It follows
// the context's address through registers and, as one place, all memory that
// it may be stored to. What it says too much makes the engine refuse a packet
// too many, never show one wrongly.

// helperReads are the fields that helper functions look at in the program's
// place.
var helperReads = map[int32][]string{
	abi.SKBVLANPush:    {"vlan_present", "protocol"},
	abi.SKBVLANPop:     {"vlan_present", "protocol"},
	abi.SKBChangeProto: {"protocol"},
	abi.GetHashRecalc:  {"hash"},
	abi.SKBChangeTail:  {"len"},
	abi.SKBAdjustRoom:  {"protocol"},
	abi.SKBEcnSetCE:    {"protocol"},
	abi.CheckMTU:       {"len"},
}

// holders is a set of places that may hold the context's address: bit n is
// register n, and memory is all of memory.
type holders uint16

const (
	memory  holders = 1 << 11
	scratch holders = 1<<6 - 1 // R0 to R5, which calls overwrite
)

func holder(r ebpf.Register) holders { return 1 << r }

// A contextReader follows one program.
type contextReader struct {
	context *abi.Context
	prog    []ebpf.Instruction
	before  []holders // by slot
	reached []bool
	todo    []int
	fields  map[string]bool
}

// contextReads returns the names of the context's fields that a valid program
// may read.
func contextReads(c *abi.Context, prog []ebpf.Instruction) map[string]bool {
	r := &contextReader{
		context: c, prog: prog, fields: map[string]bool{},
		before: make([]holders, len(prog)), reached: make([]bool, len(prog)),
	}
	r.reach(0, holder(ebpf.R1))
	for len(r.todo) > 0 {
		last := len(r.todo) - 1
		at := r.todo[last]
		r.todo = r.todo[:last]
		r.step(at)
	}
	return r.fields
}

func (r *contextReader) reach(at int, h holders) {
	if at < 0 || at >= len(r.prog) || r.reached[at] && r.before[at]|h == r.before[at] {
		return
	}
	r.reached[at] = true
	r.before[at] |= h
	r.todo = append(r.todo, at)
}

func (r *contextReader) step(at int) {
	ins, h := r.prog[at], r.before[at]
	next := at + ins.Width()
	switch ins.Op.Class() {
	case ebpf.ClassJMP, ebpf.ClassJMP32:
		r.jump(at, next, h)
		return
	case ebpf.ClassLDX:
		h = r.load(ins, h)
	case ebpf.ClassSTX:
		if h&holder(ins.Src) != 0 && ins.Op.Mode() != ebpf.ModeATOMIC {
			h |= memory
		}
	case ebpf.ClassALU64:
		h = r.arithmetic(ins, h)
	case ebpf.ClassALU:
		h &^= holder(ins.Dst)
	case ebpf.ClassLD:
		h = r.wide(at, h)
	}
	r.reach(next, h)
}

// load notes the field, or may bring back an address that was stored.
func (r *contextReader) load(ins ebpf.Instruction, h holders) holders {
	fromContext := h&holder(ins.Src) != 0
	if fromContext {
		if f, _ := r.context.Access(0, int(ins.Off), ins.Op.Bytes(), false); f != nil {
			r.fields[f.Name] = true
		}
	}
	h &^= holder(ins.Dst)
	if h&memory != 0 && ins.Op.Size() == ebpf.SizeDW {
		h |= holder(ins.Dst)
	}
	return h
}

// arithmetic copies the address, or moves it: then any field may be meant.
func (r *contextReader) arithmetic(ins ebpf.Instruction, h holders) holders {
	isMove := ins.Op.Operation() == ebpf.Mov
	fromContext := ins.Op.Source() == ebpf.SourceX && h&holder(ins.Src) != 0
	switch {
	case isMove && !fromContext:
		return h &^ holder(ins.Dst)
	case !isMove && (fromContext || h&holder(ins.Dst) != 0):
		for i := range r.context.Fields {
			r.fields[r.context.Fields[i].Name] = true
		}
	}
	if fromContext {
		h |= holder(ins.Dst)
	}
	return h
}

// wide follows the class of 64-bit immediates and legacy packet loads. A
// callback may find the address in memory.
func (r *contextReader) wide(at int, h holders) holders {
	ins := r.prog[at]
	if ins.Op != ebpf.LoadImm64 {
		return h &^ scratch
	}
	if target, ok := ins.Target(at); ok {
		r.reach(target, memory)
	}
	return h &^ holder(ins.Dst)
}

func (r *contextReader) jump(at, next int, h holders) {
	ins := r.prog[at]
	target, ok := ins.Target(at)
	switch op := ins.Op.Operation(); {
	case op == ebpf.Exit:
		return
	case op == ebpf.Call:
		r.call(ins, target, ok, next, h)
		return
	case op == ebpf.Ja:
		r.reach(target, h)
		return
	}
	if ok {
		r.reach(target, h)
	}
	r.reach(next, h)
}

func (r *contextReader) call(ins ebpf.Instruction, target int, isLocal bool, next int, h holders) {
	if ins.Src == ebpf.CallHelper {
		for _, name := range helperReads[ins.Imm] {
			r.fields[name] = true
		}
	}
	after := h &^ scratch
	if isLocal {
		r.reach(target, h&(scratch|memory))
		if h&scratch != 0 {
			after |= memory | holder(ebpf.R0) // the function may store it, or return it
		}
	}
	r.reach(next, after)
}

// calls reports whether a program calls one of some helper functions.
func calls(prog []ebpf.Instruction, helpers ...int32) bool {
	return slices.ContainsFunc(prog, func(ins ebpf.Instruction) bool {
		return ins.Op == ebpf.ClassJMP|ebpf.Call && ins.Src == ebpf.CallHelper && slices.Contains(helpers, ins.Imm)
	})
}
