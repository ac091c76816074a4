package ebpf_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	cilium "github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/testdata/require"
)

// sampleProgram has every shape that matters to a writer: a wide immediate, a
// branch, a loop, a helper call, extreme numbers, the text of a C comment.
const sampleProgram = `
	r6 = r1
	r7 = 0x123456789abcdef0 ll
	r8 = -2147483648
again:	r0 = *(u16 *)skb[12]
	r8 /= 3
	if r0 == 0x86dd goto done
	call bpf_get_prandom_u32
	if r8 s> -5 goto again
	goto last
done:	r0 = 0
	exit
last:	r0 = r7
	exit
`

func assemble(t testing.TB, text string) []ebpf.Instruction {
	t.Helper()
	prog, err := ebpf.Assemble(text)
	if err != nil {
		t.Fatal(err)
	}
	return prog
}

// comment puts something nasty beside the first instruction.
func comment(index int) string {
	if index == 0 {
		return "\"tcp\" */ /* \\\nport 80 \\"
	}
	return ""
}

func write(t testing.TB, f ebpf.Format, prog []ebpf.Instruction, o ebpf.WriteOptions) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := ebpf.Write(&b, f, prog, o); err != nil {
		t.Fatalf("%s: %v", f, err)
	}
	return b.Bytes()
}

// TestWriteGolden keeps the text formats as files; UPDATE=1 rewrites them.
func TestWriteGolden(t *testing.T) {
	prog := assemble(t, sampleProgram)
	for _, f := range []ebpf.Format{ebpf.FormatAsm, ebpf.FormatJSON, ebpf.FormatGo, ebpf.FormatC, ebpf.FormatHex, ebpf.FormatDot} {
		got := write(t, f, prog, ebpf.WriteOptions{Comment: comment})
		path := filepath.Join("testdata", "sample."+string(f)+".txt")
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile(path, got, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s differs:\n%s", path, diff)
		}
	}
}

