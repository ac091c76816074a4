package verifier_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	programs "github.com/bpflab/bpflab/testdata/verifier"
	"github.com/bpflab/bpflab/verifier"
)

// valueOfM0 puts the only value of map m0 into R0; goes to out if there is none.
const valueOfM0 = `
	*(u32 *)(r10 -4) = 0
	r2 = r10
	r2 += -4
	r1 = map[m0]
	call bpf_map_lookup_elem#1
	if r0 == 0 goto out
`

// leaves is where they go to.
const leaves = `
	r0 = 2
	exit
out:	r0 = 2
	exit
`

// reasons are programs with what their reports must say, as text: what would
// mislead is worse than nothing.
var reasons = []struct {
	name, code, text string
	nearest          string // the check and why
	remedy           string // a part of it
}{
	{"the start of the access is compared, not its end", "V101", `
	r2 = *(u32 *)(r1 +0)
	r3 = *(u32 *)(r1 +4)
	if r2 > r3 goto out
	r0 = *(u8 *)(r2 +0)` + leaves,
		"2: It shows that the pointer is not behind the end, but it may be the end itself. Compare the end of what is accessed, which is 1 byte further on.",
		"r0 += 1\n"},
	{"the same with the operands exchanged", "V101", `
	r2 = *(u32 *)(r1 +0)
	r3 = *(u32 *)(r1 +4)
	if r3 < r2 goto out
	r0 = *(u8 *)(r2 +0)` + leaves,
		"2: It shows that the pointer is not behind the end, but it may be the end itself. Compare the end of what is accessed, which is 1 byte further on.",
		"r0 += 1\n"},
	{"a comparison whose way out comes back", "V101", `
	r2 = *(u32 *)(r1 +0)
	r3 = *(u32 *)(r1 +4)
	r4 = r2
	r4 += 14
	r0 = 2
	if r4 <= r3 goto on
	r0 = 1
on:	r5 = *(u8 *)(r2 +0)
	exit`,
		"5: On this path it does not jump, which is the side for packets that are too short. The access belongs to the other side.",
		"The comparison at 5 is right"},
	{"a check that was made before what is told of the path", "V101", `
	r2 = *(u32 *)(r1 +0)
	r3 = *(u32 *)(r1 +4)
	r7 = 0
again:	r7 += 1
	r4 = r2
	r4 += 14
	if r4 > r3 goto out
	if r7 < 12000 goto again
	r0 = *(u8 *)(r2 +20)` + leaves,
		"6: It shows no more than the 14 bytes that are known before it. The access needs 21.",
		"r0 += 21\n"},
	{"metadata end where the packet begins", "V101", `
	r2 = *(u32 *)(r1 +8)
	r3 = *(u32 *)(r1 +0)
	r4 = r2
	r4 += 4
	if r4 > r3 goto out
	r0 = *(u64 *)(r2 +0)` + leaves,
		"4: It shows that 4 bytes are there from data_meta on. The access needs 8: 4 more.",
		"register with data."},
	{"a pointer moved too far to be compared", "V101", `
	r2 = *(u32 *)(r1 +0)
	r3 = *(u32 *)(r1 +4)
	r2 += 65535
	if r2 > r3 goto out
	r0 = *(u8 *)(r2 +0)` + leaves,
		"3: It shows that 65535 bytes are there from data on. The access needs 65536: 1 more. No comparison is believed beyond 65535 bytes.",
		"Let the pointer end within 65535 bytes"},
	{"two numbers compared", "V204", `
	r6 = *(u32 *)(r1 +12)
	r7 = *(u32 *)(r1 +16)` + valueOfM0 + `
	if r6 > r7 goto out
	r0 += r6
	r0 = *(u8 *)(r0 +0)` + leaves,
		"9: It compares R6 with what is 0..0xffffffff, and R6 is still 0..0xffffffff behind it.",
		"if r6 > 63 goto"},
	{"two numbers compared the other way round", "V204", `
	r6 = *(u32 *)(r1 +12)
	r7 = *(u32 *)(r1 +16)` + valueOfM0 + `
	if r7 < r6 goto out
	r0 += r6
	r0 = *(u8 *)(r0 +0)` + leaves,
		"9: It compares R6 with what is 0..0xffffffff, and R6 is still 0..0xffffffff behind it.",
		"if r6 > 63 goto"},
	{"a number that is subtracted", "V120", `
	r6 = *(u32 *)(r1 +12)` + valueOfM0 + `
	if r6 > 40 goto out
	r0 += 32
	r0 -= r6
	r0 = *(u8 *)(r0 +0)` + leaves,
		"8: It shows that R6 is 0..40, which is 8 too many.",
		"must be 0..32. "},
	{"a number that has to be large enough", "V120", `
	r6 = *(u32 *)(r1 +12)` + valueOfM0 + `
	if r6 > 40 goto out
	r0 += -8
	r0 += r6
	r0 = *(u8 *)(r0 +0)` + leaves,
		"8: It shows that R6 is 0..40, which is 8 too few.",
		"if r6 < 8 goto OUT\n\tif r6 > 71 goto OUT"},
	{"one of two numbers is known", "V120", `
	r6 = *(u32 *)(r1 +12)
	r8 = *(u32 *)(r1 +16)` + valueOfM0 + `
	if r6 != 10 goto out
	r8 &= 63
	r6 += r8
	r0 += r6
	r0 = *(u8 *)(r0 +0)` + leaves,
		"9: It shows that R6 is 10; what is made of it, R6, is 10..73, which is 10 too many.",
		"must be 0..63. "},
	{"the wrong side of the comparison with NULL", "V105",
		strings.NewReplacer("m0", "h0", "==", "!=").Replace(valueOfM0) + "\tr0 = *(u64 *)(r0 +0)" + leaves,
		"6: On this path it does not jump, which is the side on which R0 is NULL. The access belongs to the other side.",
		"The comparison at 6 is right"},
	{"a record that was given away", "V105", `
	r1 = map[events]
	r2 = 8
	r3 = 0
	call bpf_ringbuf_reserve#131
	if r0 == 0 goto out
	r6 = r0
	r1 = r0
	r2 = 0
	call bpf_ringbuf_submit#132
	r0 = *(u64 *)(r6 +0)` + leaves,
		"9: bpf_ringbuf_submit takes it back, and what is given back must not be touched. Before, R6 was record of 8 bytes.",
		"Do nothing with it behind the call"},
	{"a record that is given back twice", "V304", `
	r1 = map[events]
	r2 = 8
	r3 = 0
	call bpf_ringbuf_reserve#131
	if r0 == 0 goto out
	r6 = r0
	r1 = r0
	r2 = 0
	call bpf_ringbuf_submit#132
	r1 = r6
	r2 = 0
	call bpf_ringbuf_discard#133` + leaves,
		"9: bpf_ringbuf_submit takes it back, and what is given back must not be touched. Before, R6 was record of 8 bytes.",
		"Do nothing with it behind the call"},
	{"a pointer that is overwritten in part", "V105", valueOfM0 + `
	*(u64 *)(r10 -16) = r0
	*(u32 *)(r10 -12) = 7
	r1 = *(u64 *)(r10 -16)
	r0 = *(u64 *)(r1 +0)` + leaves,
		"", "Load the pointer as a pointer"},
	{"a value that is larger than what is given", "V110", `
	*(u64 *)(r10 -16) = 0
	*(u64 *)(r10 -8) = 0
	r2 = r10
	r2 += -8
	r3 = r10
	r3 += -16
	r4 = 0
	r1 = map[m0]
	call bpf_map_update_elem#2
	exit`,
		"", "takes 64 bytes here, the size of a value of map m0. "},
	{"a shift of a pointer", "V202", `
	r1 >>= 32
	exit`, "", "An address is no number to calculate with."},
	{"a function of other types", "V302", `
	call bpf_skb_pull_data#39
	exit`, "", "bpf_skb_pull_data is for programs of these types: sched_cls, sched_act, "},
	{"the lower half of a pointer compared with NULL", "V106",
		strings.NewReplacer("m0", "h0", "r0 ==", "w0 ==").Replace(valueOfM0) + "\tr0 = *(u64 *)(r0 +0)" + leaves,
		"6: It compares the lower half of the pointer only, which does not tell.",
		"if r0 == 0 goto OUT"},
	{"a number compared before it is calculated with", "V204", `
	r6 = *(u32 *)(r1 +12)` + valueOfM0 + `
	r7 = r6
	r7 *= 3
	if r7 > 10 goto out
	r6 *= 5
	r0 += r6
	r0 = *(u8 *)(r0 +0)` + leaves,
		"10: It is about a number from before R6 was calculated at 11: what is known of it does not survive the calculation.",
		"if r6 > 63 goto OUT"},
	{"another number made of the same one compared", "V204", `
	r6 = *(u32 *)(r1 +12)` + valueOfM0 + `
	r7 = r6
	r7 *= 3
	if r7 > 10 goto out
	r0 += r6
	r0 = *(u8 *)(r0 +0)` + leaves,
		"10: It is about R7, which was made of the same number as R6; what it shows of the one is not known of the other.",
		"if r6 > 63 goto OUT"},
	{"recursion", "V005", "\tcall f\n\texit\nf:\tcall f\n\texit", "", "The function at 2 calls itself"},
}

