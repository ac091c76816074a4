package filter

// Proto is a protocol qualifier, which is also what may stand alone ("tcp") or
// be indexed ("tcp[13]").
type Proto uint8

// The protocols of the language. The words ether, link, ppp, slip, fddi, tr
// and wlan all mean ProtoLink, as in libpcap.
const (
	ProtoNone Proto = iota
	ProtoLink
	ProtoIP
	ProtoIP6
	ProtoARP
	ProtoRARP
	ProtoTCP
	ProtoUDP
	ProtoSCTP
	ProtoICMP
	ProtoICMP6
	ProtoIGMP
	ProtoIGRP
	ProtoPIM
	ProtoVRRP
	ProtoCARP
	ProtoAH
	ProtoESP
	ProtoATalk
	ProtoAARP
	ProtoDECnet
	ProtoLAT
	ProtoSCA
	ProtoMOPRC
	ProtoMOPDL
	ProtoISO
	ProtoESIS
	ProtoISIS
	ProtoCLNP
	ProtoSTP
	ProtoIPX
	ProtoNetBEUI
	ProtoISISL1
	ProtoISISL2
	ProtoISISIIH
	ProtoISISLSP
	ProtoISISSNP
	ProtoISISCSNP
	ProtoISISPSNP
	ProtoRadio
)

// Dir is a direction qualifier.
type Dir uint8

// The directions. DirNone means the same as DirOr but was not written.
const (
	DirNone Dir = iota
	DirSrc
	DirDst
	DirOr  // src or dst
	DirAnd // src and dst
	DirAddr1
	DirAddr2
	DirAddr3
	DirAddr4
	DirRA
	DirTA
)

// Type is a type qualifier.
type Type uint8

// The types. TypeNone with a direction or an address means host.
const (
	TypeNone Type = iota
	TypeHost
	TypeNet
	TypePort
	TypePortRange
	TypeProto
	TypeProtoChain
	TypeGateway
)
