/* Maps of maps in the way of the kernel's samples: the sixth number says which
 * of the maps, counted from 0, is like those in the map of maps. */
#include "bpf.h"

struct bpf_map_def {
	u32 type, key_size, value_size, max_entries, map_flags;
	u32 inner_map_idx, numa_node;
};

struct bpf_map_def SEC("maps") plain = { HASH, 4, 4, 10, 0 };
struct bpf_map_def SEC("maps") counters = { ARRAY, 4, 8, 3, 0 };
struct bpf_map_def SEC("maps") by_port = { HASH_OF_MAPS, 4, 0, 16, 0, .inner_map_idx = 1 };

SEC("classifier")
int count(struct __sk_buff *skb)
{
	u32 key = skb->mark;
	u64 *n;
	void *m;
	if (map_lookup(&plain, &key))
		return TC_ACT_SHOT;
	m = map_lookup(&by_port, &key);
	if (m && (n = map_lookup(m, &key)))
		++*n;
	return TC_ACT_OK;
}

char _license[] SEC("license") = "GPL";