// TestOverwrittenPointer checks that the chain tells what was in the bytes.
func TestOverwrittenPointer(t *testing.T) {
	_, r := verifier.Verify(reasonProgram(t, valueOfM0+`
	*(u64 *)(r10 -16) = r0
	*(u32 *)(r10 -12) = 7
	r1 = *(u64 *)(r10 -16)
	r0 = *(u64 *)(r1 +0)`+leaves), verifier.Options{})
	for _, e := range r.Chain {
		if e.What == "R10-12" && e.Before == "part of value of m0" && e.After == "7" {
			return
		}
	}
	t.Errorf("%+v", r)
}

// TestChainIsShort checks that the chain tells the last steps, how many more
// there are, and those of a loop once.
func TestChainIsShort(t *testing.T) {
	_, r := verifier.Verify(reasonProgram(t, `
	r6 = *(u32 *)(r1 +12)`+valueOfM0+`
	r7 = 0
round:	r6 += 1
	r7 += 1
	if r7 < 5 goto round
`+strings.Repeat("\tr6 ^= 3\n", 20)+`
	r0 += r6
	r0 = *(u8 *)(r0 +0)`+leaves), verifier.Options{})
	// The lookup, 13 of 20 operations; before them the load and the loop's.
	if len(r.Chain) != 14 || r.Omitted != 9 {
		t.Errorf("%d steps told, %d left out: %+v", len(r.Chain), r.Omitted, r)
	}
	_, r = verifier.Verify(reasonProgram(t, `
	r6 = *(u32 *)(r1 +12)`+valueOfM0+`
	r7 = 0
round:	r6 += 1
	r7 += 1
	if r7 < 5 goto round
	r0 += r6
	r0 = *(u8 *)(r0 +0)`+leaves), verifier.Options{})
	for _, e := range r.Chain {
		if e.Insn == "r6 += 1" && e.Times == 5 && e.Before == "4..0x100000003" {
			return
		}
	}
	t.Errorf("%+v", r)
}

