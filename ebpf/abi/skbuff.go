package abi

// SKBuff is struct __sk_buff, the context of socket filters, tc programs and
// cgroup_skb programs. Byte orders, as stored: protocol, vlan_proto, the
// remote_ and local_ addresses and remote_port are in network order, the rest
// in host order. Values narrower than their field (protocol, vlan_proto,
// vlan_tci, queue_mapping: 16 bits; pkt_type: 3 bits) are zero-extended.
//
// flow_keys is there for flow dissectors only, and family to local_port for
// programs that have a socket at hand.
var SKBuff = Context{Name: "__sk_buff", Size: 192, Fields: []Field{
	{"len", 0, 4, Scalar, upToWord, skbTypes, 0, 0},
	{"pkt_type", 4, 4, Scalar, upToWord, skbTypes, 0, 0},
	{"mark", 8, 4, Scalar, upToWord, skbTypes, wordOnly, Types(SchedCLS, CGroupSKB)},
	{"queue_mapping", 12, 4, Scalar, upToWord, skbTypes, wordOnly, Types(SchedCLS)},
	{"protocol", 16, 4, Scalar, upToWord, skbTypes, 0, 0},
	{"vlan_present", 20, 4, Scalar, upToWord, skbTypes, 0, 0},
	{"vlan_tci", 24, 4, Scalar, upToWord, skbTypes, 0, 0},
	{"vlan_proto", 28, 4, Scalar, upToWord, skbTypes, 0, 0},
	{"priority", 32, 4, Scalar, upToWord, skbTypes, wordOnly, Types(SchedCLS, CGroupSKB)},
	{"ingress_ifindex", 36, 4, Scalar, upToWord, skbTypes, 0, 0},
	{"ifindex", 40, 4, Scalar, upToWord, skbTypes, 0, 0},
	{"tc_index", 44, 4, Scalar, upToWord, skbTypes, wordOnly, Types(SchedCLS)},
	{"cb", 48, 20, Scalar, anySize, skbTypes, anySize, skbTypes},
	{"hash", 68, 4, Scalar, upToWord, skbTypes, 0, 0},
	{"tc_classid", 72, 4, Scalar, upToWord, Types(SchedCLS), wordOnly, Types(SchedCLS)},
	{"data", 76, 4, Packet, wordOnly, Types(SchedCLS, CGroupSKB), 0, 0},
	{"data_end", 80, 4, PacketEnd, wordOnly, Types(SchedCLS, CGroupSKB), 0, 0},
	{"napi_id", 84, 4, Scalar, upToWord, skbTypes, 0, 0},
	{"family", 88, 4, Scalar, upToWord, Types(CGroupSKB), 0, 0},
	{"remote_ip4", 92, 4, Scalar, wordOnly, Types(CGroupSKB), 0, 0},
	{"local_ip4", 96, 4, Scalar, wordOnly, Types(CGroupSKB), 0, 0},
	{"remote_ip6", 100, 16, Scalar, wordOnly, Types(CGroupSKB), 0, 0},
	{"local_ip6", 116, 16, Scalar, wordOnly, Types(CGroupSKB), 0, 0},
	{"remote_port", 132, 4, Scalar, upToWord, Types(CGroupSKB), 0, 0},
	{"local_port", 136, 4, Scalar, upToWord, Types(CGroupSKB), 0, 0},
	{"data_meta", 140, 4, PacketMeta, wordOnly, Types(SchedCLS), 0, 0},
	{"flow_keys", 144, 8, Scalar, 0, 0, 0, 0},
	{"tstamp", 152, 8, Scalar, longOnly, Types(SchedCLS, CGroupSKB), longOnly, Types(SchedCLS, CGroupSKB)},
	{"wire_len", 160, 4, Scalar, upToWord, Types(SchedCLS), 0, 0},
	{"gso_segs", 164, 4, Scalar, upToWord, skbTypes, 0, 0},
	{"sk", 168, 8, Socket, longOnly, skbTypes, 0, 0},
	{"gso_size", 176, 4, Scalar, upToWord, skbTypes, 0, 0},
	{"tstamp_type", 180, 1, Scalar, byteOnly, Types(SchedCLS), 0, 0},
	{"hwtstamp", 184, 8, Scalar, longOnly, Types(SchedCLS, CGroupSKB), 0, 0},
}}
