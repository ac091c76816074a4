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

/* A map of maps whose inner maps have a name, with qualifiers on the way. */
typedef struct {
	UINT(type, ARRAY);
	UINT(max_entries, 3);
	UINT(key_size, 4);
	UINT(value_size, 8);
} counters_t;
typedef const counters_t fixed_counters_t;

struct {
	UINT(type, HASH_OF_MAPS);
	UINT(max_entries, 2);
	UINT(key_size, 4);
	VALUES(values, fixed_counters_t);
} by_mark SEC(".maps");

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
	u32 mark = skb->mark;
	map_lookup(&by_mark, &mark);
	tail_call(skb, &calls, 3);
	return 0;
}
