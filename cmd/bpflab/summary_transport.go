package main

import (
	"encoding/binary"
	"fmt"
)

// ports adds the two ports with which TCP, UDP and SCTP begin, and reports
// whether all of a header of n bytes is there.
func (s *summary) ports(b []byte, n int) bool {
	if s.has(b, 4) {
		s.add("%d > %d", binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:]))
	}
	return s.has(b, n)
}

// tcp writes the flags as tcpdump does: S, F, R, P, "." for ACK, U, E, W.
func (s *summary) tcp(b []byte) {
	if !s.ports(b, 20) {
		return
	}
	var flags []byte
	for _, f := range []struct{ bit, letter byte }{
		{0x02, 'S'}, {0x01, 'F'}, {0x04, 'R'}, {0x08, 'P'}, {0x10, '.'}, {0x20, 'U'}, {0x40, 'E'}, {0x80, 'W'},
	} {
		if b[13]&f.bit != 0 {
			flags = append(flags, f.letter)
		}
	}
	if len(flags) == 0 {
		flags = []byte("none")
	}
	s.add("[%s]", flags)
	header := int(b[12]>>4) * 4
	if header < 20 {
		s.short = true
	} else if s.has(b, header) {
		s.payload(b[header:])
	}
}

// The ports of the tunnels that are followed.
const (
	portVXLAN  = 4789
	portGeneve = 6081
)

func (s *summary) udp(b []byte) {
	if !s.ports(b, 8) {
		return
	}
	port, length := binary.BigEndian.Uint16(b[2:]), int(binary.BigEndian.Uint16(b[4:]))
	switch {
	case length == 0: // a jumbogram, or cut up by the network card
	case length < 8:
		s.short = true
		return
	default:
		b = b[:min(length, len(b))]
	}
	b = b[8:]
	switch {
	case port == portVXLAN && s.has(b, 8):
		s.add("vxlan %d", binary.BigEndian.Uint32(b[4:])>>8)
		s.ethernet(b[8:])
	case port == portGeneve && s.has(b, 8):
		s.geneve(b)
	default:
		s.payload(b)
	}
}

func (s *summary) geneve(b []byte) {
	s.add("geneve %d", binary.BigEndian.Uint32(b[4:])>>8)
	if header := 8 + int(b[0]&0x3f)*4; s.has(b, header) && len(b) > header {
		s.network(binary.BigEndian.Uint16(b[2:]), b[header:])
	}
}

func (s *summary) sctp(b []byte) {
	if s.ports(b, 12) {
		s.payload(b[12:])
	}
}

// gre follows version 0, whose flags announce three optional fields of 4 bytes.
func (s *summary) gre(b []byte) {
	if !s.has(b, 4) {
		return
	}
	header := 4
	for _, flag := range []byte{0x80, 0x20, 0x10} { // checksum, key, sequence number
		if b[0]&flag != 0 {
			header += 4
		}
	}
	switch {
	case b[1]&7 != 0:
		s.add("version %d", b[1]&7)
	case s.has(b, header) && len(b) > header:
		s.network(binary.BigEndian.Uint16(b[2:]), b[header:])
	}
}

// ICMP's types, in the words of their RFCs.
var icmpTypes = map[uint8]string{
	0: "echo reply", 3: "unreachable", 4: "source quench", 5: "redirect", 8: "echo request",
	9: "router advertisement", 10: "router solicitation", 11: "time exceeded", 12: "parameter problem",
	13: "timestamp", 14: "timestamp reply", 15: "information request", 16: "information reply",
	17: "address mask request", 18: "address mask reply",
}

var icmp6Types = map[uint8]string{
	1: "unreachable", 2: "packet too big", 3: "time exceeded", 4: "parameter problem",
	128: "echo request", 129: "echo reply", 130: "listener query", 131: "listener report", 132: "listener done",
	133: "router solicitation", 134: "router advertisement", 135: "neighbor solicitation",
	136: "neighbor advertisement", 137: "redirect", 143: "listener report v2",
}

func (s *summary) icmp(b []byte, types map[uint8]string) {
	if !s.has(b, 8) {
		return
	}
	name, ok := types[b[0]]
	if !ok {
		name = fmt.Sprintf("type %d", b[0])
	}
	if b[1] != 0 {
		name += fmt.Sprintf(" code %d", b[1])
	}
	s.add("%s", name)
	s.payload(b[8:])
}
