package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/object"
)

// TestListingsAssemble lists each program of each object and assembles the
// text: instructions and maps must be the same.
func TestListingsAssemble(t *testing.T) {
	var files []string
	for _, pattern := range []string{"../../testdata/programs/*.o", "../../ebpf/object/testdata/*.o"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	programs := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		obj, err := object.Read(bytes.NewReader(data), object.Options{DefaultType: abi.SchedCLS})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range obj.Programs {
			one := *obj
			one.Programs = []object.Program{p}
			if p.Err == nil {
				programs++
				checkListing(t, file+": "+p.Name, &one)
			}
		}
	}
	if programs < 25 {
		t.Errorf("%d programs in %d objects", programs, len(files))
	}
}

func checkListing(t *testing.T, name string, obj *object.Object) {
	t.Helper()
	var text bytes.Buffer
	if err := listObject(&text, obj); err != nil {
		t.Fatal(err)
	}
	unit, err := ebpf.AssembleUnit(text.String())
	if err != nil {
		t.Errorf("%s: %v\n%s", name, err, text.String())
		return
	}
	if !slices.Equal(unit.Insns, obj.Programs[0].Insns) {
		t.Errorf("%s: the listing assembles to other instructions\n%s", name, text.String())
	}
	if len(unit.Maps) != len(obj.Maps) {
		t.Errorf("%s: %d maps of %d", name, len(unit.Maps), len(obj.Maps))
	}
	seen := map[string]bool{}
	for i, m := range unit.Maps {
		own := obj.Maps[i].Name
		keeps := ebpf.IsName(own) && !seen[own]
		if want := declarationOf(m.Name, &obj.Maps[i]); m.String() != want.String() || keeps && m.Name != own {
			t.Errorf("%s: map %d is %v, want %v", name, i, m, want)
		}
		seen[own] = true
	}
}

// TestListingOfOddNames lists a program whose maps and functions have names
// that mean something else in a text, or nothing.
func TestListingOfOddNames(t *testing.T) {
	odd := []string{"r1", "bpf_loop", "a b", "", "twice", "twice", "fd", "pc"}
	obj := &object.Object{}
	p := object.Program{Name: "main"}
	for i, name := range odd {
		obj.Maps = append(obj.Maps, object.MapSpec{Name: name, Kind: 2, KeySize: 4, ValueSize: uint32(8 + i), MaxEntries: 1})
		p.Insns = append(p.Insns,
			ebpf.Instruction{Op: ebpf.LoadImm64, Dst: ebpf.R1, Src: ebpf.WideMapFD, Imm: int32(i)}, ebpf.Instruction{},
			ebpf.Instruction{Op: ebpf.LoadImm64, Dst: ebpf.R2, Src: ebpf.WideMapValue, Imm: int32(i)}, ebpf.Instruction{Imm: 4})
	}
	start := 4*len(odd) + 2*len(odd) + 1
	for i := range odd {
		at := len(p.Insns)
		p.Insns = append(p.Insns, ebpf.Instruction{Op: ebpf.ClassJMP | ebpf.Call, Src: ebpf.CallLocal, Imm: int32(start + 2*i - at - 1)})
		p.Insns = append(p.Insns, ebpf.Mov64Imm(ebpf.R0, 0))
	}
	p.Insns = append(p.Insns, ebpf.Return())
	p.Functions = []object.Function{{Name: "main"}}
	for i, name := range odd {
		if i < 4 || name == "fd" || name == "pc" { // of two with one name the object is refused
			p.Functions = append(p.Functions, object.Function{Name: name, Start: len(p.Insns)})
		}
		p.Insns = append(p.Insns, ebpf.Mov64Imm(ebpf.R0, int32(i)), ebpf.Return())
	}
	obj.Programs = []object.Program{p}
	if err := ebpf.Validate(p.Insns); err != nil {
		t.Fatal(err)
	}
	checkListing(t, "odd names", obj)
}
