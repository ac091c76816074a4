package verifier

// A queue holds blocks that are to be looked at (again), each at most once.
type queue struct {
	ring   []int32
	queued []bool // by block
	head   int
	count  int
}

func newQueue(blocks int) *queue {
	return &queue{ring: make([]int32, blocks), queued: make([]bool, blocks)}
}

func (q *queue) empty() bool { return q.count == 0 }

func (q *queue) add(b int32) {
	if q.queued[b] {
		return
	}
	q.queued[b] = true
	at := q.head + q.count
	if at >= len(q.ring) {
		at -= len(q.ring)
	}
	q.ring[at] = b
	q.count++
}

func (q *queue) take() int32 {
	b := q.ring[q.head]
	q.head++
	if q.head == len(q.ring) {
		q.head = 0
	}
	q.count--
	q.queued[b] = false
	return b
}
