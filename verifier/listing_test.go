package verifier_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter"
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/lift"
	programs "github.com/bpflab/bpflab/testdata/verifier"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/verifier/num"
)

// The programs in assembly whose listings are golden files: a stack, a map and
// its two kinds of pointers; a function that is called twice; a callback;
// constants that decide branches; a ring buffer.
var listed = []struct {
	name string
	typ  abi.ProgType
	maps []abi.MapSpec
	text string
}{
	{"map", abi.XDP, []abi.MapSpec{{Name: "flows", Kind: abi.HashMap, KeySize: 8, ValueSize: 16, MaxEntries: 10}}, `
		.map flows type hash key 8 value 16 entries 10
		r6 = r1
		*(u64 *)(r10 -8) = 0
		*(u64 *)(r10 -16) = 0
		*(u16 *)(r10 -24) = 7
		*(u16 *)(r10 -22) = 0
		*(u32 *)(r10 -20) = 0
		r1 = map[flows]
		r2 = r10
		r2 += -24
		call bpf_map_lookup_elem
		if r0 != 0 goto found
		r1 = map[flows]
		r2 = r10
		r2 += -24
		r3 = r10
		r3 += -16
		r4 = 0
		call bpf_map_update_elem
		r0 = 1
		exit
	found:	r1 = *(u64 *)(r0 +8)
		r1 += 1
		*(u64 *)(r0 +8) = r1
		r7 = *(u32 *)(r6 +16)
		r7 &= 7
		r0 += r7
		*(u8 *)(r0 +0) = 1
		r0 = 2
		exit`},
	{"functions", abi.SchedCLS, nil, `
		r6 = *(u32 *)(r1 +0)
		r1 = r10
		r1 += -8
		r2 = 1
		call store
		r1 = r10
		r1 += -16
		r2 = r6
		call store
		r0 = *(u64 *)(r10 -8)
		r1 = *(u64 *)(r10 -16)
		r0 += r1
		exit
	store:	*(u64 *)(r1 +0) = r2
		r0 = 0
		exit`},
	{"callback", abi.XDP, nil, `
		*(u64 *)(r10 -8) = 0
		r1 = 100
		r2 = subprog[round]
		r3 = r10
		r3 += -8
		r4 = 0
		call bpf_loop
		r0 = 2
		exit
	round:	r3 = *(u64 *)(r2 +0)
		r3 += 1
		*(u64 *)(r2 +0) = r3
		r0 = 0
		if r1 < 50 goto out
		r0 = 1
	out:	exit`},
	{"branches", abi.XDP, nil, `
		r0 = 1
		r2 = 5
		if r2 > 7 goto dead
		if r2 == 5 goto alive
	dead:	r0 = 0
		r0 += 3
	alive:	if r2 != 5 goto dead
		r3 = *(u32 *)(r1 +16)
		if w3 s< 0 goto out
		if r3 > 100 goto out
		r0 = r3
		r0 &= 1
	out:	r0 &= 3
		exit`},
	{"record", abi.SocketFilter, []abi.MapSpec{{Name: "events", Kind: abi.RingBuf, MaxEntries: 4096}}, `
		.map events type ringbuf key 0 value 0 entries 4096
		r6 = *(u32 *)(r1 +0)
		r1 = map[events]
		r2 = 16
		r3 = 0
		call bpf_ringbuf_reserve
		if r0 == 0 goto out
		*(u64 *)(r0 +8) = r6
		r1 = r0
		r2 = 0
		call bpf_ringbuf_submit
	out:	r0 = 0
		exit`},
}

// TestListing compares listings with golden files: of the programs above, of
// two filters, and of two programs in C.
func TestListing(t *testing.T) {
	for _, c := range listed {
		insns, err := ebpf.Assemble(c.text)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		goldenListing(t, c.name, &verifier.Program{Name: c.name, Type: c.typ, Insns: insns, Maps: c.maps})
	}
	goldenListing(t, "filter-xdp", liftedFilter(t, "tcp port 80", lift.Options{Hook: abi.HookXDP, Access: lift.Direct}))
	goldenListing(t, "filter-socket", liftedFilter(t, "ip proto 47 or arp", lift.Options{Hook: abi.HookSocket, Access: lift.Abs}))
	for _, p := range ownPrograms(t) {
		if p.Name == "xdp_firewall/firewall" || p.Name == "tail_parser/parse_udp" {
			goldenListing(t, strings.ReplaceAll(p.Name, "/", "-"), p.Program)
		}
	}
}

func goldenListing(t *testing.T, name string, p *verifier.Program) {
	t.Helper()
	proof, report := verifier.Verify(p, verifier.Options{Facts: true})
	if report != nil {
		t.Errorf("%s: %v", name, report)
		return
	}
	var got bytes.Buffer
	if err := proof.WriteListing(&got, false); err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join("../testdata/verifier/listings", name+".txt"), got.String())
}

