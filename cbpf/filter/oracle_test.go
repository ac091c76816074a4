package filter

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/testdata/require"
)

// oracleSource compiles each line of its input with the real libpcap for
// Ethernet, without optimization, and prints "ok" and the program, or what
// libpcap says. It keeps libpcap from asking DNS.
const oracleSource = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <string.h>
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res) {
	static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	struct addrinfo h = *hints;
	if (node && strcmp(node, "localhost"))
		h.ai_flags |= AI_NUMERICHOST;
	if (!real)
		real = dlsym(RTLD_NEXT, "getaddrinfo");
	return real(node, service, &h, res);
}
int main(void) {
	static char line[1 << 20];
	pcap_t *p = pcap_open_dead(DLT_EN10MB, 262144);
	while (fgets(line, sizeof line, stdin)) {
		struct bpf_program prog;
		line[strcspn(line, "\n")] = 0;
		if (pcap_compile(p, &prog, line, 0, 0xffffff) == 0) {
			printf("ok");
			for (unsigned i = 0; i < prog.bf_len; i++) {
				struct bpf_insn *p = &prog.bf_insns[i];
				printf(" %x,%x,%x,%x", p->code, p->jt, p->jf, p->k);
			}
			puts("");
			pcap_freecode(&prog);
		} else {
			char *e = pcap_geterr(p);
			e[strcspn(e, "\n")] = 0;
			puts(e);
		}
		fflush(stdout);
	}
	return 0;
}
`

// A verdict is what libpcap says to an expression: a program or an error.
type verdict struct{ program, err string }

// libpcapVerdicts asks the installed libpcap about each expression.
func libpcapVerdicts(t testing.TB, exprs []string) []verdict {
	t.Helper()
	cc := require.Command(t, "cc", "gcc", "clang")
	dir := t.TempDir()
	source, binary := filepath.Join(dir, "oracle.c"), filepath.Join(dir, "oracle")
	if err := os.WriteFile(source, []byte(oracleSource), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(cc, "-O1", "-o", binary, source, "-lpcap", "-ldl").CombinedOutput(); err != nil {
		require.Skip(t, "needs libpcap's headers and library: %s", out)
	}
	cmd := exec.Command(binary)
	cmd.Stdin = strings.NewReader(strings.Join(exprs, "\n") + "\n")
	out, err := cmd.Output()
	var verdicts []verdict
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSuffix(line, "\n")
		if program, ok := strings.CutPrefix(line, "ok "); ok {
			verdicts = append(verdicts, verdict{program: program})
		} else {
			verdicts = append(verdicts, verdict{err: line})
		}
	}
	if err != nil || len(verdicts) != len(exprs) {
		t.Fatalf("libpcap answered %d of %d expressions (%v); the next was %q", len(verdicts), len(exprs), err, exprs[min(len(verdicts), len(exprs)-1)])
	}
	return verdicts
}

// linkErrors are the reasons of libpcap that depend on the link type or on
// what came before in the text, which lowering decides.
var linkErrors = []string{
	"over mpls", "after MPLS", "only on", "supported on", "not a broadcast link", "no VLAN support",
	// libpcap looks only at the first number of the right operand, so it
	// refuses ip[0]/(0+1).
	"division by zero", "modulus by zero", "shift by more than 31 bits",
}

// compareVerdict says how we and libpcap disagree about accepting expr, "" if
// we agree, and returns our expansion of expr if both accept it.
func compareVerdict(expr, libpcap string) (expansion, disagreement string) {
	expansion, err := Expand(expr, SystemNames())
	switch {
	case err == nil && libpcap == "":
		return expansion, ""
	case err == nil:
		for _, s := range linkErrors {
			if strings.Contains(libpcap, s) {
				return "", ""
			}
		}
		return "", fmt.Sprintf("%q: we accept it, libpcap says %q", expr, libpcap)
	case libpcap != "", strings.Contains(err.Error(), "not supported yet"):
		return "", ""
	case strings.Contains(expr, `\80`):
		return "", "" // to the C library "80" is a name of the host 0.0.0.80
	}
	return "", fmt.Sprintf("%q: libpcap accepts it, we say %v", expr, err)
}

// Every expression that libpcap accepts we accept, every one that it rejects
// we reject; and what we take it to mean, written out in full, libpcap compiles
// to the same program.
func TestRandomExpressionsAgainstLibpcap(t *testing.T) {
	checkAgainstLibpcap(t, randomExpressions(1, 20000))
}

func checkAgainstLibpcap(t *testing.T, exprs []string) {
	t.Helper()
	verdicts := libpcapVerdicts(t, exprs)
	var both, expansions, programs []string
	for i, expr := range exprs {
		expansion, disagreement := compareVerdict(expr, verdicts[i].err)
		if disagreement != "" {
			t.Error(disagreement)
		}
		if expansion != "" {
			both = append(both, expr)
			expansions = append(expansions, expansion)
			programs = append(programs, verdicts[i].program)
		}
	}
	for i, v := range libpcapVerdicts(t, expansions) {
		if v.program != programs[i] {
			t.Errorf("%q expands to %q, which libpcap compiles differently %s", both[i], expansions[i], v.err)
		}
	}
	t.Logf("%d expressions, %d accepted on both sides", len(exprs), len(both))
	if len(both) < len(exprs)/5 {
		t.Errorf("only %d of %d expressions were accepted", len(both), len(exprs))
	}
}
