package verifier

import (
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf/abi"
)

var relevanceTable = []struct {
	name     string
	typ      abi.ProgType
	text     string
	branches []int
	matters  string // before each instruction, slots apart by "; "
}{
	{"a number that is returned", abi.SchedCLS, `
		r0 = 1
		if r2 == 0 goto l
		r0 += r2
		l: exit`, nil, "; ; ; "},
	{"where what is returned is checked", abi.CGroupSKB, `
		r0 = 1
		if r2 == 0 goto l
		r0 += r2
		l: exit`, nil, "r2; r0 r2; r0 r2; r0"},
	{"a jump that matters", abi.SchedCLS, `
		r2 = 1
		r3 = r2
		r3 <<= 2
		if r3 == 8 goto l
		l: r0 = 0
		exit`, []int{3}, "; r2; r3; r3; ; "},
	{"one that does not", abi.SchedCLS, `
		r2 = 1
		r3 = r2
		if r3 == 8 goto l
		l: r0 = 0
		exit`, nil, "; ; ; ; "},
	{"an index, its bound and what that is compared with", abi.SchedCLS, `
		r2 = *(u32 *)(r1 +0)
		r3 = *(u32 *)(r1 +4)
		r6 = 1
		if r2 > r3 goto l
		r4 = r10
		r4 -= r2
		*(u8 *)(r4 +0) = r6
		l: r0 = 0
		exit`, nil, "r1; r1 r2; r2 r3; r2 r3; r2; r2 r4; r4; ; "},
	{"pointers into the packet", abi.SchedCLS, `
		r2 = *(u32 *)(r1 +76)
		r3 = *(u32 *)(r1 +80)
		r4 = *(u32 *)(r1 +0)
		r5 = r2
		r5 += r4
		if r5 > r3 goto l
		r6 = *(u8 *)(r2 +0)
		if r6 == 1 goto l
		l: r0 = 0
		exit`, nil, "r1; r1 r2; r1 r2 r3; r2 r3 r4; r2 r3 r4 r5; r2 r3 r5; r2; ; ; "},
	{"a length", abi.SchedCLS, `
		r2 = *(u32 *)(r1 +76)
		r3 = *(u32 *)(r1 +80)
		r3 -= r2
		if r3 < 14 goto l
		l: r0 = 0
		exit`, nil, "r1; r1 r2; r2 r3; r3; ; "},
	{"through the stack", abi.SchedCLS, `
		r2 = *(u32 *)(r1 +0)
		r3 = *(u32 *)(r1 +4)
		*(u64 *)(r10 -8) = r2
		*(u64 *)(r10 -16) = r3
		r2 = *(u64 *)(r10 -8)
		r3 = *(u64 *)(r10 -16)
		r4 = r10
		r4 -= r2
		*(u8 *)(r4 +0) = r3
		r0 = 0
		exit`, nil, "r1; r1 r2; r2; -8; -8; r2; r2; r2 r4; r4; ; "},
	{"a size, but not the offset nor the flags", abi.SchedCLS, `
		r2 = 1
		r3 = r10
		r3 += -16
		r4 = 3
		r5 = 2
		call bpf_skb_load_bytes#26
		r0 = 0
		exit`, nil, "r1; r1; r1 r3; r1 r3; r1 r3 r4; r1 r3 r4; ; "},
	{"the key of an array", abi.SchedCLS, `
		*(u32 *)(r10 -4) = 1
		*(u32 *)(r10 -8) = 1
		r2 = r10
		r2 += -4
		r1 = map[fd:0]
		call bpf_map_lookup_elem#1
		r0 = 0
		exit`, []int{6}, "; -8; -8; r2 -8; r2 -8; r1 r2 -8; ; "},
	{"the key of an array that does not matter", abi.SchedCLS, `
		*(u32 *)(r10 -4) = 1
		r2 = r10
		r2 += -4
		r1 = map[fd:0]
		call bpf_map_lookup_elem#1
		r0 = 0
		exit`, nil, "; ; r2; r2; r1 r2; ; "},
	{"the key of a hash", abi.SchedCLS, `
		*(u64 *)(r10 -8) = 1
		r2 = r10
		r2 += -8
		r1 = map[fd:1]
		call bpf_map_lookup_elem#1
		r0 = 0
		exit`, nil, "; ; r2; r2; r1 r2; ; "},
	{"the size of a record", abi.SchedCLS, `
		r1 = map[fd:0]
		r2 = 16
		r3 = 0
		call bpf_ringbuf_reserve#131
		r0 = 0
		exit`, nil, "; r1; r1 r2; r1 r2; ; "},
	{"arguments and results of functions", abi.SchedCLS, `
		r1 = 1
		r2 = 2
		call f
		r1 = r10
		r1 -= r0
		*(u8 *)(r1 +0) = 1
		call g
		r0 = 0
		exit
		f: if r2 == 0 goto l
		r0 = r1
		exit
		l: r0 = 0
		exit
		g: r0 = 7
		exit`, nil, "; r1; r1; r0; r0 r1; r1; ; ; ; r1; r1; r0; ; r0; ; "},
	{"what a function stores for its caller", abi.SchedCLS, `
		r1 = r10
		r1 += -8
		r2 = 4
		call f
		r0 = *(u64 *)(r10 -8)
		if r0 == 3 goto out
		out: exit
		f: *(u64 *)(r1 +0) = r2
		r0 = 0
		exit`, []int{5}, "-8; r1 -8; r1 -8; r1 r2 -8; -8; r0; ; r1 r2; ; "},
	{"what a function decides by", abi.SchedCLS, `
		r1 = r10
		r1 += -8
		call f
		r0 = 0
		exit
		f: r0 = *(u64 *)(r1 +0)
		if r0 == 3 goto out
		out: exit`, []int{6}, "all; r1 all; r1 all; ; ; r1; r0; "},
	{"what a callback returns", abi.SchedCLS, `
		r1 = 3
		r2 = subprog[f]
		r3 = 0
		r4 = 0
		call bpf_loop#181
		r0 = 0
		exit
		f: r0 = r1
		exit`, nil, "; ; r2; r2 r3; r2 r3; ; ; r1; r0"},
	{"the bound of a loop", abi.SchedCLS, `
		r0 = 0
		r2 = 0
		l: r0 += 5
		r2 += 1
		if r2 < 9 goto l
		exit`, []int{4}, "; ; r2; r2; r2; "},
	{"a packet load", abi.SchedCLS, `
		r6 = r1
		r7 = 4
		r0 = *(u8 *)skb[r7 +1]
		exit`, nil, "r1; r6; r6; "},
	{"atomic operations", abi.SchedCLS, `
		r2 = 1
		lock *(u64 *)(r1 +0) += r2
		r2 = atomic64_fetch_add((u64 *)(r1 +0), r2)
		if r2 == 0 goto l
		l: r0 = 0
		exit`, []int{3}, "r1; r1; r1; r2; ; "},
}

