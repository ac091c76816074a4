package replay

import (
	"errors"
	"io"
	"runtime"
	"sync"

	"github.com/bpflab/bpflab/vm/capture"
)

// A crew is the goroutines of a Filter with several workers. They do all the
// same: detach a piece from the capture, judge it, and visit what is ready to be
// visited. So the bytes stay in the cache of the processor that has read them,
// and nobody has to be woken for each piece.
type crew struct {
	visit func([]Match) error
	idle  func() error

	waiting sync.Mutex // of who reads next
	reading sync.Mutex // of who reads
	reader  *capture.Reader
	next    int // what the next piece is numbered
	ended   bool

	mu       sync.Mutex
	freed    sync.Cond
	judged   map[int]*piece // by number, to be visited in order
	turn     int            // the number that comes next
	visiting bool           // somebody visits, and goes on as long as the next is judged
	judging  int            // how many judge
	over     bool           // nothing may begin any more
	err      error          // why it is over
	done     chan struct{}  // closed when it is over and all have finished
}

// A hand is one of the crew, with the pieces that it has and nobody uses.
type hand struct {
	*judge
	free []*piece
}

// piecesPerHand is how far one can get ahead of another whose piece is to be
// visited first.
const piecesPerHand = 3

// A piece is some packets of the capture.
type piece struct {
	owner   *hand
	number  int
	packets capture.Reader
	matches []Match
	end     error // what is wrong behind these packets, or with them
}

// errEnd is the end of the capture, where nothing is wrong.
var errEnd = errors.New("end of the capture")

// filterParallel is [judge.matches] with several workers.
func filterParallel(r *capture.Reader, workers []EngineFor, visit func([]Match) error, idle func() error) error {
	c := &crew{visit: visit, idle: idle, reader: r, judged: make(map[int]*piece), done: make(chan struct{})}
	c.freed.L = &c.mu
	for _, w := range workers {
		h := &hand{judge: newJudge(w)}
		for range piecesPerHand {
			h.free = append(h.free, &piece{owner: h})
		}
		go c.work(h)
	}
	// Not for the end of all of them: one may stand in a read of a live source.
	<-c.done
	return c.err
}

// work is what each goroutine does until it is over or the capture has ended.
func (c *crew) work(h *hand) {
	for {
		p := c.take(h)
		if p == nil || !c.detach(p) {
			return
		}
		if p.end == nil {
			p.end = h.matches(&p.packets, func(matches []Match) error {
				p.matches = append(p.matches, matches...)
				return nil
			}, neverIdle)
		}
		c.deliver(p)
	}
}

// take waits for a piece that is free, or returns nil when it is over.
func (c *crew) take(h *hand) *piece {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(h.free) == 0 && !c.over {
		c.freed.Wait()
	}
	if c.over {
		return nil
	}
	last := len(h.free) - 1 // the one that was used last
	p := h.free[last]
	h.free = h.free[:last]
	p.matches = p.matches[:0]
	return p
}

// detach fills a piece, with packets or with the error at the end of the
// capture, and reports whether it is to be judged and delivered.
func (c *crew) detach(p *piece) bool {
	c.lockReading()
	defer c.reading.Unlock()
	if c.ended || c.isOver() {
		return false
	}
	if p.end = c.reader.Detach(&p.packets); p.end == io.EOF {
		p.end = errEnd
	}
	p.number = c.next
	c.next++
	c.ended = p.end != nil
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return false
	}
	c.judging++
	return true
}

// lockReading waits for the reader. Where the filter is cheap somebody always
// waits, for 20 µs as a rule, and to be woken takes as long: so the one who is
// next stays awake for a while. The others sleep, and are woken ahead of time.
func (c *crew) lockReading() {
	c.waiting.Lock()
	defer c.waiting.Unlock()
	for range 300 {
		if c.reading.TryLock() {
			return
		}
		runtime.Gosched()
	}
	c.reading.Lock()
}

func (c *crew) isOver() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over
}

// deliver hands a piece in, and visits the pieces whose turn it is unless
// somebody does so already.
func (c *crew) deliver(p *piece) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.judging--
	c.judged[p.number] = p
	if !c.visiting {
		c.visiting = true
		c.visitReady()
		c.visiting = false
	}
	if c.over && c.judging == 0 && !c.visiting {
		close(c.done)
	}
}

// visitReady visits the pieces that are next. It holds the lock between them only.
func (c *crew) visitReady() {
	for p := c.judged[c.turn]; p != nil && !c.over; p = c.judged[c.turn] {
		c.mu.Unlock()
		err := c.visitPiece(p)
		c.mu.Lock()
		delete(c.judged, c.turn)
		c.turn++
		p.owner.free = append(p.owner.free, p)
		c.freed.Broadcast()
		if err == nil && c.judged[c.turn] == nil {
			c.mu.Unlock()
			err = c.idle()
			c.mu.Lock()
		}
		if err != nil {
			c.finish(err)
		}
	}
}

func (c *crew) visitPiece(p *piece) error {
	if len(p.matches) > 0 {
		if err := c.visit(p.matches); err != nil {
			return err
		}
	}
	return p.end
}

// finish makes it over.
func (c *crew) finish(err error) {
	c.over = true
	if err != errEnd {
		c.err = err
	}
	c.freed.Broadcast()
}
