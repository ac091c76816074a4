/* Tail calls in the way of Cilium: a declaration tag of a function names the
 * map and the slot. */
#include "bpf.h"

struct {
	UINT(type, PROG_ARRAY);
	UINT(max_entries, 4);
	UINT(key_size, 4);
	UINT(value_size, 4);
	UINT(pinning, 1);
} calls SEC(".maps") __attribute__((btf_decl_tag("private")));

#define TAIL(map, slot) SEC("tc/tail") __attribute__((btf_decl_tag("tail:" #map "/" #slot)))

TAIL(calls, 3)
int third(struct __sk_buff *skb)
{
	return skb->len;
}

TAIL(of_another_object, 1)
int foreign(struct __sk_buff *skb)
{
	return skb->mark;
}

SEC("tc")
int entry(struct __sk_buff *skb)
{
	tail_call(skb, &calls, 3);
	return 0;
}
