package filter

import (
	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter/ir"
	"github.com/bpflab/bpflab/cbpf/origin"
)

// The back end for classic BPF. It works in four steps:
//
//   - scratch (emit_scratch.go) decides which values live in scratch memory;
//   - selection (emit_select.go) writes the code of each block, knowing what
//     the registers hold on entry (emit_state.go);
//   - blocks of equal code become one (emit_share.go);
//   - placement (emit_place.go) joins the blocks and resolves the jumps.
//
// Blocks stand in reverse postorder, so every jump goes forward, as classic
// BPF demands, and all predecessors of a block are written before it.

// Whole opcodes. Sizes, operations, comparisons and cbpf.SrcX are or'ed to the
// ones that lack them.
const (
	opLdImm  = cbpf.ClassLD | cbpf.ModeIMM
	opLdAbs  = cbpf.ClassLD | cbpf.ModeABS // lacks a size
	opLdInd  = cbpf.ClassLD | cbpf.ModeIND // lacks a size
	opLdMem  = cbpf.ClassLD | cbpf.ModeMEM
	opLdLen  = cbpf.ClassLD | cbpf.ModeLEN
	opLdxImm = cbpf.ClassLDX | cbpf.ModeIMM
	opLdxMem = cbpf.ClassLDX | cbpf.ModeMEM
	opLdxLen = cbpf.ClassLDX | cbpf.ModeLEN
	opLdxMsh = cbpf.ClassLDX | cbpf.ModeMSH | cbpf.SizeB
	opSt     = cbpf.ClassST
	opAlu    = cbpf.ClassALU // lacks an operation
	opNeg    = cbpf.ClassALU | cbpf.NEG
	opJmp    = cbpf.ClassJMP // lacks a comparison
	opJa     = cbpf.ClassJMP | cbpf.JA
	opRet    = cbpf.ClassRET | cbpf.SrcK
	opTax    = cbpf.ClassMISC | cbpf.TAX
	opTxa    = cbpf.ClassMISC | cbpf.TXA
)

var sizeBits = [...]uint16{4: cbpf.SizeW, 2: cbpf.SizeH, 1: cbpf.SizeB}

var aluBits = [...]uint16{
	ir.Add: cbpf.ADD, ir.Sub: cbpf.SUB, ir.Mul: cbpf.MUL, ir.Div: cbpf.DIV, ir.Mod: cbpf.MOD,
	ir.And: cbpf.AND, ir.Or: cbpf.OR, ir.Xor: cbpf.XOR, ir.Shl: cbpf.LSH, ir.Shr: cbpf.RSH,
}

var condBits = [...]uint16{ir.Eq: cbpf.JEQ, ir.Gt: cbpf.JGT, ir.Ge: cbpf.JGE, ir.Set: cbpf.JSET}

// metaLoads are the extensions of Linux that load a field. The kernel ignores
// their size, but libpcap's own interpreter knows the VLAN ones as byte loads
// only.
var metaLoads = [...]struct {
	size   uint16
	offset uint32
}{
	ir.Protocol:    {cbpf.SizeW, cbpf.AdOff + cbpf.AdProtocol},
	ir.PacketType:  {cbpf.SizeW, cbpf.AdOff + cbpf.AdPacketType},
	ir.IfIndex:     {cbpf.SizeW, cbpf.AdOff + cbpf.AdIfIndex},
	ir.VLANTag:     {cbpf.SizeB, cbpf.AdOff + cbpf.AdVLANTag},
	ir.VLANPresent: {cbpf.SizeB, cbpf.AdOff + cbpf.AdVLANTagPresent},
}

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
	code, err := selectAll(f, order, slots, accept)
	if err != nil {
		return nil, nil, err
	}
	l := &layout{order, code, make([]*ir.Block, f.NumBlocks())}
	l.shareTails()
	prog, table := l.place()
	return prog, table, nil
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
	var at Span
	if len(v.Origin) > 0 {
		at = v.Origin[0]
	}
	return errorAt(at, format, args...)
}

// errScratch says that 16 words of scratch memory are not enough, in libpcap's
// words.
func errScratch(v *ir.Value) error {
	return blame(v, "too many registers needed to evaluate expression")
}
