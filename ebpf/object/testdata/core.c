/* CO-RE: instructions that depend on the layout of kernel types. */
#include "bpf.h"

#define CORE __attribute__((preserve_access_index))

struct task {
	int pid;
	int tgid;
	long gone;
} CORE;

enum state { IDLE = 1, BUSY = 2 };

/* Field information, by the numbers of the compiler. */
#define EXISTS(field) __builtin_preserve_field_info(field, 2)
#define ENUM_EXISTS(type, value) __builtin_preserve_enum_value(*(type *)value, 0)
#define ENUM_VALUE(type, value) __builtin_preserve_enum_value(*(type *)value, 1)

static long (*const probe_read)(void *to, u32 size, const void *from) = (void *)113;

SEC("raw_tp/one")
int offsets(u64 *ctx)
{
	struct task *t = (void *)ctx[0];
	int tgid = 0;
	probe_read(&tgid, sizeof(tgid), &t->tgid);
	return tgid + ENUM_VALUE(enum state, BUSY);
}

SEC("raw_tp/two")
int absent(u64 *ctx)
{
	struct task *t = (void *)ctx[0];
	long gone = 0;
	if (EXISTS(t->gone))
		probe_read(&gone, sizeof(gone), &t->gone);
	return gone;
}

SEC("xdp")
int plain(struct xdp_md *ctx)
{
	return ctx->rx_queue_index;
}

char _license[] SEC("license") = "GPL";
