package replay

import (
	"errors"
	"io"
	"sync"

	"github.com/bpflab/bpflab/vm/capture"
)

// A crew is the goroutines of a Filter with several workers. They do all the
// same: take the next piece of the capture, judge it, and visit what is ready to be
// visited. So the bytes stay in the cache of the processor that has read them,
// and nobody has to be woken for each piece.
type crew struct {
	visit  func(*Matches) error
	idle   func() error
	pieces *capture.Pieces

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
	packets capture.Piece
	found   Matches
	end     error // what is wrong behind these packets, or with them
}

// errEnd is the end of the capture, where nothing is wrong.
var errEnd = errors.New("end of the capture")

// filterParallel is [judge.matches] with several workers.
func filterParallel(r *capture.Reader, workers []EngineFor, visit func(*Matches) error, idle func() error) error {
	c := &crew{visit: visit, idle: idle, pieces: r.Pieces(), judged: make(map[int]*piece), done: make(chan struct{})}
	c.freed.L = &c.mu
	for _, w := range workers {
		h := &hand{judge: newJudge(w)}
		for range piecesPerHand {
			p := &piece{owner: h}
			p.found.reader = &p.packets.Reader
			h.free = append(h.free, p)
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
		if p == nil {
			return
		}
		ended := c.pieces.Next(&p.packets)
		if !c.begin() {
			return
		}
		if p.end = ended; ended == nil {
			p.end = h.all(p)
		} else if ended == io.EOF {
			p.end = errEnd
		}
		c.deliver(p)
		if ended != nil {
			return
		}
	}
}

// all judges the packets of a piece.
func (h *hand) all(p *piece) error {
	for {
		switch err := h.step(&p.packets.Reader, &p.found); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
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
	p.found.clear()
	return p
}

// begin reports whether a piece is to be judged and delivered.
func (c *crew) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over {
		c.judging++
	}
	return !c.over
}

// deliver hands a piece in, and visits the pieces whose turn it is unless
// somebody does so already.
func (c *crew) deliver(p *piece) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.judging--
	c.judged[p.packets.Number] = p
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
	if p.found.Len() > 0 {
		if err := c.visit(&p.found); err != nil {
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
