// Calls through pointers, which clang 16 encodes with the register in the
// immediate, later ones in the destination.
#include "bpf.h"

static __attribute__((noinline)) int add(int v)
{
	return v + 3;
}

static __attribute__((noinline)) int mul(int v)
{
	return v * 3;
}

SEC("xdp")
int choose(struct xdp_md *ctx)
{
	int (*volatile f)(int) = ctx->ingress_ifindex ? mul : add;

	return f(ctx->rx_queue_index);
}
