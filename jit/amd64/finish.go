package amd64

import (
	"encoding/binary"
	"fmt"
	"sort"
)

// A Code is finished machine code. It does not depend on where it is put.
type Code struct {
	Bytes  []byte
	labels []int32 // offset of each label
	grown  []shift
}

// A shift says by how much the code from a place on (an offset into
// Assembler.buf) has moved.
type shift struct {
	from, by int32
}

// maxCode is far below what the 32-bit displacements reach.
const maxCode = 1 << 28

// Finish resolves the labels. Each jump gets its short form if its label is in
// reach, given the form of all others. It is an error if a label is not bound.
// The code shares no memory with the assembler.
func (a *Assembler) Finish() (Code, error) {
	for l, p := range a.labels {
		if p.at == unbound {
			return Code{}, fmt.Errorf("amd64: label %d is not bound", l)
		}
	}
	if len(a.buf) > maxCode {
		return Code{}, fmt.Errorf("amd64: more than %d bytes of code", maxCode)
	}
	a.chooseForms()
	code := a.layOut()
	a.writeJumps(&code)
	return code, nil
}

// chooseForms finds the jumps that need their long form. All start short. A
// jump that grows pushes the labels of its neighbours away, no more than 127
// bytes from it, so each costs a bounded number of steps.
func (a *Assembler) chooseForms() {
	for i := range a.jumps {
		j := &a.jumps[i]
		j.long = false
		j.dist = a.labels[j.label].at - (j.at + shortSize)
		a.check(i)
	}
	for len(a.todo) > 0 {
		last := len(a.todo) - 1
		i := int(a.todo[last])
		a.todo = a.todo[:last]
		a.pushNeighbours(i)
	}
}

// check makes jump i long if its label is out of reach.
func (a *Assembler) check(i int) {
	j := &a.jumps[i]
	if !j.long && !fits8(j.dist) {
		j.long = true
		a.todo = append(a.todo, int32(i))
	}
}

// pushNeighbours widens the distances of the short jumps that lead over jump i,
// which has become long.
func (a *Assembler) pushNeighbours(i int) {
	at, by := a.jumps[i].at, a.jumps[i].growth()
	for k := i - 1; k >= 0 && at-a.jumps[k].at <= 128; k-- {
		if j := &a.jumps[k]; a.labels[j.label].at > at {
			j.dist += by
			a.check(k)
		}
	}
	for k := i + 1; k < len(a.jumps) && a.jumps[k].at-at <= 128; k++ {
		if j := &a.jumps[k]; a.labels[j.label].at <= at {
			j.dist -= by
			a.check(k)
		}
	}
}

// layOut copies the code to its final places, with the jumps' first bytes, and
// computes the offsets of the labels.
func (a *Assembler) layOut() Code {
	var total int32
	longs := 0
	for i := range a.jumps {
		j := &a.jumps[i]
		j.shift = total
		if j.long {
			total += j.growth()
			longs++
		}
	}
	code := Code{
		Bytes:  make([]byte, 0, len(a.buf)+int(total)),
		labels: make([]int32, len(a.labels)),
		grown:  make([]shift, 0, longs),
	}
	from := int32(0)
	for i := range a.jumps {
		j := &a.jumps[i]
		if !j.long {
			continue
		}
		code.Bytes = append(code.Bytes, a.buf[from:j.at]...)
		if j.op == shortJmp {
			code.Bytes = append(code.Bytes, longJmp, 0, 0, 0, 0)
		} else {
			code.Bytes = append(code.Bytes, 0x0f, longJcc|j.op&15, 0, 0, 0, 0)
		}
		from = j.at + shortSize
		code.grown = append(code.grown, shift{from, j.shift + j.growth()})
	}
	code.Bytes = append(code.Bytes, a.buf[from:]...)
	for l, p := range a.labels {
		code.labels[l] = p.at + a.shiftAt(p.jumps, total)
	}
	return code
}

// shiftAt returns by how much the first n jumps grew.
func (a *Assembler) shiftAt(n, total int32) int32 {
	if int(n) == len(a.jumps) {
		return total
	}
	return a.jumps[n].shift
}

// writeJumps writes the displacements.
func (a *Assembler) writeJumps(code *Code) {
	for i := range a.jumps {
		j := &a.jumps[i]
		end := j.at + j.shift + shortSize
		if !j.long {
			code.Bytes[end-1] = byte(code.labels[j.label] - end)
			continue
		}
		end += j.growth()
		put32(code.Bytes, end, code.labels[j.label]-end)
	}
	total := int32(len(code.Bytes) - len(a.buf))
	for _, r := range a.refs {
		end := r.at + a.shiftAt(r.jumps, total) + 4
		put32(code.Bytes, end, code.labels[r.label]-end)
	}
}

// put32 writes the displacement that ends at offset end.
func put32(b []byte, end, disp int32) {
	binary.LittleEndian.PutUint32(b[end-4:], uint32(disp))
}

// Offset returns where in Bytes p is.
func (c *Code) Offset(p Pos) int {
	n := sort.Search(len(c.grown), func(i int) bool { return int(c.grown[i].from) > int(p) })
	if n == 0 {
		return int(p)
	}
	return int(p) + int(c.grown[n-1].by)
}

// LabelOffset returns where in Bytes l is.
func (c *Code) LabelOffset(l Label) int { return int(c.labels[l]) }