// TestRemedyCountsElements checks that the index of a program in C is bounded
// in elements, not in bytes.
func TestRemedyCountsElements(t *testing.T) {
	p := reasonProgram(t, `
	r6 = *(u32 *)(r1 +12)`+valueOfM0+`
	r6 &= 255
	r6 <<= 3
	r0 += r6
	r0 = *(u64 *)(r0 +0)`+leaves)
	p.Source = func(slot int) verifier.Source {
		if slot > 6 {
			return verifier.Source{} // of what a compiler attributes to no line
		}
		return verifier.Source{File: "a.c", Line: 1 + slot}
	}
	_, r := verifier.Verify(p, verifier.Options{})
	if !strings.Contains(r.Remedy, "\tif (i > 7)\n\t\treturn XDP_PASS;") {
		t.Errorf("%+v", r)
	}
}

// TestReportIsPrintable checks that names and source lines cannot write over
// the terminal.
func TestReportIsPrintable(t *testing.T) {
	p := reasonProgram(t, "\tr2 = *(u32 *)(r1 +0)\n\tr0 = *(u8 *)(r2 +0)\n\texit\n")
	p.Name = "a\nb\x1b[2J"
	p.Source = func(int) verifier.Source {
		return verifier.Source{File: "evil\x1b[31m.c", Line: 1, Text: "\treturn\x07 \x1b]0;title\x07"}
	}
	_, r := verifier.Verify(p, verifier.Options{})
	if text := fmt.Sprintf("%v\n%+v", r, r); strings.ContainsAny(text, "\x1b\x07") || strings.Contains(text, "a\nb") || !strings.Contains(text, "return") {
		t.Errorf("%q", text)
	}
}

// TestManyCalls verifies a program in which there are more chains of calls
// than could be followed one by one.
func TestManyCalls(t *testing.T) {
	var text strings.Builder
	text.WriteString("\tr0 = 2\n\tif r0 == 2 goto out\n\tcall f0\nout:\texit\n")
	for f := range 7 {
		fmt.Fprintf(&text, "f%d:\tr0 = 2\n", f)
		if f < 6 {
			fmt.Fprintf(&text, "\tif r0 == 2 goto out%d\n%sout%d:", f, strings.Repeat(fmt.Sprintf("\tcall f%d\n", f+1), 100), f)
		}
		text.WriteString("\texit\n")
	}
	if _, r := verifier.Verify(reasonProgram(t, text.String()), verifier.Options{}); r != nil {
		t.Error(r)
	}
}

func reasonProgram(t *testing.T, text string) *verifier.Program {
	t.Helper()
	list, err := programs.Parse(t.Name(), "program test\ntype xdp\nmap m0 array 4 64 1\nmap h0 hash 4 64 1\nmap events ringbuf 0 0 4096\n"+strings.TrimLeft(text, "\n")+"\n")
	if err != nil {
		t.Fatal(err)
	}
	return program(&list[0])
}

func TestReasons(t *testing.T) {
	for _, c := range reasons {
		_, r := verifier.Verify(reasonProgram(t, c.text), verifier.Options{})
		if r == nil || r.Code.String() != c.code {
			t.Errorf("%s: %v, want %s", c.name, r, c.code)
			continue
		}
		nearest := ""
		if r.Nearest != nil {
			nearest = strings.TrimPrefix(strconv.Itoa(r.Nearest.Slot)+": ", "-1: ") + r.Nearest.Why
		}
		if nearest != c.nearest || !strings.Contains(r.Remedy, c.remedy) {
			t.Errorf("%s: %+v", c.name, r)
		}
	}
}
