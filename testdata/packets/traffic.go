package packets

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/bpflab/bpflab/cbpf"
)

// A Frame is a packet with the time of its capture, in nanoseconds since 1970.
type Frame struct {
	Time int64
	Data []byte
}

// Traffic returns a few hundred packets of an everyday morning on a small
// network, in the order of their times: a machine (192.168.1.10) resolves
// names, fetches pages over HTTP and HTTPS, is logged in to over SSH, while
// ARP, DHCP, NTP, spanning tree and others go on around it. On link types that
// carry IP only, the rest is left out.
func Traffic(lt cbpf.LinkType) []Frame {
	t := traffic{rnd: rand.New(rand.NewPCG(1, 1)), now: 1767605400 * 1e9} // 2026-01-05 09:30:00 UTC
	t.background()
	for i, server := range []string{"10.0.0.1", "2001:db8:ffff::53", "172.16.0.5", "10.1.2.3", "10.0.0.2", "2001:db8::2"} {
		t.resolve(i)
		t.page(server, 49200+uint16(i), i)
		t.secure("172.31.255.254", 49300+uint16(i))
		t.wait(800e6)
	}
	t.login()
	t.files()
	t.tagged()
	slices.SortStableFunc(t.frames, func(a, b event) int { return int(a.time - b.time) })

	var out []Frame
	for _, f := range t.frames {
		data, ok := f.data, true
		if lt != cbpf.LinkEthernet {
			data, ok = f.on(lt)
		}
		if ok {
			out = append(out, Frame{f.time, data})
		}
	}
	return out
}

// An event is an Ethernet frame of the traffic.
type event struct {
	time int64
	data []byte
}

// on moves the packet to another link type. What our machine sends is marked
// as outgoing where the header can say so.
func (f event) on(lt cbpf.LinkType) ([]byte, bool) {
	etherType, payload := binary.BigEndian.Uint16(f.data[12:]), f.data[14:]
	if etherType < 0x600 {
		return nil, false // IEEE 802.3
	}
	data, ok := wrap(lt, etherType, payload)
	outgoing := bytes.Equal(f.data[6:12], own[:])
	switch {
	case outgoing && lt == cbpf.LinkLinuxSLL:
		data[1] = 4
	case outgoing && lt == cbpf.LinkLinuxSLL2:
		data[10] = 4
	}
	return data, ok
}

type traffic struct {
	rnd    *rand.Rand
	now    int64
	frames []event
}

var (
	own     = station(10)
	router  = station(1)
	own4    = netip.MustParseAddr("192.168.1.10")
	own6    = netip.MustParseAddr("2001:db8:1::10")
	gateway = netip.MustParseAddr("192.168.1.1")
)

// wait lets about ns nanoseconds pass.
func (t *traffic) wait(ns int64) {
	t.now += ns/2 + t.rnd.Int64N(ns)
	t.now -= t.now % 1000 // microseconds, so that every file format holds the time exactly
}

func (t *traffic) send(dst, src mac, etherType uint16, data []byte) {
	frame := ethernet(dst, src, etherType, data)
	if n := len(frame); n < 60 && src != own {
		frame = append(frame, zeros(60-n)...) // what comes in over the wire has the least length
	}
	t.frames = append(t.frames, event{t.now, frame})
}

// ours makes the two ends of a conversation with our machine, and sends IP
// packets between them.
func ours(peer string) ends {
	a := netip.MustParseAddr(peer)
	if a.Is4() {
		return ends{own4, a}
	}
	return ends{own6, a}
}

func (e ends) back() ends { return ends{e.dst, e.src} }

func (t *traffic) ip(e ends, proto byte, payload []byte) {
	dst, src := router, own
	if e.dst == own4 || e.dst == own6 {
		dst, src = own, router
	}
	t.send(dst, src, e.etherType(), e.ip(proto, payload))
}

// A connection keeps the sequence numbers of a TCP conversation.
type connection struct {
	t            *traffic
	ends         ends
	port, server uint16
	seq          [2]uint32 // next number of our side and of the server's
}

