package verifier_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/object"
	programs "github.com/bpflab/bpflab/testdata/verifier"
	"github.com/bpflab/bpflab/verifier"
)

// reportFiles are the golden files in testdata/verifier/reports, by the first
// digit of the codes that stand there.
var reportFiles = []string{"shape", "memory", "registers", "calls", "references", "returns", "legacy", "", "", "limits"}

// TestReports compares the whole text of reports: of the first program of the
// tables for each code, and of all C programs in testdata/verifier/reports.
func TestReports(t *testing.T) {
	texts := map[string]*strings.Builder{}
	write := func(file string, p *verifier.Program, code string, r *verifier.Report) {
		if texts[file] == nil {
			texts[file] = new(strings.Builder)
		}
		fmt.Fprintf(texts[file], "==== %s\n%s\n%+v\n", p.Name, code, r)
	}
	for _, p := range firstOfEachCode() {
		v := program(&p)
		_, r := verifier.Verify(v, verifier.Options{Strict: p.Strict, Steps: 50_000})
		if r == nil {
			t.Errorf("%s: accepted", p.Name)
			continue
		}
		write(reportFiles[r.Code/100], v, listing(v), r)
	}
	for _, file := range []string{"packet", "maps"} {
		for _, p := range rejectedC(t, file) {
			_, r := verifier.Verify(p, verifier.Options{Steps: 50_000})
			if r == nil {
				t.Errorf("%s: accepted", p.Name)
				continue
			}
			write(file+"_c", p, "", r)
		}
	}
	for file, got := range texts {
		golden(t, filepath.Join("../testdata/verifier/reports", file+".txt"), got.String())
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got == string(want) {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range g {
		if i >= len(w) || g[i] != w[i] {
			t.Errorf("%s:%d: %s\nwant %q (-update records reports)", name, i+1, g[i], w[min(i, len(w)-1)])
			return
		}
	}
	t.Errorf("%s: the last %d lines are missing", name, len(w)-len(g))
}

// firstOfEachCode returns a program of the tables for each code.
func firstOfEachCode() []programs.Program {
	first := map[int]programs.Program{}
	for _, p := range programs.Rejects() {
		if _, ok := first[p.Code]; !ok {
			first[p.Code] = p
		}
	}
	var out []programs.Program
	for _, p := range first {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b programs.Program) int { return a.Code - b.Code })
	return out
}

func listing(p *verifier.Program) string {
	var b strings.Builder
	for i, n := 0, 0; i < len(p.Insns) && n < 24; i, n = i+p.Insns[i].Width(), n+1 {
		fmt.Fprintf(&b, "\t%2d: %v\n", i, p.Insns[i])
	}
	return b.String()
}

// rejectedC returns the programs of an object that are to be rejected.
func rejectedC(t testing.TB, name string) []*verifier.Program {
	t.Helper()
	f, err := os.Open(filepath.Join("../testdata/verifier/reports", name+".o"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	obj, err := object.Read(f, object.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var out []*verifier.Program
	for i := range obj.Programs {
		l, err := obj.Link(obj.Programs[i].Name)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, verifier.ProgramsOf(l)[0])
	}
	slices.SortFunc(out, func(a, b *verifier.Program) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// TestReportJSON checks that a report has all of its parts in JSON, too.
func TestReportJSON(t *testing.T) {
	var p *verifier.Program
	for _, p = range rejectedC(t, "packet") {
		if p.Name == "variable_header" {
			break
		}
	}
	_, r := verifier.Verify(p, verifier.Options{})
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Code, Insn, Remedy string
		Slot               int
		Source             verifier.Source
		Miss               verifier.Miss
		Chain              []struct{ What, Before, After string }
		Nearest            struct{ Slot int }
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if got.Code != "V101" || got.Slot != r.Slot || got.Insn == "" || got.Source.Line == 0 || got.Remedy == "" ||
		got.Miss != (verifier.Miss{Begin: 16, End: 78, Have: 54, Short: 24}) || len(got.Chain) != len(r.Chain) || got.Nearest.Slot != 5 {
		t.Errorf("%s", text)
	}
}

// TestReportOfFilter checks that the report of a program that comes from a
// filter names the part of the expression.
func TestReportOfFilter(t *testing.T) {
	insns, err := ebpf.Assemble("r2 = *(u32 *)(r1 +0)\nr0 = *(u16 *)(r2 +36)\nexit")
	if err != nil {
		t.Fatal(err)
	}
	_, r := verifier.Verify(&verifier.Program{Type: abi.XDP, Insns: insns, Source: func(slot int) verifier.Source {
		return verifier.Source{Text: []string{"", "dst port 80", ""}[slot]}
	}}, verifier.Options{})
	if want := "V101 at 1 (dst port 80): "; !strings.HasPrefix(r.Error(), want) {
		t.Errorf("%v, want %s…", r, want)
	}
	if text := fmt.Sprintf("%+v", r); !strings.Contains(text, "; dst port 80\n   1: r0 = *(u16 *)(r2 +36)\n") {
		t.Error(text)
	}
}

// TestReportColors checks that colours change nothing but colours.
func TestReportColors(t *testing.T) {
	for _, p := range rejectedC(t, "maps") {
		_, r := verifier.Verify(p, verifier.Options{Steps: 20_000})
		var plain, color strings.Builder
		r.Write(&plain, false)
		r.Write(&color, true)
		if color.String() == plain.String() {
			t.Errorf("%s: no colours", p.Name)
		}
		if got := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(color.String(), ""); got != plain.String() {
			t.Errorf("%s: %s", p.Name, got)
		}
	}
}

// TestRules checks that there is a rule behind every code, once.
func TestRules(t *testing.T) {
	last := verifier.Code(0)
	for _, r := range verifier.Rules() {
		if r.Code <= last {
			t.Errorf("%v does not stand behind %v", r.Code, last)
		}
		if r.Title == "" || r.Rule == "" || r.Kernel == "" {
			t.Errorf("%v: %+v", r.Code, r)
		}
		last = r.Code
	}
}
