package lift_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	cbpffilter "github.com/bpflab/bpflab/cbpf/filter"
	"github.com/bpflab/bpflab/cbpf/testdata/programs"
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/lift"
	"github.com/bpflab/bpflab/testdata/filters"
)

// A filter is a row of testdata/filters.txt.
type filter struct {
	link cbpf.LinkType
	name string
	prog []bpf.RawInstruction
}

func readFilters(t testing.TB) []filter {
	t.Helper()
	f, err := os.Open("testdata/filters.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []filter
	for s := bufio.NewScanner(f); s.Scan(); {
		if strings.HasPrefix(s.Text(), "#") {
			continue
		}
		column := strings.Split(s.Text(), "\t")
		link, err := cbpf.ParseLinkType(column[0])
		if err != nil {
			t.Fatal(err)
		}
		prog, err := cbpf.Parse([]byte(column[2]), "xtbpf")
		if err != nil {
			t.Fatalf("%s: %v", column[1], err)
		}
		out = append(out, filter{link, column[1], prog})
	}
	return out
}

// findFilter returns the Ethernet filter of that name.
func findFilter(t testing.TB, name string) []bpf.RawInstruction {
	t.Helper()
	for _, f := range readFilters(t) {
		if f.name == name && f.link == cbpf.LinkEthernet {
			return f.prog
		}
	}
	t.Fatalf("no filter %q in testdata", name)
	return nil
}

// compileFilters returns the project's corpus of filters for captures and for
// live packets, compiled, but for those that are too long for the kernel.
func compileFilters(t testing.TB) []filter {
	t.Helper()
	var out []filter
	add := func(cases []filters.Case, live bool) {
		for _, c := range cases {
			p, err := cbpffilter.Compile(c.Expr, cbpffilter.Options{
				LinkType: c.LinkType, Live: live, Names: cbpffilter.BuiltinNames(), Netmask: 0xffffff00, NetmaskKnown: true,
			})
			if err != nil {
				t.Fatalf("%s: %v", c.Where, err)
			}
			if len(p.Insns) <= cbpf.MaxInstructions {
				out = append(out, filter{c.LinkType, c.Expr, p.Insns})
			}
		}
	}
	add(filters.Load(), false)
	add(filters.LoadLive(), true)
	return out
}

// A variant is one way to translate, all of them in variants.
type variant struct {
	hook   abi.Hook
	access lift.Access
}

func (v variant) String() string { return v.hook.String() + " " + v.access.String() }

func variants() []variant {
	var out []variant
	for _, h := range abi.Hooks() {
		for _, a := range lift.Accesses(h) {
			out = append(out, variant{h, a})
		}
	}
	return out
}

// thorough returns n for the access mode to prefer at the hook and fewer for
// the others, to keep the tests fast.
func (v variant) thorough(n, fewer int) int {
	if v.access == lift.Accesses(v.hook)[0] {
		return n
	}
	return fewer
}

// extensionsOf returns what the hook can supply of the extensions, without
// those whose value is not the same again: random and, in the kernel, cpu.
func extensionsOf(h abi.Hook) []uint32 {
	if h == abi.HookXDP {
		return []uint32{cbpf.AdIfIndex, cbpf.AdQueue, cbpf.AdXorX}
	}
	return []uint32{
		cbpf.AdProtocol, cbpf.AdPacketType, cbpf.AdIfIndex, cbpf.AdMark, cbpf.AdQueue,
		cbpf.AdRxHash, cbpf.AdXorX, cbpf.AdVLANTag, cbpf.AdVLANTagPresent, cbpf.AdVLANTPID,
	}
}

// randomPrograms returns programs that compute a number; every second one ends
// in a comparison of it, so that only about half of its packets match.
func randomPrograms(seed uint64, n int, extensions []uint32) [][]bpf.RawInstruction {
	r := rand.New(rand.NewPCG(seed, seed))
	out := make([][]bpf.RawInstruction, n)
	for i := range out {
		p := programs.Random(r, programs.Options{Extensions: extensions})
		if i%2 == 0 {
			p = append(p[:len(p)-1],
				bpf.RawInstruction{Op: cbpf.ClassJMP | cbpf.JGT, Jf: 1, K: 64},
				bpf.RawInstruction{Op: cbpf.ClassRET, K: 1 + r.Uint32()>>1},
				bpf.RawInstruction{Op: cbpf.ClassRET})
		}
		out[i] = p
	}
	return out
}

// classicVerdict is what a translated program has to return for a packet.
func classicVerdict(t testing.TB, m *cbpf.Machine, r lift.Returns, data []byte, wire uint32, meta *cbpf.Metadata) uint32 {
	t.Helper()
	ret, err := m.Run(data, wire, meta)
	switch {
	case err != nil:
		t.Fatal(err)
	case ret == 0:
		return r.NoMatch
	case r.Length:
		return ret
	}
	return r.Match
}

// lengths asks for the classic return value at any hook that takes it.
var lengths = &lift.Returns{Length: true}

// someReturns returns the hook's own way to return for some i, and others that
// the hook takes for the rest.
func (v variant) someReturns(i int) *lift.Returns {
	switch {
	case i%2 == 0 || v.hook == abi.HookCGroupSKB:
		return nil
	case i%4 == 1:
		return lengths
	}
	return &lift.Returns{Length: true, NoMatch: 999}
}

func returnsOf(v variant, o *lift.Returns) lift.Returns {
	if o != nil {
		return *o
	}
	i := v.hook.Info()
	return lift.Returns{Match: i.Match, NoMatch: i.NoMatch, Length: i.Length}
}

// listing shows both programs.
func listing(prog []bpf.RawInstruction, p *lift.Program) string {
	var b strings.Builder
	if err := cbpf.Write(&b, "d", prog, cbpf.WriteOptions{}); err != nil {
		b.WriteString(err.Error())
	}
	for i, line := range ebpf.Disassemble(p.Insns) {
		fmt.Fprintf(&b, "%4d: %-40s ; %v\n", i, line, p.Origin[i])
	}
	return b.String()
}
