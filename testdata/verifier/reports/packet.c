/* Mistakes with packets that everybody makes once: each program is rejected,
 * and the report of it stands beside it in a file of the same name. */
#include "bpf.h"

/* The check counts on a header of 20 bytes, the access on what ihl says. */
SEC("xdp") int variable_header(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = data + sizeof(*eth);
	struct tcphdr *tcp;

	if ((void *)(ip + 1) + sizeof(*tcp) > end)
		return XDP_PASS;
	if (eth->proto != ETH_IP || ip->protocol != IPPROTO_TCP)
		return XDP_PASS;
	tcp = (void *)ip + ip->ihl * 4;
	return tcp->dest == htons(80) ? XDP_DROP : XDP_PASS;
}

/* The packet may have moved, eth points to where it was. */
SEC("xdp") int stale_pointer(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;

	if (data + sizeof(*eth) > end)
		return XDP_PASS;
	if (xdp_adjust_head(ctx, -4))
		return XDP_DROP;
	eth->proto = ETH_VLAN;
	return XDP_TX;
}

/* Goes on where the packet is too short. */
SEC("xdp") int wrong_branch(struct xdp_md *ctx)
{
	u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (data + 34 <= end)
		return XDP_PASS;
	return data[23] == IPPROTO_UDP ? XDP_DROP : XDP_PASS;
}

/* A function that is not inlined gets a pointer which nobody has checked far
 * enough. */
static NOINLINE int is_dns(struct udphdr *udp)
{
	return udp->dest == htons(53) || udp->source == htons(53);
}

SEC("tc") int in_function(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	if (data + sizeof(struct ethhdr) + sizeof(struct iphdr) > end)
		return TC_ACT_OK;
	return is_dns(data + sizeof(struct ethhdr) + sizeof(struct iphdr)) ? TC_ACT_SHOT : TC_ACT_OK;
}

/* The compiler keeps data in a variable of 32 bits, as the context does. */
SEC("xdp") int truncated_pointer(struct xdp_md *ctx)
{
	volatile u32 start = ctx->data;
	void *data = (void *)(long)start, *end = (void *)(long)ctx->data_end;

	if (data + sizeof(struct ethhdr) > end)
		return XDP_PASS;
	return ((struct ethhdr *)data)->proto == ETH_IP ? XDP_PASS : XDP_DROP;
}

/* The compiler moves the 1 to the other side of the comparison, and so out of
 * the loop: data_end - 1. */
SEC("xdp") int end_moved(struct xdp_md *ctx)
{
	u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end, *p = data + 54;
	u32 sum = 0;

	for (int i = 0; i < 4; i++) {
		if (p + 1 > end)
			return XDP_PASS;
		sum += *p;
		p += 2;
	}
	return sum ? XDP_DROP : XDP_PASS;
}

/* Of each option only the first byte is checked, and two are read. */
SEC("xdp") int options(struct xdp_md *ctx)
{
	u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end, *p = data + 54;

	for (int i = 0; i < 8; i++) {
		if (p >= end)
			return XDP_PASS;
		if (*p == 0)
			break;
		p += *p == 1 ? 1 : p[1] & 15;
	}
	return XDP_DROP;
}
