package verifier

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// programOf assembles a valid program.
func programOf(t testing.TB, text string) *Program {
	t.Helper()
	insns, err := ebpf.Assemble(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := ebpf.Validate(insns); err != nil {
		t.Fatal(err)
	}
	return &Program{Type: abi.SchedCLS, Insns: insns}
}

func analysisOf(t testing.TB, text string) *analysis {
	t.Helper()
	a, f := analyse(programOf(t, text))
	if f != nil {
		t.Fatal(f)
	}
	return a
}

// set returns the indexes at which s has other than the zero value.
func set[T comparable](s []T) string {
	var zero T
	var out []string
	for i, v := range s {
		if v != zero {
			out = append(out, fmt.Sprint(i))
		}
	}
	return strings.Join(out, " ")
}

func TestShape(t *testing.T) {
	for _, test := range []struct {
		name, text string
		checkpoint string // slots
		loop       string // slot:number
		funcs      string // start-end and what is true of it
	}{
		{"straight", `
			r0 = 0
			exit`, "", "", "0-2"},
		{"join", `
			r0 = 0
			if r1 == 0 goto l
			r0 = 1
			l: exit`, "3", "", "0-4"},
		{"both ways lead to the same place", `
			if r1 == 0 goto l
			l: r0 = 0
			exit`, "1", "", "0-3"},
		{"no join behind a wide load", `
			r0 = 0x123456789 ll
			if r0 == 0 goto l
			exit
			l: exit`, "", "", "0-5"},
		{"loop", `
			r0 = 0
			l: r0 += 1
			if r0 < 5 goto l
			exit`, "1", "1:1 2:1", "0-4"},
		{"a loop at the very start", `
			l: r1 -= 1
			if r1 != 0 goto l
			r0 = 0
			exit`, "0", "0:1 1:1", "0-4"},
		{"nested loops are one component, later ones another", `
			r0 = 0
			outer: r2 = 0
			inner: r2 += 1
			if r2 < 5 goto inner
			r0 += 1
			if r0 < 5 goto outer
			last: r0 -= 1
			if r0 != 0 goto last
			exit`, "1 2 6", "1:2 2:2 3:2 4:2 5:2 6:1 7:1", "0-9"},
		{"two entries", `
			if r1 == 0 goto b
			a: r1 += 1
			b: r1 -= 1
			if r1 != 0 goto a
			r0 = 0
			exit`, "1 2", "1:1 2:1 3:1", "0-6"},
		{"may_goto", `
			r0 = 0
			l: may_goto out
			r0 += 1
			goto l
			out: exit`, "1", "1:1 2:1 3:1", "0-5 mayGoto"},
		{"gotol", `
			r0 = 0
			gotol l
			l: exit`, "", "", "0-3"},
		{"called once, returns once", `
			call f
			exit
			f: r0 = 0
			exit`, "", "", "0-2, 2-4"},
		{"called twice", `
			call f
			call f
			exit
			f: r0 = 0
			exit`, "3", "", "0-3, 3-5"},
		{"returns twice", `
			call f
			r0 = 0
			exit
			f: r0 = 0
			if r1 == 0 goto l
			exit
			l: exit`, "1", "", "0-3, 3-7"},
		{"a packet load returns, too", `
			r6 = r1
			call f
			r0 = 0
			exit
			f: r6 = r1
			r0 = *(u8 *)skb[0]
			exit`, "2", "", "0-4, 4-7"},
		{"callback", `
			r1 = 10
			r2 = subprog[f]
			r3 = 0
			r4 = 0
			call bpf_loop#181
			r0 = 0
			exit
			f: r0 = 0
			exit`, "6 8", "", "0-8, 8-10 callback"},
		{"functions that move the packet", `
			r6 = r1
			call f
			call k
			r0 = 0
			exit
			f: call g
			exit
			g: r2 = 0
			call bpf_skb_pull_data#39
			exit
			k: r0 = 0
			exit`, "", "", "0-5 moves, 5-7 moves, 7-10 moves, 10-12"},
		{"a tail call moves the packet", `
			call f
			exit
			f: r2 = map[fd:0]
			r3 = 0
			call bpf_tail_call#12
			r0 = 0
			exit`, "", "", "0-2 moves, 2-8 moves"},
		{"recursion", `
			call f
			exit
			f: if r1 == 0 goto out
			call f
			out: exit`, "2 4", "", "0-2, 2-5"},
	} {
		a := analysisOf(t, test.text)
		if got := set(a.checkpoint); got != test.checkpoint {
			t.Errorf("%s: checkpoints %s, want %s", test.name, got, test.checkpoint)
		}
		var loops []string
		for i, n := range a.loop {
			if n != 0 {
				loops = append(loops, fmt.Sprintf("%d:%d", i, n))
			}
		}
		if got := strings.Join(loops, " "); got != test.loop {
			t.Errorf("%s: loops %s, want %s", test.name, got, test.loop)
		}
		if got := functionsText(a); got != test.funcs {
			t.Errorf("%s: functions %s, want %s", test.name, got, test.funcs)
		}
		for i, f := range a.fn {
			if a.funcs[f].start > int32(i) || a.funcs[f].end <= int32(i) {
				t.Errorf("%s: slot %d is not in its function %d", test.name, i, f)
			}
		}
	}
}

func functionsText(a *analysis) string {
	var out []string
	for _, f := range a.funcs {
		s := fmt.Sprintf("%d-%d", f.start, f.end)
		if f.movesPacket {
			s += " moves"
		}
		if f.callback {
			s += " callback"
		}
		if f.mayGoto {
			s += " mayGoto"
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

func TestMisshapen(t *testing.T) {
	for _, test := range []struct {
		text string
		want string
	}{
		{`
			r0 = 0
			exit
			r0 = 1
			exit`, "V002 at 2: no path leads to this instruction"},
		{`
			r0 = 0
			goto l
			r0 = 1
			l: exit`, "V002 at 2: no path leads to this instruction"},
		{`
			r0 = 0
			exit
			f: r0 = 1
			call f
			exit`, "V002 at 2: the function is never called: its instructions can't be reached"},
		{`
			call f
			exit
			f: r0 = 0
			goto l
			r0 = 1
			l: exit
			`, "V002 at 4: no path leads to this instruction"},
		{`
			call f
			if r0 == 0 goto l
			exit
			f: r0 = 0
			l: exit`, "V003 at 1: the jump to 4 leaves the function, which is the slots 0 to 2"},
		{`
			call f
			r0 = 0
			f: exit`, "V003 at 1: the function that starts at 0 runs past its end: the last instruction must be exit or an unconditional jump"},
		{`
			call f
			r0 = 1 ll
			f: exit`, "V003 at 2: the function that starts at 0 runs past its end: the last instruction must be exit or an unconditional jump"},
		{`
			call f
			may_goto f
			f: exit`, "V003 at 1: the jump to 2 leaves the function, which is the slots 0 to 1"},
		{`
			l: if r1 == 0 goto l
			call f
			call g
			exit
			f: exit
			g: gotol f`, "V003 at 5: the jump to 4 leaves the function, which is the slots 5 to 5"},
	} {
		_, f := analyse(programOf(t, test.text))
		if f == nil {
			t.Errorf("%s\nis accepted, want %s", test.text, test.want)
		} else if f.String() != test.want {
			t.Errorf("%s\n%v, want %s", test.text, f, test.want)
		}
	}
}

func TestTooLarge(t *testing.T) {
	functions := slices.Repeat([]ebpf.Instruction{{}}, 256)
	for i := range functions {
		functions[i] = ebpf.Instruction{Op: ebpf.ClassJMP | ebpf.Call, Src: ebpf.CallLocal, Imm: 256}
	}
	functions = append(functions, slices.Repeat([]ebpf.Instruction{ebpf.Return()}, 257)...)
	maps := []ebpf.Instruction{}
	for i := range 65 {
		load := ebpf.LoadImm(ebpf.R1, uint64(i))
		load[0].Src = ebpf.WideMapFD
		maps = append(maps, load[:]...)
	}
	maps = append(maps, ebpf.Mov64Imm(ebpf.R0, 0), ebpf.Return())
	for _, test := range []struct {
		p    Program
		want string
	}{
		{Program{Insns: append(slices.Repeat([]ebpf.Instruction{ebpf.Mov64Imm(ebpf.R0, 0)}, 1_000_000), ebpf.Return())}, "V902 at 0: the program has 1000001 slots, more than 1000000"},
		{Program{Insns: functions}, "V902 at 512: the program has 257 functions, more than 256"},
		{Program{Insns: maps, Maps: make([]abi.MapSpec, 65)}, "V902 at 128: the program uses more than 64 maps"},
	} {
		if err := ebpf.Validate(test.p.Insns); err != nil {
			t.Fatal(err)
		}
		if _, f := analyse(&test.p); f == nil || f.String() != test.want {
			t.Errorf("%v, want %s", f, test.want)
		}
	}
}
