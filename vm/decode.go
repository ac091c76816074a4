package vm

import (
	"fmt"
	"math/bits"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/verifier"
)

// A decoder turns instructions into ops. The program is valid by
// [ebpf.Validate]; what the decoder refuses is unknown to this machine: maps
// and other references, kernel functions, helpers without an implementation.
type decoder struct {
	m     *Machine
	typ   abi.ProgType
	start int // of the program in Machine.prog
	prog  []ebpf.Instruction
	at    int // the instruction being decoded

	absent map[int]string
	proof  *verifier.Proof // nil in checked mode
}

// decode adds the program at m.prog[start:] to m.ops and m.calls.
func (m *Machine) decode(p Program, start int) error {
	prog := m.prog[start:]
	m.ops = append(m.ops, make([]op, len(prog))...)
	d := decoder{m: m, typ: p.Type, start: start, prog: prog, absent: p.Absent, proof: p.proof}
	for ; d.at < len(prog); d.at += prog[d.at].Width() {
		if d.proof != nil && !d.proof.Reached(d.at) {
			m.ops[start+d.at].code = opInvalid
			continue
		}
		ins := prog[d.at]
		o := op{dst: uint8(ins.Dst), src: uint8(ins.Src), off: int32(ins.Off), imm: uint64(int64(ins.Imm))}
		var err error
		switch ins.Op.Class() {
		case ebpf.ClassALU, ebpf.ClassALU64:
			d.arithmetic(&o, ins)
		case ebpf.ClassJMP, ebpf.ClassJMP32:
			err = d.jump(&o, ins)
		default:
			err = d.memory(&o, ins)
		}
		if err != nil {
			return err
		}
		m.ops[start+d.at] = o
	}
	return nil
}

func (d *decoder) errorf(format string, args ...any) error {
	return &ebpf.Error{Index: d.at, Offset: d.at * ebpf.InstructionSize, Msg: fmt.Sprintf(format, args...)}
}

// forms returns the immediate and narrow parts of an arithmetic or jump code.
func forms(ins ebpf.Instruction, narrowClass ebpf.Opcode) opcode {
	var f opcode
	if ins.Op.Source() == ebpf.SourceK {
		f += immediate
	}
	if ins.Op.Class() == narrowClass {
		f += narrow
	}
	return f
}

var arithmeticCodes = map[ebpf.Opcode]opcode{
	ebpf.Add: opAdd, ebpf.Sub: opSub, ebpf.Mul: opMul, ebpf.Div: opDiv, ebpf.Mod: opMod,
	ebpf.Or: opOr, ebpf.And: opAnd, ebpf.Xor: opXor, ebpf.Mov: opMov,
	ebpf.Lsh: opLsh, ebpf.Rsh: opRsh, ebpf.Arsh: opArsh,
}

func (d *decoder) arithmetic(o *op, ins ebpf.Instruction) {
	form := forms(ins, ebpf.ClassALU)
	if form == immediate+narrow {
		o.imm = uint64(uint32(ins.Imm))
	}
	switch operation := ins.Op.Operation(); {
	case operation == ebpf.Neg:
		o.code = opNeg + form>>1
	case operation == ebpf.Endian:
		d.endian(o, ins)
	case operation == ebpf.Mov && ins.Off != 0:
		o.code, o.imm = opSignExtend+form>>1, uint64(ins.Off)
	case operation == ebpf.Div && ins.Off == 1:
		o.code = opSDiv + form
	case operation == ebpf.Mod && ins.Off == 1:
		o.code = opSMod + form
	default:
		o.code = arithmeticCodes[operation] + form
	}
}

// endian decodes byte swaps. The machine is little endian wherever it runs,
// so conversions to little endian only cut the value to its width.
func (d *decoder) endian(o *op, ins ebpf.Instruction) {
	if ins.Op.Class() == ebpf.ClassALU && ins.Op.Source() == ebpf.SourceK {
		o.code, o.imm = opTruncate, 1<<uint(ins.Imm)-1
		return
	}
	o.code, o.imm = opSwap, uint64(ins.Imm)
}

var jumpCodes = map[ebpf.Opcode]opcode{
	ebpf.Jeq: opJeq, ebpf.Jne: opJne, ebpf.Jgt: opJgt, ebpf.Jge: opJge, ebpf.Jlt: opJlt,
	ebpf.Jle: opJle, ebpf.Jset: opJset, ebpf.Jsgt: opJsgt, ebpf.Jsge: opJsge,
	ebpf.Jslt: opJslt, ebpf.Jsle: opJsle,
}

