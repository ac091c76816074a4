package verifier

// A Proof says that a program is safe: every run of it ends, and touches only
// what it may. It owns a copy of all that it speaks of, so that an engine that
// takes the program from the proof runs what was proved.
type Proof struct {
	program Program
	slots   slotFacts
	depth   []int32
	live    []uint64      // stack slots that may be read before they are written, by slot of the program
	facts   factCollector // by slot; nil if not asked for
	stats   Stats
}

func (t *task) proof() *Proof {
	p := &Proof{program: t.p.clone(), slots: t.last.slots, depth: t.last.depth, live: t.a.liveSlots, stats: t.stats}
	if t.o.Facts {
		p.facts = t.last.watch.(factCollector)
	}
	return p
}

// Program returns a copy of what was proved.
func (p *Proof) Program() Program { return p.program.clone() }

// Stats says what the proof took.
func (p *Proof) Stats() Stats { return p.stats }

// Reached reports whether any run can come to the instruction in a slot.
func (p *Proof) Reached(slot int) bool { return p.slots[slot]&reached != 0 }

// Branches reports whether the conditional jump in a slot can jump, and
// whether it can fall through.
func (p *Proof) Branches(slot int) (jumps, falls bool) {
	return p.slots[slot]&taken != 0, p.slots[slot]&passed != 0
}

// LiveStack returns the stack slots of the active function that may be read, from
// the instruction in a slot on, before they are written: bit i stands for the 8
// bytes at R10-8(i+1). At the start of a function they are those that it may read
// without ever having written them.
func (p *Proof) LiveStack(slot int) uint64 { return p.live[slot] }

// A Region is a kind of memory that an instruction touches.
type Region uint32

// The kinds of memory.
const (
	Context Region = 1 << (8 + iota)
	_
	MapValue
	MapKey
	Stack
	Packet
	Metadata
	_
	Record
	Socket
	FlowKeys
)

// Regions returns the kinds of memory that the load, store or atomic operation
// in a slot can touch.
func (p *Proof) Regions(slot int) Region { return Region(p.slots[slot]) &^ 0xff }

// slotFacts is what a search has found out about each slot, as bits: whether
// it was reached, the ways of a jump, and the kinds of pointers that were
// followed, from bit 8 on in the order of kind.
type slotFacts []slotFact

type slotFact uint32

const (
	reached slotFact = 1 << iota
	taken
	passed
)

func (s *slotFact) access(k kind) { *s |= accessed(k) }

func accessed(k kind) slotFact { return 1 << (8 + k - contextPtr) }

// rewritten are the kinds behind which is something else in the kernel than
// programs see.
var rewritten = accessed(contextPtr) | accessed(socketPtr)

// mixes reports whether the instruction, which now follows a pointer of kind
// k, has followed one of another kind on another path, and either kind is
// rewritten (reg_type_mismatch): the kernel has one instruction for it.
func (s slotFact) mixes(k kind) bool {
	others := s &^ 0xff &^ accessed(k)
	return others != 0 && (others|accessed(k))&rewritten != 0
}
