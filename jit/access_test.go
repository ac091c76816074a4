package jit

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

var sizes = []ebpf.Opcode{ebpf.SizeB, ebpf.SizeH, ebpf.SizeW, ebpf.SizeDW}

// A place to access: instructions that put the address into a register, and the
// offsets to access it at.
type addressed struct {
	at      func(ebpf.Register) []ebpf.Instruction
	offsets []int16
}

var addresses = []addressed{
	{ // on the stack, which the compiler knows
		func(r ebpf.Register) []ebpf.Instruction {
			return []ebpf.Instruction{ebpf.Mov64(r, ebpf.R10), ebpf.ALU64Imm(ebpf.Add, r, -64)}
		}, []int16{cellSpace + 64},
	},
	{ // in a value at an address that the compiler knows
		func(r ebpf.Register) []ebpf.Instruction { return mapAddress(r, ebpf.WideMapValue) },
		[]int16{0, 8, 120, 128, -128, -136, math.MaxInt16 - 7, math.MinInt16},
	},
	{ // in a value at an address that it does not know
		func(r ebpf.Register) []ebpf.Instruction {
			return []ebpf.Instruction{ebpf.Load(ebpf.SizeDW, r, ebpf.R10, cellBase)}
		}, []int16{0, 8, 120, 128, -128, -136, math.MaxInt16 - 7, math.MinInt16},
	},
}

// eachAddress calls visit for all pairs of registers, of which the first has an
// address.
func eachAddress(rnd *rand.Rand, visit func(setup []ebpf.Instruction, base, other ebpf.Register, off int16)) {
	eachPair(func(base, other ebpf.Register) {
		for _, a := range addresses {
			visit(a.at(base), base, other, a.offsets[rnd.IntN(len(a.offsets))])
		}
	})
}

func TestLoads(t *testing.T) {
	rnd := rand.New(rand.NewPCG(2026, 6))
	var cells []cell
	for _, size := range sizes {
		for _, mode := range []ebpf.Opcode{ebpf.ModeMEM, ebpf.ModeMEMSX} {
			if mode == ebpf.ModeMEMSX && size == ebpf.SizeDW {
				continue
			}
			eachAddress(rnd, func(setup []ebpf.Instruction, base, dst ebpf.Register, off int16) {
				value := (base + 1) % 10 // something to load
				c := append(append(cell{}, setup...), ebpf.Store(ebpf.SizeDW, base, off, value),
					ebpf.Instruction{Op: ebpf.ClassLDX | mode | size, Dst: dst, Src: base, Off: off})
				if dst != base {
					c = append(c, ebpf.Mov64Imm(base, 0))
				}
				cells = append(cells, c)
				if mode == ebpf.ModeMEM && size != ebpf.SizeB { // in network byte order
					c = append(c, ebpf.ToBE(dst, int32(8*size.Bytes())))
					cells = append(cells, c)
				}
			})
		}
	}
	checkCells(t, some(rnd, cells, 2500))
}

// some returns n of the cells.
func some(rnd *rand.Rand, cells []cell, n int) []cell {
	rnd.Shuffle(len(cells), func(i, j int) { cells[i], cells[j] = cells[j], cells[i] })
	return cells[:min(n, len(cells))]
}

func TestStores(t *testing.T) {
	rnd := rand.New(rand.NewPCG(2026, 7))
	var cells []cell
	for _, size := range sizes {
		eachAddress(rnd, func(setup []ebpf.Instruction, base, src ebpf.Register, off int16) {
			end := []ebpf.Instruction{ebpf.Load(ebpf.SizeDW, base, base, off)}
			if rnd.IntN(2) == 0 { // over what was there
				setup = append(setup[:len(setup):len(setup)], ebpf.StoreImm(ebpf.SizeDW, base, off, rnd.Int32()))
			}
			if src != base {
				known := prefixes(src)[rnd.IntN(len(prefixes(src)))]
				for _, before := range []cell{nil, known} {
					c := append(append(append(cell{}, before...), setup...), ebpf.Store(size, base, off, src))
					cells = append(cells, append(c, end...))
				}
			}
			c := append(append(cell{}, setup...), ebpf.StoreImm(size, base, off, immediates[rnd.IntN(len(immediates))]))
			cells = append(cells, append(c, end...))
		})
	}
	checkCells(t, cells)
}

// TestAtomics has all operations, on all registers: R0, which compare-and-exchange
// uses, as address and as operand, too.
func TestAtomics(t *testing.T) {
	rnd := rand.New(rand.NewPCG(2026, 8))
	operations := []int32{
		ebpf.AtomicAdd, ebpf.AtomicOr, ebpf.AtomicAnd, ebpf.AtomicXor, ebpf.AtomicAdd | ebpf.AtomicFetch, ebpf.AtomicOr | ebpf.AtomicFetch,
		ebpf.AtomicAnd | ebpf.AtomicFetch, ebpf.AtomicXor | ebpf.AtomicFetch, ebpf.AtomicXchg, ebpf.AtomicCmpXchg,
	}
	var cells []cell
	for _, op := range operations {
		for _, size := range []ebpf.Opcode{ebpf.SizeW, ebpf.SizeDW} {
			eachAddress(rnd, func(setup []ebpf.Instruction, base, src ebpf.Register, off int16) {
				if base == src || base == ebpf.R0 && op == ebpf.AtomicCmpXchg {
					return // would let the address out
				}
				off &^= 7 // atomics are aligned
				c := append(append(cell{}, setup...), ebpf.Store(ebpf.SizeDW, base, off, 1+(base+ebpf.Register(rnd.IntN(8)))%9))
				if c[len(c)-1].Src == base {
					c[len(c)-1] = ebpf.StoreImm(ebpf.SizeDW, base, off, rnd.Int32())
				}
				if op == ebpf.AtomicCmpXchg && rnd.IntN(2) == 0 { // so that it is equal, at least in the lower half
					c[len(c)-1] = ebpf.Store(ebpf.SizeDW, base, off, 0)
				}
				c = append(c, ebpf.Instruction{Op: ebpf.ClassSTX | ebpf.ModeATOMIC | size, Dst: base, Src: src, Off: off, Imm: op})
				cells = append(cells, append(c, ebpf.Load(ebpf.SizeDW, base, base, off)))
			})
		}
	}
	checkCells(t, some(rnd, cells, 2500))
}

