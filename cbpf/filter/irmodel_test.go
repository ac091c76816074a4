package filter

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf/filter/ir"
)

// What the tests of the passes and of the emitter share: the meaning of the IR
// and that of a classic program, each written as plainly as can be, and random
// graphs and packets.

// A testPacket is what a filter sees.
type testPacket struct {
	data []byte
	len  uint32
	meta [5]uint32 // by ir.Field
}

var errFault = errors.New("fault")

// interpret runs the graph by the definitions in package ir's comment.
func interpret(f *ir.Func, p *testPacket) bool {
	m := &irMachine{f: f, p: p, phis: make(map[*ir.Value]uint32), known: make(map[*ir.Value]uint32)}
	b := f.Blocks[0]
	for b.Kind != ir.Accept && b.Kind != ir.Reject {
		way, err := m.block(b)
		if err != nil {
			return m.reject(err)
		}
		e := ir.Edge{From: b, Index: way}
		args := make([]uint32, len(e.To().Phis))
		for i, a := range e.PhiArgs() {
			if args[i], err = m.value(a); err != nil {
				return m.reject(err)
			}
		}
		b = e.To()
		for i, phi := range b.Phis {
			m.phis[phi] = args[i]
		}
	}
	return b.Kind == ir.Accept
}

type irMachine struct {
	f     *ir.Func
	p     *testPacket
	phis  map[*ir.Value]uint32
	known map[*ir.Value]uint32
}

// reject is what a fault does to a packet; any other error is a mistake in the
// IR's own words.
func (m *irMachine) reject(err error) bool {
	if err != errFault {
		panic(err)
	}
	return false
}

func (m *irMachine) block(b *ir.Block) (way int, err error) {
	for _, v := range b.Evals {
		if _, err := m.value(v); err != nil {
			return 0, err
		}
	}
	if b.Kind == ir.Jump {
		return 0, nil
	}
	x, err := m.value(b.Cond.X)
	if err != nil {
		return 0, err
	}
	y, err := m.value(b.Cond.Y)
	if err != nil {
		return 0, err
	}
	holds := [...]bool{ir.Eq: x == y, ir.Gt: x > y, ir.Ge: x >= y, ir.Set: x&y != 0}[b.Cond.Op]
	if holds {
		return 0, nil
	}
	return 1, nil
}

func (m *irMachine) value(v *ir.Value) (uint32, error) {
	if k, ok := m.known[v]; ok {
		return k, nil
	}
	k, err := m.compute(v)
	if err == nil {
		m.known[v] = k
		if k > m.f.MaxOf(v) {
			return 0, fmt.Errorf("%v is %#x, above its bound", v, k)
		}
	}
	return k, err
}

func (m *irMachine) compute(v *ir.Value) (uint32, error) {
	var args [2]uint32
	if v.Op == ir.Phi {
		return m.phis[v], nil
	}
	for i, a := range v.Args {
		k, err := m.value(a)
		if err != nil {
			return 0, err
		}
		args[i] = k
	}
	switch v.Op {
	case ir.Const:
		return v.Const, nil
	case ir.Load:
		return loadBytes(m.p.data, uint64(args[0])+uint64(v.Const), v.Size)
	case ir.Len:
		return m.p.len, nil
	case ir.Meta:
		return m.p.meta[v.Const], nil
	case ir.Neg:
		return -args[0], nil
	}
	k, ok := v.Op.Eval(args[0], args[1])
	if !ok {
		return 0, errFault
	}
	return k, nil
}

func loadBytes(data []byte, at uint64, size uint8) (uint32, error) {
	if at+uint64(size) > uint64(len(data)) {
		return 0, errFault
	}
	var k uint32
	for _, b := range data[at : at+uint64(size)] {
		k = k<<8 | uint32(b)
	}
	return k, nil
}

// A testMachine runs classic programs and is strict about them: scratch memory
// is written before it is read, no address wraps, no shift is out of range.
type testMachine struct {
	p       *testPacket
	a, x    uint32
	m       [16]uint32
	written [16]bool
}

// runClassic returns what the program returns, and an error for a program that
// is not as strict as a testMachine wants.
func runClassic(prog []bpf.RawInstruction, p *testPacket) (uint32, error) {
	m := &testMachine{p: p}
	for pc := 0; pc < len(prog); pc++ {
		ins := prog[pc]
		switch ins.Op & 7 {
		case 5:
			skip, err := m.jump(ins)
			if err != nil {
				return 0, fmt.Errorf("%d: %w", pc, err)
			}
			pc += int(skip)
		case 6:
			return ins.K, nil
		default:
			err := m.step(ins)
			if err == errFault {
				return 0, nil
			}
			if err != nil {
				return 0, fmt.Errorf("%d: %w", pc, err)
			}
		}
	}
	return 0, errors.New("ran off the end")
}

