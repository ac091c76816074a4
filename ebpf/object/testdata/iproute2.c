/* Maps and sections in the way of iproute2: maps have ids, maps of maps name
 * those in them by id, and a section "id/slot" puts its program into a slot of
 * a program array. */
#include "bpf.h"

struct bpf_elf_map {
	u32 type, size_key, size_value, max_elem, flags;
	u32 id, pinning, inner_id, inner_idx;
};

struct bpf_elf_map SEC("maps") calls = {
	.type = PROG_ARRAY, .size_key = 4, .size_value = 4, .max_elem = 8, .id = 2, .pinning = 1,
};

struct bpf_elf_map SEC("maps") inner = {
	.type = ARRAY, .size_key = 4, .size_value = 8, .max_elem = 3, .id = 42, .inner_idx = 1,
};

struct bpf_elf_map SEC("maps") outer = {
	.type = ARRAY_OF_MAPS, .size_key = 4, .size_value = 4, .max_elem = 2,
	.inner_id = 42, .pinning = 2,
};

struct bpf_elf_map SEC("maps") by_port = {
	.type = HASH_OF_MAPS, .size_key = 2, .size_value = 4, .max_elem = 2, .inner_id = 42,
};

SEC("classifier")
int entry(struct __sk_buff *skb)
{
	u32 one = 1;
	u64 *n;
	void *m = map_lookup(&outer, &one);
	if (m && (n = map_lookup(m, &one)))
		++*n;
	map_lookup(&by_port, &(u16){80});
	tail_call(skb, &calls, 7);
	return TC_ACT_SHOT;
}

SEC("2/7")
int seventh(struct __sk_buff *skb)
{
	tail_call(skb, &calls, 1);
	return 7;
}

SEC("0x2/1")
int first(struct __sk_buff *skb)
{
	return skb->mark;
}

char _license[] SEC("license") = "GPL";
