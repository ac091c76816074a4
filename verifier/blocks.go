package verifier

import (
	"math"
	"slices"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// A graph is the flow of control within the functions of a program: calls do
// not end a basic block.
type graph struct {
	blocks []block // rising by start
	block  []int32 // by slot: index of its block
	order  []int32 // the blocks so that, cycles apart, each comes behind its successors and mostly behind what it calls
	preds  []int32 // predecessors of blocks, those of a block side by side
}

// A block is a basic block: control enters at its first slot and leaves behind
// its last.
type block struct {
	start, end int32
	succ       [2]int32 // where it goes on, -1 for none
	pred       int32    // where in graph.preds its predecessors are
	preds      int32    // how many they are
	loop       int32    // as in analysis.loop
	place      int32    // in graph.order
}

const noBlock = -1

func (g *graph) predecessors(b int32) []int32 {
	return g.preds[g.blocks[b].pred:][:g.blocks[b].preds]
}

// findBlocks cuts the program in front of leaders, and counts the places at
// which functions return.
func (a *analysis) findBlocks(leaders []bool) {
	insns := a.p.Insns
	count := 0
	for _, leader := range leaders[:len(insns)] {
		if leader {
			count++
		}
	}
	a.blocks = make([]block, 0, count)
	a.block = make([]int32, len(insns))
	for i := range insns {
		if leaders[i] {
			a.blocks = append(a.blocks, block{start: int32(i)})
		}
		a.block[i] = int32(len(a.blocks) - 1)
		a.blocks[len(a.blocks)-1].end = int32(i) + 1
	}
	for i := 0; i < len(insns); i += insns[i].Width() {
		f := &a.funcs[a.fn[i]]
		switch ins := insns[i]; {
		case isExit(ins), isLegacyLoad(ins):
			f.exits++
		case isMayGoto(ins):
			f.mayGoto = true
		}
	}
	a.connect()
}

// connect fills in the successors and predecessors of all blocks.
func (a *analysis) connect() {
	edges := int32(0)
	for i := range a.blocks {
		b := &a.blocks[i]
		b.succ = a.successors(b)
		for _, s := range b.succ {
			if s != noBlock {
				a.blocks[s].preds++
				edges++
			}
		}
	}
	a.preds = make([]int32, edges)
	at := int32(0)
	for i := range a.blocks {
		b := &a.blocks[i]
		at, b.pred, b.preds = at+b.preds, at, 0
	}
	for i := range a.blocks {
		for _, s := range a.blocks[i].succ {
			if s != noBlock {
				t := &a.blocks[s]
				a.preds[t.pred+t.preds] = int32(i)
				t.preds++
			}
		}
	}
}

func (a *analysis) successors(b *block) [2]int32 {
	// A second slot of a wide load is none of these instructions.
	last := a.p.Insns[b.end-1]
	target := int32(noBlock)
	if class := last.Op.Class(); class == ebpf.ClassJMP || class == ebpf.ClassJMP32 {
		if to, ok := last.Target(int(b.end - 1)); ok && !isCall(last) {
			target = a.block[to]
		}
	}
	switch {
	case isExit(last):
		return [2]int32{noBlock, noBlock}
	case isJump(last):
		return [2]int32{target, noBlock}
	}
	return [2]int32{a.block[b.end], target}
}

// checkReached checks that there is a way to every instruction, taking every
// branch for possible, as check_cfg in kernel/bpf/verifier.c does.
// findComponents has put the blocks that it came to in order.
func (a *analysis) checkReached() *failure {
	if len(a.order) == len(a.blocks) {
		return nil
	}
	reached := make([]bool, len(a.blocks))
	for _, b := range a.order {
		reached[b] = true
	}
	for i, ok := range reached {
		if start := a.blocks[i].start; !ok && start == a.funcs[a.fn[start]].start {
			return misshapen(Unreachable, start, "the function is never called: its instructions can't be reached")
		} else if !ok {
			return misshapen(Unreachable, start, "no path leads to this instruction")
		}
	}
	return nil
}

// findComponents goes through the functions that can be reached, depth first,
// and finds the cycles of each: Tarjan's algorithm for strongly connected
// components, without recursion because programs may be long.
func (a *analysis) findComponents() {
	t := tarjan{
		analysis: a,
		index:    make([]int32, 2*len(a.blocks)),
		path:     make([]step, 0, 16),
		open:     make([]int32, 0, 16),
	}
	t.low = t.index[len(a.blocks):]
	t.order = make([]int32, 0, len(a.blocks))
	waiting := make([]int32, 1, 8) // functions that are called
	seen := make([]bool, len(a.funcs))
	seen[0] = true
	for len(waiting) > 0 {
		f := waiting[len(waiting)-1]
		waiting = waiting[:len(waiting)-1]
		first := len(t.order)
		t.walk(a.block[a.funcs[f].start])
		slices.Reverse(t.order[first:])
		for _, c := range a.callsIn(f) {
			if t.index[a.block[c.slot]] != 0 && !seen[c.fn] {
				seen[c.fn] = true
				waiting = append(waiting, c.fn)
			}
		}
	}
	slices.Reverse(t.order)
	a.order = t.order
	for i, b := range a.order {
		a.blocks[b].place = int32(i)
	}
	a.loop = make([]int32, len(a.block))
	for i, b := range a.block {
		a.loop[i] = a.blocks[b].loop
	}
}

type tarjan struct {
	*analysis
	order      []int32 // of the blocks found, against graph.order
	index, low []int32 // by block: when it was found, from 1; the earliest block that it leads back to
	path       []step  // from the entry to the block being looked at
	open       []int32 // blocks found whose component is not complete
	found      int32
	loops      int32
}

type step struct {
	block int32
	next  int32 // which successor is next
}

// closed is the index of a block whose component is complete, so that it is
// the smallest of nothing.
const closed = math.MaxInt32

func (t *tarjan) walk(entry int32) {
	t.enter(entry)
	for len(t.path) > 0 {
		top := &t.path[len(t.path)-1]
		b := top.block
		if int(top.next) < len(t.blocks[b].succ) {
			s := t.blocks[b].succ[top.next]
			top.next++
			switch {
			case s == noBlock:
			case t.index[s] == 0:
				t.enter(s)
			default:
				t.low[b] = min(t.low[b], t.index[s])
			}
			continue
		}
		t.path = t.path[:len(t.path)-1]
		t.order = append(t.order, b)
		if n := len(t.path); n > 0 {
			parent := t.path[n-1].block
			t.low[parent] = min(t.low[parent], t.low[b])
		}
		if t.low[b] == t.index[b] {
			t.closeComponent(b)
		}
	}
}

func (t *tarjan) enter(b int32) {
	t.found++
	t.index[b], t.low[b] = t.found, t.found
	t.path = append(t.path, step{block: b})
	t.open = append(t.open, b)
}

// closeComponent takes the component that was entered at b off the open ones.
func (t *tarjan) closeComponent(b int32) {
	n := len(t.open) - 1
	for t.open[n] != b {
		n--
	}
	component := t.open[n:]
	t.open = t.open[:n]
	succ := t.blocks[b].succ
	cycle := len(component) > 1 || succ[0] == b || succ[1] == b
	if cycle {
		t.loops++
	}
	for _, c := range component {
		t.index[c], t.low[c] = closed, closed
		if cycle {
			t.blocks[c].loop = t.loops
		}
	}
}

// placeCheckpoints marks where paths meet: each cycle has such a place, and so
// has each way to come to a point by exponentially many paths.
func (a *analysis) placeCheckpoints() {
	a.checkpoint = make([]bool, len(a.block))
	for _, b := range a.blocks {
		a.checkpoint[b.start] = b.preds > 1
	}
	for _, f := range a.funcs {
		if f.callback || f.callers+a.blocks[a.block[f.start]].preds > 1 {
			a.checkpoint[f.start] = true
		}
	}
	for _, c := range a.calls {
		if !c.address && a.funcs[c.fn].exits > 1 {
			a.checkpoint[c.slot+1] = true
		}
	}
	if !a.takesCallbacks() {
		return
	}
	for i, ins := range a.p.Insns {
		if takesCallback(a.p.helperOf(ins)) {
			a.checkpoint[i+1] = true
		}
	}
}

func (a *analysis) takesCallbacks() bool {
	for i := range a.funcs {
		if a.funcs[i].callback {
			return true
		}
	}
	return false
}

// callsIn returns the call sites in function f.
func (a *analysis) callsIn(f int32) []callSite {
	return a.calls[a.sitesBefore(a.funcs[f].start):a.sitesBefore(a.funcs[f].end)]
}

// siteAt returns the call site at a slot that is one.
func (a *analysis) siteAt(slot int32) *callSite { return &a.calls[a.sitesBefore(slot)] }

func (a *analysis) sitesBefore(slot int32) int {
	n, _ := slices.BinarySearchFunc(a.calls, slot, bySlot)
	return n
}

func bySlot(c callSite, slot int32) int { return int(c.slot - slot) }

// propagateMoves finds the functions that may move the packet: those that call
// a helper that does, what can't be looked into, or such a function; also as a
// callback. A tail call does not come back to the function, but its caller goes
// on after whatever the other program has done
// (bpf_helper_changes_pkt_data in net/core/filter.c).
func (a *analysis) propagateMoves() {
	for i, ins := range a.p.Insns {
		if isCall(ins) && !isLocalCall(ins) {
			h := a.p.helperOf(ins)
			if h == nil || h.MovesPacket || h.ID == abi.TailCall {
				a.funcs[a.fn[i]].movesPacket = true
			}
		}
	}
	for changed := true; changed; {
		changed = false
		for _, c := range a.calls {
			caller := &a.funcs[a.fn[c.slot]]
			if a.funcs[c.fn].movesPacket && !caller.movesPacket {
				caller.movesPacket = true
				changed = true
			}
		}
	}
}
