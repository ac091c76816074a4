/*
 * The libpcap side of package oracle: compiles filters and runs programs with
 * the libpcap that is installed. It answers requests from standard input on
 * standard output; all numbers are 32-bit little endian.
 *
 *   'C' mode dlt snaplen optimize netmask length expression
 *       → 0 nanoseconds(2) count count*{code<<16|jt<<8|jf, k}   or   1 length message
 *   'P' count count*{caplen wirelen bytes}            sets the packets
 *   'R' count count*{code<<16|jt<<8|jf, k}            runs a program over them
 *       → one number per packet, what the program returned
 *
 * The mode says what the filter is compiled for: 0 a capture file, 1 no capture
 * (pcap_open_dead), 2 a live interface (needs privileges; always "lo").
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <pcap/pcap.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct packet {
	uint32_t caplen, wirelen;
	unsigned char *data;
};

static struct packet *packets;
static uint32_t npackets;

static void die(const char *why)
{
	fprintf(stderr, "oracle: %s\n", why);
	exit(1);
}

/*
 * libpcap looks hosts up with getaddrinfo, which would ask DNS, and wait for it.
 * This one, which the linker gives it instead, knows numbers and localhost only.
 */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res)
{
	static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	struct addrinfo h = {0};

	if (hints != NULL)
		h = *hints;
	if (node != NULL && strcmp(node, "localhost") != 0)
		h.ai_flags |= AI_NUMERICHOST;
	if (real == NULL && (real = dlsym(RTLD_NEXT, "getaddrinfo")) == NULL)
		die("no getaddrinfo");
	return real(node, service, &h, res);
}

static void get_bytes(void *to, size_t n)
{
	if (n > 0 && fread(to, 1, n, stdin) != n)
		die("request cut short");
}

static uint32_t get(void)
{
	unsigned char b[4];
	get_bytes(b, 4);
	return b[0] | b[1] << 8 | b[2] << 16 | (uint32_t)b[3] << 24;
}

static void put(uint32_t v)
{
	unsigned char b[4] = {v, v >> 8, v >> 16, v >> 24};
	fwrite(b, 1, 4, stdout);
}

static void *room(size_t n)
{
	void *p = malloc(n + 1);
	if (p == NULL)
		die("out of memory");
	return p;
}

/* A handle for a capture file without packets. */
static pcap_t *open_file(uint32_t dlt, uint32_t snaplen, char *err)
{
	uint32_t header[6] = {0xa1b2c3d4, 4 << 16 | 2, 0, 0, snaplen, dlt};
	FILE *f = fmemopen(NULL, sizeof header, "w+");
	if (f == NULL || fwrite(header, sizeof header, 1, f) != 1)
		die("fmemopen");
	rewind(f);
	return pcap_fopen_offline(f, err);
}

static pcap_t *open_handle(uint32_t mode, uint32_t dlt, uint32_t snaplen, char *err)
{
	switch (mode) {
	case 0:
		return open_file(dlt, snaplen, err);
	case 1:
		return pcap_open_dead(dlt == 101 ? DLT_RAW : (int)dlt, (int)snaplen);
	}
	static pcap_t *live; /* kept: opening takes long */
	if (live == NULL)
		live = pcap_open_live("lo", (int)snaplen, 0, 0, err);
	return live;
}

static void refuse(const char *why)
{
	put(1);
	put(strlen(why));
	fwrite(why, 1, strlen(why), stdout);
}

static uint64_t nanoseconds(struct timespec a, struct timespec b)
{
	return (b.tv_sec - a.tv_sec) * 1000000000LL + (b.tv_nsec - a.tv_nsec);
}

static void compile(void)
{
	char err[PCAP_ERRBUF_SIZE] = "";
	uint32_t mode = get(), dlt = get(), snaplen = get(), optimize = get(), netmask = get();
	uint32_t n = get();
	char *expr = room(n);
	get_bytes(expr, n);
	expr[n] = 0;

	pcap_t *p = open_handle(mode, dlt, snaplen, err);
	if (p == NULL) {
		refuse(err);
		free(expr);
		return;
	}
	struct bpf_program prog;
	struct timespec start, end;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
	int bad = pcap_compile(p, &prog, expr, (int)optimize, netmask);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	if (bad) {
		refuse(pcap_geterr(p));
	} else {
		put(0);
		uint64_t took = nanoseconds(start, end);
		put(took);
		put(took >> 32);
		put(prog.bf_len);
		for (uint32_t i = 0; i < prog.bf_len; i++) {
			struct bpf_insn *x = &prog.bf_insns[i];
			put((uint32_t)x->code << 16 | x->jt << 8 | x->jf);
			put(x->k);
		}
		pcap_freecode(&prog);
	}
	if (mode != 2)
		pcap_close(p);
	free(expr);
}

static void set_packets(void)
{
	for (uint32_t i = 0; i < npackets; i++)
		free(packets[i].data);
	free(packets);
	npackets = get();
	packets = room(npackets * sizeof *packets);
	for (uint32_t i = 0; i < npackets; i++) {
		packets[i].caplen = get();
		packets[i].wirelen = get();
		packets[i].data = room(packets[i].caplen);
		get_bytes(packets[i].data, packets[i].caplen);
	}
}

static void run(void)
{
	uint32_t n = get();
	struct bpf_insn *prog = room(n * sizeof *prog);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t w = get();
		prog[i].code = w >> 16;
		prog[i].jt = w >> 8;
		prog[i].jf = w;
		prog[i].k = get();
	}
	struct bpf_program program = {n, prog};
	for (uint32_t i = 0; i < npackets; i++) {
		struct pcap_pkthdr h = {.caplen = packets[i].caplen, .len = packets[i].wirelen};
		put((uint32_t)pcap_offline_filter(&program, &h, packets[i].data));
	}
	free(prog);
}

int main(void)
{
	for (int c; (c = getchar()) != EOF; fflush(stdout)) {
		switch (c) {
		case 'C':
			compile();
			break;
		case 'P':
			set_packets();
			break;
		case 'R':
			run();
			break;
		default:
			die("unknown request");
		}
	}
	return 0;
}
