/* A firewall at XDP: a longest-prefix match on the source address says what to
 * do with a packet, and counters tell how often that happened. */
#include "bpf.h"

/* A rule applies to all packets from its prefix, or to those to one port. */
struct rule {
	u32 action;   /* enum xdp_action */
	u16 port;     /* network byte order, 0 for any */
	u8 protocol;  /* 0 for any */
	u8 log;       /* count in hits, too */
};

struct prefix4 {
	u32 length;
	u32 address;
};

struct prefix6 {
	u32 length;
	u32 address[4];
};

struct {
	UINT(type, LPM_TRIE);
	UINT(max_entries, 1024);
	UINT(map_flags, F_NO_PREALLOC);
	TYPE(key, struct prefix4);
	TYPE(value, struct rule);
} rules4 SEC(".maps");

struct {
	UINT(type, LPM_TRIE);
	UINT(max_entries, 1024);
	UINT(map_flags, F_NO_PREALLOC);
	TYPE(key, struct prefix6);
	TYPE(value, struct rule);
} rules6 SEC(".maps");

struct counter {
	u64 packets, bytes;
};

/* By action: what was done, and with how much. */
struct {
	UINT(type, PERCPU_ARRAY);
	UINT(max_entries, 5);
	TYPE(key, u32);
	TYPE(value, struct counter);
} counters SEC(".maps");

/* By source address, for the rules that ask for it. */
struct {
	UINT(type, HASH);
	UINT(max_entries, 4096);
	TYPE(key, u32);
	TYPE(value, struct counter);
} hits SEC(".maps");

const volatile u32 default_action = XDP_PASS;
const volatile _Bool drop_fragments = 0;
u64 parse_errors;

struct packet {
	void *at, *end;
	u16 proto; /* EtherType */
};

/* Steps over the Ethernet header and up to two VLAN tags. */
INLINE int link_layer(struct packet *p)
{
	struct ethhdr *eth = p->at;
	if ((void *)(eth + 1) > p->end)
		return -1;
	p->at = eth + 1;
	p->proto = eth->proto;
#pragma unroll
	for (int i = 0; i < 2; i++) {
		struct vlanhdr *vlan = p->at;
		if (p->proto != ETH_VLAN && p->proto != ETH_QINQ)
			break;
		if ((void *)(vlan + 1) > p->end)
			return -1;
		p->proto = vlan->proto;
		p->at = vlan + 1;
	}
	return 0;
}

INLINE u16 dest_port(void *transport, void *end, u8 protocol)
{
	struct ports *ports = transport;
	if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP)
		return 0;
	if ((void *)(ports + 1) > end)
		return 0;
	return ports->dest;
}

INLINE u32 apply(const struct rule *r, u8 protocol, u16 port)
{
	if (!r)
		return default_action;
	if (r->protocol && r->protocol != protocol)
		return default_action;
	if (r->port && r->port != port)
		return default_action;
	return r->action;
}

static NOINLINE void count_hit(u32 address, u64 bytes)
{
	struct counter first = { 1, bytes }, *c = map_lookup(&hits, &address);
	if (c) {
		__sync_fetch_and_add(&c->packets, 1);
		__sync_fetch_and_add(&c->bytes, bytes);
	} else {
		map_update(&hits, &address, &first, F_NOEXIST);
	}
}

INLINE u32 filter4(struct packet *p, u64 bytes)
{
	struct iphdr *ip = p->at;
	struct prefix4 key = { 32 };
	struct rule *r;
	u16 port = 0;
	if ((void *)(ip + 1) > p->end || ip->ihl < 5)
		return XDP_ABORTED;
	if (drop_fragments && (ip->frag_off & htons(0x3fff)))
		return XDP_DROP;
	if (!(ip->frag_off & htons(0x1fff)))
		port = dest_port((void *)ip + ip->ihl * 4, p->end, ip->protocol);
	key.address = ip->saddr;
	r = map_lookup(&rules4, &key);
	if (r && r->log)
		count_hit(ip->saddr, bytes);
	return apply(r, ip->protocol, port);
}

INLINE u32 filter6(struct packet *p)
{
	struct ipv6hdr *ip = p->at;
	struct prefix6 key = { 128 };
	if ((void *)(ip + 1) > p->end)
		return XDP_ABORTED;
	__builtin_memcpy(key.address, ip->saddr, 16);
	return apply(map_lookup(&rules6, &key), ip->nexthdr, dest_port(ip + 1, p->end, ip->nexthdr));
}

SEC("xdp")
int firewall(struct xdp_md *ctx)
{
	struct packet p = { (void *)(u64)ctx->data, (void *)(u64)ctx->data_end };
	u64 bytes = p.end - p.at;
	u32 action = default_action;
	struct counter *c;
	if (link_layer(&p) < 0)
		action = XDP_ABORTED;
	else if (p.proto == ETH_IP)
		action = filter4(&p, bytes);
	else if (p.proto == ETH_IPV6)
		action = filter6(&p);
	if (action == XDP_ABORTED) {
		__sync_fetch_and_add(&parse_errors, 1);
		action = XDP_DROP;
	}
	c = map_lookup(&counters, &action);
	if (c) {
		c->packets++;
		c->bytes += bytes;
	}
	return action;
}

char _license[] SEC("license") = "GPL";
