/* Address translation at traffic control: what comes in for a published
 * address and port goes to a server behind it, and the answers get the
 * published address back. The kernel's helper functions keep the checksums
 * right by the difference alone. */
#include "bpf.h"

struct endpoint {
	u32 address; /* network byte order */
	u16 port;
	u16 protocol;
};

/* published → server, from the control plane */
struct {
	UINT(type, HASH);
	UINT(max_entries, 256);
	TYPE(key, struct endpoint);
	TYPE(value, struct endpoint);
} published SEC(".maps");

struct connection {
	struct endpoint server, client;
};

/* what answers are to come from, learned on the way in */
struct {
	UINT(type, LRU_HASH);
	UINT(max_entries, 16384);
	TYPE(key, struct connection);
	TYPE(value, struct endpoint);
} connections SEC(".maps");

u64 translated[2]; /* in, out */
u64 failed;

struct headers {
	struct iphdr *ip;
	struct ports *ports;
	u32 check; /* offset of the checksum of TCP or UDP */
};

#define IP_OFF sizeof(struct ethhdr)
#define PORTS_OFF (IP_OFF + sizeof(struct iphdr))

/* Finds the headers; false for what is not translated. */
INLINE _Bool parse(struct __sk_buff *skb, struct headers *h)
{
	struct ethhdr *eth;
	void *end;
	if (skb_pull_data(skb, PORTS_OFF + sizeof(struct udphdr)) < 0)
		return 0;
	eth = (void *)(u64)skb->data;
	end = (void *)(u64)skb->data_end;
	h->ip = (void *)(eth + 1);
	h->ports = (void *)(h->ip + 1);
	if ((void *)(h->ports + 2) > end || eth->proto != ETH_IP || h->ip->ihl != 5 ||
	    (h->ip->frag_off & htons(0x3fff)))
		return 0;
	switch (h->ip->protocol) {
	case IPPROTO_TCP:
		h->check = PORTS_OFF + OFFSET(struct tcphdr, check);
		break;
	case IPPROTO_UDP:
		h->check = PORTS_OFF + OFFSET(struct udphdr, check);
		break;
	default:
		return 0;
	}
	return h->check + 2 <= skb->len;
}

struct change {
	struct endpoint from, to;
	u32 address_off, port_off, check; /* where in the packet */
};

/* Writes an address and a port, and corrects the checksums. The packet is
 * reached through helper functions only, as each may move it. */
static NOINLINE int rewrite(struct __sk_buff *skb, const struct change *c)
{
	/* A UDP checksum of 0 means that there is none, and must stay so. */
	u64 mangled = c->from.protocol == IPPROTO_UDP ? CSUM_MARK_MANGLED_0 : 0;
	if (l4_csum_replace(skb, c->check, c->from.address, c->to.address, CSUM_PSEUDO_HDR | mangled | 4) < 0)
		return -1;
	if (l4_csum_replace(skb, c->check, c->from.port, c->to.port, mangled | 2) < 0)
		return -1;
	if (l3_csum_replace(skb, IP_OFF + OFFSET(struct iphdr, check), c->from.address, c->to.address, 4) < 0)
		return -1;
	if (skb_store_bytes(skb, c->address_off, &c->to.address, 4, 0) < 0)
		return -1;
	return skb_store_bytes(skb, c->port_off, &c->to.port, 2, 0);
}

INLINE int finish(int err, u64 *counter)
{
	if (err < 0) {
		__sync_fetch_and_add(&failed, 1);
		return TC_ACT_SHOT;
	}
	__sync_fetch_and_add(counter, 1);
	return TC_ACT_OK;
}

SEC("tc/ingress")
int nat_in(struct __sk_buff *skb)
{
	struct headers h = {};
	struct connection c = {};
	struct change change = {
		.address_off = IP_OFF + OFFSET(struct iphdr, daddr),
		.port_off = PORTS_OFF + OFFSET(struct ports, dest),
	};
	struct endpoint *server;
	if (!parse(skb, &h))
		return TC_ACT_OK;
	change.check = h.check;
	change.from = (struct endpoint){ h.ip->daddr, h.ports->dest, h.ip->protocol };
	server = map_lookup(&published, &change.from);
	if (!server)
		return TC_ACT_OK;
	change.to = *server;
	c.server = (struct endpoint){ server->address, server->port, h.ip->protocol };
	c.client = (struct endpoint){ h.ip->saddr, h.ports->source, h.ip->protocol };
	if (map_update(&connections, &c, &change.from, F_ANY) < 0)
		return TC_ACT_SHOT;
	return finish(rewrite(skb, &change), &translated[0]);
}

SEC("tc/egress")
int nat_out(struct __sk_buff *skb)
{
	struct headers h = {};
	struct connection c = {};
	struct change change = {
		.address_off = IP_OFF + OFFSET(struct iphdr, saddr),
		.port_off = PORTS_OFF + OFFSET(struct ports, source),
	};
	struct endpoint *address;
	if (!parse(skb, &h))
		return TC_ACT_OK;
	change.check = h.check;
	c.server = (struct endpoint){ h.ip->saddr, h.ports->source, h.ip->protocol };
	c.client = (struct endpoint){ h.ip->daddr, h.ports->dest, h.ip->protocol };
	address = map_lookup(&connections, &c);
	if (!address)
		return TC_ACT_OK;
	change.from = c.server;
	change.to = *address;
	return finish(rewrite(skb, &change), &translated[1]);
}

char _license[] SEC("license") = "GPL";
