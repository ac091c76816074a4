package object_test

//go:generate sh ../../testdata/programs/build.sh
//go:generate go test -run "TestPrograms|TestForms" -update

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/object"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares text with a file under testdata.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// describe writes all of an object as text.
func describe(o *object.Object) string {
	var b strings.Builder
	for i, m := range o.Maps {
		fmt.Fprintf(&b, "map %d ", i)
		describeMap(&b, "", &m)
	}
	for _, v := range o.Variables {
		fmt.Fprintf(&b, "variable %s: %s, %d bytes at map %d +%d, constant %v = % x\n",
			v.Name, v.Type, v.Size, v.Map, v.Offset, v.Constant, o.Bytes(&v))
	}
	for i := range o.Programs {
		describeProgram(&b, &o.Programs[i])
	}
	return b.String()
}

func describeMap(b *strings.Builder, indent string, m *object.MapSpec) {
	fmt.Fprintf(b, "%s (%s): kind %d, key %d, value %d, entries %d, flags %d, extra %d, pinning %d, frozen %v %q\n",
		m.Name, m.Section, m.Kind, m.KeySize, m.ValueSize, m.MaxEntries, m.Flags, m.Extra, m.Pinning, m.Frozen, m.Tags)
	if m.SpinLock != nil {
		fmt.Fprintf(b, "%s    spin lock at +%d\n", indent, *m.SpinLock)
	}
	for _, e := range m.Contents {
		fmt.Fprintf(b, "%s    % x = % x%s%s\n", indent, e.Key, e.Value, e.Program, e.Map)
	}
	if m.Inner != nil {
		fmt.Fprintf(b, "%s    inner ", indent)
		describeMap(b, indent+"    ", m.Inner)
	}
}

func describeProgram(b *strings.Builder, p *object.Program) {
	fmt.Fprintf(b, "program %s (%s): type %v, attach type %d to %q, flags %d, license %q, error %v\n",
		p.Name, p.Section, p.Type, p.AttachType, p.AttachTo, p.Flags, p.License, p.Err)
	for _, r := range p.Refs {
		fmt.Fprintf(b, "    reference %d: kind %d %s+%d, weak %v\n", r.Slot, r.Kind, r.Name, r.Offset, r.Weak)
	}
	text := ebpf.Disassemble(p.Insns)
	var last *object.Line
	for i, ins := range text {
		if at := slices.IndexFunc(p.Functions, func(f object.Function) bool { return f.Start == i }); at >= 0 {
			fmt.Fprintf(b, "  %s:\n", p.Functions[at].Name)
		}
		if line := p.LineAt(i); line != nil && line != last {
			fmt.Fprintf(b, "; %v\n", line)
			last = line
		}
		if ins != "" {
			fmt.Fprintf(b, "%4d: %s\n", i, ins)
		}
	}
}

// programNames lists the objects of testdata/programs.
func programNames(t testing.TB) []string {
	files, err := filepath.Glob("../../testdata/programs/*.o")
	if err != nil || len(files) == 0 {
		t.Fatal("no objects", err)
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(filepath.Base(f), ".o")
	}
	return files
}

// readFile reads an object from a file.
func readFile(t testing.TB, path string, o object.Options) *object.Object {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	obj, err := object.Read(f, o)
	if err != nil {
		t.Fatal(err)
	}
	return obj
}

func readProgram(t testing.TB, name string) *object.Object {
	t.Helper()
	return readFile(t, "../../testdata/programs/"+name+".o", object.Options{})
}

func TestPrograms(t *testing.T) {
	for _, name := range programNames(t) {
		t.Run(name, func(t *testing.T) {
			o := readProgram(t, name)
			for _, p := range o.Programs {
				if p.Err != nil {
					t.Error(p.Err)
				}
			}
			golden(t, name+".txt", describe(o))
		})
	}
}
