package filter

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/testdata/oracle"
	"github.com/bpflab/bpflab/testdata/require"
)

// A verdict is what libpcap says to an expression: a program or an error.
type verdict struct {
	program []bpf.RawInstruction
	err     error
}

// libpcapVerdicts asks the installed libpcap about each expression, for
// Ethernet and without optimization.
func libpcapVerdicts(t testing.TB, exprs []string) []verdict {
	t.Helper()
	for _, file := range []string{"/etc/services", "/etc/protocols"} {
		if _, err := os.Stat(file); err != nil {
			require.Skip(t, "libpcap needs names: %v", err)
		}
	}
	o := oracle.New(t)
	// Other versions accept other things: 1.11 checks more numbers.
	if _, _, err := o.Compile("tcp host 1.2.3.4", oracle.Options{Mode: oracle.Dead, LinkType: cbpf.LinkEthernet}); err == nil || !strings.Contains(err.Error(), "modifier applied") {
		require.Skip(t, "needs libpcap 1.10, this one says %v", err)
	}
	verdicts := make([]verdict, len(exprs))
	for i, expr := range exprs {
		v := &verdicts[i]
		v.program, _, v.err = o.Compile(expr, oracle.Options{Mode: oracle.Dead, LinkType: cbpf.LinkEthernet, Netmask: 0xffffff00})
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
func compareVerdict(expr string, libpcap error) (expansion, disagreement string) {
	expansion, err := Expand(expr, SystemNames())
	switch {
	case err == nil && libpcap == nil:
		return expansion, ""
	case err == nil:
		for _, s := range linkErrors {
			if strings.Contains(libpcap.Error(), s) {
				return "", ""
			}
		}
		return "", fmt.Sprintf("%q: we accept it, libpcap says %q", expr, libpcap.Error())
	case libpcap != nil, strings.Contains(err.Error(), "not supported yet"):
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

// The golden files have the everyday language and the everyday mistakes.
func TestGoldenExpressionsAgainstLibpcap(t *testing.T) {
	var exprs []string
	for _, file := range []string{"testdata/front/trees.txt", "testdata/front/errors.txt"} {
		goldenBlocks(t, file, func(expr, _, _ string) {
			// Not every /etc/protocols has icmp6, which pcap-filter(7) promises.
			if !strings.HasSuffix(expr, `\icmp6`) {
				exprs = append(exprs, expr)
			}
		})
	}
	checkAgainstLibpcap(t, exprs)
}

func checkAgainstLibpcap(t *testing.T, exprs []string) {
	t.Helper()
	verdicts := libpcapVerdicts(t, exprs)
	var both, expansions []string
	var programs [][]bpf.RawInstruction
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
		if !reflect.DeepEqual(v.program, programs[i]) {
			t.Errorf("%q expands to %q, which libpcap compiles differently (%v)", both[i], expansions[i], v.err)
		}
	}
	t.Logf("%d expressions, %d accepted on both sides", len(exprs), len(both))
	if len(both) < len(exprs)/5 {
		t.Errorf("only %d of %d expressions were accepted", len(both), len(exprs))
	}
}
