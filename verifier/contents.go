package verifier

// A content is what can be said of a register or a stack slot for all paths at
// once. It is there to find out which stack slots an instruction reaches and
// which comparisons are of pointers; the states of the search know better.
type content struct {
	kind contentKind
	n    int16 // of the kinds that say so
}

type contentKind uint16 // so that a content has no padding, and arrays of them are compared at once

const (
	holdsAnything contentKind = iota // but no pointer into this frame or those of callers
	holdsNumber
	holdsConstant // n
	holdsPointer  // to something that is not on a stack
	holdsContext  // the context
	holdsMap      // map n
	holdsInnerMap // a map that was found in map n
	holdsFrameAt  // R10 + n, on every path
	holdsMaybeAt  // R10 + n, or no pointer into a frame at all
	holdsFrame    // possibly a pointer into this frame
	holdsOuter    // possibly a pointer into the frame of a caller, not this one
)

func (c content) isFrame() bool { return holdsFrameAt <= c.kind && c.kind <= holdsFrame }

// isAt reports whether it is a pointer into this frame at R10 + n if it is one.
func (c content) isAt() bool { return c.kind == holdsFrameAt || c.kind == holdsMaybeAt }

func (c content) isNumber() bool { return c.kind == holdsNumber || c.kind == holdsConstant }

func constantContent(v int64) content {
	if v != int64(int16(v)) {
		return content{kind: holdsNumber}
	}
	return content{holdsConstant, int16(v)}
}

// moved is a pointer into this frame at R10 + n moved by a constant. Offsets on
// the way to one in the frame may be outside of it.
func (c content) moved(by int) content {
	n := int(c.n) + by
	if n < -2*frameSize || n > 2*frameSize {
		return content{kind: holdsFrame}
	}
	return content{c.kind, int16(n)}
}

// join returns what can be said of a place that holds one or the other.
func (c content) join(d content) content {
	switch {
	case c == d:
		return c
	case c.isFrame() || d.isFrame():
		return c.joinFrame(d)
	case c.kind == holdsOuter || d.kind == holdsOuter:
		return content{kind: holdsOuter}
	case c.isNumber() && d.isNumber():
		return content{kind: holdsNumber}
	}
	return content{}
}

// joinFrame is join where one of the two is a pointer into this frame.
func (c content) joinFrame(d content) content {
	if !c.isAt() {
		c, d = d, c
	}
	if c.isAt() && (d.isAt() && c.n == d.n || !d.isFrame() && d.kind != holdsOuter) {
		return content{holdsMaybeAt, c.n}
	}
	return content{kind: holdsFrame}
}

// add returns the content of a sum, or of a difference.
func (c content) add(d content, minus bool) content {
	switch {
	case c.isNumber() && d.isNumber():
		if c.kind == holdsConstant && d.kind == holdsConstant {
			return constantContent(int64(c.n) + d.signed(minus))
		}
		return content{kind: holdsNumber}
	case c.isAt() && d.kind == holdsConstant:
		return c.moved(int(d.signed(minus)))
	case c.kind == holdsConstant && d.isAt() && !minus:
		return d.moved(int(c.n))
	case c.isFrame() || d.isFrame() && !minus:
		return content{kind: holdsFrame}
	case c.kind == holdsOuter || d.kind == holdsOuter && !minus:
		return content{kind: holdsOuter}
	case minus && !d.isNumber():
		return content{} // a length: comparing it is comparing pointers
	case c.kind == holdsPointer && d.isNumber(), d.kind == holdsPointer && c.isNumber():
		return content{kind: holdsPointer}
	}
	return content{}
}

func (c content) signed(minus bool) int64 {
	if minus {
		return -int64(c.n)
	}
	return int64(c.n)
}

// argument returns what the function that is called gets: it has a frame of
// its own.
func (c content) argument() content {
	if c.isFrame() {
		return content{kind: holdsOuter}
	}
	return c
}

// regContents are those of a function's registers. The zero value is that of a
// place that nothing has reached yet.
type regContents [11]content

// slotContents are those of its stack: of the eight bytes at R10-8(i+1).
type slotContents [frameSize / 8]content

func (r *regContents) reached() bool { return r[10].kind == holdsFrameAt }

// startContents are those at the start of a function, before its arguments.
func startContents() (r regContents) {
	for i := range r {
		r[i].kind = holdsNumber
	}
	r[10] = content{holdsFrameAt, 0}
	return r
}

var emptyStack = func() (s slotContents) {
	for i := range s {
		s[i].kind = holdsNumber
	}
	return s
}()

// joinAll adds to each of c what another way to the same place brings. It
// reports whether that was new.
func joinAll(c, d []content) bool {
	grown := false
	for i := range c {
		if joined := c[i].join(d[i]); joined != c[i] {
			c[i], grown = joined, true
		}
	}
	return grown
}

// load returns what a load of size bytes at base + off gives.
func (c *slotContents) load(base content, off, size int) content {
	if size == 8 {
		switch base.kind {
		case holdsFrameAt:
			if i, ok := slotAt(int(base.n) + off); ok {
				return c[i]
			}
		case holdsMaybeAt:
			if i, ok := slotAt(int(base.n) + off); ok {
				return c[i].join(content{kind: holdsNumber})
			}
		case holdsFrame:
			all := c[0]
			for _, s := range c[1:] {
				all = all.join(s)
			}
			return all
		case holdsOuter:
			return base
		}
	}
	return content{kind: holdsNumber}
}

// store stores v in size bytes at base + off.
func (c *slotContents) store(base content, off, size int, v content) {
	switch base.kind {
	case holdsFrameAt:
		at := int(base.n) + off
		if i, ok := slotAt(at); ok && size == 8 {
			c[i] = v
			return
		}
		for b := at &^ 7; b < at+size; b += 8 {
			if i, ok := slotAt(b); ok {
				c[i] = content{kind: holdsNumber}
			}
		}
	case holdsMaybeAt:
		at := int(base.n) + off
		if size < 8 || at&7 != 0 {
			v = content{kind: holdsNumber}
		}
		for b := at &^ 7; b < at+size; b += 8 {
			if i, ok := slotAt(b); ok {
				c[i] = c[i].join(v)
			}
		}
	case holdsFrame:
		if size < 8 {
			v = content{kind: holdsNumber}
		}
		for i := range c {
			c[i] = c[i].join(v)
		}
	}
}

// slotAt returns the index of the stack slot that starts at R10 + off.
func slotAt(off int) (i int, ok bool) {
	if off&7 != 0 || off < -frameSize || off >= 0 {
		return 0, false
	}
	return -off/8 - 1, true
}
