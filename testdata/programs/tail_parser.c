/* A parser of one program a protocol: each looks at its header and calls the
 * next one through a program array, which user space can change at run time.
 * What a program finds out reaches the next in a map, as a tail call keeps
 * nothing but the context. */
#include "bpf.h"

enum parser { PARSE_VLAN, PARSE_IPV4, PARSE_IPV6, PARSE_TCP, PARSE_UDP, PARSE_ICMP, PARSERS };

struct state {
	u32 offset;  /* of the header that the next program looks at */
	u32 headers; /* how many there were */
	u16 tags[4]; /* VLAN identifiers */
	u32 tag_count;
};

/* Only one packet is in work on a CPU. */
struct {
	UINT(type, PERCPU_ARRAY);
	UINT(max_entries, 1);
	TYPE(key, u32);
	TYPE(value, struct state);
} states SEC(".maps");

enum found { ETHERNET, VLAN, IPV4, IPV6, TCP, UDP, ICMP, UNKNOWN, SHORT, KINDS };

struct {
	UINT(type, ARRAY);
	UINT(max_entries, KINDS);
	TYPE(key, u32);
	TYPE(value, u64);
} found SEC(".maps");

struct {
	UINT(type, HASH);
	UINT(max_entries, 4096);
	TYPE(key, u32);
	TYPE(value, u64);
} ports SEC(".maps");

int parse_vlan(struct xdp_md *ctx);
int parse_ipv4(struct xdp_md *ctx);
int parse_ipv6(struct xdp_md *ctx);
int parse_tcp(struct xdp_md *ctx);
int parse_udp(struct xdp_md *ctx);
int parse_icmp(struct xdp_md *ctx);

struct {
	UINT(type, PROG_ARRAY);
	UINT(max_entries, PARSERS);
	UINT(key_size, 4);
	VALUES(values, int(struct xdp_md *));
} parsers SEC(".maps") = {
	.values = {
		[PARSE_VLAN] = (void *)&parse_vlan,
		[PARSE_IPV4] = (void *)&parse_ipv4,
		[PARSE_IPV6] = (void *)&parse_ipv6,
		[PARSE_TCP] = (void *)&parse_tcp,
		[PARSE_UDP] = (void *)&parse_udp,
		[PARSE_ICMP] = (void *)&parse_icmp,
	},
};

INLINE void count(u32 kind)
{
	u64 *n = map_lookup(&found, &kind);
	if (n)
		__sync_fetch_and_add(n, 1);
}

INLINE struct state *get_state(void)
{
	u32 zero = 0;
	return map_lookup(&states, &zero);
}

INLINE int ended(u32 kind, int verdict)
{
	count(kind);
	return verdict;
}

/* Returns the header of the given size that the state points to, or 0. */
INLINE void *header(struct xdp_md *ctx, struct state *s, u32 size)
{
	void *data = (void *)(u64)ctx->data, *end = (void *)(u64)ctx->data_end;
	u32 off;
	if (!s)
		return 0;
	off = s->offset;
	if (off > 1024)
		return 0;
	data += off;
	if (data + size > end)
		return 0;
	s->offset = off + size;
	s->headers++;
	return data;
}

INLINE int by_ethertype(struct xdp_md *ctx, u16 proto)
{
	switch (proto) {
	case ETH_VLAN:
	case ETH_QINQ:
		tail_call(ctx, &parsers, PARSE_VLAN);
		break;
	case ETH_IP:
		tail_call(ctx, &parsers, PARSE_IPV4);
		break;
	case ETH_IPV6:
		tail_call(ctx, &parsers, PARSE_IPV6);
		break;
	}
	return ended(UNKNOWN, XDP_PASS); /* or the slot is empty, or too many calls */
}

INLINE int by_protocol(struct xdp_md *ctx, u8 protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		tail_call(ctx, &parsers, PARSE_TCP);
		break;
	case IPPROTO_UDP:
		tail_call(ctx, &parsers, PARSE_UDP);
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		tail_call(ctx, &parsers, PARSE_ICMP);
		break;
	}
	return ended(UNKNOWN, XDP_PASS);
}

SEC("xdp")
int parse_ethernet(struct xdp_md *ctx)
{
	struct state *s = get_state();
	struct ethhdr *eth;
	if (!s)
		return XDP_ABORTED;
	__builtin_memset(s, 0, sizeof(*s));
	eth = header(ctx, s, sizeof(*eth));
	if (!eth)
		return ended(SHORT, XDP_DROP);
	count(ETHERNET);
	return by_ethertype(ctx, eth->proto);
}

SEC("xdp")
int parse_vlan(struct xdp_md *ctx)
{
	struct state *s = get_state();
	struct vlanhdr *vlan = header(ctx, s, sizeof(*vlan));
	if (!vlan)
		return ended(SHORT, XDP_DROP);
	if (s->tag_count < 4)
		s->tags[s->tag_count & 3] = ntohs(vlan->tci) & 0xfff;
	s->tag_count++;
	count(VLAN);
	return by_ethertype(ctx, vlan->proto);
}

SEC("xdp")
int parse_ipv4(struct xdp_md *ctx)
{
	struct state *s = get_state();
	struct iphdr *ip = header(ctx, s, sizeof(*ip));
	if (!ip || ip->ihl < 5)
		return ended(SHORT, XDP_DROP);
	s->offset += (ip->ihl - 5) * 4;
	count(IPV4);
	if (ip->frag_off & htons(0x1fff))
		return ended(UNKNOWN, XDP_PASS);
	return by_protocol(ctx, ip->protocol);
}

SEC("xdp")
int parse_ipv6(struct xdp_md *ctx)
{
	struct state *s = get_state();
	struct ipv6hdr *ip = header(ctx, s, sizeof(*ip));
	if (!ip)
		return ended(SHORT, XDP_DROP);
	count(IPV6);
	return by_protocol(ctx, ip->nexthdr);
}

INLINE void count_port(u16 port)
{
	u32 key = ntohs(port);
	u64 one = 1, *n = map_lookup(&ports, &key);
	if (n)
		__sync_fetch_and_add(n, 1);
	else
		map_update(&ports, &key, &one, F_ANY);
}

SEC("xdp")
int parse_tcp(struct xdp_md *ctx)
{
	struct tcphdr *tcp = header(ctx, get_state(), sizeof(*tcp));
	if (!tcp || tcp->doff < 5)
		return ended(SHORT, XDP_DROP);
	count_port(tcp->dest);
	return ended(TCP, XDP_PASS);
}

SEC("xdp")
int parse_udp(struct xdp_md *ctx)
{
	struct udphdr *udp = header(ctx, get_state(), sizeof(*udp));
	if (!udp || ntohs(udp->len) < sizeof(*udp))
		return ended(SHORT, XDP_DROP);
	count_port(udp->dest);
	return ended(UDP, XDP_PASS);
}

SEC("xdp")
int parse_icmp(struct xdp_md *ctx)
{
	u32 *icmp = header(ctx, get_state(), 4);
	if (!icmp)
		return ended(SHORT, XDP_DROP);
	return ended(ICMP, XDP_PASS);
}

char _license[] SEC("license") = "GPL";
