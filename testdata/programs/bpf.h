/* What these programs need of the kernel's and libbpf's headers, so that they
 * build with nothing but clang: types, contexts, packet headers, helper
 * functions, map definitions. Numbers are those of the kernel's uapi headers. */
#ifndef BPF_H
#define BPF_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed short s16;
typedef signed int s32;
typedef signed long long s64;

#define SEC(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))
#define OFFSET(type, member) __builtin_offsetof(type, member)
#define NOINLINE __attribute__((noinline))

/* Map definitions: the loader reads the types of the members from the BTF. */
#define UINT(name, value) int(*name)[value]
#define TYPE(name, type) type *name
#define VALUES(name, type) __typeof__(type) *name[]

enum map_kind {
	HASH = 1, ARRAY = 2, PROG_ARRAY = 3, PERCPU_HASH = 5, PERCPU_ARRAY = 6, LRU_HASH = 9,
	LPM_TRIE = 11, ARRAY_OF_MAPS = 12, HASH_OF_MAPS = 13, RINGBUF = 27,
};

#define F_NO_PREALLOC 1
#define F_ANY 0
#define F_NOEXIST 1

/* Helper functions, called by number. */
static void *(*const map_lookup)(void *map, const void *key) = (void *)1;
static long (*const map_update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*const map_delete)(void *map, const void *key) = (void *)3;
static u64 (*const ktime_get_ns)(void) = (void *)5;
static u32 (*const get_prandom)(void) = (void *)7;
static long (*const skb_store_bytes)(void *ctx, u32 off, const void *from, u32 len, u64 flags) = (void *)9;
static long (*const l3_csum_replace)(void *ctx, u32 off, u64 from, u64 to, u64 flags) = (void *)10;
static long (*const l4_csum_replace)(void *ctx, u32 off, u64 from, u64 to, u64 flags) = (void *)11;
static long (*const tail_call)(void *ctx, void *map, u32 index) = (void *)12;
static u64 (*const get_current_pid_tgid)(void) = (void *)14;
static long (*const get_current_comm)(void *to, u32 size) = (void *)16;
static long (*const skb_load_bytes)(const void *ctx, u32 off, void *to, u32 len) = (void *)26;
static long (*const skb_pull_data)(void *ctx, u32 len) = (void *)39;
static long (*const xdp_adjust_head)(void *ctx, int delta) = (void *)44;
static u64 (*const get_current_cgroup_id)(void) = (void *)80;
static long (*const probe_read_user_str)(void *to, u32 size, const void *from) = (void *)114;
static void *(*const ringbuf_reserve)(void *map, u64 size, u64 flags) = (void *)131;
static void (*const ringbuf_submit)(void *data, u64 flags) = (void *)132;
static long (*const loop)(u32 n, void *callback, void *arg, u64 flags) = (void *)181;
static long (*const xdp_load_bytes)(void *ctx, u32 off, void *to, u32 len) = (void *)189;

/* Flags of l4_csum_replace. */
#define CSUM_PSEUDO_HDR 0x10
#define CSUM_MARK_MANGLED_0 0x20

/* Contexts. */
struct xdp_md {
	u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};

struct __sk_buff {
	u32 len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto;
	u32 priority, ingress_ifindex, ifindex, tc_index, cb[5], hash, tc_classid, data, data_end;
};

enum xdp_action { XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_TX, XDP_REDIRECT };
enum tc_action { TC_ACT_OK = 0, TC_ACT_SHOT = 2 };

/* Packet headers. */
struct ethhdr {
	u8 dst[6], src[6];
	u16 proto;
} __attribute__((packed));

struct vlanhdr {
	u16 tci, proto;
};

struct iphdr {
	u8 ihl : 4, version : 4;
	u8 tos;
	u16 tot_len, id, frag_off;
	u8 ttl, protocol;
	u16 check;
	u32 saddr, daddr;
};

struct ipv6hdr {
	u8 version_class, class_flow;
	u16 flow;
	u16 payload_len;
	u8 nexthdr, hop_limit;
	u32 saddr[4], daddr[4];
};

struct ports {
	u16 source, dest;
};

struct tcphdr {
	u16 source, dest;
	u32 seq, ack_seq;
	u8 reserved : 4, doff : 4;
	u8 flags;
	u16 window, check, urgent;
};

struct udphdr {
	u16 source, dest, len, check;
};

#define IPPROTO_HOPOPTS 0
#define IPPROTO_ICMP 1
#define IPPROTO_IPIP 4
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_ROUTING 43
#define IPPROTO_FRAGMENT 44
#define IPPROTO_ESP 50
#define IPPROTO_AH 51
#define IPPROTO_ICMPV6 58
#define IPPROTO_NONE 59
#define IPPROTO_DSTOPTS 60

#define htons(x) ((u16)__builtin_bswap16(x))
#define ntohs(x) htons(x)
#define htonl(x) ((u32)__builtin_bswap32(x))
#define ntohl(x) htonl(x)

#define ETH_IP htons(0x0800)
#define ETH_IPV6 htons(0x86dd)
#define ETH_VLAN htons(0x8100)
#define ETH_QINQ htons(0x88a8)

#endif
