package filter

import (
	"fmt"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf/filter/ir"
	"github.com/bpflab/bpflab/cbpf/origin"
)

// The back end for classic BPF. It works in three steps:
//
//   - scratch (emit_scratch.go) decides which values live in scratch memory;
//   - selection (emit_select.go) writes the code of each block, knowing what
//     the registers hold on entry (emit_state.go);
//   - placement (emit_place.go) joins the blocks and resolves the jumps.
//
// Blocks stand in reverse postorder, so every jump goes forward, as classic
// BPF demands, and all predecessors of a block are written before it.

// Opcodes: class | size or operation | mode or source, as in the kernel's
// uapi/linux/bpf_common.h and filter.h.
const (
	opLdImm   = 0x00
	opLdAbs   = 0x20 // | sizeBits
	opLdInd   = 0x40 // | sizeBits
	opLdMem   = 0x60
	opLdLen   = 0x80
	opLdxImm  = 0x01
	opLdxMem  = 0x61
	opLdxLen  = 0x81
	opLdxMsh  = 0xb1
	opSt      = 0x02
	opAlu     = 0x04 // | aluBits
	opNeg     = 0x84
	opJmp     = 0x05 // | condBits; alone it is ja
	opRet     = 0x06
	opTax     = 0x07
	opTxa     = 0x87
	withX     = 0x08 // the second operand of opAlu and opJmp is X, not k
	scratches = 16
)

var sizeBits = [...]uint16{4: 0x00, 2: 0x08, 1: 0x10}

var aluBits = [...]uint16{
	ir.Add: 0x00, ir.Sub: 0x10, ir.Mul: 0x20, ir.Div: 0x30, ir.Or: 0x40,
	ir.And: 0x50, ir.Shl: 0x60, ir.Shr: 0x70, ir.Mod: 0x90, ir.Xor: 0xa0,
}

var condBits = [...]uint16{ir.Eq: 0x10, ir.Gt: 0x20, ir.Ge: 0x30, ir.Set: 0x40}

// metaLoads are Linux's ancillary loads. The kernel ignores their size, but
// libpcap's own interpreter knows the VLAN ones as byte loads only.
var metaLoads = [...]struct {
	size   uint8
	offset uint32
}{
	ir.Protocol:    {4, 0xfffff000},
	ir.PacketType:  {4, 0xfffff004},
	ir.IfIndex:     {4, 0xfffff008},
	ir.VLANTag:     {1, 0xfffff02c},
	ir.VLANPresent: {1, 0xfffff030},
}

// An emitError says why a graph has no classic program, and which bytes of
// the expression are to blame.
type emitError struct {
	At  Span
	Msg string
}

func (e *emitError) Error() string { return e.Msg }

// emit writes f as a classic program that returns accept or 0, and the table
// of which bytes of the expression each instruction came from. The two
// returns come from nothing in particular. The program can be longer than the
// kernel allows. emit adds blocks to f.
func emit(f *ir.Func, accept uint32) ([]bpf.RawInstruction, origin.Table, error) {
	f.RemoveUnreachable()
	splitPhiEdges(f)
	order := f.ReversePostorder()
	slots, err := assignScratch(f, order)
	if err != nil {
		return nil, nil, err
	}
	blocks, err := selectAll(f, order, slots, accept)
	if err != nil {
		return nil, nil, err
	}
	p := &placer{}
	p.place(order, blocks)
	return p.prog, p.table, nil
}

// splitPhiEdges puts an empty block on each edge from an If to a block with
// phis, to hold the copies for that edge.
func splitPhiEdges(f *ir.Func) {
	for _, b := range f.Blocks {
		for i, to := range b.Succs {
			if b.Kind != ir.If || len(to.Phis) == 0 {
				continue
			}
			e := ir.Edge{From: b, Index: i}
			args := e.PhiArgs()
			copies := f.NewBlock(ir.Jump)
			copies.Origin = b.Origin
			f.Redirect(e, copies)
			f.Connect(ir.Edge{From: copies}, to, args...)
		}
	}
}

// blame makes an error about a value.
func blame(v *ir.Value, format string, args ...any) error {
	e := &emitError{Msg: fmt.Sprintf(format, args...)}
	if n := len(v.Origin); n > 0 {
		e.At = v.Origin[0]
	}
	return e
}
