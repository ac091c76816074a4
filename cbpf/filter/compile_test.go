package filter_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter"
)

var update = flag.Bool("update", false, "write the golden files")

func TestEmptyFilter(t *testing.T) {
	for _, expr := range []string{"", "  \t\n"} {
		p, err := filter.Compile(expr, filter.Options{LinkType: cbpf.LinkEthernet, SnapLen: 96})
		if err != nil {
			t.Fatal(err)
		}
		if got := disassemble(p); got != "(000) ret      #96\n" {
			t.Errorf("%q compiles to\n%s", expr, got)
		}
		if s := p.Stages(); len(s) != 3 || s[0].Text != "" {
			t.Errorf("%q: stages %v", expr, s)
		}
	}
	if _, err := filter.Compile("", filter.Options{LinkType: 105}); err != nil {
		t.Errorf("a link type that no test asks for: %v", err)
	}
}

func TestRejectsAll(t *testing.T) {
	for _, c := range []struct {
		lt   cbpf.LinkType
		expr string
		want bool
	}{
		{cbpf.LinkIPv4, "ip6", true},
		{cbpf.LinkIPv4, "ip", false},
		{cbpf.LinkRaw, "arp", true},
		{cbpf.LinkRaw, "not arp", false},
		{cbpf.LinkEthernet, "1 = 0", true},
		{cbpf.LinkEthernet, "ip and 1 = 0", true},
		{cbpf.LinkEthernet, "ip[0xfffffff0] = 0", true},
		{cbpf.LinkEthernet, "not ip[0xfffffff0] = 0", false},
		{cbpf.LinkEthernet, "not ether[0xfffffff0] = 0", true}, // a fault is not inverted
		{cbpf.LinkEthernet, "tcp", false},
		{cbpf.LinkEthernet, "ip and arp", true},
		{cbpf.LinkEthernet, "ip and tcp and udp", true},
		{cbpf.LinkEthernet, "tcp and not tcp", true},
	} {
		p, err := filter.Compile(c.expr, filter.Options{LinkType: c.lt})
		if err != nil {
			t.Fatal(err)
		}
		if p.RejectsAll != c.want {
			t.Errorf("%v %q: RejectsAll is %v", c.lt, c.expr, p.RejectsAll)
		}
		if onlyReject := len(p.Insns) == 1 && p.Insns[0].K == 0; onlyReject != c.want {
			t.Errorf("%v %q compiles to\n%s", c.lt, c.expr, disassemble(p))
		}
	}
}

// TestRefusals has what lowering refuses: the parser and the resolver have
// their own tests.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		lt        cbpf.LinkType
		expr      string
		column    int
		mentioned string
	}{
		{cbpf.LinkType(105), "ip", 1, "not supported yet"},
		{cbpf.LinkRaw, "tcp and ether host 02:00:00:00:00:01", 9, "Ethernet addresses"},
		{cbpf.LinkPPP, "broadcast", 1, "broadcast"},
		{cbpf.LinkLinuxSLL, "ip or multicast", 7, "multicast"},
		{cbpf.LinkLinuxSLL, "vlan", 1, "VLAN"},
		{cbpf.LinkRaw, "ip and mpls", 8, "MPLS"},
		{cbpf.LinkEthernet, "mpls and arp", 10, "MPLS"},
		{cbpf.LinkEthernet, "mpls and vlan", 10, "MPLS"},
		{cbpf.LinkEthernet, "mpls and 1 + arp[0] = 1", 14, "MPLS"},
		{cbpf.LinkEthernet, "pppoes and vlan", 12, "VLAN"},
		{cbpf.LinkEthernet, "pppoes and ether host 02:00:00:00:00:01", 12, "PPP"},
		{cbpf.LinkEthernet, "inbound", 1, "kernel"},
		{cbpf.LinkEthernet, "ip and ifindex 3", 8, "kernel"},
		{cbpf.LinkLinuxSLL, "ifindex 3", 1, "kernel"},
		{cbpf.LinkEthernet, "byte 3 & 4", 1, "link[3] & 4 != 0"},
		{cbpf.LinkEthernet, "ip broadcast", 1, "mask"},
	} {
		_, err := filter.Compile(c.expr, filter.Options{LinkType: c.lt})
		var e *filter.Error
		if !errors.As(err, &e) {
			t.Errorf("%v %q: error %v", c.lt, c.expr, err)
			continue
		}
		if e.At.Start+1 != c.column || !strings.Contains(e.Error(), c.mentioned) || e.Expr != c.expr {
			t.Errorf("%v %q: error at %d: %v", c.lt, c.expr, e.At.Start+1, err)
		}
	}
}

