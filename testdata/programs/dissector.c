/* A flow dissector: it finds network and transport header of a packet, through
 * VLAN tags, one tunnel of IP in IP and fragments, and writes addresses and ports
 * to the flow keys. What it does not know is left to the kernel's own. */
#include "bpf.h"

struct flow_keys {
	u16 nhoff, thoff, addr_proto;
	u8 is_frag, is_first_frag, is_encap, ip_proto;
	u16 n_proto, sport, dport;
	u32 src[4], dst[4];
	u32 flags, flow_label;
};

/* The parts of struct __sk_buff that flow dissectors have. */
struct dissection {
	u32 before[19];
	u32 data, data_end;
	u32 between[15];
	struct flow_keys *keys;
};

enum verdict { BPF_OK = 0, BPF_DROP = 2, DISSECTOR_CONTINUE = 129 };

#define MAX_TAGS 2

INLINE int ports(struct dissection *ctx, struct flow_keys *keys)
{
	void *data = (void *)(u64)ctx->data, *end = (void *)(u64)ctx->data_end;
	u16 *ports = data + (keys->thoff & 0x7ff);

	if (keys->ip_proto != IPPROTO_TCP && keys->ip_proto != IPPROTO_UDP)
		return BPF_OK;
	if ((void *)(ports + 2) > end)
		return BPF_DROP;
	keys->sport = ports[0];
	keys->dport = ports[1];
	return BPF_OK;
}

INLINE int ipv4(struct dissection *ctx, struct flow_keys *keys)
{
	void *data = (void *)(u64)ctx->data, *end = (void *)(u64)ctx->data_end;
	struct iphdr *ip = data + (keys->thoff & 0x7ff);

	if ((void *)(ip + 1) > end || ip->ihl < 5)
		return BPF_DROP;
	keys->addr_proto = 0x0800;
	keys->src[0] = ip->saddr;
	keys->dst[0] = ip->daddr;
	keys->ip_proto = ip->protocol;
	keys->thoff += ip->ihl * 4;
	if (ip->frag_off & htons(0x3fff)) {
		keys->is_frag = 1;
		keys->is_first_frag = !(ip->frag_off & htons(0x1fff));
		return BPF_OK;
	}
	return ports(ctx, keys);
}

INLINE int ipv6(struct dissection *ctx, struct flow_keys *keys)
{
	void *data = (void *)(u64)ctx->data, *end = (void *)(u64)ctx->data_end;
	struct ipv6hdr *ip = data + (keys->thoff & 0x7ff);

	if ((void *)(ip + 1) > end)
		return BPF_DROP;
	keys->addr_proto = 0x86dd;
	keys->flow_label = *(u32 *)ip & htonl(0xfffff);
	__builtin_memcpy(keys->src, &ip->saddr, 32);
	keys->ip_proto = ip->nexthdr;
	keys->thoff += sizeof(*ip);
	return ports(ctx, keys);
}

SEC("flow_dissector")
int dissect(struct dissection *ctx)
{
	void *data = (void *)(u64)ctx->data, *end = (void *)(u64)ctx->data_end;
	struct flow_keys *keys = ctx->keys;
	u16 proto = keys->n_proto;

	for (int i = 0; i < MAX_TAGS; i++) {
		struct vlanhdr *tag = data + (keys->thoff & 0x7ff);

		if (proto != ETH_VLAN && proto != ETH_QINQ)
			break;
		if ((void *)(tag + 1) > end)
			return BPF_DROP;
		proto = tag->proto;
		keys->nhoff += sizeof(*tag);
		keys->thoff += sizeof(*tag);
	}
	keys->n_proto = proto;
	if (proto == ETH_IP) {
		int verdict = ipv4(ctx, keys);

		if (verdict != BPF_OK || keys->is_frag || keys->ip_proto != IPPROTO_IPIP)
			return verdict;
		keys->is_encap = 1;
		keys->nhoff = keys->thoff;
		return ipv4(ctx, keys);
	}
	if (proto == ETH_IPV6)
		return ipv6(ctx, keys);
	keys->thoff = 0xffff; /* beyond the packet: the kernel cuts it */
	return DISSECTOR_CONTINUE;
}