func TestRelevance(t *testing.T) {
	for _, test := range relevanceTable {
		p := programOf(t, test.text)
		p.Type, p.Maps = test.typ, testMaps
		a, f := analyse(p)
		if f != nil {
			t.Fatal(test.name, f)
		}
		r := a.relevant(p)
		for _, b := range test.branches {
			r.learn(int32(b))
		}
		want := strings.Split(test.matters, "; ")
		at := 0
		for i := 0; i < len(p.Insns); i += p.Insns[i].Width() {
			got := valuesText(r.regs[i], r.slots[i])
			if at >= len(want) || got != want[at] {
				t.Errorf("%s: at %d: %q, want %q", test.name, i, got, want[min(at, len(want)-1)])
			}
			if r.regs[i]&^a.liveRegs[i] != 0 || r.slots[i]&^a.liveSlots[i] != 0 {
				t.Errorf("%s: at %d: %s matters, only %s is alive", test.name, i, got, valuesText(a.liveRegs[i], a.liveSlots[i]))
			}
			at++
		}
	}
}

func TestLoopBranches(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{`
		if r1 == 0 goto out
		r2 = 0
		l: if r2 == 3 goto next
		r0 = 1
		next: r2 += 1
		if r2 == 9 goto out
		goto l
		out: r0 = 0
		exit`, "5"},
		{`
		r0 = 0
		l: may_goto out
		goto l
		out: exit`, ""},
		{`
		l: if r1 == 0 goto l
		r0 = 0
		exit`, "0"},
	} {
		if got := set(analysisOf(t, test.text).loopBranches()); got != test.want {
			t.Errorf("%s\n%s, want %s", test.text, got, test.want)
		}
	}
}
