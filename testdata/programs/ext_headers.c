/* Walks the chain of IPv6 extension headers with bpf_loop, which runs a
 * function of the program until that has had enough: a loop whose length the
 * verifier need not know. Chains that are too long or source-routed are
 * dropped. */
#include "bpf.h"

#define MAX_HEADERS 32

enum stop { WALKING, TRANSPORT, LAST_FRAGMENT, ENCRYPTED, NO_NEXT, SOURCE_ROUTE, CUT_OFF, TOO_MANY, STOPS };

struct walk {
	struct __sk_buff *skb;
	u32 offset;
	u32 count;
	u32 stop; /* enum stop */
	u8 next;
};

struct extension {
	u8 next, len;
	u8 type, left; /* of a routing header; in a fragment header its offset */
};

/* By the number of the header: how many there were. */
struct {
	UINT(type, ARRAY);
	UINT(max_entries, 256);
	TYPE(key, u32);
	TYPE(value, u64);
} headers SEC(".maps");

/* By enum stop: why walks ended. */
struct {
	UINT(type, ARRAY);
	UINT(max_entries, STOPS);
	TYPE(key, u32);
	TYPE(value, u64);
} stops SEC(".maps");

const volatile u32 max_chain = 8;
u32 longest_chain;

INLINE void count(void *map, u32 key)
{
	u64 *n = map_lookup(map, &key);
	if (n)
		__sync_fetch_and_add(n, 1);
}

/* Returns the size of an extension header in bytes, 0 if it is none. */
INLINE u32 size_of(u8 kind, const struct extension *e)
{
	switch (kind) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
		return (e->len + 1) * 8;
	case IPPROTO_FRAGMENT:
		return 8;
	case IPPROTO_AH:
		return (e->len + 2) * 4;
	}
	return 0;
}

/* One turn of the loop: 0 goes on, 1 ends it. */
static long step(u32 index, void *arg)
{
	struct walk *w = arg;
	struct extension e;
	u32 size;
	(void)index;
	count(&headers, w->next);
	w->stop = TRANSPORT;
	if (w->next == IPPROTO_ESP || w->next == IPPROTO_NONE) {
		w->stop = w->next == IPPROTO_ESP ? ENCRYPTED : NO_NEXT;
		return 1;
	}
	size = size_of(w->next, &(struct extension){});
	if (!size)
		return 1;
	if (skb_load_bytes(w->skb, w->offset, &e, sizeof(e)) < 0) {
		w->stop = CUT_OFF;
		return 1;
	}
	if (w->next == IPPROTO_ROUTING && e.type == 0) {
		w->stop = SOURCE_ROUTE;
		return 1;
	}
	if (w->next == IPPROTO_FRAGMENT && (e.type || (e.left & 0xf8))) {
		w->stop = LAST_FRAGMENT; /* what follows is no header */
		return 1;
	}
	w->stop = WALKING;
	w->offset += size_of(w->next, &e);
	w->next = e.next;
	if (++w->count > max_chain)
		w->stop = TOO_MANY;
	return w->stop != WALKING;
}

SEC("tc")
int walk_headers(struct __sk_buff *skb)
{
	struct walk w = { .skb = skb, .offset = sizeof(struct ethhdr) + sizeof(struct ipv6hdr) };
	u16 proto = 0;
	skb_load_bytes(skb, OFFSET(struct ethhdr, proto), &proto, sizeof(proto));
	if (proto != ETH_IPV6)
		return TC_ACT_OK;
	if (skb_load_bytes(skb, sizeof(struct ethhdr) + OFFSET(struct ipv6hdr, nexthdr), &w.next, 1) < 0)
		return TC_ACT_SHOT;
	loop(MAX_HEADERS, step, &w, 0);
	count(&stops, w.stop);
	if (w.count > longest_chain)
		longest_chain = w.count;
	skb->mark = w.count;
	switch (w.stop) {
	case SOURCE_ROUTE:
	case CUT_OFF:
	case TOO_MANY:
		return TC_ACT_SHOT;
	}
	return TC_ACT_OK;
}

char _license[] SEC("license") = "GPL";
