package vm

import (
	"encoding/binary"
	"math/bits"
)

// The checksum helpers. Internet checksums are sums in ones' complement, which
// are the same for all byte orders as long as one is kept to: here bytes are
// taken as the machine's little-endian words, as in the kernel.

// sum32 adds in ones' complement (csum_add).
func sum32(a, b uint32) uint32 {
	s, carry := bits.Add32(a, b, 0)
	return s + carry
}

// fold makes the 16-bit checksum of a sum (csum_fold).
func fold(sum uint32) uint16 { return ^fold16(sum) }

// fold16 is csum_from32to16.
func fold16(sum uint32) uint16 {
	sum = sum&0xffff + sum>>16
	return uint16(sum&0xffff + sum>>16)
}

// sumBytes adds up 32-bit words, the last filled up with zero bytes
// (csum_partial).
func sumBytes(b []byte, sum uint32) uint32 {
	total := uint64(sum)
	for ; len(b) >= 4; b = b[4:] {
		total += uint64(binary.LittleEndian.Uint32(b))
	}
	var rest [4]byte
	copy(rest[:], b)
	total += uint64(binary.LittleEndian.Uint32(rest[:]))
	return sum32(uint32(total), uint32(total>>32))
}

// csumDiff is bpf_csum_diff: the sum of what replaces some bytes minus that of
// the bytes, from a seed on. It follows newer kernels than 6.12: they fold the
// sum to 16 bits on all processors, where x86 gave 32 bits of the same meaning,
// and take any length, where it had to be a multiple of 4.
func csumDiff(m *Machine, a *[5]uint64) uint64 {
	from, to, seed := m.bytes(a[0], uint64(uint32(a[1]))), m.bytes(a[2], uint64(uint32(a[3]))), uint32(a[4])
	sum := seed
	switch {
	case len(from) > 0 && len(to) > 0:
		sum = sum32(sumBytes(to, seed), ^sumBytes(from, 0))
	case len(to) > 0:
		sum = sumBytes(to, seed)
	case len(from) > 0:
		sum = ^sumBytes(from, ^seed)
	}
	return uint64(fold16(sum))
}

// Flags of the helpers that replace checksums: the width of what has changed
// (0 for a difference, 2 or 4), and for the transport's checksum more.
const (
	fieldMask    = 0xf
	pseudoHeader = 1 << 4
	mangledZero  = 1 << 5
	markEnforce  = 1 << 6
	overIPv6     = 1 << 7
)

// checksumField returns the 16-bit checksum at an offset of the packet.
func (m *Machine) checksumField(off uint32) ([]byte, errno) {
	if off > 0xffff || off%2 != 0 {
		return nil, eFAULT
	}
	b, ok := m.packetBytes(uint64(off), 2)
	if !ok {
		return nil, eFAULT
	}
	return b, 0
}

// l3CsumReplace corrects the checksum of a network header.
func l3CsumReplace(m *Machine, a *[5]uint64) uint64 {
	from, to, flags := a[2], a[3], a[4]
	if flags&^fieldMask != 0 {
		return eINVAL.negative()
	}
	field, failed := m.checksumField(uint32(a[1]))
	if failed != 0 {
		return failed.negative()
	}
	sum := binary.LittleEndian.Uint16(field)
	switch {
	case flags == 0 && from == 0, flags == 4:
		sum = replaced(sum, uint32(from), uint32(to))
	case flags == 2:
		sum = replaced(sum, uint32(uint16(from)), uint32(uint16(to)))
	default:
		return eINVAL.negative()
	}
	binary.LittleEndian.PutUint16(field, sum)
	m.dirty = true
	return 0
}

// replaced corrects a checksum for a word that has changed (csum_replace4).
func replaced(sum uint16, from, to uint32) uint16 {
	return fold(sum32(sum32(uint32(^sum), ^from), to))
}

// l4CsumReplace corrects the checksum of a transport header, where UDP knows 0
// as none.
func l4CsumReplace(m *Machine, a *[5]uint64) uint64 {
	from, to, flags := a[2], a[3], a[4]
	if flags&^(fieldMask|pseudoHeader|mangledZero|markEnforce|overIPv6) != 0 {
		return eINVAL.negative()
	}
	field, failed := m.checksumField(uint32(a[1]))
	if failed != 0 {
		return failed.negative()
	}
	sum := binary.LittleEndian.Uint16(field)
	if flags&mangledZero != 0 && flags&markEnforce == 0 && sum == 0 {
		return 0
	}
	switch width := flags & fieldMask; {
	case width == 0 && from == 0:
		sum = fold(sum32(uint32(to), uint32(^sum)))
	case width == 4:
		sum = replaced(sum, uint32(from), uint32(to))
	case width == 2:
		sum = replaced(sum, uint32(uint16(from)), uint32(uint16(to)))
	default:
		return eINVAL.negative()
	}
	if flags&mangledZero != 0 && sum == 0 {
		sum = 0xffff
	}
	binary.LittleEndian.PutUint16(field, sum)
	m.dirty = true
	return 0
}

// csumUpdate is about a checksum of the whole packet by the device, which a
// capture does not have.
func csumUpdate(*Machine, *[5]uint64) uint64 { return eNOTSUPP.negative() }

// csumLevel is about how many checksums the device has found right: none to
// begin with, here as in the kernel's test runs.
func csumLevel(m *Machine, a *[5]uint64) uint64 {
	switch a[1] {
	case 0: // BPF_CSUM_LEVEL_QUERY
		if m.buffer.checked == 0 {
			return eACCES.negative()
		}
		return uint64(m.buffer.checked - 1)
	case 1: // BPF_CSUM_LEVEL_INC
		m.buffer.checked = min(m.buffer.checked+1, maxChecked)
	case 2: // BPF_CSUM_LEVEL_DEC
		m.buffer.checked = max(m.buffer.checked, 1) - 1
	case 3: // BPF_CSUM_LEVEL_RESET
		m.buffer.checked = 0
	default:
		return eINVAL.negative()
	}
	return 0
}

// maxChecked is SKB_MAX_CSUM_LEVEL and one.
const maxChecked = 4
