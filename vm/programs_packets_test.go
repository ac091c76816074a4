package vm_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/testdata/packets"
)

// traffic is packets of every kind, good and spoilt. In a test run there is no
// more of a packet than its bytes, so that the length on the wire is lost.
func traffic(seed uint64, n int) [][]byte {
	var all [][]byte
	for _, p := range packets.Generate(cbpf.LinkEthernet, seed, n) {
		all = append(all, bytes.Clone(p.Data))
	}
	return all
}

// linkHeader is the length of the Ethernet header. A socket filter does not see
// it in a test run, and the kernel returns zero bytes for it.
const linkHeader = 14

// Offsets in a packet with an IPv4 header without options.
const (
	fragment4 = linkHeader + 6
	protocol4 = linkHeader + 9
	source4   = linkHeader + 12
	dest4     = linkHeader + 16
	ports4    = linkHeader + 20
)

// hasPorts4 reports whether a packet has ports where they are without options.
func hasPorts4(b []byte) bool {
	return len(b) >= ports4+8 && b[12] == 8 && b[13] == 0 && b[linkHeader] == 0x45 &&
		binary.BigEndian.Uint16(b[fragment4:])&0x3fff == 0 && (b[protocol4] == 6 || b[protocol4] == 17)
}

// An endpoint is an address, a port and a protocol, in bytes as all programs
// here have them in their maps.
type endpoint [8]byte

func newEndpoint(address string, port uint16, protocol byte) (e endpoint) {
	a := netip.MustParseAddr(address).As4()
	copy(e[:], a[:])
	binary.BigEndian.PutUint16(e[4:], port)
	e[6] = protocol
	return e
}

// sendTo gives three quarters of the packets that have ports another
// destination.
func sendTo(in [][]byte, rng *rand.Rand, to []endpoint) [][]byte {
	for _, b := range in {
		if hasPorts4(b) && rng.IntN(4) != 0 {
			e := to[rng.IntN(len(to))]
			copy(b[dest4:], e[:4])
			copy(b[ports4+2:], e[4:6])
			b[protocol4] = e[6]
		}
	}
	return in
}

// answers turns packets that have ports around.
func answers(in [][]byte) [][]byte {
	var out [][]byte
	for _, b := range in {
		b = bytes.Clone(b)
		if hasPorts4(b) {
			var a [4]byte
			copy(a[:], b[source4:])
			copy(b[source4:], b[dest4:dest4+4])
			copy(b[dest4:], a[:])
			copy(a[:2], b[ports4:])
			copy(b[ports4:], b[ports4+2:ports4+4])
			copy(b[ports4+2:], a[:2])
		}
		out = append(out, b)
	}
	return out
}

// chains is IPv6 packets with up to twelve extension headers, one in four cut
// short.
func chains(rng *rand.Rand, n int) [][]byte {
	var all [][]byte
	for range n {
		headers := []byte{0, 43, 44, 51, 60}
		b := make([]byte, linkHeader+40)
		b[12], b[13], b[linkHeader] = 0x86, 0xdd, 0x60
		next := &b[linkHeader+6]
		for range rng.IntN(13) {
			kind := headers[rng.IntN(len(headers))]
			*next = kind
			h := make([]byte, 8*(1+rng.IntN(3)))
			switch kind {
			case 51:
				h[1] = byte(len(h)/4 - 2)
			case 44:
				h = h[:8]
				if rng.IntN(8) == 0 {
					h[3] = byte(rng.IntN(256))
				}
			default:
				h[1] = byte(len(h)/8 - 1)
				h[2] = byte(rng.IntN(6))
			}
			b = append(b, h...)
			next = &b[len(b)-len(h)]
		}
		*next = []byte{6, 17, 50, 58, 59, 132}[rng.IntN(6)]
		b = append(b, make([]byte, 8)...)
		if rng.IntN(4) == 0 {
			b = b[:linkHeader+40+rng.IntN(len(b)-linkHeader-40)]
		}
		all = append(all, b)
	}
	return all
}
