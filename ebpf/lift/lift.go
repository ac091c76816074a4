package lift

import (
	"fmt"
	"math"
	"slices"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/origin"
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// Access says how the translated program reads the packet.
type Access uint8

const (
	Abs       Access = iota // the legacy loads LD_ABS and LD_IND
	Direct                  // through packet pointers, bounds proved to the verifier
	LoadBytes               // through the helper that copies bytes to the stack
)

// String returns the mode's name on the command line.
func (a Access) String() string {
	names := [...]string{"abs", "direct", "load-bytes"}
	if int(a) >= len(names) {
		return fmt.Sprintf("access %d", uint8(a))
	}
	return names[a]
}

// Accesses returns the access modes that work at a hook, the one to prefer
// first: legacy loads exist for sockets and tc only, and socket filters may
// not have packet pointers.
func Accesses(h abi.Hook) []Access {
	switch h {
	case abi.HookSocket:
		return []Access{Abs, LoadBytes}
	case abi.HookTC:
		return []Access{Direct, LoadBytes, Abs}
	}
	return []Access{Direct, LoadBytes}
}

// Returns says what the translated program returns for a packet on which the
// classic program returns 0 (no match) or another value (match).
type Returns struct {
	Match   uint32
	NoMatch uint32
	Length  bool // a match returns what the classic program returns, Match is not used
}

// Options say where and how a translated program is to run.
type Options struct {
	Hook    abi.Hook
	Access  Access   // Abs, the zero value, is for sockets and tc
	Returns *Returns // nil for what the hook takes for pass and drop
}

// A Program is the result of a translation.
type Program struct {
	Type   abi.ProgType
	Insns  []ebpf.Instruction
	Origin origin.Table // eBPF slot → indices of classic instructions
}

// An Error says which classic instruction cannot be translated and why. Index
// is -1 if it is the options that do not fit together.
type Error struct {
	Index int
	Msg   string
}

func (e *Error) Error() string {
	if e.Index < 0 {
		return e.Msg
	}
	return fmt.Sprintf("instruction %d: %s", e.Index, e.Msg)
}

// Lift translates a classic program. The errors are those of [cbpf.Check] for
// a program that Linux does not take either, and otherwise an [*Error]: an
// extension, or a load relative to a header, that the hook cannot supply; an
// access mode that the hook does not have.
func Lift(prog []bpf.RawInstruction, o Options) (*Program, error) {
	if err := cbpf.Check(prog); err != nil {
		return nil, err
	}
	if err := checkOptions(o); err != nil {
		return nil, err
	}
	t := newTarget(o)
	g, err := parse(prog, t)
	if err != nil {
		return nil, err
	}
	for again := true; again; {
		again = g.prune()
		g.removeDead()
	}
	g.findNeeds()
	g.findRanges()
	g.chooseOrders(t.access != Abs)
	g.layOut()
	return translate(g, t), nil
}

func checkOptions(o Options) error {
	switch {
	case !slices.Contains(abi.Hooks(), o.Hook):
		return &Error{-1, fmt.Sprintf("there is no %v", o.Hook)}
	case !slices.Contains(Accesses(o.Hook), o.Access):
		return &Error{-1, fmt.Sprintf("hook %v has no access mode %v", o.Hook, o.Access)}
	}
	return checkReturns(o)
}

// checkReturns keeps values from the hook that its verifier would refuse.
func checkReturns(o Options) error {
	info := o.Hook.Info()
	if o.Returns == nil || info.Min == math.MinInt32 {
		return nil
	}
	for _, v := range []uint32{o.Returns.Match, o.Returns.NoMatch} {
		if o.Returns.Length || int32(v) < info.Min || int32(v) > info.Max {
			return &Error{-1, fmt.Sprintf("hook %v takes return values from %d to %d only", o.Hook, info.Min, info.Max)}
		}
	}
	return nil
}

// A target is what the options mean for the translation.
type target struct {
	hook   abi.Hook
	access Access
	typ    abi.ProgType
	ret    Returns
}

func newTarget(o Options) *target {
	info := o.Hook.Info()
	t := &target{hook: o.Hook, access: o.Access, typ: info.Type}
	t.ret = Returns{Match: info.Match, NoMatch: info.NoMatch, Length: info.Length}
	if o.Returns != nil {
		t.ret = *o.Returns
	}
	return t
}

// offset returns the offset of a context field that the table must have.
func (t *target) offset(name string) int16 {
	return int16(t.hook.Context().Field(name).Offset)
}
