package verifier

import (
	"fmt"
	"slices"

	"github.com/bpflab/bpflab/ebpf"
)

// A ListedInsn is an instruction with what is known before it, for a person to
// read.
type ListedInsn struct {
	Place
	Function string `json:"function,omitempty"` // the name of the function that begins here, "function" if it has none
	From     []int  `json:"from,omitempty"`     // the instructions from which runs come here; not if that is the one above alone
	Reached  bool   `json:"reached"`            // a run can come here
	Target   int    `json:"target,omitempty"`   // where it jumps to, if it does
	Branch   string `json:"branch,omitempty"`   // "always jumps" or "never jumps", of a conditional jump that goes one way only
	Facts    []Fact `json:"facts,omitempty"`
}

// A Fact is what is known of a register or a part of the stack.
type Fact struct {
	Where string `json:"where"` // "r1", "[r10-8]"
	Value string `json:"value"` // see [Value.String]
}

// Listing returns the instructions of a program that was verified with
// [Options.Facts]. Beside each one stands what is known before it and new
// since the one above, of what may still be read; and new or not, the address
// of a load or store, the arguments of a call and the program's result. Where
// runs come from elsewhere it is all that is known, but for numbers that may be
// any.
func (p *Proof) Listing() []ListedInsn {
	a, f := analyse(&p.program)
	if f != nil {
		panic("verifier: a proved program cannot be analysed: " + f.msg)
	}
	l := &lister{proof: p, analysis: a, from: p.sources(), text: p.program.Text()}
	var out []ListedInsn
	insns := p.program.Insns
	for i := 0; i < len(insns); i += insns[i].Width() {
		out = append(out, l.list(i))
	}
	return out
}

// sources returns by slot the instructions from which runs come there.
func (p *Proof) sources() [][]int {
	insns := p.program.Insns
	from := make([][]int, len(insns)+1)
	for i := 0; i < len(insns); i += insns[i].Width() {
		if !p.Reached(i) {
			continue
		}
		jumps, falls := p.ways(i)
		if target, ok := insns[i].Target(i); ok && jumps {
			from[target] = append(from[target], i)
		}
		if falls {
			next := i + insns[i].Width()
			from[next] = append(from[next], i)
		}
	}
	return from
}

// ways reports whether a run can go from an instruction to its target, and on
// to the next instruction. The target of a call is the function that it calls;
// a function whose address is taken counts as called there.
func (p *Proof) ways(slot int) (jumps, falls bool) {
	switch ins := p.program.Insns[slot]; {
	case isBranch(ins):
		return p.Branches(slot)
	case isExit(ins):
		return false, false
	case isJump(ins):
		return true, false
	}
	return true, true
}

// A lister lists instructions in the order of their slots.
type lister struct {
	proof    *Proof
	analysis *analysis
	from     [][]int
	text     []string
	shown    []Fact // what stands above
	last     int    // the slot listed before
}

func (l *lister) list(slot int) ListedInsn {
	p := &l.proof.program
	out := ListedInsn{Place: p.place(slot), Reached: l.proof.Reached(slot)}
	out.Insn = l.text[slot]
	out.Function = l.function(slot)
	if !out.Reached {
		l.shown, l.last = nil, slot
		return out
	}
	if !slices.Equal(l.from[slot], []int{l.last}) && slot > 0 {
		out.From = l.from[slot]
	}
	begins := out.From != nil || out.Function != "" || slot == 0
	if begins {
		l.shown = nil
	}
	out.Facts = l.news(slot, begins)
	if ins := p.Insns[slot]; isBranch(ins) || isJump(ins) || isMayGoto(ins) {
		out.Target, _ = ins.Target(slot)
		out.Branch = l.direction(slot)
	}
	l.last = slot
	return out
}

// direction says which way a conditional jump goes, if it is one way only.
func (l *lister) direction(slot int) string {
	jumps, falls := l.proof.ways(slot)
	switch {
	case jumps && !falls && isBranch(l.proof.program.Insns[slot]):
		return "always jumps"
	case falls && !jumps:
		return "never jumps"
	}
	return ""
}

// function returns the name of the function that begins in a slot.
func (l *lister) function(slot int) string {
	begins := slices.ContainsFunc(l.analysis.funcs[1:], func(f function) bool { return int(f.start) == slot })
	switch name := l.proof.program.Functions[slot]; {
	case !begins:
		return ""
	case name == "":
		return "function"
	default:
		return name
	}
}

// news returns what there is to say before an instruction, and remembers it.
// Where a block begins that is all but unknown numbers.
func (l *lister) news(slot int, begins bool) []Fact {
	var news []Fact
	var now []Fact
	facts := l.proof.Facts(slot)
	if facts == nil {
		return nil
	}
	needed := l.proof.program.shownAnyway(slot)
	for r, v := range facts.Registers[:10] {
		if l.analysis.liveRegs[slot]>>r&1 == 0 || v.Kind == Nothing {
			continue
		}
		fact := Fact{fmt.Sprintf("r%d", r), v.String()}
		now = append(now, fact)
		if needed>>r&1 != 0 || !slices.Contains(l.shown, fact) && !(begins && v.isAnyNumber()) {
			news = append(news, fact)
		}
	}
	for _, v := range mergeZeros(facts.Stack) {
		if !l.live(slot, v) {
			continue
		}
		fact := Fact{v.where(), v.Value.String()}
		now = append(now, fact)
		if !slices.Contains(l.shown, fact) {
			news = append(news, fact)
		}
	}
	l.shown = now
	return news
}

func (v Value) isAnyNumber() bool { return v.Kind == Number && v.Num.IsUnknown() }

// live reports whether bytes of the stack may still be read.
func (l *lister) live(slot int, v StackValue) bool {
	for at := v.Offset; at < v.Offset+v.Size; at++ {
		if l.analysis.liveSlots[slot]>>((-at-1)/8)&1 != 0 {
			return true
		}
	}
	return false
}

// mergeZeros makes one value of bytes next to each other that are all 0. The
// values fall in offset.
func mergeZeros(values []StackValue) []StackValue {
	var out []StackValue
	for _, v := range values {
		if n := len(out); n > 0 && v.isZero() && out[n-1].isZero() && v.Offset+v.Size == out[n-1].Offset {
			out[n-1].Offset, out[n-1].Size = v.Offset, v.Size+out[n-1].Size
			continue
		}
		out = append(out, v)
	}
	return out
}

func (s StackValue) isZero() bool {
	n, ok := s.Value.Num.IsConst()
	return s.Value.Kind == Number && ok && n == 0
}

// shownAnyway are the registers of which an instruction is always told: that
// with the address of a load or a store, the arguments of a call, and what the
// program returns.
func (p *Program) shownAnyway(slot int) uint16 {
	ins := p.Insns[slot]
	switch ins.Op.Class() {
	case ebpf.ClassLDX:
		return bit(ins.Src)
	case ebpf.ClassST, ebpf.ClassSTX:
		return bit(ins.Dst)
	}
	if isExit(ins) || isCall(ins) {
		reads, _ := p.registers(ins)
		return reads
	}
	return 0
}

// Text returns the text of each slot, as [ebpf.Disassemble] does, with the names of
// maps and functions.
func (p *Program) Text() []string {
	names := ebpf.Names{
		Map: func(index int32) string {
			if index >= 0 && int(index) < len(p.Maps) {
				return p.Maps[index].Name
			}
			return ""
		},
		Function: func(slot int) string { return p.Functions[slot] },
	}
	return names.Disassemble(p.Insns)
}
