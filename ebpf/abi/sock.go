package abi

// Sock is struct bpf_sock, what a pointer to a socket points to. It is as it
// is for the helper functions that find sockets and for the field sk of
// struct __sk_buff (bpf_sock_is_valid_access in net/core/filter.c). Addresses
// and dst_port are in network byte order; dst_port takes two bytes, the two
// behind it are 0.
var Sock = Context{Name: "bpf_sock", Size: 80, Fields: []Field{
	{"bound_dev_if", 0, 4, Scalar, wordOnly, allTypes, 0, 0},
	{"family", 4, 4, Scalar, upToWord, allTypes, 0, 0},
	{"type", 8, 4, Scalar, upToWord, allTypes, 0, 0},
	{"protocol", 12, 4, Scalar, upToWord, allTypes, 0, 0},
	{"mark", 16, 4, Scalar, wordOnly, allTypes, 0, 0},
	{"priority", 20, 4, Scalar, wordOnly, allTypes, 0, 0},
	{"src_ip4", 24, 4, Scalar, upToWord, allTypes, 0, 0},
	{"src_ip6", 28, 16, Scalar, upToWord, allTypes, 0, 0},
	{"src_port", 44, 4, Scalar, upToWord, allTypes, 0, 0},
	{"dst_port", 48, 4, Scalar, upToWord, allTypes, 0, 0},
	{"dst_ip4", 52, 4, Scalar, upToWord, allTypes, 0, 0},
	{"dst_ip6", 56, 16, Scalar, upToWord, allTypes, 0, 0},
	{"state", 72, 4, Scalar, upToWord, allTypes, 0, 0},
	{"rx_queue_mapping", 76, 4, Scalar, upToWord, allTypes, 0, 0},
}}

// FullSockOnly reports whether a field of [Sock] is there for full sockets
// only, not for struct sock_common, which is what is left of a connection that
// begins or ends (bpf_sock_common_is_valid_access).
func FullSockOnly(f *Field) bool {
	switch f.Name {
	case "type", "protocol", "mark", "priority":
		return true
	}
	return false
}