func (m *testMachine) jump(ins bpf.RawInstruction) (uint32, error) {
	y := ins.K
	if ins.Op&8 != 0 {
		y = m.x
	}
	var holds bool
	switch ins.Op &^ 8 {
	case 0x05:
		return ins.K, nil
	case 0x15:
		holds = m.a == y
	case 0x25:
		holds = m.a > y
	case 0x35:
		holds = m.a >= y
	case 0x45:
		holds = m.a&y != 0
	default:
		return 0, fmt.Errorf("jump %#x", ins.Op)
	}
	if holds {
		return uint32(ins.Jt), nil
	}
	return uint32(ins.Jf), nil
}

func (m *testMachine) step(ins bpf.RawInstruction) (err error) {
	size := map[uint16]uint8{0: 4, 8: 2, 16: 1}[ins.Op&0x18]
	switch ins.Op {
	case 0x00:
		m.a = ins.K
	case 0x01:
		m.x = ins.K
	case 0x20, 0x28, 0x30:
		m.a, err = m.absolute(ins.K, size)
	case 0x40, 0x48, 0x50:
		if uint64(m.x)+uint64(ins.K) > 0xffffffff-4 {
			return errors.New("an address wraps")
		}
		m.a, err = loadBytes(m.p.data, uint64(m.x+ins.K), size)
	case 0xb1:
		m.x, err = loadBytes(m.p.data, uint64(ins.K), 1)
		m.x = m.x & 0xf << 2
	case 0x60, 0x61:
		if !m.written[ins.K] {
			return fmt.Errorf("M[%d] is read and was not written", ins.K)
		}
		if ins.Op == 0x60 {
			m.a = m.m[ins.K]
		} else {
			m.x = m.m[ins.K]
		}
	case 0x80:
		m.a = m.p.len
	case 0x81:
		m.x = m.p.len
	case 0x02:
		m.m[ins.K], m.written[ins.K] = m.a, true
	case 0x07:
		m.x = m.a
	case 0x87:
		m.a = m.x
	case 0x84:
		m.a = -m.a
	default:
		return m.alu(ins)
	}
	return err
}

func (m *testMachine) absolute(k uint32, size uint8) (uint32, error) {
	for field, l := range metaLoads {
		if k == l.offset {
			return m.p.meta[field], nil
		}
	}
	if k > 0x7fffffff {
		return 0, fmt.Errorf("load of %#x", k)
	}
	return loadBytes(m.p.data, uint64(k), size)
}

func (m *testMachine) alu(ins bpf.RawInstruction) error {
	op := slices.Index(aluBits[:], ins.Op&0xf0)
	if ins.Op&7 != 4 || ins.Op == 0x04 || ins.Op == 0x0c {
		op = int(ir.Add)
	}
	y := ins.K
	if ins.Op&8 != 0 {
		y = m.x
	}
	k, ok := ir.Op(op).Eval(m.a, y)
	switch {
	case ins.Op&7 != 4:
		return fmt.Errorf("opcode %#x", ins.Op)
	case ok:
		m.a = k
		return nil
	case y == 0 && ins.Op&8 != 0:
		return errFault
	}
	return fmt.Errorf("opcode %#x with operand %d", ins.Op, y)
}

// A graphMaker makes random graphs.
type graphMaker struct {
	*rand.Rand
	f    *ir.Func
	dom  *ir.DomTree
	pool []*ir.Value // values used again and again, without phis

	spread int  // how many blocks ahead an edge leads
	phis   bool // give blocks phis
	crowd  int  // how many phis a block has at most
	depth  int  // of values
}

var someNumbers = []uint32{0, 1, 2, 3, 4, 6, 8, 0x11, 0x7f, 0x80, 0xff, 0x800, 0xffff, 0x80000000, 0xffffffff}

// graph makes a graph of about n blocks that satisfies the invariants.
func (g *graphMaker) graph(n int) *ir.Func {
	g.f = ir.NewFunc()
	blocks := make([]*ir.Block, n)
	for i := range blocks {
		blocks[i] = g.f.NewBlock(ir.If)
		if g.IntN(6) == 0 {
			blocks[i].Kind, blocks[i].Succs = ir.Jump, blocks[i].Succs[:1]
		}
	}
	returns := []*ir.Block{g.f.NewBlock(ir.Accept), g.f.NewBlock(ir.Reject)}
	for i, b := range blocks {
		for j := range b.Succs {
			to := i + 1 + g.IntN(g.spread)
			if to >= n || g.IntN(10) == 0 {
				g.f.Connect(ir.Edge{From: b, Index: j}, returns[g.IntN(2)])
			} else {
				g.f.Connect(ir.Edge{From: b, Index: j}, blocks[to])
			}
		}
	}
	g.f.RemoveUnreachable()
	g.fill()
	return g.f
}

