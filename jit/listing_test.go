package jit

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/object"
	"github.com/bpflab/bpflab/jit/amd64"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
)

var update = flag.Bool("update", false, "write the golden files")

// listed compiles what a file holds: all programs of an object, each for itself,
// or a text.
func listed(t *testing.T, file string, t0 tuning) (all []*Listing) {
	t.Helper()
	for _, p := range programsIn(t, file) {
		proof, report := verifier.Verify(p, verifier.Options{})
		if report != nil {
			t.Fatalf("%s: %v", file, report)
		}
		m, err := vm.LoadProved(vm.Options{}, proof)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		all = append(all, list(m.Native(), t0, []*verifier.Proof{proof}))
	}
	return all
}

func programsIn(t *testing.T, file string) []*verifier.Program {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(file, ".asm") {
		c, err := vm.Assemble(string(data), abi.XDP)
		if err != nil {
			t.Fatal(err)
		}
		return []*verifier.Program{{Name: "main", Type: abi.XDP, Insns: c.Programs[0].Insns, Maps: c.Maps}}
	}
	obj, err := object.Read(bytes.NewReader(data), object.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var all []*verifier.Program
	for i := range obj.Maps { // what others they may call is not needed here
		if abi.MapKind(obj.Maps[i].Kind) == abi.ProgArray {
			obj.Maps[i].Contents = nil
		}
	}
	for i := range obj.Programs {
		l, err := obj.Link(obj.Programs[i].Name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, verifier.ProgramsOf(l)...)
	}
	return all
}

// modern is a fixed set of features, so that listings do not depend on the host.
var modern = tuning{host: features{BMI2: true, MOVBE: true}}

func TestListingText(t *testing.T) {
	files, _ := filepath.Glob("testdata/listing/*.asm")
	if len(files) < 2 {
		t.Fatal("no programs")
	}
	for _, file := range files {
		l := listed(t, file, modern)[0]
		var got bytes.Buffer
		if err := l.Write(&got); err != nil {
			t.Fatal(err)
		}
		golden := strings.TrimSuffix(file, ".asm") + ".golden"
		if *update {
			if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Errorf("%s (-want +got; write it with -update):\n%s", golden, diff)
		}
		var back Listing
		if data, err := json.Marshal(l); err != nil || json.Unmarshal(data, &back) != nil {
			t.Errorf("%s: JSON: %v", file, err)
		} else if diff := cmp.Diff(*l, back); diff != "" {
			t.Errorf("%s: JSON:\n%s", file, diff)
		}
	}
}

// TestListingCovers: every byte of code is in a listing once, and every
// instruction either has code or a reason to have none.
func TestListingCovers(t *testing.T) {
	files, _ := filepath.Glob("../testdata/programs/*.o")
	asm, _ := filepath.Glob("testdata/listing/*.asm")
	forms := map[Form]int{}
	for _, file := range append(files, asm...) {
		if file == "../testdata/programs/file_open.o" || file == "../testdata/programs/syscall_count.o" {
			continue // for the kernel alone
		}
		for _, host := range []features{{}, modern.host} {
			for _, off := range []optimization{0, leanCode, leanCode | deadCode | fusion} {
				for _, l := range listed(t, file, tuning{host: host, off: off}) {
					forms[l.Form]++
					checkListing(t, file, l, off)
				}
			}
		}
	}
	if forms[Batch] == 0 || forms[Single] == 0 {
		t.Errorf("listings by form: %v", forms)
	}
}

func checkListing(t *testing.T, file string, l *Listing, off optimization) {
	t.Helper()
	var pieces []Piece
	for _, part := range l.Parts {
		pieces = append(pieces, part.Piece)
	}
	for _, p := range l.Programs {
		along := map[int]bool{}
		for _, insn := range p.Insns {
			if along[insn.Slot] != strings.HasPrefix(insn.Note, "done with ") && len(insn.Code) == 0 {
				t.Errorf("%s, %s, %d: %q, but it is done with another: %v", file, p.Name, insn.Slot, insn.Note, along[insn.Slot])
			}
			if (len(insn.Code) == 0) == (insn.Note == "") {
				t.Errorf("%s, %s, %d: %d pieces of code, and the note %q", file, p.Name, insn.Slot, len(insn.Code), insn.Note)
			}
			if off&deadCode != 0 && insn.Note == "not read, or known already" {
				t.Errorf("%s, %s, %d: left out, but dead code is kept", file, p.Name, insn.Slot)
			}
			for _, slot := range insn.Also {
				along[slot] = true
			}
			pieces = append(pieces, insn.Code...)
		}
	}
	slices.SortFunc(pieces, func(a, b Piece) int { return a.Start - b.Start })
	at := 0
	for _, p := range pieces {
		for _, line := range p.Lines {
			if line.Offset != at || at < p.Start {
				t.Fatalf("%s: the code goes on at %#x, not at %#x: %+v", file, line.Offset, at, p)
			}
			if text := amd64.Text(line.Bytes); len(text) != 1 {
				t.Fatalf("%s: %x is no instruction", file, line.Bytes)
			}
			at += len(line.Bytes)
		}
		if at != p.End {
			t.Fatalf("%s: a piece ends at %#x, its lines at %#x", file, p.End, at)
		}
	}
	if at != l.Size {
		t.Errorf("%s: %d bytes listed of %d", file, at, l.Size)
	}
}
