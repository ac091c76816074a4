package capture

import (
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// Pieces cuts what is left of a capture into pieces, for several goroutines to
// decode and judge. Where the source is a file, they read their pieces beside
// each other, and only the walk over the lengths of the packets, which finds
// where a piece ends, goes on in order. Anything else is read in order, too.
type Pieces struct {
	r      *Reader
	turn   turn   // to use r
	unread []byte // what r keeps its unread bytes in between two turns

	mu      sync.Mutex
	claimed int         // how many pieces
	file    io.ReaderAt // the source, or nil where its bytes come in order
	origin  int64       // where in the file the capture begins
	ahead   int64       // offset in the capture of the bytes that nobody has claimed
}

// A Piece is a row of packets of a capture and the reader of them. Numbers,
// offsets and interfaces are those of the whole capture. A Piece can be used
// again, and the next packets are read into the same memory: if always by the
// same goroutine, into the cache of its processor. The zero Piece is ready for
// use.
type Piece struct {
	Reader
	Number int // of the piece, from 0

	memory []byte
	file   io.ReaderAt // what it has been filled from, or nil
	start  int64       // in the capture, of the bytes from the file
	filled int         // how many came
}

// claimSize is how much of a file a piece is: less than [bufferSize], because
// two are in use at a time and both should stay in the second-level cache.
const claimSize = 128 << 10

// headroom is how much space a piece has for the beginning of a packet that
// is in the piece before: an ordinary one of 64 KiB and its header.
const headroom = 68 << 10

// Pieces returns what cuts the rest of a capture into pieces. r must no longer be
// used but for what it says of the whole capture.
func (r *Reader) Pieces() *Pieces {
	c := &Pieces{r: r, unread: slices.Clone(r.rest)}
	c.turn.passed.L = &c.turn.mu
	r.rest = c.unread
	if file, ok := r.src.(interface {
		io.ReaderAt
		io.Seeker
	}); ok && r.srcErr == nil {
		if at, err := file.Seek(0, io.SeekCurrent); err == nil { // not a pipe
			c.file, c.origin, c.ahead = file, at-r.read, r.read
			r.src = &inFile{file, c}
		}
	}
	return c
}

// inFile reads on where c.r is in its file.
type inFile struct {
	file io.ReaderAt
	c    *Pieces
}

func (f *inFile) Read(b []byte) (int, error) { return f.file.ReadAt(b, f.c.origin+f.c.r.read) }

// Next makes p the next piece. It may be called by several goroutines at a
// time: each call gets the next number. A piece can be without packets. The
// errors are those of [Reader.Next] but for damage inside a packet's block, which
// is for the piece to report and the end of it; after an error, every call
// returns it.
func (c *Pieces) Next(p *Piece) error {
	c.claim(p)
	p.readAhead(c.origin)
	c.turn.await(p.Number)
	defer c.turn.pass()
	return c.cut(p)
}

// claim gives the piece its number, and bytes of the file.
func (c *Pieces) claim(p *Piece) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p.Number = c.claimed
	c.claimed++
	if p.file = c.file; p.file != nil {
		p.start = c.ahead
		c.ahead += claimSize
	}
}

// readAhead reads what has been claimed. Why less comes than that is for r to
// find out, which reads on behind it.
func (p *Piece) readAhead(origin int64) {
	if p.file == nil {
		if p.memory == nil {
			p.memory = make([]byte, bufferSize)
		}
		return
	}
	if len(p.memory) < headroom+claimSize {
		p.memory = make([]byte, headroom+claimSize)
	}
	p.filled, _ = p.file.ReadAt(p.memory[headroom:], origin+p.start)
}

// cut gives the piece all packets that are there to their last byte, and moves r
// behind them.
func (c *Pieces) cut(p *Piece) error {
	r := c.r
	if r.err != nil {
		return r.err
	}
	if c.follows(p) {
		at := headroom - len(r.rest)
		copy(p.memory[at:], r.rest)
		r.buf = p.memory[at : headroom+p.filled]
		r.read += int64(p.filled)
	} else {
		c.goOnInOrder()
		if c.cutUnread(p) {
			return nil
		}
		r.buf = append(p.memory[:0], r.rest...)
	}
	r.rest = r.buf
	begin := *r
	if r.takeWhole(); len(r.rest) == len(begin.rest) {
		if err := r.refill(); err != nil {
			return err
		}
		begin = *r
		r.takeWhole()
	}
	p.detach(&begin, r)
	// What is left lies in memory that is not ours any more.
	c.unread = append(c.unread[:0], r.rest...)
	r.buf, r.rest = c.unread, c.unread
	return nil
}

// follows reports whether the piece has those bytes of the file that come next.
// It has not if r has read on by itself for a packet longer than a piece, or if
// the piece before ended early, at a section.
func (c *Pieces) follows(p *Piece) bool {
	return p.file != nil && p.start == c.r.read && len(c.r.rest) <= headroom
}

// goOnInOrder stops the reading ahead.
func (c *Pieces) goOnInOrder() {
	c.mu.Lock()
	c.file = nil
	c.mu.Unlock()
}

// cutUnread makes the piece of what the piece before has left, if there are whole
// packets. Only they are copied: there may be a section for each of them.
func (c *Pieces) cutUnread(p *Piece) bool {
	begin := *c.r
	if c.r.takeWhole(); len(c.r.rest) == len(begin.rest) {
		return false
	}
	p.detach(&begin, c.r)
	p.buf = append(p.memory[:0], p.buf...)
	p.rest = p.buf
	return true
}

// detach makes the piece the reader of what r has consumed since it was begin.
func (p *Piece) detach(begin, r *Reader) {
	p.Reader = *begin
	p.interfaces = slices.Clip(r.interfaces)
	end := len(begin.rest) - len(r.rest)
	p.buf = begin.rest[:end:end]
	p.rest = p.buf
	p.read = r.offset()
	p.src, p.srcErr = nil, io.EOF
}

// A turn lets goroutines through in the order of their numbers, from 0.
type turn struct {
	now    atomic.Int64
	mu     sync.Mutex
	passed sync.Cond
}

// await waits until everybody before n has passed. As a rule that is a matter of
// microseconds, and to be woken takes longer: so it stays awake for a while.
func (t *turn) await(n int) {
	for range 300 {
		if t.now.Load() == int64(n) {
			return
		}
		runtime.Gosched()
	}
	t.mu.Lock()
	for t.now.Load() != int64(n) {
		t.passed.Wait()
	}
	t.mu.Unlock()
}

func (t *turn) pass() {
	t.mu.Lock()
	t.now.Add(1)
	t.mu.Unlock()
	t.passed.Broadcast()
}