// fill makes phis, evaluations and conditions.
func (g *graphMaker) fill() {
	for range 8 {
		g.pool = append(g.pool, g.value(nil, g.depth))
	}
	order := g.f.ReversePostorder()
	g.dom = g.f.Dominators()
	for _, b := range order {
		if b.Kind == ir.Accept || b.Kind == ir.Reject {
			continue
		}
		if g.phis && len(b.Preds) > 1 && g.IntN(2) == 0 {
			for range 1 + g.IntN(g.crowd) {
				args := make([]*ir.Value, len(b.Preds))
				for i, e := range b.Preds {
					args[i] = g.operand(e.From)
				}
				g.f.Phi(b, args, nil)
			}
		}
		for g.IntN(4) == 0 {
			b.Evals = append(b.Evals, g.operand(b))
		}
		if b.Kind == ir.If {
			y := g.number()
			if g.IntN(5) == 0 {
				y = g.operand(b)
			}
			b.Cond = ir.Cond{Op: ir.CondOp(g.IntN(4)), X: g.operand(b), Y: y}
		}
	}
}

func (g *graphMaker) number() *ir.Value {
	return g.f.Const(someNumbers[g.IntN(len(someNumbers))], nil)
}

// operand returns a value that block b may use.
func (g *graphMaker) operand(b *ir.Block) *ir.Value {
	if g.IntN(3) > 0 {
		return g.pool[g.IntN(len(g.pool))]
	}
	return g.value(b, g.IntN(g.depth+1))
}

// value makes a value, with the phis that b may use unless b is nil.
func (g *graphMaker) value(b *ir.Block, depth int) *ir.Value {
	f := g.f
	if depth == 0 {
		return g.leaf(b)
	}
	switch g.IntN(8) {
	case 0:
		return f.Neg(g.value(b, depth-1), nil)
	case 1, 2:
		base := g.value(b, depth-1)
		if f.MaxOf(base) > 0x10000 {
			base = f.Binary(ir.And, base, f.Const(0x1f, nil), nil)
		}
		return f.Load(1<<g.IntN(3), base, uint32(g.IntN(20)), nil)
	case 3:
		n := f.Const(uint32(14+g.IntN(2)), nil)
		load := f.Load(1, nil, n.Const, nil)
		return f.Binary(ir.Shl, f.Binary(ir.And, load, f.Const(15, nil), nil), f.Const(2, nil), nil)
	}
	ops := []ir.Op{ir.Add, ir.Sub, ir.Mul, ir.Div, ir.Mod, ir.And, ir.Or, ir.Xor, ir.Shl, ir.Shr}
	op := ops[g.IntN(len(ops))]
	y := g.number()
	switch {
	case op == ir.Shl || op == ir.Shr:
		y = f.Const(uint32(g.IntN(32)), nil)
	case g.IntN(2) == 0:
		y = g.value(b, depth-1)
	}
	if (op == ir.Div || op == ir.Mod) && y.Op == ir.Const {
		y = f.Const(max(y.Const, 1), nil)
	}
	return f.Binary(op, g.value(b, depth-1), y, nil)
}

func (g *graphMaker) leaf(b *ir.Block) *ir.Value {
	if b != nil && g.IntN(2) == 0 {
		var phis []*ir.Value
		for d := b; d != nil && len(phis) < 3*g.crowd; d = g.dom.Idom(d) {
			phis = append(phis, d.Phis...)
		}
		if len(phis) > 0 {
			return phis[g.IntN(len(phis))]
		}
	}
	switch g.IntN(10) {
	case 0:
		return g.f.Len(nil)
	case 1:
		return g.f.Meta(ir.Field(g.IntN(5)), nil)
	case 2:
		return g.number()
	}
	return g.f.Load(1<<g.IntN(3), nil, uint32(g.IntN(40)), nil)
}

// packet makes a packet of few different bytes and any length up to 64.
func (g *graphMaker) packet() *testPacket {
	p := &testPacket{data: make([]byte, 8*g.IntN(9))}
	if g.IntN(3) == 0 {
		p.data = make([]byte, g.IntN(64))
	}
	for i := range p.data {
		p.data[i] = byte(someNumbers[g.IntN(len(someNumbers))])
	}
	p.len = uint32(len(p.data) + g.IntN(3))
	p.meta = [5]uint32{ir.VLANPresent: uint32(g.IntN(2)), ir.VLANTag: uint32(g.IntN(3)),
		ir.PacketType: uint32(g.IntN(5)), ir.IfIndex: uint32(g.IntN(4)), ir.Protocol: 0x800}
	return p
}
