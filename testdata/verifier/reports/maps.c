/* Mistakes with sizes, indexes and what helper functions return. */
#include "bpf.h"

struct scratch {
	u8 bytes[64];
};

struct {
	UINT(type, ARRAY);
	UINT(max_entries, 1);
	TYPE(key, u32);
	TYPE(value, struct scratch);
} scratch SEC(".maps");

struct {
	UINT(type, HASH);
	UINT(max_entries, 1024);
	TYPE(key, u32);
	TYPE(value, u64);
} counters SEC(".maps");

struct {
	UINT(type, RINGBUF);
	UINT(max_entries, 4096);
} events SEC(".maps");

/* A length from the packet, checked on one side, as a signed number. */
SEC("xdp") int size_argument(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct tcphdr *tcp = data + 34;
	struct scratch *s;
	u32 zero = 0;
	int len;

	if ((void *)(tcp + 1) > end)
		return XDP_PASS;
	s = map_lookup(&scratch, &zero);
	if (!s)
		return XDP_PASS;
	len = ntohl(tcp->seq) - 20;
	if (len > 64)
		return XDP_PASS;
	if (xdp_load_bytes(ctx, 54, s->bytes, len))
		return XDP_PASS;
	return s->bytes[0] ? XDP_DROP : XDP_PASS;
}

/* The index is signed, and checked on one side. */
SEC("xdp") int signed_index(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	u32 zero = 0;
	struct scratch *s = map_lookup(&scratch, &zero);
	int i;

	if (!s || data + 18 > end)
		return XDP_PASS;
	i = *(int *)(data + 14);
	if (i > 63)
		return XDP_PASS;
	return s->bytes[i] ? XDP_DROP : XDP_PASS;
}

/* One too many. */
SEC("xdp") int index_off_by_one(struct xdp_md *ctx)
{
	u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	u32 zero = 0;
	struct scratch *s = map_lookup(&scratch, &zero);

	if (!s || data + 15 > end || data[14] > 64)
		return XDP_PASS;
	return s->bytes[data[14]] ? XDP_DROP : XDP_PASS;
}

/* A hash has no elements that are always there. */
SEC("xdp") int unchecked_lookup(struct xdp_md *ctx)
{
	u32 key = ctx->ingress_ifindex;
	u64 *count = map_lookup(&counters, &key);

	__sync_fetch_and_add(count, 1);
	return XDP_PASS;
}

/* The wrong one of two pointers is checked. */
SEC("xdp") int checked_the_other(struct xdp_md *ctx)
{
	u32 in = ctx->ingress_ifindex, queue = ctx->rx_queue_index;
	u64 *a = map_lookup(&counters, &in);
	u64 *b = map_lookup(&counters, &queue);

	if (!a)
		return XDP_PASS;
	*b += 1;
	return XDP_PASS;
}

/* The record is lost on the way out in the middle. */
SEC("xdp") int lost_record(struct xdp_md *ctx)
{
	u32 *record = ringbuf_reserve(&events, 8, 0);

	if (!record)
		return XDP_PASS;
	record[0] = ctx->ingress_ifindex;
	if (ctx->rx_queue_index > 7)
		return XDP_DROP;
	record[1] = ctx->rx_queue_index;
	ringbuf_submit(record, 0);
	return XDP_PASS;
}

/* Every round makes two states of each, and none of them are alike. */
SEC("xdp") int explosion(struct xdp_md *ctx)
{
	u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	u32 zero = 0, hash = 0;
	struct scratch *s = map_lookup(&scratch, &zero);

	if (!s || data + 32 > end)
		return XDP_PASS;
#pragma clang loop unroll(disable)
	for (int i = 0; i < 32; i++)
		hash = data[i] & 1 ? hash * 31 + 7 : hash * 33 + 1;
	return hash < 64 && s->bytes[hash] ? XDP_DROP : XDP_PASS;
}
