/* The same work in C, for benchmarks to compare with: "tcp port 80" by hand and
 * by libpcap's interpreter. Frames are read from the file named; each line of the
 * standard input is a way to judge them and a number of rounds, the answer the
 * nanoseconds per frame of the fastest round and the number of matches. */
#include <pcap/pcap.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef uint8_t u8;
typedef uint32_t u32;

struct frame { const u8 *data; size_t len; u32 wire_len; };

static u32 be16(const u8 *p) { return p[0] << 8 | p[1]; }

static inline __attribute__((always_inline)) u32 tcp_port_80(const u8 *p, size_t len)
{
	size_t ports;
	if (len < 14)
		return 0;
	switch (be16(p + 12)) {
	case 0x86dd:
		if (len < 21 || p[20] != 6)
			return 0;
		ports = 54;
		break;
	case 0x0800:
		if (len < 24 || p[23] != 6 || be16(p + 20) & 0x1fff)
			return 0;
		ports = 14 + (p[14] & 15) * 4;
		break;
	default:
		return 0;
	}
	if (len < ports + 2)
		return 0;
	if (be16(p + ports) == 80)
		return 262144;
	return len >= ports + 4 && be16(p + ports + 2) == 80 ? 262144 : 0;
}

__attribute__((noinline)) static u32 called(const u8 *p, size_t len)
{
	__asm__ volatile(""); /* or gcc would find that calls have no effect */
	return tcp_port_80(p, len);
}

static struct frame *frames;
static u32 *verdicts, count;
static struct bpf_program program;

static void native(void)
{
	for (u32 i = 0; i < count; i++)
		verdicts[i] = called(frames[i].data, frames[i].len);
}

static void inlined(void)
{
	for (u32 i = 0; i < count; i++)
		verdicts[i] = tcp_port_80(frames[i].data, frames[i].len);
}

static void interpreted(void)
{
	for (u32 i = 0; i < count; i++)
		verdicts[i] = bpf_filter(program.bf_insns, frames[i].data, frames[i].wire_len, frames[i].len);
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void *allocate(size_t n)
{
	void *p = malloc(n ? n : 1);
	if (!p)
		die("malloc");
	return p;
}

/* A file of frames: their number, then of each its length and its bytes. */
static void read_frames(const char *name)
{
	FILE *f = fopen(name, "rb");
	u8 *to;
	u32 n, total = 0;
	if (!f || fread(&count, 4, 1, f) != 1 || fread(&total, 4, 1, f) != 1)
		die(name);
	frames = allocate(count * sizeof(*frames));
	verdicts = allocate(count * sizeof(*verdicts));
	to = allocate(total);
	for (u32 i = 0; i < count; i++, to += n) {
		if (fread(&n, 4, 1, f) != 1 || fread(to, 1, n, f) != n)
			die(name);
		frames[i] = (struct frame){ to, n, n };
	}
	fclose(f);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

int main(int argc, char **argv)
{
	pcap_t *p = pcap_open_dead(DLT_EN10MB, 262144);
	char way[32];
	int rounds, repeat;
	if (argc != 2 || !p || pcap_compile(p, &program, "tcp port 80", 1, 0) != 0)
		return 1;
	read_frames(argv[1]);
	repeat = count < 16384 ? 16384 / count : 1;
	while (scanf("%31s %d", way, &rounds) == 2) {
		void (*run)(void) = !strcmp(way, "native") ? native : !strcmp(way, "inlined") ? inlined : interpreted;
		double best = 1e18;
		u32 matches = 0;
		while (rounds-- > 0) {
			double start = now();
			for (int i = 0; i < repeat; i++)
				run();
			start = now() - start;
			best = start < best ? start : best;
		}
		for (u32 i = 0; i < count; i++)
			matches += verdicts[i] != 0;
		printf("%.3f %u\n", best / count / repeat, matches);
		fflush(stdout);
	}
	return 0;
}
