/* Maps as structures of five numbers, the form before BTF. */
#include "bpf.h"

struct bpf_map_def {
	u32 type, key_size, value_size, max_entries, map_flags;
};

struct bpf_map_def SEC("maps") packets = { ARRAY, 4, 8, 2, 0 };
struct bpf_map_def SEC("maps/more") ports = { HASH, 2, 8, 1024, F_NO_PREALLOC };
struct bpf_map_def SEC("maps") strange = { 999, 4, 4, 1, 0 };

SEC("classifier")
int count(struct __sk_buff *skb)
{
	u32 key = skb->len > 1000;
	u16 port = 80;
	u64 *n = map_lookup(&packets, &key);
	if (n)
		++*n;
	map_lookup(&strange, &key);
	return map_lookup(&ports, &port) ? TC_ACT_OK : TC_ACT_SHOT;
}

SEC("my-section")
int unknown(void *ctx)
{
	(void)ctx;
	return 1;
}

char _license[] SEC("license") = "GPL";