// connect opens a connection from our machine with three segments.
func (t *traffic) connect(e ends, port, server uint16) *connection {
	c := &connection{t, e, port, server, [2]uint32{t.rnd.Uint32(), t.rnd.Uint32()}}
	c.segment(0, syn, nil)
	t.wait(12e6)
	c.segment(1, syn|ack, nil)
	t.wait(60e3)
	c.segment(0, ack, nil)
	return c
}

// segment sends one segment, from our side (0) or the server's (1).
func (c *connection) segment(side int, flags byte, payload []byte) {
	e, sport, dport := c.ends, c.port, c.server
	if side == 1 {
		e, sport, dport = e.back(), dport, sport
	}
	var options []byte
	acked := c.seq[1-side]
	if flags&syn != 0 {
		options = []byte{2, 4, 5, 0xb4, 4, 2, 1, 3, 3, 7, 1, 1}
	}
	if flags&ack == 0 {
		acked = 0
	}
	c.t.ip(e, protoTCP, e.segment(sport, dport, flags, c.seq[side], acked, options, payload))
	c.seq[side] += uint32(len(payload))
	if flags&(syn|fin) != 0 {
		c.seq[side]++
	}
}

// ask sends a request and the answer to it, in segments that are acknowledged.
func (c *connection) ask(request, answer []byte) {
	c.t.wait(300e3)
	c.segment(0, psh|ack, request)
	c.t.wait(11e6)
	c.segment(1, ack, nil)
	for part := range slices.Chunk(answer, 536) {
		c.t.wait(900e3)
		c.segment(1, psh|ack, part)
		c.t.wait(50e3)
		c.segment(0, ack, nil)
	}
}

func (c *connection) close() {
	c.t.wait(5e6)
	c.segment(0, fin|ack, nil)
	c.t.wait(11e6)
	c.segment(1, fin|ack, nil)
	c.t.wait(50e3)
	c.segment(0, ack, nil)
}

// resolve asks the router for a name, and gets an address record.
func (t *traffic) resolve(n int) {
	e := ours("192.168.1.1")
	query := application(53)
	binary.BigEndian.PutUint16(query, uint16(0x1000+n))
	t.wait(20e6)
	t.ip(e, protoUDP, e.udp(41000+uint16(n), 53, query))
	answer := slices.Clone(query)
	answer[2], answer[3], answer[7] = 0x81, 0x80, 1
	answer = join(answer, []byte{0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 10, 0, 0, 1})
	t.wait(4e6)
	t.ip(e.back(), protoUDP, e.back().udp(53, 41000+uint16(n), answer))
}

