package abi

// The sets of program types that share rules for struct __sk_buff.
var (
	markTypes   = schedTypes | lwtTypes | Types(CGroupSKB)
	directTypes = markTypes | Types(FlowDissector)
	stampTypes  = schedTypes | Types(CGroupSKB)
)

// SKBuff is struct __sk_buff, the context of socket filters, tc programs,
// cgroup_skb programs, programs of lightweight tunnels and flow dissectors. Byte orders, as stored: protocol, vlan_proto, the
// remote_ and local_ addresses and remote_port are in network order, the rest
// in host order. Values narrower than their field (protocol, vlan_proto,
// vlan_tci, queue_mapping: 16 bits; pkt_type: 3 bits) are zero-extended.
//
// flow_keys is there for flow dissectors only, which have nothing else but the
// packet, and family to local_port for
// programs that have a socket at hand.
var SKBuff = Context{Name: "__sk_buff", Size: 192, Fields: []Field{
	{"len", 0, 4, Scalar, upToWord, skbTypes, 0, 0},
	{"pkt_type", 4, 4, Scalar, upToWord, skbTypes, 0, 0},
	{"mark", 8, 4, Scalar, upToWord, skbTypes, wordOnly, markTypes},
	{"queue_mapping", 12, 4, Scalar, upToWord, skbTypes, wordOnly, schedTypes},
	{"protocol", 16, 4, Scalar, upToWord, skbTypes, 0, 0},
	{"vlan_present", 20, 4, Scalar, upToWord, skbTypes, 0, 0},
	{"vlan_tci", 24, 4, Scalar, upToWord, skbTypes, 0, 0},
	{"vlan_proto", 28, 4, Scalar, upToWord, skbTypes, 0, 0},
	{"priority", 32, 4, Scalar, upToWord, skbTypes, wordOnly, markTypes},
	{"ingress_ifindex", 36, 4, Scalar, upToWord, skbTypes, 0, 0},
	{"ifindex", 40, 4, Scalar, upToWord, skbTypes, 0, 0},
	{"tc_index", 44, 4, Scalar, upToWord, skbTypes, wordOnly, schedTypes},
	{"cb", 48, 20, Scalar, anySize, skbTypes, anySize, skbTypes},
	{"hash", 68, 4, Scalar, upToWord, skbTypes, 0, 0},
	{"tc_classid", 72, 4, Scalar, upToWord, schedTypes, wordOnly, schedTypes},
	{"data", 76, 4, Packet, wordOnly, directTypes, 0, 0},
	{"data_end", 80, 4, PacketEnd, wordOnly, directTypes, 0, 0},
	{"napi_id", 84, 4, Scalar, upToWord, skbTypes, 0, 0},
	{"family", 88, 4, Scalar, upToWord, Types(CGroupSKB), 0, 0},
	{"remote_ip4", 92, 4, Scalar, wordOnly, Types(CGroupSKB), 0, 0},
	{"local_ip4", 96, 4, Scalar, wordOnly, Types(CGroupSKB), 0, 0},
	{"remote_ip6", 100, 16, Scalar, wordOnly, Types(CGroupSKB), 0, 0},
	{"local_ip6", 116, 16, Scalar, wordOnly, Types(CGroupSKB), 0, 0},
	{"remote_port", 132, 4, Scalar, upToWord, Types(CGroupSKB), 0, 0},
	{"local_port", 136, 4, Scalar, upToWord, Types(CGroupSKB), 0, 0},
	{"data_meta", 140, 4, PacketMeta, wordOnly, schedTypes, 0, 0},
	{"flow_keys", 144, 8, FlowKeys, longOnly, Types(FlowDissector), 0, 0},
	{"tstamp", 152, 8, Scalar, longOnly, stampTypes, longOnly, stampTypes},
	{"wire_len", 160, 4, Scalar, upToWord, schedTypes, 0, 0},
	{"gso_segs", 164, 4, Scalar, upToWord, skbTypes, 0, 0},
	{"sk", 168, 8, Socket, longOnly, skbTypes, 0, 0},
	{"gso_size", 176, 4, Scalar, upToWord, skbTypes, 0, 0},
	{"tstamp_type", 180, 1, Scalar, byteOnly, schedTypes, 0, 0},
	{"hwtstamp", 184, 8, Scalar, longOnly, stampTypes, 0, 0},
}}
