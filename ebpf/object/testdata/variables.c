/* Global variables of all kinds. */
#include "bpf.h"

enum color { RED, GREEN = 5, BLUE = -1 };

struct point {
	s32 x, y;
};

const volatile u32 limit = 100;
const volatile _Bool enabled = 1;
const volatile char name[8] = "eth0";
const volatile u8 mac[6];
const volatile s16 grid[2][3];
const volatile enum color color = GREEN;
volatile struct point origin = { 1, 2 };
s64 balance = -5;
u8 small;
static volatile u32 hidden = 7; /* not settable: it has no symbol of its own */
char letter;

SEC("xdp")
int use(void *ctx)
{
	(void)ctx;
	small = grid[1][2] + hidden;
	return limit + enabled + name[0] + mac[1] + color + origin.y + balance + letter;
}
