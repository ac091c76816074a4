package verifier

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf/abi"
)

// valuesText writes registers but R10, and stack slots by their offsets:
// "r1 r6 -8 -16".
func valuesText(regs uint16, slots uint64) string {
	var out []string
	for r := range 10 {
		if regs>>r&1 != 0 {
			out = append(out, fmt.Sprint("r", r))
		}
	}
	if slots == ^uint64(0) {
		return strings.Join(append(out, "all"), " ")
	}
	for i := range 64 {
		if slots>>i&1 != 0 {
			out = append(out, fmt.Sprint(-8*(i+1)))
		}
	}
	return strings.Join(out, " ")
}

// A testMap is map 0 of the programs in tables here: an array with keys of 4
// and values of 16 bytes; map 1 is a hash with keys of 8 bytes, map 2 holds
// such maps.
var testMaps = []abi.MapSpec{
	{Name: "array", Kind: abi.ArrayMap, KeySize: 4, ValueSize: 16, MaxEntries: 8},
	{Name: "hash", Kind: abi.HashMap, KeySize: 8, ValueSize: 16, MaxEntries: 8},
	{Name: "outer", Kind: abi.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 8,
		Inner: &abi.MapSpec{Kind: abi.HashMap, KeySize: 24, ValueSize: 8, MaxEntries: 8}},
}