// page fetches a page and a picture over HTTP.
func (t *traffic) page(server string, port uint16, n int) {
	t.wait(2e6)
	c := t.connect(ours(server), port, 80)
	get := func(path string) []byte {
		return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: example.com\r\nUser-Agent: bpflab\r\nAccept: */*\r\n\r\n", path)
	}
	html := fmt.Sprintf("<html><body><h1>Page %d</h1>%s</body></html>\n", n, bytes.Repeat([]byte("<p>text</p>"), 20+40*(n%3)))
	c.ask(get("/"), fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s", len(html), html))
	c.ask(get("/picture.png"), []byte("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"))
	c.close()
}

// secure begins a TLS conversation, whose content is hidden.
func (t *traffic) secure(server string, port uint16) {
	t.wait(2e6)
	c := t.connect(ours(server), port, 443)
	record := func(kind byte, n int) []byte {
		b := be16([]byte{kind, 3, 3}, uint16(n))
		for range n {
			b = append(b, byte(t.rnd.Uint32()))
		}
		return b
	}
	c.ask(record(23, 180), record(23, 700))
	t.wait(3e6)
	c.segment(1, rst|ack, nil)
}

// login is an SSH session with single keystrokes.
func (t *traffic) login() {
	c := t.connect(ours("10.0.0.2"), 49400, 22)
	c.ask([]byte("SSH-2.0-OpenSSH_9.2\r\n"), []byte("SSH-2.0-OpenSSH_9.2\r\n"))
	keystroke := join(be32(nil, 32), []byte{10, 2}, zeros(30)) // packet and padding length, SSH_MSG_IGNORE
	for range 6 {
		t.wait(150e6)
		c.ask(keystroke, keystroke)
	}
	c.close()
}

// files sends a datagram too long for one packet, and an SCTP association's start.
func (t *traffic) files() {
	e := ours("172.16.0.5")
	datagram := e.udp(2049, 2049, zeros(3000))
	for at := 0; at < len(datagram); at += 1480 {
		end := min(at+1480, len(datagram))
		field := uint16(at / 8)
		if end < len(datagram) {
			field |= moreFragments
		}
		t.wait(20e3)
		h := ipv4{ends: e, proto: protoUDP, fragment: field}
		t.send(router, own, etherIPv4, h.packet(datagram[at:end]))
	}
	t.wait(10e6)
	t.ip(e, protoSCTP, sctp(36412, 36412))
}

// tagged is a ping on another VLAN that shares the wire.
func (t *traffic) tagged() {
	e := between("10.0.0.1", "10.0.0.2")
	for i := range uint32(4) {
		for _, m := range []struct {
			ends ends
			kind byte
		}{{e, 8}, {e.back(), 0}} {
			t.wait(5e6)
			packet := m.ends.ip(protoICMP, icmp(m.kind, 0, join(be32(nil, 0x00070000|i), []byte("abcdefghijklmnop"))))
			t.send(macOf(m.ends.dst), macOf(m.ends.src), etherVLAN, tagged(100, etherIPv4, packet))
		}
		t.wait(900e6)
	}
}

// background is what goes on by itself during the whole capture.
func (t *traffic) background() {
	start := t.now
	arp := arpSamples()
	t.send(broadcast, own, etherARP, join([]byte{0, 1, 8, 0, 6, 4, 0, 1}, own[:], own4.AsSlice(), zeros(6), gateway.AsSlice()))
	t.wait(200e3)
	t.send(own, router, etherARP, join([]byte{0, 1, 8, 0, 6, 4, 0, 2}, router[:], gateway.AsSlice(), own[:], own4.AsSlice()))
	for range 5 { // a bridge's hello every two seconds
		frame := ieee8023(stpGroup, router, join([]byte{0x42, 0x42, 3}, stp()))
		t.frames = append(t.frames, event{t.now, frame})
		t.now += 2e9
	}
	t.now = start + 1e9
	for i := range uint32(4) { // the machine watches over its gateway
		e := ours("192.168.1.1")
		body := join(be32(nil, 0x00420000|i), []byte("abcdefghijklmnopqrstuvwabcdefghi"))
		t.ip(e, protoICMP, icmp(8, 0, body))
		t.wait(400e3)
		t.ip(e.back(), protoICMP, icmp(0, 0, body))
		t.wait(1e9)
	}
	t.now = start + 2e9
	t.send(broadcast, station(77), etherARP, arp[0].data)
	lease := between("0.0.0.0", "255.255.255.255")
	t.send(broadcast, station(77), etherIPv4, lease.ip(protoUDP, lease.udp(68, 67, application(67))))
	t.wait(30e6)
	clock := ours("10.0.0.1")
	t.ip(clock, protoUDP, clock.udp(123, 123, application(123)))
	t.wait(9e6)
	t.ip(clock.back(), protoUDP, clock.back().udp(123, 123, join([]byte{0x24}, zeros(47))))
	solicit := ends{own6, netip.MustParseAddr("ff02::1:ff00:1")}
	t.send(macOf(solicit.dst), own, etherIPv6, solicit.ip(protoICMPv6, solicit.neighbour(135)))
	t.wait(50e6)
	t.send(mac{0x01, 0x80, 0xc2, 0, 0, 0x0e}, router, 0x88cc, lldp())
	t.now = start + 500e6
}
