package verifier

import "math/bits"

// A queue holds the blocks that are to be looked at (again), each at most
// once, and gives them in the order of graph.order or against it. Passes over
// the graph go that way so that most blocks are looked at once.
type queue struct {
	g        *graph
	forward  bool     // from entries to exits, against graph.order
	words    []uint64 // a bit for each block in the queue, by its place in the order of the queue
	nonEmpty []uint64 // a bit for each word that is not 0
}

func (g *graph) newQueue(forward bool) *queue {
	n := (len(g.order) + 63) / 64
	words := make([]uint64, n+(n+63)/64)
	return &queue{g: g, forward: forward, words: words[:n], nonEmpty: words[n:]}
}

// place maps places in the order of the queue to places in graph.order, and
// back.
func (q *queue) place(i int) int {
	if q.forward {
		return len(q.g.order) - 1 - i
	}
	return i
}

func (q *queue) add(b int32) {
	at := q.place(int(q.g.blocks[b].place))
	q.words[at>>6] |= 1 << (at & 63)
	q.nonEmpty[at>>12] |= 1 << (at >> 6 & 63)
}

// take removes the first block; it returns noBlock if there is none.
func (q *queue) take() int32 {
	for i, w := range q.nonEmpty {
		if w == 0 {
			continue
		}
		word := i<<6 | bits.TrailingZeros64(w)
		at := word<<6 | bits.TrailingZeros64(q.words[word])
		q.words[word] &= q.words[word] - 1
		if q.words[word] == 0 {
			q.nonEmpty[i] &= w - 1
		}
		return q.g.order[q.place(at)]
	}
	return noBlock
}
