package jit

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm/engine"
)

var conditions = []ebpf.Opcode{ebpf.Jeq, ebpf.Jgt, ebpf.Jge, ebpf.Jset, ebpf.Jne, ebpf.Jsgt, ebpf.Jsge, ebpf.Jlt, ebpf.Jle, ebpf.Jslt, ebpf.Jsle}

// eachCondition calls visit for all conditional jumps, over one instruction.
func eachCondition(visit func(ebpf.Instruction)) {
	for _, class := range []ebpf.Opcode{ebpf.ClassJMP, ebpf.ClassJMP32} {
		for _, op := range conditions {
			visit(ebpf.Instruction{Op: class | op, Off: 1})
		}
	}
}

// marked puts the store of a mark behind a jump.
func marked(jump ebpf.Instruction) cell {
	return cell{jump, ebpf.StoreImm(ebpf.SizeDW, ebpf.R10, cellMark, 2)}
}

func TestJumps(t *testing.T) {
	var cells []cell
	eachCondition(func(ins ebpf.Instruction) {
		eachPair(func(dst, src ebpf.Register) { cells = append(cells, marked(withRegisters(ins, dst, src))) })
		for i, imm := range immediates {
			cells = append(cells, marked(withImmediate(ins, ebpf.Register(i%10), imm)))
		}
	})
	checkCells(t, cells)
}

// TestJumpsOnKnownNumbers compares what the compiler knows something of.
func TestJumpsOnKnownNumbers(t *testing.T) {
	rnd := rand.New(rand.NewPCG(2026, 4))
	var cells []cell
	eachCondition(func(ins ebpf.Instruction) {
		for _, x := range prefixes(0) {
			for _, y := range prefixes(0) {
				if rnd.IntN(5) > 0 {
					continue
				}
				pair := somePairs[rnd.IntN(len(somePairs))]
				c := append(append(cell{}, retarget(x, pair[0])...), retarget(y, pair[1])...)
				cells = append(cells, append(c, marked(withRegisters(ins, pair[0], pair[1]))...))
			}
			dst := ebpf.Register(rnd.IntN(10))
			c := append(cell{}, retarget(x, dst)...)
			cells = append(cells, append(c, marked(withImmediate(ins, dst, immediates[rnd.IntN(len(immediates))]))...))
		}
	})
	checkCells(t, cells)
}

// TestJumpsOnMemory compares what was just loaded, or masked, and is not needed
// any more.
func TestJumpsOnMemory(t *testing.T) {
	rnd := rand.New(rand.NewPCG(2026, 5))
	var cells []cell
	add := func(first, jump ebpf.Instruction, before ...ebpf.Instruction) {
		c := append(append(cell{}, before...), first)
		c = append(c, marked(jump)...)
		cells = append(cells, append(c, ebpf.Mov64Imm(jump.Dst, 0)))
	}
	eachCondition(func(ins ebpf.Instruction) {
		for _, imm := range append([]int32{0x7f, 0x80, 0xff, 0x100, 0x81, 0xfffe, 0x1ff}, immediates...) {
			dst := ebpf.Register(rnd.IntN(10))
			off := int16(cellInput + rnd.IntN(9)*8)
			jump := withImmediate(ins, dst, imm)
			for _, size := range []ebpf.Opcode{ebpf.SizeB, ebpf.SizeH, ebpf.SizeW, ebpf.SizeDW} {
				add(ebpf.Load(size, dst, ebpf.R10, off), jump)
				if size != ebpf.SizeDW {
					add(ebpf.Instruction{Op: ebpf.ClassLDX | ebpf.ModeMEMSX | size, Dst: dst, Src: ebpf.R10, Off: off}, jump)
				}
			}
			// The constant in a register.
			other := (dst + 1 + ebpf.Register(rnd.IntN(9))) % 10
			wide := withRegisters(ins, dst, other)
			size := []ebpf.Opcode{ebpf.SizeB, ebpf.SizeH, ebpf.SizeW, ebpf.SizeDW}[rnd.IntN(4)]
			add(ebpf.Load(size, dst, ebpf.R10, off), wide, load64(other, numbersNear[rnd.IntN(len(numbersNear))])...)
			for _, mask := range []int32{imm, 0} {
				for _, and := range []ebpf.Instruction{ebpf.ALU64Imm(ebpf.And, dst, mask), ebpf.ALU32Imm(ebpf.And, dst, mask),
					ebpf.ALU64(ebpf.And, dst, other), ebpf.ALU32(ebpf.And, dst, other)} {
					add(and, withImmediate(ins, dst, int32(rnd.IntN(2))*imm))
				}
			}
		}
	})
	rnd.Shuffle(len(cells), func(i, j int) { cells[i], cells[j] = cells[j], cells[i] })
	checkCells(t, cells[:2500])
}

// TestComparisonsWithTheEnd compares places in the packet with its end, which lean
// code does with the length.
func TestComparisonsWithTheEnd(t *testing.T) {
	in := make([]engine.Packet, 40)
	for i := range in {
		in[i] = engine.Packet{Data: make([]byte, i), WireLen: uint32(i)}
	}
	for _, cmp := range []string{"r2 > r3", "r2 >= r3", "r2 < r3", "r2 <= r3", "r3 > r2", "r3 >= r2", "r3 < r2", "r3 <= r2", "r2 == r3", "r2 != r3"} {
		for _, off := range []int{0, 1, 20, 200} {
			sameAsInterpreter(t, in, nil, proveText(t, abi.XDP, fmt.Sprintf(`
				r2 = *(u32 *)(r1 + 0)
				r3 = *(u32 *)(r1 + 4)
				r2 += %d
				r0 = 1
				if %s goto out
				r0 = 2
			out:	exit`, off, cmp)))
		}
	}
}

// TestLengthWherePathsMeet has a load behind paths of which one has looked further
// into the packet than the other, which is the longer way.
func TestLengthWherePathsMeet(t *testing.T) {
	in := callPackets(60)
	for i := range in {
		if len(in[i].Data) > 0 && i%3 > 0 {
			in[i].Data[0] = 7
		}
	}
	sameAsInterpreter(t, in, nil, proveText(t, abi.SchedCLS, `
		r6 = r1
		r0 = *(u8 *)skb[0]
		if r0 == 7 goto far
		r0 = *(u8 *)skb[50]
		goto meet
	far:	r0 = *(u8 *)skb[1]
		if r0 == 99 goto out
		r7 = r0
		goto further
	further:	r0 = *(u8 *)skb[2]
		if r0 == 98 goto out
	meet:	r0 = *(u8 *)skb[40]
		r0 += 1
	out:	exit`))
}
