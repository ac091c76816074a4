/* Prints struct bpf_insn from standard input as libpcap's bpf_image does. */
#include <pcap.h>
#include <stdio.h>

int main(void)
{
	struct bpf_insn insn;

	for (int n = 0; fread(&insn, sizeof(insn), 1, stdin) == 1; n++)
		puts(bpf_image(&insn, n));
	return 0;
}
