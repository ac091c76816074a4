package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/vm/capture"
)

// Packets reads the packets that a program of [NewFilterProgram] copies. It must
// be closed before the collection.
type Packets struct {
	counts  *Map
	records *Records // nil if the program does not copy
	link    cbpf.LinkType
	epoch   int64 // of CLOCK_MONOTONIC, in nanoseconds since 1970
	packet  capture.Packet
	tagged  []byte // a packet whose VLAN tag has been put back
}

// NewPackets begins to read; link is what the packets begin with.
func (c *Collection) NewPackets(link cbpf.LinkType) (*Packets, error) {
	p := &Packets{link: link}
	var err error
	if p.counts, err = c.Map(countsMap); err != nil {
		return nil, err
	}
	if p.epoch, err = monotonicEpoch(); err != nil {
		return nil, err
	}
	m, err := c.Map(packetsMap)
	if err != nil {
		return p, nil
	}
	p.records, err = m.Records()
	return p, err
}

// monotonicEpoch returns when the clock of programs was 0.
func monotonicEpoch() (int64, error) {
	var wall, monotonic unix.Timespec
	err := errors.Join(unix.ClockGettime(unix.CLOCK_MONOTONIC, &monotonic), unix.ClockGettime(unix.CLOCK_REALTIME, &wall))
	return wall.Nano() - monotonic.Nano(), err
}

// Next waits for a packet. It and its bytes are overwritten by the following
// call. The error is io.EOF when there is no more after Stop.
//
// A VLAN tag that the kernel has taken out stands in the bytes again.
func (p *Packets) Next() (*capture.Packet, error) {
	record, _, err := p.records.Next()
	if err != nil {
		return nil, err
	}
	field := func(at int) uint32 { return binary.NativeEndian.Uint32(record[at:]) }
	if len(record) < recordHeaderLen || int(field(recordCapLen)) > len(record)-recordHeaderLen {
		return nil, fmt.Errorf("a record of %d bytes is none of a packet", len(record))
	}
	p.packet = capture.Packet{
		Time:     p.epoch + int64(binary.NativeEndian.Uint64(record[recordTime:])),
		Data:     record[recordHeaderLen:][:field(recordCapLen)],
		WireLen:  field(recordWireLen),
		LinkType: p.link,
	}
	p.packet.SetDevice(field(recordIndex), uint8(field(recordType)))
	if tpid := field(recordTPID); tpid != 0 && p.link == cbpf.LinkEthernet {
		p.putTag(uint16(tpid), uint16(field(recordTCI)))
	}
	return &p.packet, nil
}

// putTag puts a VLAN tag behind the addresses; tpid is in network order.
func (p *Packets) putTag(tpid, tci uint16) {
	const addresses = 12
	data := p.packet.Data
	if len(data) < addresses {
		return
	}
	p.tagged = append(p.tagged[:0], data[:addresses]...)
	p.tagged = binary.NativeEndian.AppendUint16(p.tagged, tpid)
	p.tagged = binary.BigEndian.AppendUint16(p.tagged, tci)
	p.packet.Data = append(p.tagged, data[addresses:]...)
	p.tagged = p.packet.Data
	p.packet.WireLen += 4
}

// Buffered reports whether Next would return without waiting.
func (p *Packets) Buffered() bool { return p.records.ring.AvailableBytes() > 0 }

// Stop lets Next return what is there and then io.EOF. The program should be
// detached before, or there may be no end.
func (p *Packets) Stop() error { return p.records.Stop() }

// Stats returns what the program has counted.
func (p *Packets) Stats() (FilterStats, error) {
	all, err := p.counts.Elements()
	if err != nil {
		return FilterStats{}, err
	}
	var sums [countsLen]uint64
	for _, e := range all {
		for _, v := range e.Values {
			sums[binary.NativeEndian.Uint32(e.Key)] += binary.NativeEndian.Uint64(v)
		}
	}
	return FilterStats{Seen: sums[countSeen], Matched: sums[countMatched], Lost: sums[countLost]}, nil
}

// Close ends the reading.
func (p *Packets) Close() error {
	if p.records == nil {
		return nil
	}
	return p.records.Close()
}
