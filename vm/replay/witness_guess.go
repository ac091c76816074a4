package replay

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/capture"
	"github.com/bpflab/bpflab/vm/engine"
)

// A guess is an input of a program.
type guess struct {
	data    []byte
	context []field
}

// A field is a field of the context with its value.
type field struct {
	name  string
	value uint64
}

// packet makes the packet that an engine gets.
func (g guess) packet(p *verifier.Program) engine.Packet {
	c := capture.Packet{Data: g.data, WireLen: uint32(len(g.data)), LinkType: cbpf.LinkEthernet}
	in := c.Engine()
	for _, f := range g.context {
		vm.SetContext(&in.Meta, p.Type, f.name, f.value) // values that are too large stay out
	}
	return in
}

// describe tells what an input needs beside the packet.
func (g guess) describe(in setup) string {
	var parts []string
	for _, f := range g.context {
		parts = append(parts, fmt.Sprintf("%s = %d", f.name, f.value))
	}
	parts = append(parts, in.describe()...)
	if len(parts) == 0 {
		return ""
	}
	return "with " + strings.Join(parts, ", ")
}

// A guesser guesses inputs: first headers of common protocols at lengths that
// are of interest, then changed copies of inputs that led somewhere new.
type guesser struct {
	program   *verifier.Program
	random    *rand.Rand
	constants []uint64 // that the program compares and calculates with
	lengths   []int
	fields    []string // of the context that the program may load
	kept      []kept
}

// A kept input led somewhere new, and met those comparisons.
type kept struct {
	guess
	pairs []comparison
}

func newGuesser(p *verifier.Program, r *verifier.Report) *guesser {
	g := &guesser{program: p, random: rand.New(rand.NewPCG(1, 2)), constants: []uint64{0}}
	g.collect()
	if m := r.Miss; m != nil {
		for _, n := range []int64{m.Have, m.End - 1, m.End, m.Have + 1} {
			g.addLength(n)
		}
	}
	for _, n := range []int64{14, 34, 42, 54, 60, 74, 94, 128, 256} {
		g.addLength(n)
	}
	for _, c := range g.constants {
		g.addLength(int64(c))
	}
	g.lengths = append(g.lengths, 0)
	return g
}

func (g *guesser) addLength(n int64) {
	if n > 0 && n <= 1514 && !slices.Contains(g.lengths, int(n)) && len(g.lengths) < 64 {
		g.lengths = append(g.lengths, int(n))
	}
}

// collect takes what is of interest from the instructions.
func (g *guesser) collect() {
	ctx := abi.ContextOf(g.program.Type)
	for i, insns := 0, g.program.Insns; i < len(insns); i += insns[i].Width() {
		ins := insns[i]
		switch ins.Op.Class() {
		case ebpf.ClassJMP, ebpf.ClassJMP32, ebpf.ClassALU, ebpf.ClassALU64, ebpf.ClassST:
			calls := ins.Op.Class() == ebpf.ClassJMP && ins.Op.Operation() == ebpf.Call
			if c := uint64(int64(ins.Imm)); !calls && !slices.Contains(g.constants, c) && len(g.constants) < 256 {
				g.constants = append(g.constants, c)
			}
		case ebpf.ClassLDX:
			if ctx == nil {
				continue
			}
			for j := range ctx.Fields {
				f := &ctx.Fields[j]
				if int(ins.Off) == f.Offset && f.Kind == abi.Scalar && !slices.Contains(g.fields, f.Name) {
					var try cbpf.Metadata
					if vm.SetContext(&try, g.program.Type, f.Name, 1) == nil {
						g.fields = append(g.fields, f.Name)
					}
				}
			}
		}
	}
}

// next returns the n-th input.
func (g *guesser) next(n int) guess {
	if g.program.Type.HasByteContext() {
		data := make([]byte, g.program.ContextSize)
		for i := range data {
			data[i] = byte(g.random.Uint32())
		}
		return guess{data: data}
	}
	if first := 2 * len(g.lengths); n < first || len(g.kept) == 0 || g.random.IntN(8) == 0 {
		return g.fresh(n)
	}
	return g.changed()
}

