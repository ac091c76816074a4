/* What comes from elsewhere: functions and variables of the kernel, some of
 * them optional, kernel configuration, and a function that nobody defines. */
#include "bpf.h"

struct task {
	int pid;
};

#define WEAK __attribute__((weak))

extern u32 kernel_hash(u32 x) __attribute__((section(".ksyms")));
extern u32 optional_hash(u32 x) __attribute__((section(".ksyms"))) WEAK;
extern const void optional_variable __attribute__((section(".ksyms"))) WEAK;
extern const struct task kernel_variable __attribute__((section(".ksyms")));
extern u32 CONFIG_HZ __attribute__((section(".kconfig")));
extern char CONFIG_SMP __attribute__((section(".kconfig"))) WEAK;
u32 nowhere(u32 x);

NOINLINE u32 twice(u32 x)
{
	return x * 2;
}

static NOINLINE long visit(u32 index, void *ctx)
{
	*(u32 *)ctx += twice(index);
	return 0;
}

SEC("xdp")
int weak(struct xdp_md *ctx)
{
	u32 n = ctx->rx_queue_index;
	if (optional_hash)
		n = optional_hash(n);
	if (&optional_variable)
		n++;
	loop(3, visit, &n, 0);
	return n;
}

SEC("xdp")
int strong(struct xdp_md *ctx)
{
	return kernel_hash(ctx->rx_queue_index) + (u32)(u64)&kernel_variable;
}

SEC("xdp")
int configured(struct xdp_md *ctx)
{
	(void)ctx;
	return CONFIG_SMP == 'y' ? CONFIG_HZ : 0;
}

SEC("xdp")
int unlinked(struct xdp_md *ctx)
{
	return nowhere(ctx->rx_queue_index);
}
