package vm

import "unsafe"

// A stop says why the interpreter's loop ended.
type stop uint8

const (
	stopExit   stop = iota // the program returned; R0 is its value
	stopBudget             // the instruction budget is used up
	stopFault              // the instruction at pc must not run; see Machine.diagnose
)

// interpret runs ops from m.pc on with at most m.left instructions, until the
// program returns, must not go on, or has used them up. It leaves pc and left
// where the run stopped: after stopBudget it can be called again.
//
// It is one function with one switch, because Go turns that into a jump table
// and keeps the loop's variables in registers. Registers are indexed with a
// mask, which costs nothing and spares the bounds check. What is rare or long
// is called: those functions say no, and the loop ends with stopFault.
func (m *Machine) interpret() stop {
	r := &m.reg
	ops := m.ops
	base := m.base
	pc := m.pc
	left := m.left
	for ; left > 0; left-- {
		o := &ops[pc]
		pc++
		switch o.code {
		// Arithmetic; divisions and the like are rare. Counts of shifts are
		// masked to the width, as by RFC 9669 §4.1.
		case opAdd:
			r[o.dst&15] += r[o.src&15]
		case opAdd + immediate:
			r[o.dst&15] += o.imm
		case opAdd + narrow:
			r[o.dst&15] = uint64(uint32(r[o.dst&15]) + uint32(r[o.src&15]))
		case opAdd + narrow + immediate:
			r[o.dst&15] = uint64(uint32(r[o.dst&15]) + uint32(o.imm))
		case opSub:
			r[o.dst&15] -= r[o.src&15]
		case opSub + immediate:
			r[o.dst&15] -= o.imm
		case opSub + narrow:
			r[o.dst&15] = uint64(uint32(r[o.dst&15]) - uint32(r[o.src&15]))
		case opSub + narrow + immediate:
			r[o.dst&15] = uint64(uint32(r[o.dst&15]) - uint32(o.imm))
		case opMul:
			r[o.dst&15] *= r[o.src&15]
		case opMul + immediate:
			r[o.dst&15] *= o.imm
		case opMul + narrow:
			r[o.dst&15] = uint64(uint32(r[o.dst&15]) * uint32(r[o.src&15]))
		case opMul + narrow + immediate:
			r[o.dst&15] = uint64(uint32(r[o.dst&15]) * uint32(o.imm))
		case opOr:
			r[o.dst&15] |= r[o.src&15]
		case opOr + immediate:
			r[o.dst&15] |= o.imm
		case opOr + narrow:
			r[o.dst&15] = uint64(uint32(r[o.dst&15]) | uint32(r[o.src&15]))
		case opOr + narrow + immediate:
			r[o.dst&15] = uint64(uint32(r[o.dst&15]) | uint32(o.imm))
		case opAnd:
			r[o.dst&15] &= r[o.src&15]
		case opAnd + immediate:
			r[o.dst&15] &= o.imm
		case opAnd + narrow:
			r[o.dst&15] = uint64(uint32(r[o.dst&15]) & uint32(r[o.src&15]))
		case opAnd + narrow + immediate:
			r[o.dst&15] = uint64(uint32(r[o.dst&15]) & uint32(o.imm))
		case opXor:
			r[o.dst&15] ^= r[o.src&15]
		case opXor + immediate:
			r[o.dst&15] ^= o.imm
		case opXor + narrow:
			r[o.dst&15] = uint64(uint32(r[o.dst&15]) ^ uint32(r[o.src&15]))
		case opXor + narrow + immediate:
			r[o.dst&15] = uint64(uint32(r[o.dst&15]) ^ uint32(o.imm))

		case opLsh:
			r[o.dst&15] <<= r[o.src&15] & 63
		case opLsh + immediate:
			r[o.dst&15] <<= o.imm & 63
		case opLsh + narrow:
			r[o.dst&15] = uint64(uint32(r[o.dst&15]) << (r[o.src&15] & 31))
		case opLsh + narrow + immediate:
			r[o.dst&15] = uint64(uint32(r[o.dst&15]) << (o.imm & 31))
		case opRsh:
			r[o.dst&15] >>= r[o.src&15] & 63
		case opRsh + immediate:
			r[o.dst&15] >>= o.imm & 63
		case opRsh + narrow:
			r[o.dst&15] = uint64(uint32(r[o.dst&15]) >> (r[o.src&15] & 31))
		case opRsh + narrow + immediate:
			r[o.dst&15] = uint64(uint32(r[o.dst&15]) >> (o.imm & 31))
		case opArsh:
			r[o.dst&15] = uint64(int64(r[o.dst&15]) >> (r[o.src&15] & 63))
		case opArsh + immediate:
			r[o.dst&15] = uint64(int64(r[o.dst&15]) >> (o.imm & 63))
		case opArsh + narrow:
			r[o.dst&15] = uint64(uint32(int32(r[o.dst&15]) >> (r[o.src&15] & 31)))
		case opArsh + narrow + immediate:
			r[o.dst&15] = uint64(uint32(int32(r[o.dst&15]) >> (o.imm & 31)))

		case opMov:
			r[o.dst&15] = r[o.src&15]
		case opMov + immediate, opMov + narrow + immediate:
			r[o.dst&15] = o.imm
		case opMov + narrow:
			r[o.dst&15] = uint64(uint32(r[o.src&15]))

		// Jumps, to the op at o.off.
		case opJeq:
			if r[o.dst&15] == r[o.src&15] {
				pc = int(o.off)
			}
		case opJeq + immediate:
			if r[o.dst&15] == o.imm {
				pc = int(o.off)
			}
		case opJeq + narrow:
			if uint32(r[o.dst&15]) == uint32(r[o.src&15]) {
				pc = int(o.off)
			}
		case opJeq + narrow + immediate:
			if uint32(r[o.dst&15]) == uint32(o.imm) {
				pc = int(o.off)
			}
		case opJne:
			if r[o.dst&15] != r[o.src&15] {
				pc = int(o.off)
			}
		case opJne + immediate:
			if r[o.dst&15] != o.imm {
				pc = int(o.off)
			}
		case opJne + narrow:
			if uint32(r[o.dst&15]) != uint32(r[o.src&15]) {
				pc = int(o.off)
			}
		case opJne + narrow + immediate:
			if uint32(r[o.dst&15]) != uint32(o.imm) {
				pc = int(o.off)
			}
		case opJgt:
			if r[o.dst&15] > r[o.src&15] {
				pc = int(o.off)
			}
		case opJgt + immediate:
			if r[o.dst&15] > o.imm {
				pc = int(o.off)
			}
		case opJgt + narrow:
			if uint32(r[o.dst&15]) > uint32(r[o.src&15]) {
				pc = int(o.off)
			}
		case opJgt + narrow + immediate:
			if uint32(r[o.dst&15]) > uint32(o.imm) {
				pc = int(o.off)
			}
		case opJge:
			if r[o.dst&15] >= r[o.src&15] {
				pc = int(o.off)
			}
		case opJge + immediate:
			if r[o.dst&15] >= o.imm {
				pc = int(o.off)
			}
		case opJge + narrow:
			if uint32(r[o.dst&15]) >= uint32(r[o.src&15]) {
				pc = int(o.off)
			}
		case opJge + narrow + immediate:
			if uint32(r[o.dst&15]) >= uint32(o.imm) {
				pc = int(o.off)
			}
		case opJlt:
			if r[o.dst&15] < r[o.src&15] {
				pc = int(o.off)
			}
		case opJlt + immediate:
			if r[o.dst&15] < o.imm {
				pc = int(o.off)
			}
		case opJlt + narrow:
			if uint32(r[o.dst&15]) < uint32(r[o.src&15]) {
				pc = int(o.off)
			}
		case opJlt + narrow + immediate:
			if uint32(r[o.dst&15]) < uint32(o.imm) {
				pc = int(o.off)
			}
		case opJle:
			if r[o.dst&15] <= r[o.src&15] {
				pc = int(o.off)
			}
		case opJle + immediate:
			if r[o.dst&15] <= o.imm {
				pc = int(o.off)
			}
		case opJle + narrow:
			if uint32(r[o.dst&15]) <= uint32(r[o.src&15]) {
				pc = int(o.off)
			}
		case opJle + narrow + immediate:
			if uint32(r[o.dst&15]) <= uint32(o.imm) {
				pc = int(o.off)
			}
		case opJset:
			if r[o.dst&15]&r[o.src&15] != 0 {
				pc = int(o.off)
			}
		case opJset + immediate:
			if r[o.dst&15]&o.imm != 0 {
				pc = int(o.off)
			}
		case opJset + narrow:
			if uint32(r[o.dst&15])&uint32(r[o.src&15]) != 0 {
				pc = int(o.off)
			}
		case opJset + narrow + immediate:
			if uint32(r[o.dst&15])&uint32(o.imm) != 0 {
				pc = int(o.off)
			}
		case opJsgt:
			if int64(r[o.dst&15]) > int64(r[o.src&15]) {
				pc = int(o.off)
			}
		case opJsgt + immediate:
			if int64(r[o.dst&15]) > int64(o.imm) {
				pc = int(o.off)
			}
		case opJsgt + narrow:
			if int32(r[o.dst&15]) > int32(r[o.src&15]) {
				pc = int(o.off)
			}
		case opJsgt + narrow + immediate:
			if int32(r[o.dst&15]) > int32(o.imm) {
				pc = int(o.off)
			}
		case opJsge:
			if int64(r[o.dst&15]) >= int64(r[o.src&15]) {
				pc = int(o.off)
			}
		case opJsge + immediate:
			if int64(r[o.dst&15]) >= int64(o.imm) {
				pc = int(o.off)
			}
		case opJsge + narrow:
			if int32(r[o.dst&15]) >= int32(r[o.src&15]) {
				pc = int(o.off)
			}
		case opJsge + narrow + immediate:
			if int32(r[o.dst&15]) >= int32(o.imm) {
				pc = int(o.off)
			}
		case opJslt:
			if int64(r[o.dst&15]) < int64(r[o.src&15]) {
				pc = int(o.off)
			}
		case opJslt + immediate:
			if int64(r[o.dst&15]) < int64(o.imm) {
				pc = int(o.off)
			}
		case opJslt + narrow:
			if int32(r[o.dst&15]) < int32(r[o.src&15]) {
				pc = int(o.off)
			}
		case opJslt + narrow + immediate:
			if int32(r[o.dst&15]) < int32(o.imm) {
				pc = int(o.off)
			}
		case opJsle:
			if int64(r[o.dst&15]) <= int64(r[o.src&15]) {
				pc = int(o.off)
			}
		case opJsle + immediate:
			if int64(r[o.dst&15]) <= int64(o.imm) {
				pc = int(o.off)
			}
		case opJsle + narrow:
			if int32(r[o.dst&15]) <= int32(r[o.src&15]) {
				pc = int(o.off)
			}
		case opJsle + narrow + immediate:
			if int32(r[o.dst&15]) <= int32(o.imm) {
				pc = int(o.off)
			}

		case opJump:
			pc = int(o.off)
		case opMayGoto:
			if m.loops == 0 {
				pc = int(o.off)
			} else {
				m.loops--
			}
		case opLoadImm64:
			r[o.dst&15] = o.imm
			pc++

		// Memory. A look at the packet's window first, then the whole rule. A
		// store into the packet is remembered: there is nothing to copy out of
		// the machine for a program that makes none.
		case opLoad:
			a := r[o.src&15] + uint64(o.off)
			if a-m.window[read].lo >= m.window[read].limit[0] && !m.reach(a, 0, read) {
				goto fault
			}
			r[o.dst&15] = uint64(*(*uint8)(unsafe.Add(base, a)))
		case opLoad + 1:
			a := r[o.src&15] + uint64(o.off)
			if a-m.window[read].lo >= m.window[read].limit[1] && !m.reach(a, 1, read) {
				goto fault
			}
			r[o.dst&15] = uint64(load16(unsafe.Add(base, a)))
		case opLoad + 2:
			a := r[o.src&15] + uint64(o.off)
			if a-m.window[read].lo >= m.window[read].limit[2] && !m.reach(a, 2, read) {
				goto fault
			}
			r[o.dst&15] = uint64(load32(unsafe.Add(base, a)))
		case opLoad + 3:
			a := r[o.src&15] + uint64(o.off)
			if a-m.window[read].lo >= m.window[read].limit[3] && !m.reach(a, 3, read) {
				goto fault
			}
			r[o.dst&15] = load64(unsafe.Add(base, a))
		case opLoadSigned:
			a := r[o.src&15] + uint64(o.off)
			if a-m.window[read].lo >= m.window[read].limit[0] && !m.reach(a, 0, read) {
				goto fault
			}
			r[o.dst&15] = uint64(int64(*(*int8)(unsafe.Add(base, a))))
		case opLoadSigned + 1:
			a := r[o.src&15] + uint64(o.off)
			if a-m.window[read].lo >= m.window[read].limit[1] && !m.reach(a, 1, read) {
				goto fault
			}
			r[o.dst&15] = uint64(int64(int16(load16(unsafe.Add(base, a)))))
		case opLoadSigned + 2:
			a := r[o.src&15] + uint64(o.off)
			if a-m.window[read].lo >= m.window[read].limit[2] && !m.reach(a, 2, read) {
				goto fault
			}
			r[o.dst&15] = uint64(int64(int32(load32(unsafe.Add(base, a)))))
		case opStore:
			a := r[o.dst&15] + uint64(o.off)
			if a-m.window[write].lo < m.window[write].limit[0] {
				m.dirty = true
			} else if !m.reach(a, 0, write) {
				goto fault
			}
			*(*uint8)(unsafe.Add(base, a)) = uint8(r[o.src&15])
		case opStore + 1:
			a := r[o.dst&15] + uint64(o.off)
			if a-m.window[write].lo < m.window[write].limit[1] {
				m.dirty = true
			} else if !m.reach(a, 1, write) {
				goto fault
			}
			store16(unsafe.Add(base, a), uint16(r[o.src&15]))
		case opStore + 2:
			a := r[o.dst&15] + uint64(o.off)
			if a-m.window[write].lo < m.window[write].limit[2] {
				m.dirty = true
			} else if !m.reach(a, 2, write) {
				goto fault
			}
			store32(unsafe.Add(base, a), uint32(r[o.src&15]))
		case opStore + 3:
			a := r[o.dst&15] + uint64(o.off)
			if a-m.window[write].lo < m.window[write].limit[3] {
				m.dirty = true
			} else if !m.reach(a, 3, write) {
				goto fault
			}
			store64(unsafe.Add(base, a), r[o.src&15])
		case opStoreImm:
			a := r[o.dst&15] + uint64(o.off)
			if a-m.window[write].lo < m.window[write].limit[0] {
				m.dirty = true
			} else if !m.reach(a, 0, write) {
				goto fault
			}
			*(*uint8)(unsafe.Add(base, a)) = uint8(o.imm)
		case opStoreImm + 1:
			a := r[o.dst&15] + uint64(o.off)
			if a-m.window[write].lo < m.window[write].limit[1] {
				m.dirty = true
			} else if !m.reach(a, 1, write) {
				goto fault
			}
			store16(unsafe.Add(base, a), uint16(o.imm))
		case opStoreImm + 2:
			a := r[o.dst&15] + uint64(o.off)
			if a-m.window[write].lo < m.window[write].limit[2] {
				m.dirty = true
			} else if !m.reach(a, 2, write) {
				goto fault
			}
			store32(unsafe.Add(base, a), uint32(o.imm))
		case opStoreImm + 3:
			a := r[o.dst&15] + uint64(o.off)
			if a-m.window[write].lo < m.window[write].limit[3] {
				m.dirty = true
			} else if !m.reach(a, 3, write) {
				goto fault
			}
			store64(unsafe.Add(base, a), o.imm)

		// Memory that needs no check: at R10, or proved.
		case opLoadPlain:
			r[o.dst&15] = uint64(*(*uint8)(unsafe.Add(base, r[o.src&15]+uint64(o.off))))
		case opLoadPlain + 1:
			r[o.dst&15] = uint64(load16(unsafe.Add(base, r[o.src&15]+uint64(o.off))))
		case opLoadPlain + 2:
			r[o.dst&15] = uint64(load32(unsafe.Add(base, r[o.src&15]+uint64(o.off))))
		case opLoadPlain + 3:
			r[o.dst&15] = load64(unsafe.Add(base, r[o.src&15]+uint64(o.off)))
		case opStorePlain:
			*(*uint8)(unsafe.Add(base, r[o.dst&15]+uint64(o.off))) = uint8(r[o.src&15])
		case opStorePlain + 1:
			store16(unsafe.Add(base, r[o.dst&15]+uint64(o.off)), uint16(r[o.src&15]))
		case opStorePlain + 2:
			store32(unsafe.Add(base, r[o.dst&15]+uint64(o.off)), uint32(r[o.src&15]))
		case opStorePlain + 3:
			store64(unsafe.Add(base, r[o.dst&15]+uint64(o.off)), r[o.src&15])
		case opStoreImmPlain:
			*(*uint8)(unsafe.Add(base, r[o.dst&15]+uint64(o.off))) = uint8(o.imm)
		case opStoreImmPlain + 1:
			store16(unsafe.Add(base, r[o.dst&15]+uint64(o.off)), uint16(o.imm))
		case opStoreImmPlain + 2:
			store32(unsafe.Add(base, r[o.dst&15]+uint64(o.off)), uint32(o.imm))
		case opStoreImmPlain + 3:
			store64(unsafe.Add(base, r[o.dst&15]+uint64(o.off)), o.imm)

		// Calls and returns.
		case opCall:
			m.pc = pc // helpers that call back or away change it
			if !m.call(o) {
				goto fault
			}
			pc = m.pc
		case opMapLookup:
			if !m.lookup() && !m.call(o) {
				goto fault
			}
		case opCallLocal:
			if !m.enter(pc) {
				goto fault
			}
			pc = int(o.off)
		case opCallRegister:
			m.pc = pc
			if !m.callRegister(r[o.dst&15]) {
				goto fault
			}
			pc = m.pc
		case opLoadPacket, opLoadPacket + 1, opLoadPacket + 2:
			switch m.loadPacket(o) {
			case packetWrongContext:
				goto fault
			case packetOutside:
				r[0] = 0
				if m.depth == 0 {
					left--
					goto exit
				}
				pc = m.leave()
			}
		case opExit:
			if m.depth == 0 {
				left--
				goto exit
			}
			pc = m.leave()
		case opInvalid:
			goto fault
		default:
			if !m.rare(o) {
				goto fault
			}
		}
	}
	m.pc, m.left = pc, left
	return stopBudget
exit:
	m.pc, m.left = pc, left
	return stopExit
fault:
	m.pc, m.left = pc-1, left
	return stopFault
}