// TestGolden shows whole programs with the part of the expression that each
// instruction came from, and the stages before.
func TestGolden(t *testing.T) {
	for _, c := range []struct {
		name string
		lt   cbpf.LinkType
		expr string
		o    filter.Options
	}{
		{"tcp-port-80", cbpf.LinkEthernet, "tcp port 80", filter.Options{}},
		{"host-and-ports", cbpf.LinkEthernet, "host 10.0.0.1 and (port 80 or 443)", filter.Options{}},
		{"http-payload", cbpf.LinkRaw, "tcp[(tcp[12] & 0xf0) >> 2:4] = 0x47455420", filter.Options{}},
		{"vlan", cbpf.LinkEthernet, "vlan 100 and ip6", filter.Options{}},
		{"vlan-live", cbpf.LinkEthernet, "vlan 100 and ip6", filter.Options{Live: true}},
		{"geneve", cbpf.LinkEthernet, "geneve 7 and arp", filter.Options{}},
		{"not-optimized", cbpf.LinkLinuxSLL, "icmp or arp", filter.Options{NoOptimize: true}},
	} {
		c.o.LinkType = c.lt
		p, err := filter.Compile(c.expr, c.o)
		if err != nil {
			t.Fatal(err)
		}
		compareGolden(t, c.name, explain(p))
	}
}

func compareGolden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "compile", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-golden +now; go test -update writes it):\n%s", file, diff)
	}
}

func explain(p *filter.Program) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", p.Expr)
	for _, s := range p.Stages() {
		fmt.Fprintf(&b, "\n-- %s\n%s", s.Name, s.Text)
	}
	b.WriteString("\n-- program\n")
	for i, line := range strings.Split(strings.TrimSuffix(disassemble(p), "\n"), "\n") {
		var from []string
		for _, s := range p.Origin[i] {
			from = append(from, p.Expr[s.Start:s.End])
		}
		fmt.Fprintf(&b, "%-44s ; %s\n", line, strings.Join(from, " … "))
	}
	return b.String()
}

func disassemble(p *filter.Program) string {
	var b strings.Builder
	if err := cbpf.Write(&b, "d", p.Insns, cbpf.WriteOptions{}); err != nil {
		return err.Error()
	}
	return b.String()
}

// TestProvenance: every instruction but the returns stands for some part of
// the expression.
func TestProvenance(t *testing.T) {
	const expr = "(host 10.0.0.1 or net 2001:db8::/32) and not tcp[tcp[12] >> (ip[9] - 4)] = 7"
	p, err := filter.Compile(expr, filter.Options{LinkType: cbpf.LinkEthernet})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Origin) != len(p.Insns) {
		t.Fatalf("%d entries for %d instructions", len(p.Origin), len(p.Insns))
	}
	for i, set := range p.Origin {
		if isReturn := p.Insns[i].Op&7 == 6; (len(set) == 0) != isReturn {
			t.Errorf("instruction %d, %s, comes from %v", i, cbpf.Mnemonic(p.Insns[i], i), set)
		}
		for _, s := range set {
			if s.Start < 0 || s.End > len(expr) {
				t.Errorf("instruction %d comes from %v", i, s)
			}
		}
	}
}

// TestLarge: what is large or deep compiles in reasonable time.
func TestLarge(t *testing.T) {
	list := func(n int, term func(i int) string, sep string) string {
		var b strings.Builder
		for i := range n {
			if i > 0 {
				b.WriteString(sep)
			}
			b.WriteString(term(i))
		}
		return b.String()
	}
	host := func(i int) string { return fmt.Sprintf("host 10.%d.%d.%d", i>>16&255, i>>8&255, i&255) }
	for _, c := range []struct{ name, expr string }{
		{"60000 hosts, more than 1 MB", list(60000, host, " or ")},
		{"and not", "ip" + list(9000, func(i int) string { return fmt.Sprintf(" and not src net 10.%d.%d.0/24", i>>8&255, i&255) }, "")},
		{"one port many times", "port " + list(9000, func(i int) string { return "http" }, " or ")},
		{"100000 parentheses", strings.Repeat("(", 100000) + "tcp" + strings.Repeat(")", 100000)},
		{"100000 nots", strings.Repeat("not ", 100000) + "tcp"},
		{"nested or", list(3000, func(i int) string { return host(i) + " or (" }, "") + "tcp" + strings.Repeat(")", 3000)},
		{"long sum", list(900, func(i int) string { return fmt.Sprint("ip[", i%60, "]") }, " + ") + " = 1"},
		{"shifts", list(1000, func(i int) string { return fmt.Sprintf("1 << ip[%d] = %d", 9+i%50, i) }, " or ")},
		{"vlans", list(3000, func(i int) string { return "vlan" }, " and ")},
		{"geneves", list(2000, func(i int) string { return "geneve" }, " and ")},
		{"a Geneve header for each term", list(500, func(i int) string { return fmt.Sprint("geneve and tcp port ", i) }, " or ")},
		{"PPPoE sessions", list(10000, func(i int) string { return "pppoes" }, " and ")},
	} {
		start := time.Now()
		p, err := filter.Compile(c.expr, filter.Options{LinkType: cbpf.LinkEthernet, Names: filter.BuiltinNames()})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		t.Logf("%s (%d bytes): %d instructions in %v", c.name, len(c.expr), len(p.Insns), time.Since(start))
		if _, err := cbpf.New(p.Insns); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