func (d *decoder) jump(o *op, ins ebpf.Instruction) error {
	if target, ok := ins.Target(d.at); ok {
		o.off = int32(d.start + target)
	}
	switch operation := ins.Op.Operation(); {
	case operation == ebpf.Exit:
		o.code = opExit
	case ins.Op == ebpf.CallX:
		o.code = opCallRegister
	case operation == ebpf.Call && ins.Src == ebpf.CallLocal:
		o.code = opCallLocal
	case operation == ebpf.Call:
		return d.call(o, ins)
	case operation == ebpf.Ja:
		o.code = opJump
	case operation == ebpf.Jcond:
		o.code = opMayGoto
	default:
		o.code = jumpCodes[operation] + forms(ins, ebpf.ClassJMP32)
		d.decided(o)
	}
	return nil
}

// decided makes a conditional jump that goes one way only unconditional.
func (d *decoder) decided(o *op) {
	if d.proof == nil {
		return
	}
	switch jumps, falls := d.proof.Branches(d.at); {
	case !falls:
		o.code = opJump
	case !jumps:
		o.code, o.off = opJump, int32(d.start+d.at+1)
	}
}

func (d *decoder) call(o *op, ins ebpf.Instruction) error {
	if why, ok := d.absent[d.at]; ok {
		d.emit(o, call{proto: &abi.Helper{}, fn: func(m *Machine, _ *[5]uint64) uint64 { return m.refuse(why) }})
		return nil
	}
	if ins.Src == ebpf.CallKfunc {
		return d.errorf("kernel functions are not supported: call to BTF id %d", ins.Imm)
	}
	c, err := d.m.newCall(ins.Imm, d.typ)
	if err != nil {
		return d.errorf("%v", err)
	}
	d.emit(o, c)
	if c.proto == abi.HelperByID(abi.MapLookupElem) {
		o.code = opMapLookup
	}
	return nil
}

// emit makes the op that calls c.
func (d *decoder) emit(o *op, c call) {
	c.sortArguments()
	o.code, o.imm = opCall, uint64(len(d.m.calls))
	d.m.calls = append(d.m.calls, c)
}

func (d *decoder) memory(o *op, ins ebpf.Instruction) error {
	width := opcode(bits.TrailingZeros(uint(ins.Op.Bytes())))
	switch class, mode := ins.Op.Class(), ins.Op.Mode(); {
	case ins.Op == ebpf.LoadImm64:
		return d.immediate64(o, ins)
	case class == ebpf.ClassLD && (mode == ebpf.ModeABS || mode == ebpf.ModeIND):
		if !d.typ.HasLegacyLoads() {
			return d.errorf("%v programs cannot use legacy packet loads", d.typ)
		}
		o.code, o.off = opLoadPacket+width, int32(mode&ebpf.ModeIND)
	case class == ebpf.ClassLDX && mode == ebpf.ModeMEM:
		o.code = d.checkedOr(opLoad, opLoadPlain, ins.Src, ins) + width
	case class == ebpf.ClassLDX && mode == ebpf.ModeMEMSX:
		o.code = opLoadSigned + width
	case class == ebpf.ClassSTX && mode == ebpf.ModeMEM:
		o.code = d.checkedOr(opStore, opStorePlain, ins.Dst, ins) + width
	case class == ebpf.ClassST && mode == ebpf.ModeMEM:
		o.code = d.checkedOr(opStoreImm, opStoreImmPlain, ins.Dst, ins) + width
	case class == ebpf.ClassSTX && mode == ebpf.ModeATOMIC:
		o.code = opAtomic + width
	}
	return nil
}

// checkedOr returns the plain code of an access that is known to be good, the
// other one else. A store to the packet stays checked, because a check that
// succeeds also notes that the packet has changed.
func (d *decoder) checkedOr(checked, plain opcode, base ebpf.Register, ins ebpf.Instruction) opcode {
	if base == ebpf.R10 && ins.Off >= -stackSize && int(ins.Off)+ins.Op.Bytes() <= 0 {
		return plain
	}
	if d.proof != nil && (checked == opLoad || d.proof.Regions(d.at)&(verifier.Packet|verifier.Metadata) == 0) {
		return plain
	}
	return checked
}

func (d *decoder) immediate64(o *op, ins ebpf.Instruction) error {
	switch ins.Src {
	case ebpf.WideValue:
	case ebpf.WideFunc:
		target, _ := ins.Target(d.at)
		d.m.targets[d.start+target] = true
		o.code, o.imm = opLoadImm64, functionAddress(d.start+target)
		return nil
	case ebpf.WideMapFD, ebpf.WideMapIndex, ebpf.WideMapValue, ebpf.WideMapIndexValue:
		value := ins.Src == ebpf.WideMapValue || ins.Src == ebpf.WideMapIndexValue
		addr, err := d.mapReference(ins.Imm, d.prog[d.at+1].Imm, value)
		o.code, o.imm = opLoadImm64, addr
		return err
	default:
		return d.errorf("references to variables of the kernel are not supported: %v", ins)
	}
	o.code = opLoadImm64
	o.imm = uint64(uint32(ins.Imm)) | uint64(d.prog[d.at+1].Imm)<<32
	return nil
}
