package amd64_test

import (
	"bytes"
	"debug/elf"
	"os/exec"
	"strings"
	"testing"

	. "github.com/bpflab/bpflab/jit/amd64"
	"github.com/bpflab/bpflab/testdata/require"
)

// llvmAssemble returns the machine code that LLVM's assembler makes of a text.
func llvmAssemble(t *testing.T, text string) []byte {
	t.Helper()
	llvm := require.Command(t, "llvm-mc-16", "llvm-mc")
	cmd := exec.Command(llvm, "--assemble", "--triple=x86_64-linux", "-x86-asm-syntax=intel", "-filetype=obj")
	cmd.Stdin = strings.NewReader(text)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	object, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", llvm, err, stderr.String()[:min(stderr.Len(), 2000)])
	}
	file, err := elf.NewFile(bytes.NewReader(object))
	if err != nil {
		t.Fatal(err)
	}
	code, err := file.Section(".text").Data()
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// TestFormsLLVM compares all forms with what LLVM's assembler makes of their
// texts: the same bytes, so also the shortest.
func TestFormsLLVM(t *testing.T) {
	f := allForms()
	code, err := f.Finish()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, row := range f.rows {
		text.WriteString(row.text)
		text.WriteByte('\n')
	}
	want := llvmAssemble(t, text.String())
	start := 0
	for _, row := range f.rows {
		end := code.Offset(row.end)
		if got := code.Bytes[start:end]; end > len(want) || !bytes.Equal(got, want[start:end]) {
			t.Fatalf("%s: %x; LLVM's code goes on with %x", row.text, got, want[start:min(start+16, len(want))])
		}
		start = end
	}
	if len(want) != start {
		t.Errorf("LLVM makes %d bytes of the forms, not %d", len(want), start)
	}
	t.Logf("%d instructions, %d bytes", len(f.rows), start)
}

// TestFormsText reads all forms back.
func TestFormsText(t *testing.T) {
	f := allForms()
	code, err := f.Finish()
	if err != nil {
		t.Fatal(err)
	}
	lines := Text(code.Bytes)
	start, failures := 0, 0
	for i, row := range f.rows {
		size := code.Offset(row.end) - start
		if want := (Line{start, size, row.text}); i >= len(lines) || lines[i] != want {
			t.Errorf("%x: %+v, want %+v", code.Bytes[start:start+size], lines[i], want)
			if failures++; failures == 20 {
				t.FailNow()
			}
		}
		start += size
	}
}
