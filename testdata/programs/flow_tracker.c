/* Counts packets and bytes by flow, in both directions together, and tells
 * user space through a ring buffer when a flow begins and ends. */
#include "bpf.h"

struct flow {
	u32 low[4], high[4]; /* the addresses, the smaller first */
	u16 low_port, high_port;
	u8 protocol, version;
	u16 pad;
};

struct state {
	u64 packets[2], bytes[2]; /* from low to high, and back */
	u64 first, last;          /* ns; 0 unless timestamps is set */
	u32 flags;                /* of TCP, all seen */
	u32 closed;
};

struct {
	UINT(type, LRU_HASH);
	UINT(max_entries, 65536);
	TYPE(key, struct flow);
	TYPE(value, struct state);
} flows SEC(".maps");

enum event_kind { FLOW_NEW = 1, FLOW_END };

struct event {
	struct flow flow;
	u32 kind;
	u32 flags;
	u64 packets, bytes;
};

struct {
	UINT(type, RINGBUF);
	UINT(max_entries, 1 << 20);
} events SEC(".maps");

const volatile _Bool timestamps = 0;
u64 lost; /* events that found the ring buffer full */

#define TCP_FIN 1
#define TCP_RST 4

struct packet {
	struct flow flow;
	u32 back; /* the source is the higher address */
	u32 flags;
};

/* Orders the ends of a flow, so that both directions have the same key. */
INLINE void set_ends(struct packet *p, const u32 *source, const u32 *dest, int words, struct ports ports)
{
	p->back = 0;
	for (int i = 0; i < words; i++) {
		if (source[i] != dest[i]) {
			p->back = source[i] > dest[i];
			goto ordered;
		}
	}
	p->back = ports.source > ports.dest;
ordered:
	for (int i = 0; i < words; i++) {
		p->flow.low[i] = p->back ? dest[i] : source[i];
		p->flow.high[i] = p->back ? source[i] : dest[i];
	}
	p->flow.low_port = p->back ? ports.dest : ports.source;
	p->flow.high_port = p->back ? ports.source : ports.dest;
}

/* Reads the ports, and the flags of TCP, from offset off of the packet. */
INLINE struct ports transport(struct __sk_buff *skb, u32 off, struct packet *p)
{
	struct ports ports = {};
	struct tcphdr tcp;
	switch (p->flow.protocol) {
	case IPPROTO_TCP:
		if (skb_load_bytes(skb, off, &tcp, sizeof(tcp)) < 0)
			break;
		p->flags = tcp.flags;
		ports = (struct ports){ tcp.source, tcp.dest };
		break;
	case IPPROTO_UDP:
		skb_load_bytes(skb, off, &ports, sizeof(ports));
		break;
	}
	return ports;
}

INLINE int parse4(struct __sk_buff *skb, struct packet *p)
{
	struct iphdr ip;
	struct ports ports = {};
	u32 off = sizeof(struct ethhdr);
	if (skb_load_bytes(skb, off, &ip, sizeof(ip)) < 0 || ip.ihl < 5)
		return -1;
	p->flow.protocol = ip.protocol;
	p->flow.version = 4;
	if (!(ip.frag_off & htons(0x1fff)))
		ports = transport(skb, off + ip.ihl * 4, p);
	set_ends(p, &ip.saddr, &ip.daddr, 1, ports);
	return 0;
}

INLINE int parse6(struct __sk_buff *skb, struct packet *p)
{
	struct ipv6hdr ip;
	u32 off = sizeof(struct ethhdr);
	if (skb_load_bytes(skb, off, &ip, sizeof(ip)) < 0)
		return -1;
	p->flow.protocol = ip.nexthdr;
	p->flow.version = 6;
	set_ends(p, ip.saddr, ip.daddr, 4, transport(skb, off + sizeof(ip), p));
	return 0;
}

static NOINLINE void send_event(const struct flow *flow, const struct state *s, u32 kind)
{
	struct event *e = ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e) {
		__sync_fetch_and_add(&lost, 1);
		return;
	}
	if (flow)
		e->flow = *flow;
	e->kind = kind;
	e->flags = s ? s->flags : 0;
	e->packets = s ? s->packets[0] + s->packets[1] : 0;
	e->bytes = s ? s->bytes[0] + s->bytes[1] : 0;
	ringbuf_submit(e, 0);
}

INLINE void update(struct packet *p, u64 bytes)
{
	struct state fresh = {}, *s;
	u64 now = timestamps ? ktime_get_ns() : 0;
	s = map_lookup(&flows, &p->flow);
	if (!s) {
		fresh.first = now;
		map_update(&flows, &p->flow, &fresh, F_NOEXIST);
		s = map_lookup(&flows, &p->flow);
		if (!s)
			return;
		send_event(&p->flow, s, FLOW_NEW);
	}
	__sync_fetch_and_add(&s->packets[p->back & 1], 1);
	__sync_fetch_and_add(&s->bytes[p->back & 1], bytes);
	s->last = now;
	s->flags |= p->flags;
	if ((p->flags & (TCP_FIN | TCP_RST)) && !s->closed) {
		s->closed = 1;
		send_event(&p->flow, s, FLOW_END);
	}
}

SEC("tc")
int track(struct __sk_buff *skb)
{
	struct packet p = {};
	int err = -1;
	u16 proto = 0;
	skb_load_bytes(skb, OFFSET(struct ethhdr, proto), &proto, sizeof(proto));
	if (proto == ETH_IP)
		err = parse4(skb, &p);
	else if (proto == ETH_IPV6)
		err = parse6(skb, &p);
	if (!err)
		update(&p, skb->len);
	return TC_ACT_OK;
}

char _license[] SEC("license") = "GPL";
