package filter

// Protocols by number and by word.

const (
	ipProtoICMP     = 1
	ipProtoIGMP     = 2
	ipProtoTCP      = 6
	ipProtoIGRP     = 9 // as libpcap on Linux; 88 elsewhere
	ipProtoUDP      = 17
	ipProtoFragment = 44
	ipProtoESP      = 50
	ipProtoAH       = 51
	ipProtoICMP6    = 58
	ipProtoPIM      = 103
	ipProtoVRRP     = 112 // and CARP
	ipProtoSCTP     = 132

	isoCLNP = 0x81
	isoESIS = 0x82
	isoISIS = 0x83
)

// An abbreviation is what a protocol word that stands alone is short for:
// "PROTO proto N" for one of several numbers.
type abbreviation struct {
	in      Proto
	numbers []uint32
}

var abbreviations = map[Proto]abbreviation{
	ProtoIP:      {ProtoLink, []uint32{etherIP}},
	ProtoIP6:     {ProtoLink, []uint32{etherIP6}},
	ProtoARP:     {ProtoLink, []uint32{etherARP}},
	ProtoRARP:    {ProtoLink, []uint32{etherRARP}},
	ProtoATalk:   {ProtoLink, []uint32{etherATalk}},
	ProtoAARP:    {ProtoLink, []uint32{etherAARP}},
	ProtoDECnet:  {ProtoLink, []uint32{etherDECnet}},
	ProtoLAT:     {ProtoLink, []uint32{etherLAT}},
	ProtoSCA:     {ProtoLink, []uint32{etherSCA}},
	ProtoMOPRC:   {ProtoLink, []uint32{etherMOPRC}},
	ProtoMOPDL:   {ProtoLink, []uint32{etherMOPDL}},
	ProtoISO:     {ProtoLink, []uint32{sapISO}},
	ProtoSTP:     {ProtoLink, []uint32{sapSTP}},
	ProtoIPX:     {ProtoLink, []uint32{sapIPX}},
	ProtoNetBEUI: {ProtoLink, []uint32{sapNetBEUI}},

	ProtoTCP:   {ProtoNone, []uint32{ipProtoTCP}},
	ProtoUDP:   {ProtoNone, []uint32{ipProtoUDP}},
	ProtoSCTP:  {ProtoNone, []uint32{ipProtoSCTP}},
	ProtoPIM:   {ProtoNone, []uint32{ipProtoPIM}},
	ProtoAH:    {ProtoNone, []uint32{ipProtoAH}},
	ProtoESP:   {ProtoNone, []uint32{ipProtoESP}},
	ProtoICMP:  {ProtoIP, []uint32{ipProtoICMP}},
	ProtoIGMP:  {ProtoIP, []uint32{ipProtoIGMP}},
	ProtoIGRP:  {ProtoIP, []uint32{ipProtoIGRP}},
	ProtoVRRP:  {ProtoIP, []uint32{ipProtoVRRP}},
	ProtoCARP:  {ProtoIP, []uint32{ipProtoVRRP}},
	ProtoICMP6: {ProtoIP6, []uint32{ipProtoICMP6}},

	ProtoCLNP: {ProtoISO, []uint32{isoCLNP}},
	ProtoESIS: {ProtoISO, []uint32{isoESIS}},
	ProtoISIS: {ProtoISO, []uint32{isoISIS}},

	// Sets of IS-IS PDU types.
	ProtoISISL1:   {ProtoISIS, []uint32{26, 24, 18, 15, 17}},
	ProtoISISL2:   {ProtoISIS, []uint32{27, 25, 20, 16, 17}},
	ProtoISISIIH:  {ProtoISIS, []uint32{17, 15, 16}},
	ProtoISISLSP:  {ProtoISIS, []uint32{18, 20}},
	ProtoISISSNP:  {ProtoISIS, []uint32{27, 26, 24, 25}},
	ProtoISISCSNP: {ProtoISIS, []uint32{24, 25}},
	ProtoISISPSNP: {ProtoISIS, []uint32{26, 27}},
}

// abbrev is a protocol word alone.
func (lw *lowerer) abbrev(p Proto, l layer) test {
	a, ok := abbreviations[p]
	if !ok {
		return lw.refuse("this word does not stand for a protocol when it stands alone")
	}
	return lw.protoOneOf(a.in, a.numbers, l)
}

// proto is "PROTO proto N".
func (lw *lowerer) proto(p Proto, number uint32, l layer) test {
	return lw.protoOneOf(p, []uint32{number}, l)
}

// protoOneOf holds if the field of p's header that says what follows has one
// of the numbers.
func (lw *lowerer) protoOneOf(p Proto, numbers []uint32, l layer) test {
	oneOf := func(at offset, k uint32) test {
		parts := make([]test, len(numbers))
		for i, n := range numbers {
			parts[i] = lw.equal(at, k, 1, n)
		}
		return anyOf(parts...)
	}
	switch p {
	case ProtoNone:
		return anyOf(
			lw.protoOneOf(ProtoIP, numbers, l),
			lw.protoOneOf(ProtoIP6, numbers, l))
	case ProtoLink:
		return lw.linkType(l, numbers[0])
	case ProtoIP:
		return all(lw.linkType(l, etherIP), oneOf(l.networkHeader(), 9))
	case ProtoIP6:
		// One extension header is looked behind: that of a fragment.
		net := l.networkHeader()
		return all(lw.linkType(l, etherIP6), anyOf(
			oneOf(net, 6),
			all(lw.equal(net, 6, 1, ipProtoFragment), oneOf(net, 40))))
	case ProtoISO:
		return all(lw.linkType(l, sapISO), oneOf(l.llcPayload(), 0))
	case ProtoISIS:
		return all(lw.protoOneOf(ProtoISO, []uint32{isoISIS}, l), oneOf(l.llcPayload(), 4))
	}
	return lw.refuse("this protocol's header has no field that says what follows it")
}
