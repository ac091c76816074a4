package filter

import (
	"encoding/binary"

	"github.com/bpflab/bpflab/cbpf/filter/ir"
	"github.com/bpflab/bpflab/cbpf/origin"
)

// Blocks that were different as values can have the same instructions, when
// the register that they compare was loaded before. shareTails keeps the last
// one of equal blocks, which stands behind the predecessors of all of them,
// and drops those without any instruction.

// A layout is the code in the order in which it is to be placed.
type layout struct {
	order []*ir.Block
	code  [][]coded
	alias []*ir.Block // by block ID: the block to go to instead, nil for itself
}

// target returns the block to go to instead of b.
func (l *layout) target(b *ir.Block) *ir.Block {
	if a := l.alias[b.ID]; a != nil {
		return a
	}
	return b
}

func (l *layout) shareTails() {
	last := make(map[string]int) // place of the kept block by its text
	united := make(map[int][]int)
	kept := make([]bool, len(l.order))
	var text []byte
	for i := len(l.order) - 1; i >= 0; i-- {
		b := l.order[i]
		if i > 0 && b.Kind == ir.Jump && len(l.code[i]) == 0 {
			l.alias[b.ID] = l.target(b.Succs[0])
			continue
		}
		text = l.text(text[:0], i)
		j, ok := last[string(text)]
		if ok && i > 0 {
			l.alias[b.ID] = l.order[j]
			united[j] = append(united[j], i)
			continue
		}
		last[string(text)] = i
		kept[i] = true
	}
	for j, others := range united {
		l.unite(j, others)
	}
	l.keep(kept)
}

// text is equal for blocks that do the same.
func (l *layout) text(text []byte, i int) []byte {
	b := l.order[i]
	text = append(text, byte(b.Kind))
	for _, to := range b.Succs {
		text = binary.LittleEndian.AppendUint32(text, uint32(l.target(to).ID))
	}
	for _, c := range l.code[i] {
		text = binary.LittleEndian.AppendUint16(text, c.Op)
		text = binary.LittleEndian.AppendUint32(text, c.K)
	}
	return text
}

// unite adds the provenance of other blocks to that of the block at a place.
func (l *layout) unite(place int, others []int) {
	for n := range l.code[place] {
		sets := []origin.Set{l.code[place][n].from}
		for _, o := range others {
			sets = append(sets, l.code[o][n].from)
		}
		l.code[place][n].from = ir.Unite(sets)
	}
}

// keep drops the other blocks.
func (l *layout) keep(kept []bool) {
	n := 0
	for i, b := range l.order {
		if kept[i] {
			l.order[n], l.code[n] = b, l.code[i]
			n++
		}
	}
	l.order, l.code = l.order[:n], l.code[:n]
}
