package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// rooms lists the packages from the ground up: each may import only those
// before it. docs/ARCHITECTURE.md has the same list with what each one holds.
var rooms = []string{
	"cbpf/origin",
	"cbpf",
	"cbpf/filter/ir",
	"cbpf/filter",
	"ebpf",
	"ebpf/abi",
	"ebpf/lift",
	"ebpf/object",
	"vm/engine",
	"vm/capture",
	"ebpf/kernel",
	"verifier/num",
	"verifier",
	"vm/arena",
	"vm/maps",
	"vm",
	"jit/amd64",
	"jit",
	"vm/replay",
	"cmd/bpflab",
}

const module = "github.com/bpflab/bpflab/"

// TestImportOrder checks that every package imports only packages named above
// it, and that no package stands outside the list.
func TestImportOrder(t *testing.T) {
	format := `{{.ImportPath}}: {{join .Imports " "}}`
	out, err := exec.Command("go", "list", "-f", format, module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		name, imports, _ := strings.Cut(strings.TrimSpace(line), ":")
		room := strings.TrimPrefix(name, module)
		if strings.HasPrefix(room, "testdata/") {
			continue // support for tests, not part of the product
		}
		floor := slices.Index(rooms, room)
		if floor < 0 {
			t.Errorf("package %s is not in the list of rooms", room)
		}
		for imported := range strings.FieldsSeq(imports) {
			below, ours := strings.CutPrefix(imported, module)
			if ours && slices.Index(rooms, below) >= floor {
				t.Errorf("%s imports %s, which stands above it", room, below)
			}
		}
	}
}
