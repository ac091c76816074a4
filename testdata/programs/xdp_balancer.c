/* A layer-4 load balancer at XDP. Packets for a virtual address go to one of
 * its backends inside another IP header (IPIP), so that the backend sees them
 * as they came and answers the client itself.
 *
 * Each virtual address has a ring of backend numbers, filled by the control
 * plane with consistent hashing: a backend that goes away changes only its own
 * places. Flows that are known stay where they are even so. */
#include "bpf.h"

#define RING_SIZE 251 /* prime, so that all bits of the hash count */
#define MAX_VIPS 16
#define MAX_BACKENDS 64

struct vip {
	u32 address; /* network byte order, as all addresses and ports here */
	u16 port;
	u16 protocol;
};

struct service {
	u32 ring;   /* its place in rings */
	u32 sticky; /* remember flows */
};

struct backend {
	u32 address;
	u8 mac[6]; /* of the next hop to it */
	u16 up;
};

struct flow {
	u32 saddr, daddr;
	struct ports ports;
	u32 protocol;
};

struct {
	UINT(type, HASH);
	UINT(max_entries, MAX_VIPS);
	TYPE(key, struct vip);
	TYPE(value, struct service);
} services SEC(".maps");

struct ring {
	UINT(type, ARRAY);
	UINT(max_entries, RING_SIZE);
	TYPE(key, u32);
	TYPE(value, u32);
} ring_a SEC(".maps"), ring_b SEC(".maps");

struct {
	UINT(type, ARRAY_OF_MAPS);
	UINT(max_entries, MAX_VIPS);
	TYPE(key, u32);
	VALUES(values, struct ring);
} rings SEC(".maps") = {
	.values = { [0] = &ring_a, [1] = &ring_b },
};

struct {
	UINT(type, ARRAY);
	UINT(max_entries, MAX_BACKENDS);
	TYPE(key, u32);
	TYPE(value, struct backend);
} backends SEC(".maps");

struct {
	UINT(type, LRU_HASH);
	UINT(max_entries, 16384);
	TYPE(key, struct flow);
	TYPE(value, u32);
} flows SEC(".maps");

enum outcome { NOT_OURS, NO_RING, NO_BACKEND, NO_ROOM, SENT, OUTCOMES };

struct {
	UINT(type, PERCPU_ARRAY);
	UINT(max_entries, OUTCOMES);
	TYPE(key, u32);
	TYPE(value, u64);
} outcomes SEC(".maps");

const volatile u32 local_address = htonl(0x0a000001); /* source of the outer header */
const volatile u32 seed = 0x9e3779b9;
const volatile u8 local_mac[6] = { 2, 0, 0, 0, 0, 1 };

/* Mixes a word into a hash (the finalizer of MurmurHash3). */
INLINE u32 mix(u32 hash, u32 word)
{
	hash ^= word;
	hash ^= hash >> 16;
	hash *= 0x85ebca6b;
	hash ^= hash >> 13;
	hash *= 0xc2b2ae35;
	return hash ^ hash >> 16;
}

static NOINLINE u32 flow_hash(const struct flow *f)
{
	u32 hash;
	if (!f)
		return 0;
	hash = mix(seed, f->saddr);
	hash = mix(hash, f->daddr);
	hash = mix(hash, (u32)f->ports.source << 16 | f->ports.dest);
	return mix(hash, f->protocol);
}

/* Finds the backend that the ring has for a flow. */
INLINE struct backend *from_ring(const struct service *s, const struct flow *f, u32 *number, u32 *why)
{
	u32 key = s->ring, *place;
	void *ring = map_lookup(&rings, &key);
	*why = NO_RING;
	if (!ring)
		return 0;
	key = flow_hash(f) % RING_SIZE;
	place = map_lookup(ring, &key);
	if (!place)
		return 0;
	*why = NO_BACKEND;
	*number = *place;
	return map_lookup(&backends, number);
}

INLINE struct backend *choose(const struct service *s, const struct flow *f, u32 *why)
{
	struct backend *b;
	u32 number, *known = s->sticky ? map_lookup(&flows, f) : 0;
	*why = NO_BACKEND;
	if (known) {
		b = map_lookup(&backends, known);
		if (b && b->up)
			return b;
	}
	b = from_ring(s, f, &number, why);
	if (!b || !b->up)
		return 0;
	if (s->sticky)
		map_update(&flows, f, &number, F_ANY);
	return b;
}

INLINE u16 header_checksum(const struct iphdr *ip)
{
	const u16 *words = (const void *)ip;
	u32 sum = 0;
#pragma unroll
	for (int i = 0; i < 10; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* Puts the outer header before the packet and addresses the frame. */
INLINE u32 encapsulate(struct xdp_md *ctx, const struct backend *b, u8 tos, u16 inner_len, u16 id)
{
	struct ethhdr *eth;
	struct iphdr *ip;
	if (xdp_adjust_head(ctx, -(int)sizeof(*ip)))
		return NO_ROOM;
	eth = (void *)(u64)ctx->data;
	ip = (void *)(eth + 1);
	if ((void *)(ip + 1) > (void *)(u64)ctx->data_end)
		return NO_ROOM;
	__builtin_memcpy(eth->dst, b->mac, 6);
	for (int i = 0; i < 6; i++)
		eth->src[i] = local_mac[i];
	eth->proto = ETH_IP;
	*ip = (struct iphdr){
		.version = 4, .ihl = 5, .tos = tos, .ttl = 64, .protocol = IPPROTO_IPIP,
		.tot_len = htons(inner_len + sizeof(*ip)), .id = id,
		.saddr = local_address, .daddr = b->address,
	};
	ip->check = header_checksum(ip);
	return SENT;
}

INLINE int done(u32 outcome)
{
	u64 *n = map_lookup(&outcomes, &outcome);
	if (n)
		++*n;
	if (outcome == SENT)
		return XDP_TX;
	return outcome == NOT_OURS ? XDP_PASS : XDP_DROP;
}

SEC("xdp")
int balance(struct xdp_md *ctx)
{
	void *end = (void *)(u64)ctx->data_end;
	struct ethhdr *eth = (void *)(u64)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);
	struct ports *ports = (void *)(ip + 1);
	struct flow f = {};
	struct vip v = {};
	struct service *s;
	struct backend *b;
	u32 why;
	/* Header options and fragments are left to the stack. */
	if ((void *)(ports + 1) > end || eth->proto != ETH_IP || ip->version != 4 ||
	    ip->ihl != 5 || (ip->frag_off & htons(0x3fff)))
		return done(NOT_OURS);
	if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP)
		return done(NOT_OURS);
	v.address = f.daddr = ip->daddr;
	v.protocol = f.protocol = ip->protocol;
	v.port = ports->dest;
	f.saddr = ip->saddr;
	f.ports = *ports;
	s = map_lookup(&services, &v);
	if (!s)
		return done(NOT_OURS);
	b = choose(s, &f, &why);
	if (!b)
		return done(why);
	return done(encapsulate(ctx, b, ip->tos, ntohs(ip->tot_len), ip->id));
}

char _license[] SEC("license") = "GPL";