// TestAcquireAndRelease has the loads and stores among the atomic operations.
func TestAcquireAndRelease(t *testing.T) {
	rnd := rand.New(rand.NewPCG(2026, 9))
	var cells []cell
	for _, size := range sizes {
		eachAddress(rnd, func(setup []ebpf.Instruction, base, other ebpf.Register, off int16) {
			off &^= 7
			value := (base + 1) % 10
			load := ebpf.Instruction{Op: ebpf.ClassSTX | ebpf.ModeATOMIC | size, Dst: other, Src: base, Off: off, Imm: ebpf.LoadAcquire}
			c := append(append(cell{}, setup...), ebpf.Store(ebpf.SizeDW, base, off, value), load)
			if other != base {
				store := ebpf.Instruction{Op: ebpf.ClassSTX | ebpf.ModeATOMIC | size, Dst: base, Src: other, Off: off, Imm: ebpf.StoreRelease}
				s := append(append(cell{}, setup...), ebpf.StoreImm(ebpf.SizeDW, base, off, -1), store, ebpf.Load(ebpf.SizeDW, base, base, off))
				cells = append(cells, s)
				c = append(c, ebpf.Mov64Imm(base, 0))
			}
			cells = append(cells, c)
		})
	}
	checkCells(t, some(rnd, cells, 1500))
}

// TestLegacyLoads has loads from the packet by offsets in it, of which many lie
// outside: few in a program, which ends there.
func TestLegacyLoads(t *testing.T) {
	rnd := rand.New(rand.NewPCG(2026, 10))
	var cells []cell
	for range 360 {
		c := cell{ebpf.Load(ebpf.SizeDW, ebpf.R6, ebpf.R10, cellR6)}
		for range 1 + rnd.IntN(3) {
			size := sizes[rnd.IntN(3)]
			off := []int32{int32(rnd.IntN(60)), int32(rnd.IntN(60)), int32(rnd.IntN(200)), math.MaxInt32 - int32(rnd.IntN(9)), 1<<30 - 2 + int32(rnd.IntN(8))}[rnd.IntN(8)%5]
			switch rnd.IntN(6) {
			case 0, 1:
				c = append(c, ebpf.LoadAbs(size, off))
			case 2:
				c = append(c, ebpf.LoadAbs(size, []int32{-0x100000, -0x200000}[rnd.IntN(2)]+off&63))
			case 3: // the offset in a register is small
				c = append(c, ebpf.ALU32Imm(ebpf.And, ebpf.R7, 0x3c), ebpf.LoadInd(size, ebpf.R7, off))
			case 4: // or anything
				c = append(c, ebpf.LoadInd(size, ebpf.R8, off))
			case 5: // or known
				c = append(c, load64(ebpf.R9, numbersNear[rnd.IntN(len(numbersNear))])...)
				c = append(c, ebpf.LoadInd(size, ebpf.R9, off))
			}
			if rnd.IntN(3) == 0 {
				jump := ebpf.Instruction{Op: []ebpf.Opcode{ebpf.ClassJMP, ebpf.ClassJMP32}[rnd.IntN(2)] | conditions[rnd.IntN(len(conditions))], Off: 1}
				c = append(c, marked(withImmediate(jump, ebpf.R0, int32(operand(rnd))))...)
			}
		}
		end := cell{ebpf.Mov64Imm(ebpf.R6, 0)}
		for r := ebpf.R1; r <= ebpf.R5; r++ {
			end = append(end, ebpf.Mov64Imm(r, 0))
		}
		if rnd.IntN(2) == 0 {
			end = append(end, ebpf.Mov64Imm(ebpf.R0, 0))
		}
		cells = append(cells, append(c, end...))
	}
	checkCellsTogether(t, cells, 3)
}

// TestLoadsBeforeThePacket has offsets in registers that count from a header, of
// which lean code knows only when it comes to them.
func TestLoadsBeforeThePacket(t *testing.T) {
	for _, base := range []int{-0x100000, -0x200000, 0} {
		sameAsInterpreter(t, callPackets(40), nil, proveText(t, abi.SchedCLS, fmt.Sprintf(`
			r6 = r1
			r7 = *(u32 *)(r1 + 0)
			r7 &= 15
			r7 += %d
			r0 = *(u8 *)skb[r7 + 3]
			exit`, base)))
	}
}

// TestStoresToThePacket has programs of one store: what a run leaves is the packet
// with it.
func TestStoresToThePacket(t *testing.T) {
	for _, store := range []string{"*(u16 *)(r2 + 2) = 9", "*(u8 *)(r2 + 2) = r0"} {
		sameAsInterpreter(t, callPackets(20), nil, proveText(t, abi.XDP, `
			r2 = *(u32 *)(r1 + 0)
			r3 = *(u32 *)(r1 + 4)
			r4 = r2
			r4 += 14
			r0 = 1
			if r4 > r3 goto out
			r0 = 2
			`+store+`
		out:	exit`))
	}
}
