package abi

// BPFFlowKeys is struct bpf_flow_keys, which a flow dissector fills for a
// packet; the field flow_keys of its context points to it. Programs may read
// and write all of it, at any width. n_proto, the ports, the addresses and
// flow_label are in network order. IPv4 addresses share the first bytes with
// those of IPv6: the source at offset 16, the destination at 20.
var BPFFlowKeys = Context{Name: "bpf_flow_keys", Size: 56, Fields: []Field{
	flowKey("nhoff", 0, 2),      // offset of the network header
	flowKey("thoff", 2, 2),      // of the transport header
	flowKey("addr_proto", 4, 2), // EtherType of the addresses
	flowKey("is_frag", 6, 1),
	flowKey("is_first_frag", 7, 1),
	flowKey("is_encap", 8, 1),
	flowKey("ip_proto", 9, 1), // of the transport header
	flowKey("n_proto", 10, 2), // of the network header, an EtherType
	flowKey("sport", 12, 2),
	flowKey("dport", 14, 2),
	flowKey("ipv6_src", 16, 16),
	flowKey("ipv6_dst", 32, 16),
	flowKey("flags", 48, 4),
	flowKey("flow_label", 52, 4),
}}

func flowKey(name string, offset, size int) Field {
	dissectors := Types(FlowDissector)
	return Field{name, offset, size, Scalar, anySize, dissectors, anySize, dissectors}
}
