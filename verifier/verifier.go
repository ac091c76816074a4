package verifier

import (
	"errors"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// Options say how to verify. The zero value is good.
type Options struct {
	// Steps is how many instructions one search may look at, over all
	// paths; 0 stands for [DefaultSteps], the kernel's limit.
	Steps int

	// Strict refuses what the kernel allows programs of privileged users
	// only: reading stack bytes that were never written, and letting the
	// value of a pointer out of the program.
	Strict bool

	// Facts keeps what is known before each instruction, for
	// [Proof.Facts]. It costs time and memory.
	Facts bool
}

// DefaultSteps is the number of steps after which the kernel gives up.
const DefaultSteps = 1_000_000

// Stats say what a verdict took.
type Stats struct {
	Steps    int `json:"steps"`    // instructions looked at, in all searches
	States   int `json:"states"`   // checkpoints kept at the end
	Peak     int `json:"peak"`     // and at most
	Searches int `json:"searches"` // 1, or more if the first ones lacked precision
}

func (s *Stats) add(t Stats) {
	s.Steps += t.Steps
	s.States = t.States
	s.Peak = max(s.Peak, t.Peak)
	s.Searches += t.Searches
}

// Verify proves that a program is safe to run, or finds the reason why that
// cannot be proved. One of the two results is nil.
func Verify(p *Program, o Options) (*Proof, *Report) {
	if o.Steps <= 0 {
		o.Steps = DefaultSteps
	}
	t := &task{p: p, o: o}
	defer t.done()
	if f := t.prepare(); f != nil {
		return nil, t.report(f)
	}
	f := t.search()
	if f == nil {
		f = t.checkDepth()
	}
	if f != nil {
		return nil, t.report(f)
	}
	t.sharpen()
	return t.proof(), nil
}

// A task is one call of Verify.
type task struct {
	p     *Program
	o     Options
	a     *analysis
	last  *verifier // the search that counts
	used  []*verifier
	stats Stats
}

// done gives back the memory of the searches.
func (t *task) done() {
	for _, v := range t.used {
		v.done()
	}
}

// prepare does what does not need paths.
func (t *task) prepare() *failure {
	if err := ebpf.Validate(t.p.Insns); err != nil {
		f := &failure{code: Malformed, reg: -1, msg: err.Error()}
		var at *ebpf.Error
		if errors.As(err, &at) {
			f.pc, f.msg = at.Index, at.Msg
		}
		return f
	}
	if abi.ContextOf(t.p.Type) == nil && !t.p.Type.HasByteContext() {
		return &failure{code: Malformed, reg: -1, msg: "programs of type " + t.p.Type.String() + " are not known here"}
	}
	if f := t.p.checkHelpers(); f != nil {
		return f
	}
	var f *failure
	t.a, f = analyse(t.p)
	return f
}

// returns is the range of what the program may return, ok if there is one
// (check_return_code).
func (v *verifier) returns() (lo, hi int64, ok bool) {
	if v.p.Type != abi.CGroupSKB {
		return 0, 0, false
	}
	if v.p.Egress {
		return 0, 3, true
	}
	return 0, 1, true
}
