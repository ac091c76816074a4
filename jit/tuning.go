package jit

import "github.com/bpflab/bpflab/jit/amd64"

// An optimization is something that the compiler does beyond translating
// instructions one by one. Tests switch single ones off, to see that the code is
// right without them and what each of them gains. Instructions that not every
// processor has are not among them: see features.
type optimization uint32

const (
	constants      optimization = 1 << iota // constants as operands and addresses, and computed when compiling
	bounds32                                // masks, extensions and wide operations that bounds show to be needless
	deadCode                                // instructions whose results nothing reads
	fusion                                  // several instructions as one of the processor
	lengthFacts                             // packet bounds that earlier checks have made sure of
	reciprocals                             // division by constants without dividing
	spareRegisters                          // registers that the program leaves for the code's own numbers
	inlineCalls                             // lookups and the like in place of calls
	leanCode                                // programs that only look, over many packets in one go
)

// tuning is how a program is compiled: with which instructions of the processor,
// and without which optimizations.
type tuning struct {
	host features
	off  optimization
}

func (t tuning) does(o optimization) bool { return t.off&o == 0 }

// forget drops what the compiler must not know of a value.
func (t tuning) forget(v value) value {
	if v.kind == constant && !t.does(constants) {
		v = below(v.n)
	}
	if v.kind == bounded && !t.does(bounds32) {
		v = unknown
	}
	return v
}

// take takes a spare register for a number, or memory if there is none.
func (c *compiler) take(mem amd64.Mem) place {
	if len(c.spare) == 0 || !c.does(spareRegisters) {
		return place{amd64.NoReg, mem}
	}
	r := c.spare[0]
	c.spare = c.spare[1:]
	return place{r, mem}
}
