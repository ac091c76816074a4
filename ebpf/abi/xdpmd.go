package abi

// XDPMD is struct xdp_md, the context of XDP programs. Every access is of a
// whole field. egress_ifindex is there for programs in a device map only
// (attach type BPF_XDP_DEVMAP), so it has no readers here.
var XDPMD = Context{Name: "xdp_md", Size: 24, Fields: []Field{
	{"data", 0, 4, Packet, wordOnly, Types(XDP), 0, 0},
	{"data_end", 4, 4, PacketEnd, wordOnly, Types(XDP), 0, 0},
	{"data_meta", 8, 4, PacketMeta, wordOnly, Types(XDP), 0, 0},
	{"ingress_ifindex", 12, 4, Scalar, wordOnly, Types(XDP), 0, 0},
	{"rx_queue_index", 16, 4, Scalar, wordOnly, Types(XDP), 0, 0},
	{"egress_ifindex", 20, 4, Scalar, 0, 0, 0, 0},
}}
