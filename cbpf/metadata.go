package cbpf

// Metadata is what Linux knows of a packet beside its bytes: the fields of the
// kernel's sk_buff that classic programs reach through the SKF_AD_ extensions
// and eBPF programs through struct __sk_buff. The zero value is a packet
// without a device, as on a socket pair.
type Metadata struct {
	Protocol    uint16 // EtherType in host order, after VLAN tags (SKF_AD_PROTOCOL)
	PacketType  uint8  // PACKET_HOST, PACKET_BROADCAST, …, PACKET_OUTGOING (SKF_AD_PKTTYPE)
	HasDevice   bool   // false: IfIndex and HWType end a classic program, as in the kernel
	IfIndex     uint32 // interface index (SKF_AD_IFINDEX)
	HWType      uint16 // ARPHRD_ type of the device (SKF_AD_HATYPE)
	Mark        uint32 // SKF_AD_MARK
	Queue       uint16 // receive queue as the kernel stores it (SKF_AD_QUEUE)
	RxHash      uint32 // SKF_AD_RXHASH
	CPU         uint32 // processor that runs the program (SKF_AD_CPU)
	VLANPresent bool   // a tag was taken out of the packet (SKF_AD_VLAN_TAG_PRESENT)
	VLANTCI     uint16 // its priority, DEI and id (SKF_AD_VLAN_TAG)
	VLANProto   uint16 // its TPID, in host order (SKF_AD_VLAN_TPID)

	// LinkOffset and NetworkOffset say where the link and network headers
	// start in the packet's bytes; SKF_LL_OFF and SKF_NET_OFF count from
	// them. HasLink is false where the packet has no link header (sockets
	// above the network layer): link-layer loads then fail.
	HasLink       bool
	LinkOffset    int32
	NetworkOffset int32

	// What only eBPF programs see, as fields of struct __sk_buff.
	IngressIfIndex uint32    // interface that the packet came in by, 0 for one from this host
	Priority       uint32    // for queueing (SO_PRIORITY)
	TCIndex        uint16    // tc_index
	CB             [5]uint32 // cb, what an earlier program has left
	Timestamp      uint64    // tstamp, in nanoseconds
	GSOSegments    uint16    // gso_segs: packets on the wire that this one stands for
	GSOSize        uint16    // gso_size: bytes of payload in each
}