var livenessTable = []struct {
	name, text string
	live       string // before each instruction, slots apart by "; "
	during     string // slot: what is alive during the call
}{
	{"registers", `
		r2 = r1
		r3 = 1
		if r2 > r3 goto l
		r0 = 1
		exit
		l: r0 = r2
		exit`, "r1; r2; r2 r3; ; r0; r2; r0", ""},
	{"a helper reads its arguments and leaves R6 to R9", `
		r6 = r1
		r2 = 0
		r3 = 1
		call bpf_skb_pull_data#39
		r0 += r6
		exit`, "r1; r1 r6; r1 r2 r6; r1 r2 r6; r0 r6; r0", ""},
	{"a packet load", `
		r6 = r1
		r2 = 3
		r0 = *(u8 *)skb[r2 +1]
		exit`, "r1; r6; r2 r6; r0", ""},
	{"compare and exchange", `
		r0 = 1
		r2 = 2
		r0 = atomic64_cmpxchg((u64 *)(r1 +0), r0, r2)
		exit`, "r1; r0 r1; r0 r1 r2; r0", ""},
	{"fetch", `
		r0 = 1
		r0 = atomic64_fetch_add((u64 *)(r1 +0), r0)
		exit`, "r1; r0 r1; r0", ""},
	{"around a loop", `
		r0 = 0
		r3 = 8
		l: r0 += r1
		r3 -= 1
		if r3 != 0 goto l
		exit`, "r1; r0 r1; r0 r1 r3; r0 r1 r3; r0 r1 r3; r0", ""},
	{"a spill and a fill", `
		*(u64 *)(r10 -8) = r1
		r1 = 0
		r2 = *(u64 *)(r10 -8)
		r0 = r2
		exit`, "r1; -8; -8; r2; r0", ""},
	{"by another register", `
		r2 = r10
		r2 += -16
		*(u64 *)(r2 +0) = r1
		r0 = *(u64 *)(r10 -16)
		exit`, "r1; r1 r2; r1 r2; -16; r0", ""},
	{"halves of a slot", `
		*(u32 *)(r10 -8) = 1
		*(u32 *)(r10 -4) = 2
		r0 = *(u64 *)(r10 -8)
		exit`, "; -8; -8; r0", ""},
	{"half of a slot", `
		*(u32 *)(r10 -4) = 2
		r0 = *(u32 *)(r10 -4)
		exit`, "; -8; r0", ""},
	{"a byte does not overwrite a slot", `
		*(u8 *)(r10 -8) = 1
		r0 = *(u64 *)(r10 -8)
		exit`, "-8; -8; r0", ""},
	{"an offset that is not known", `
		r2 = r10
		r2 -= r1
		*(u64 *)(r10 -16) = 1
		*(u64 *)(r2 +0) = 1
		r0 = *(u64 *)(r2 +0)
		exit`, "r1 -8 " + rest(3) + "; r1 r2 -8 " + rest(3) + "; r2 -8 " + rest(3) + "; r2 all; r2 all; r0", ""},
	{"one of two slots", `
		r2 = r10
		r2 += -8
		if r1 == 0 goto l
		r2 += -8
		l: *(u64 *)(r2 +0) = 1
		r0 = 0
		exit`, "r1; r1 r2; r1 r2; r2; r2; ; r0", ""},
	{"a spilled frame pointer", `
		r2 = r10
		r2 += -16
		*(u64 *)(r10 -8) = r2
		r3 = *(u64 *)(r10 -8)
		r0 = *(u64 *)(r3 +0)
		exit`, "-16; r2 -16; r2 -16; -8 -16; r3 -16; r0", ""},
	{"the key of an array", `
		*(u32 *)(r10 -4) = 1
		r2 = r10
		r2 += -4
		r1 = map[fd:0]
		call bpf_map_lookup_elem#1
		exit`, "; -8; r2 -8; r2 -8; r1 r2 -8; r0", ""},
	{"the key of a map that is not known", `
		r2 = r10
		r2 += -24
		call bpf_map_lookup_elem#1
		exit`, "r1 -8 -16 -24; r1 r2 -8 -16 -24; r1 r2 -8 -16 -24; r0", ""},
	{"the key of an inner map", `
		r6 = 0
		*(u32 *)(r10 -4) = r6
		r2 = r10
		r2 += -4
		r1 = map[fd:2]
		call bpf_map_lookup_elem#1
		if r0 == 0 goto out
		r2 = r10
		r2 += -48
		r1 = r0
		call bpf_map_lookup_elem#1
		out: r0 = 0
		exit`, "-32 -40 -48; r6 -32 -40 -48; -8 -32 -40 -48; r2 -8 -32 -40 -48; r2 -8 -32 -40 -48; r1 r2 -8 -32 -40 -48; " +
		"r0 -32 -40 -48; r0 -32 -40 -48; r0 r2 -32 -40 -48; r0 r2 -32 -40 -48; r1 r2 -32 -40 -48; ; r0", ""},
	{"memory that a helper fills", `
		r2 = 0
		r3 = r10
		r3 += -16
		r4 = 12
		call bpf_skb_load_bytes#26
		r0 = *(u64 *)(r10 -16)
		r1 = *(u64 *)(r10 -8)
		r0 += r1
		exit`, "r1 -8; r1 r2 -8; r1 r2 r3 -8; r1 r2 r3 -8; r1 r2 r3 r4 -8; -8 -16; r0 -8; r0 r1; r0", ""},
	{"memory that a helper reads, with a size that is not known", `
		r2 = *(u32 *)(r1 +0)
		r1 = r10
		r1 += -16
		call bpf_trace_printk#6
		r0 = 0
		exit`, "r1 r3 r4 r5 -8 -16; r2 r3 r4 r5 -8 -16; r1 r2 r3 r4 r5 -8 -16; r1 r2 r3 r4 r5 -8 -16; ; r0", ""},
	{"a function's arguments", `
		r2 = 0
		r6 = 1
		call f
		r0 += r6
		exit
		f: r0 = r1
		exit`, "r1; r1; r1 r6; r0 r6; r0; r1; r0", "2:"},
	{"a function that gets a pointer into the frame", `
		r1 = r10
		r1 += -8
		*(u64 *)(r10 -16) = 1
		call f
		r0 = *(u64 *)(r10 -24)
		exit
		f: r0 = *(u64 *)(r1 +0)
		exit`, "-8 -24 " + rest(4) + "; r1 -8 -24 " + rest(4) + "; r1 -8 -24 " + rest(4) + "; r1 all; -24; r0; r1; r0", "3:all"},
	{"a function that does not look at it", `
		r1 = r10
		r1 += -8
		call f
		r0 = *(u64 *)(r10 -24)
		exit
		f: r0 = 0
		exit`, "-24; r1 -24; -24; -24; r0; ; r0", "2:-24"},
	{"recursion", `
		call f
		exit
		f: if r1 == 0 goto out
		r1 -= 1
		call f
		out: r0 = r2
		exit`, "r1 r2; r0; r1 r2; r1 r2; r1 r2; r2; r0", ""},
	{"a callback's context", `
		r1 = 3
		r2 = subprog[f]
		r3 = r10
		r3 += -8
		r4 = 0
		call bpf_loop#181
		r0 = 0
		exit
		f: *(u64 *)(r10 -8) = r2
		r2 = *(u64 *)(r10 -8)
		r0 = *(u64 *)(r2 +0)
		exit`, "all; r1 all; r1 r2 all; r1 r2 r3 all; r1 r2 r3 all; r1 r2 r3 r4 all; ; r0; r2; -8; r2; r0", "6:all"},
	{"a callback without", `
		r1 = 3
		r2 = subprog[f]
		r3 = 0
		r4 = 0
		call bpf_loop#181
		r0 = *(u64 *)(r10 -8)
		exit
		f: r0 = 0
		exit`, "-8; r1 -8; r1 r2 -8; r1 r2 r3 -8; r1 r2 r3 r4 -8; -8; r0; ; r0", "5:-8"},
}

// rest names the slots from the i-th one on, counted from 1.
func rest(i int) string { return valuesText(0, ^uint64(0)<<(i-1)) }

func TestLiveness(t *testing.T) {
	for _, test := range livenessTable {
		p := programOf(t, test.text)
		p.Maps = testMaps
		a, f := analyse(p)
		if f != nil {
			t.Fatal(test.name, f)
		}
		want := strings.Split(test.live, "; ")
		at := 0
		for i := 0; i < len(p.Insns); i += p.Insns[i].Width() {
			got := valuesText(a.liveRegs[i], a.liveSlots[i])
			if at >= len(want) || got != want[at] {
				t.Errorf("%s: at %d: %q, want %q", test.name, i, got, want[min(at, len(want)-1)])
			}
			at++
		}
		var slot int
		if n, _ := fmt.Sscanf(test.during, "%d:", &slot); n == 1 {
			_, want, _ := strings.Cut(test.during, ":")
			if got := valuesText(0, a.duringCall(slot)); got != want {
				t.Errorf("%s: during the call at %d: %q, want %q", test.name, slot, got, want)
			}
		}
	}
}