func TestParseAny(t *testing.T) {
	prog := assemble(t, sampleProgram)
	for _, f := range []ebpf.Format{ebpf.FormatAsm, ebpf.FormatJSON, ebpf.FormatRaw, ebpf.FormatRawBE, ebpf.FormatHex} {
		data := write(t, f, prog, ebpf.WriteOptions{Comment: comment})
		got, as, err := ebpf.ParseAny(data)
		if err != nil || as != f || !equal(got, prog) {
			t.Errorf("%s is recognized as %s: %v, %v", f, as, got, err)
		}
	}
	for _, f := range ebpf.Formats() {
		data := write(t, f, prog, ebpf.WriteOptions{Section: "xdp"})
		switch f {
		case ebpf.FormatGo, ebpf.FormatC, ebpf.FormatDot, ebpf.FormatELF:
			if _, err := ebpf.Parse(data, f); err == nil || !strings.Contains(err.Error(), "not read back") {
				t.Errorf("%s: %v", f, err)
			}
			if _, as, err := ebpf.ParseAny(data); as != f || err == nil || !strings.Contains(err.Error(), "not read back") {
				t.Errorf("%s is recognized as %s: %v", f, as, err)
			}
		}
	}
	if _, as, err := ebpf.ParseAny([]byte("0x9500000000000000")); as != ebpf.FormatHex || err != nil {
		t.Errorf("hex in one word: %s, %v", as, err)
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct {
		format       ebpf.Format
		text         string
		line, column int
		msg          string
	}{
		{ebpf.FormatHex, "b7 00\n0 x", 2, 1, `found "0"`},
		{ebpf.FormatHex, "b7 0x", 1, 4, `found "0x"`},
		{ebpf.FormatJSON, `{}`, 1, 2, "expected an array"},
		{ebpf.FormatJSON, "[\n{\"code\":149},\n{\"imm\":1}]", 3, 1, `instruction 1 has no "code"`},
		{ebpf.FormatJSON, "[\n{\"code\":149},\n{\"code\":300}]", 3, 11, "code cannot be number 300"},
		{ebpf.FormatJSON, "[{\"code\":149}", 1, 14, "unexpected"},
		{ebpf.FormatJSON, "[5]", 1, 2, "an instruction cannot be number"},
		{ebpf.FormatJSON, "[{\"code\":149},\n {\"off\":\"x\"}]", 2, 11, "off cannot be string"},
		{ebpf.FormatJSON, "[{\"code\":149} {\"code\":149}]", 1, 14, "expected comma"},
		{ebpf.FormatJSON, "[{\"code\":149}] 5", 1, 16, `expected the end, found "5"`},
		{ebpf.FormatJSON, "[{\"code\":149, \"k\":1}]", 1, 21, "unknown field"},
		{ebpf.FormatAsm, "exit\nleave", 2, 1, "expected an instruction"},
	}
	for _, tt := range tests {
		_, err := ebpf.Parse([]byte(tt.text), tt.format)
		var e *ebpf.SyntaxError
		if !errors.As(err, &e) || e.Line != tt.line || e.Column != tt.column || !strings.Contains(e.Msg, tt.msg) {
			t.Errorf("%q as %s: %v; want line %d, column %d: …%s…", tt.text, tt.format, err, tt.line, tt.column, tt.msg)
		}
	}
	var e *ebpf.Error
	if _, err := ebpf.Parse([]byte("b7 00"), ebpf.FormatHex); !errors.As(err, &e) {
		t.Errorf("two bytes: %v", err)
	}
}

// TestGoSource checks that the Go form is Go.
func TestGoSource(t *testing.T) {
	src := write(t, ebpf.FormatGo, assemble(t, sampleProgram), ebpf.WriteOptions{Comment: comment})
	if _, err := format.Source(append([]byte("package p\n\nvar prog = "), src...)); err != nil {
		t.Error(err)
	}
}

// TestCSource lets a C compiler make bytes of the C form.
func TestCSource(t *testing.T) {
	cc := require.Command(t, "cc", "gcc", "clang-16")
	prog := assemble(t, sampleProgram)
	dir := t.TempDir()
	src := "#include <linux/bpf.h>\n#include <stdio.h>\n" +
		string(write(t, ebpf.FormatC, prog, ebpf.WriteOptions{Comment: comment})) +
		"int main(void) { return fwrite(program, sizeof program, 1, stdout) != 1; }\n"
	if err := os.WriteFile(filepath.Join(dir, "p.c"), []byte(src), 0o666); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(cc, "-Wall", "-Werror", "-o", filepath.Join(dir, "p"), filepath.Join(dir, "p.c")).CombinedOutput(); err != nil {
		if bytes.Contains(out, []byte("linux/bpf.h")) && bytes.Contains(out, []byte("No such file")) {
			require.Skip(t, "needs the kernel's headers")
		}
		t.Fatalf("%v\n%s", err, out)
	}
	raw, err := exec.Command(filepath.Join(dir, "p")).Output()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ebpf.Decode(raw, binary.NativeEndian); err != nil || !equal(got, prog) {
		t.Errorf("%v, %v", got, err)
	}
}

// TestDot lets Graphviz read the drawing where it is installed, and checks the
// edges of the loop in any case.
func TestDotEdges(t *testing.T) {
	dot := string(write(t, ebpf.FormatDot, assemble(t, "call f\nexit\nf: r0 = 1\nexit"), ebpf.WriteOptions{}))
	for _, edge := range []string{"n0 -> n2 [style=dashed];", `n0 [label="0: call pc+1\l1: exit\l"]`} {
		if !strings.Contains(dot, edge) {
			t.Errorf("no %s in\n%s", edge, dot)
		}
	}
}

func TestELF(t *testing.T) {
	prog := assemble(t, "r1 = 0x123456789abcdef0 ll\nr0 = 2\nexit")
	for section, want := range map[string]cilium.ProgramType{
		"xdp": cilium.XDP, "tc": cilium.SchedCLS, "socket": cilium.SocketFilter, "cgroup_skb/ingress": cilium.CGroupSKB,
	} {
		object := write(t, ebpf.FormatELF, prog, ebpf.WriteOptions{Name: "filter", Section: section})
		spec, err := cilium.LoadCollectionSpecFromReader(bytes.NewReader(object))
		if err != nil {
			t.Fatal(err)
		}
		p := spec.Programs["filter"]
		if p == nil || p.Type != want || p.License != "Dual BSD/GPL" || p.SectionName != section {
			t.Fatalf("%s: %+v", section, p)
		}
		var raw bytes.Buffer
		if err := p.Instructions.Marshal(&raw, binary.LittleEndian); err != nil {
			t.Fatal(err)
		}
		if got, err := ebpf.Decode(raw.Bytes(), binary.LittleEndian); err != nil || !equal(got, prog) {
			t.Errorf("%s: %v, %v", section, got, err)
		}
		if f, err := elf.NewFile(bytes.NewReader(object)); err != nil || f.Machine != elf.EM_BPF {
			t.Errorf("%v", err)
		}
	}
}

func TestELFRefuses(t *testing.T) {
	for _, text := range []string{"call f\nexit\nf: exit", "r1 = map[fd:3]\nexit", "call kernel-function#5\nexit"} {
		err := ebpf.Write(&bytes.Buffer{}, ebpf.FormatELF, assemble(t, text), ebpf.WriteOptions{Section: "xdp"})
		var e *ebpf.Error
		if !errors.As(err, &e) || e.Index != 0 {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := ebpf.Write(&bytes.Buffer{}, ebpf.FormatELF, nil, ebpf.WriteOptions{}); err == nil {
		t.Error("no section, no error")
	}
}

// TestELFLoads lets bpftool, which is libbpf, load the object into the kernel.
func TestELFLoads(t *testing.T) {
	require.Root(t)
	bpftool := require.Command(t, "bpftool")
	dir := t.TempDir()
	fs := filepath.Join(dir, "fs")
	mount := exec.Command("unshare", "--mount", "sh", "-c",
		`mount -t bpf bpf "$1" && "$2" prog load "$3" "$1/p" && "$2" prog dump xlated pinned "$1/p"`, "sh", fs, bpftool, filepath.Join(dir, "p.o"))
	if err := os.Mkdir(fs, 0o777); err != nil {
		t.Fatal(err)
	}
	object := write(t, ebpf.FormatELF, assemble(t, "r0 = 2\nexit"), ebpf.WriteOptions{Section: "xdp"})
	if err := os.WriteFile(filepath.Join(dir, "p.o"), object, 0o666); err != nil {
		t.Fatal(err)
	}
	out, err := mount.CombinedOutput()
	if bytes.Contains(out, []byte("not permitted")) || bytes.Contains(out, []byte("unshare")) {
		require.Skip(t, "needs mount namespaces and bpf(): %s", out)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// The dump is in the format that the assembler reads.
	if got, err := ebpf.Assemble(string(out)); err != nil || !equal(got, assemble(t, "r0 = 2\nexit")) {
		t.Errorf("%v, %v\n%s", got, err, out)
	}
}
