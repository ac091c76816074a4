/* A spin lock in the values of a map: the kernel finds it by the name of its
 * type. */
#include "bpf.h"

struct bpf_spin_lock {
	u32 val;
};

struct flow {
	u64 packets;
	struct bpf_spin_lock lock;
	u32 bytes;
};

struct {
	UINT(type, ARRAY);
	UINT(max_entries, 2);
	TYPE(key, u32);
	TYPE(value, struct flow);
} flows SEC(".maps");

static long (*const spin_lock)(struct bpf_spin_lock *lock) = (void *)93;
static long (*const spin_unlock)(struct bpf_spin_lock *lock) = (void *)94;

SEC("tc")
int count(struct __sk_buff *skb)
{
	u32 key = 1;
	struct flow *f = map_lookup(&flows, &key);
	if (!f)
		return TC_ACT_SHOT;
	spin_lock(&f->lock);
	f->packets++;
	f->bytes += skb->len;
	spin_unlock(&f->lock);
	return TC_ACT_OK;
}

char _license[] SEC("license") = "GPL";
