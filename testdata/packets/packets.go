// Package packets makes the packets that tests run filters and programs over:
// hand-made good ones of every protocol that the filter language names, random
// compositions of the same headers, and spoilt ones (mutated, cut short,
// noise), for every link type that the filter compiler knows.
//
// Everything is a function of its arguments: the same link type, seed and
// number always give the same bytes, so that a failure is found again by its
// number, and a capture file made from them can be compared byte by byte.
//
// Addresses come from a small pool (see pool.go), ports and VLAN ids likewise,
// so that a filter written with them matches some packets and not others.
package packets

import (
	"sync"

	"github.com/bpflab/bpflab/cbpf"
)

// A Sample is a good packet: complete, with right lengths and checksums.
type Sample struct {
	Name string // such as "ipv4 tcp 80 syn", unique within a link type
	Data []byte
}

// A Packet is what a capture would hold: the captured bytes and the length
// that the packet had on the wire, WireLen >= len(Data).
type Packet struct {
	Data    []byte
	WireLen uint32
}

// Samples returns the hand-made packets of a link type. It returns nil for a
// link type that is not among [cbpf.LinkTypes]. Callers must not change the bytes.
func Samples(lt cbpf.LinkType) []Sample {
	return samples()[lt]
}

// samples makes the packets of all link types once: tests ask for them often.
var samples = sync.OnceValue(func() map[cbpf.LinkType][]Sample {
	all := make(map[cbpf.LinkType][]Sample)
	for _, lt := range cbpf.LinkTypes() {
		for _, s := range networkSamples() {
			if frame, ok := wrap(lt, s.etherType, s.data); ok {
				all[lt] = append(all[lt], Sample{s.name, frame})
			}
		}
		all[lt] = append(all[lt], linkSamples(lt)...)
	}
	return all
})