// fresh makes a packet of the headers of common protocols.
func (g *guesser) fresh(n int) guess {
	length := g.lengths[n%len(g.lengths)]
	frame := frames[g.random.IntN(len(frames))]
	data := make([]byte, length)
	copy(data, frame)
	if length > 14 && data[14]>>4 == 4 && g.random.IntN(2) == 0 {
		data[14] = 0x45 + byte(g.random.IntN(11)) // options
	}
	for i := len(frame); i < len(data); i++ {
		data[i] = byte(g.random.Uint32())
	}
	return guess{data: data, context: g.context()}
}

// context gives values to some fields.
func (g *guesser) context() []field {
	var out []field
	for _, name := range g.fields {
		if g.random.IntN(2) == 0 {
			out = append(out, field{name, g.number()})
		}
	}
	return out
}

// number returns a number of interest.
func (g *guesser) number() uint64 {
	n := g.constants[g.random.IntN(len(g.constants))]
	switch g.random.IntN(8) {
	case 0:
		return uint64(g.random.IntN(4))
	case 1:
		return 1<<(8<<g.random.IntN(3)) - 1
	case 2:
		return 1<<31 - uint64(g.random.IntN(2))
	case 3:
		return n + 1
	case 4:
		return n - 1
	}
	return n
}

// changed changes an input that led somewhere new.
func (g *guesser) changed() guess {
	k := &g.kept[g.random.IntN(len(g.kept))]
	out := guess{data: slices.Clone(k.data), context: k.context}
	for range 1 + g.random.IntN(3) {
		switch kind := g.random.IntN(8); {
		case kind < 3 && len(k.pairs) > 0:
			g.meet(&out, k.pairs[g.random.IntN(len(k.pairs))])
		case kind < 5:
			g.place(out.data, g.number())
		case kind == 5:
			length := g.lengths[g.random.IntN(len(g.lengths))]
			if g.random.IntN(2) == 0 {
				length = max(0, len(out.data)-12+g.random.IntN(17))
			}
			out.data = append(out.data[:min(length, len(out.data))], make([]byte, max(0, length-len(out.data)))...)
		case kind == 6 && len(g.fields) > 0:
			out.context = g.context()
		case len(out.data) > 0:
			out.data[g.random.IntN(len(out.data))] = byte(g.random.Uint32())
		}
	}
	return out
}

// meet makes a comparison come out otherwise: where the packet has the one
// number it gets the other, or one beside it.
func (g *guesser) meet(out *guess, c comparison) {
	want := c.b + uint64(g.random.IntN(3)) - 1
	for i := range out.context {
		if out.context[i].value == c.a {
			out.context = slices.Clone(out.context)
			out.context[i].value = want
			return
		}
	}
	for _, size := range []int{8, 4, 2, 1} {
		for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
			have, put := encoded(order, c.a, size), encoded(order, want, size)
			for at := g.random.IntN(len(out.data) + 1); at+size <= len(out.data); at++ {
				if slices.Equal(out.data[at:at+size], have) {
					copy(out.data[at:], put)
					return
				}
			}
		}
	}
}

// encoded is v in size bytes.
func encoded(order binary.AppendByteOrder, v uint64, size int) []byte {
	b := order.AppendUint64(nil, v)
	if order.String() == binary.BigEndian.String() {
		return b[8-size:]
	}
	return b[:size]
}

// place writes a number somewhere.
func (g *guesser) place(data []byte, v uint64) {
	size := 1 << g.random.IntN(3)
	if len(data) < size {
		return
	}
	var order binary.AppendByteOrder = binary.LittleEndian
	if g.random.IntN(2) == 0 {
		order = binary.BigEndian
	}
	copy(data[g.random.IntN(len(data)-size+1):], encoded(order, v, size))
}

// keptMost is how many inputs are kept.
const keptMost = 128

// keep remembers an input that led somewhere new.
func (g *guesser) keep(in guess, pairs []comparison) {
	if len(g.kept) < keptMost {
		g.kept = append(g.kept, kept{in, slices.Clone(pairs)})
	}
}
