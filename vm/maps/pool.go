package maps

// A pool is where hash tables and tries take their elements from: equal pieces
// of the arena, used from the first on. A piece that was given back waits in a
// queue, its contents untouched but for the link, until at least spareSlots-1
// others were given back after it. So a program that still holds a pointer to
// the value of a deleted or replaced element reads what was there, for a while,
// and never anything but values of the map.
type pool struct {
	*Map
	start, stride  uint32
	link           uint32 // offset of the word in a free piece that leads to the next
	used           uint32 // pieces that were ever taken
	freed          uint32 // pieces in the queue
	oldest, newest uint32 // its ends
}

// spareSlots is how many pieces a pool must have beyond those in use at a
// time. The kernel has one for each CPU, and promises less: a freed element
// may be taken by the next update.
const spareSlots = 64

// reserve takes the memory for n pieces.
func (p *pool) reserve(n uint64) (err error) {
	size := product(n, uint64(p.stride))
	if p.start, err = p.set.mem.Alloc(size); err == nil {
		p.set.mem.FilledInOrder(p.start, size)
	}
	return err
}

func (p *pool) allocate() uint32 {
	if p.freed < spareSlots {
		p.used++
		return p.start + (p.used-1)*p.stride
	}
	piece := p.oldest
	p.oldest = p.load(piece + p.link)
	p.freed--
	return piece
}

func (p *pool) free(piece uint32) {
	if p.freed == 0 {
		p.oldest = piece
	} else {
		p.store(p.newest+p.link, piece)
	}
	p.newest = piece
	p.freed++
}