// liftedFilter makes a program of a filter, with the parts of the filter as
// its source.
func liftedFilter(t testing.TB, expr string, o lift.Options) *verifier.Program {
	t.Helper()
	f, err := filter.Compile(expr, filter.Options{LinkType: cbpf.LinkEthernet})
	if err != nil {
		t.Fatal(err)
	}
	l, err := lift.Lift(f.Insns, o)
	if err != nil {
		t.Fatal(err)
	}
	origins := l.Origin.Through(f.Origin)
	return &verifier.Program{Name: "filter", Type: l.Type, Insns: l.Insns, Source: func(slot int) verifier.Source {
		if len(origins[slot]) == 0 {
			return verifier.Source{}
		}
		span := origins[slot][0]
		return verifier.Source{Column: span.Start + 1, Text: expr[span.Start:span.End]}
	}}
}

// TestListingColors says that colours change nothing but the looks.
func TestListingColors(t *testing.T) {
	p := liftedFilter(t, "tcp", lift.Options{Hook: abi.HookXDP, Access: lift.Direct})
	proof, report := verifier.Verify(p, verifier.Options{Facts: true})
	if report != nil {
		t.Fatal(report)
	}
	var plain, colored strings.Builder
	proof.WriteListing(&plain, false)
	proof.WriteListing(&colored, true)
	stripped := colored.String()
	for _, code := range []string{"0", "1", "2", "31", "32", "36"} {
		stripped = strings.ReplaceAll(stripped, "\x1b["+code+"m", "")
	}
	if stripped == colored.String() {
		t.Error("there are no colours")
	}
	if diff := cmp.Diff(plain.String(), stripped); diff != "" {
		t.Error(diff)
	}
}

// TestListingWithoutFacts lists a program that was verified without: it shows
// the instructions and the ways.
func TestListingWithoutFacts(t *testing.T) {
	proof, report := verifier.Verify(liftedFilter(t, "arp", lift.Options{Hook: abi.HookXDP, Access: lift.Direct}), verifier.Options{})
	if report != nil {
		t.Fatal(report)
	}
	for _, l := range proof.Listing() {
		if l.Insn == "" || l.Facts != nil || !l.Reached {
			t.Errorf("%+v", l)
		}
	}
}

func TestValueString(t *testing.T) {
	for _, c := range []struct {
		value verifier.Value
		want  string
	}{
		{verifier.Value{}, "nothing"},
		{verifier.Value{Kind: verifier.Number, Num: num.Unknown()}, "unknown"},
		{verifier.Value{Kind: verifier.Number, Num: num.Range(0, 255)}, "0..255"},
		{verifier.Value{Kind: verifier.ContextPointer}, "context"},
		{verifier.Value{Kind: verifier.MapPointer, Map: 2}, "map 2"},
		{verifier.Value{Kind: verifier.ValuePointer, Num: num.Const(8), Map: 1, Nullable: true}, "value of 1+8 or NULL"},
		{verifier.Value{Kind: verifier.KeyPointer}, "key of 0"},
		{verifier.Value{Kind: verifier.StackPointer, Num: num.Const(^uint64(7))}, "stack-8"},
		{verifier.Value{Kind: verifier.StackPointer, Num: num.Const(^uint64(15)), Frame: 2}, "stack-16 of frame 2"},
		{verifier.Value{Kind: verifier.PacketPointer, Num: num.Const(14), Room: 20}, "packet+14, 20 bytes known"},
		{verifier.Value{Kind: verifier.PacketPointer, Num: num.Range(34, 94)}, "packet+(34..94)"},
		{verifier.Value{Kind: verifier.MetadataPointer}, "metadata"},
		{verifier.Value{Kind: verifier.PacketEnd}, "data_end"},
		{verifier.Value{Kind: verifier.RecordPointer, Size: 24, Num: num.Const(8)}, "record of 24 bytes+8"},
		{verifier.Value{Kind: verifier.SocketPointer, Nullable: true}, "socket or NULL"},
		{verifier.Value{Kind: verifier.FlowKeysPointer}, "flow keys"},
		{verifier.Value{Kind: verifier.FunctionPointer}, "function"},
	} {
		if got := c.value.String(); got != c.want {
			t.Errorf("%+v: %q, want %q", c.value, got, c.want)
		}
	}
}

// TestListings lists everything that is accepted: each instruction once, with
// facts where a run comes and a source for every way in.
func TestListings(t *testing.T) {
	var all []*verifier.Program
	for _, p := range ownPrograms(t) {
		all = append(all, p.Program)
	}
	for _, p := range programs.Accepts() {
		all = append(all, program(&p))
	}
	for _, p := range all {
		proof, report := verifier.Verify(p, verifier.Options{Facts: true})
		if report != nil {
			continue // strict ones, which TestTables looks at
		}
		slot := 0
		for _, l := range proof.Listing() {
			if l.Slot != slot || l.Reached != proof.Reached(slot) || l.Insn == "" {
				t.Errorf("%s: %+v, want slot %d", p.Name, l, slot)
			}
			if !l.Reached && (l.Facts != nil || l.From != nil) {
				t.Errorf("%s: no run comes here, but: %+v", p.Name, l)
			}
			for _, f := range l.Facts {
				if f.Value == "" || f.Value == "nothing" {
					t.Errorf("%s: slot %d: %s is told of as %q", p.Name, slot, f.Where, f.Value)
				}
			}
			slot += p.Insns[slot].Width()
		}
		if slot != len(p.Insns) {
			t.Errorf("%s: the listing ends at %d of %d", p.Name, slot, len(p.Insns))
		}
	}
}
