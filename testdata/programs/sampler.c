/* A socket filter that keeps whole flows of a sample: one in rate flows, all
 * packets of it, cut to snaplen bytes. It reads the packet with the loads that
 * eBPF has from classic BPF, relative to the network header, which is at
 * another place in different sockets. */
#include "bpf.h"

u64 load_byte(void *skb, u64 off) asm("llvm.bpf.load.byte");
u64 load_half(void *skb, u64 off) asm("llvm.bpf.load.half");
u64 load_word(void *skb, u64 off) asm("llvm.bpf.load.word");

#define NET_OFF -0x100000 /* SKF_NET_OFF: from the network header */

const volatile u32 rate = 4;
const volatile u32 snaplen = 96;
const volatile u32 salt = 0x5bd1e995;

struct count {
	u64 seen, kept, bytes;
};

/* By IP protocol; 255 for what is not IP. */
struct {
	UINT(type, ARRAY);
	UINT(max_entries, 256);
	TYPE(key, u32);
	TYPE(value, struct count);
} counts SEC(".maps");

INLINE u32 mix(u32 hash, u32 word)
{
	hash = (hash ^ word) * 0x01000193;
	return hash ^ hash >> 15;
}

/* The hash of a flow is the same for both directions. */
INLINE u32 hash4(struct __sk_buff *skb, u32 *protocol)
{
	u32 header = (load_byte(skb, NET_OFF) & 0xf) * 4;
	u32 hash = salt;
	*protocol = load_byte(skb, NET_OFF + 9);
	hash = mix(hash, load_word(skb, NET_OFF + 12) ^ load_word(skb, NET_OFF + 16));
	if ((*protocol == IPPROTO_TCP || *protocol == IPPROTO_UDP) &&
	    !(load_half(skb, NET_OFF + 6) & 0x1fff))
		hash = mix(hash, load_half(skb, NET_OFF + header) ^ load_half(skb, NET_OFF + header + 2));
	return mix(hash, *protocol);
}

INLINE u32 hash6(struct __sk_buff *skb, u32 *protocol)
{
	u32 hash = salt;
	*protocol = load_byte(skb, NET_OFF + 6);
#pragma unroll
	for (int i = 0; i < 16; i += 4)
		hash = mix(hash, load_word(skb, NET_OFF + 8 + i) ^ load_word(skb, NET_OFF + 24 + i));
	return mix(hash, *protocol);
}

SEC("socket")
int sample(struct __sk_buff *skb)
{
	u32 protocol = 255, hash = 0, keep;
	struct count *c;
	if (skb->protocol == ETH_IP)
		hash = hash4(skb, &protocol);
	else if (skb->protocol == ETH_IPV6)
		hash = hash6(skb, &protocol);
	keep = rate && hash % rate == 0 ? snaplen : 0;
	c = map_lookup(&counts, &protocol);
	if (c) {
		__sync_fetch_and_add(&c->seen, 1);
		if (keep) {
			__sync_fetch_and_add(&c->kept, 1);
			__sync_fetch_and_add(&c->bytes, skb->len);
		}
	}
	return keep;
}

char _license[] SEC("license") = "GPL";
