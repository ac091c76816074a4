package kernel_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/ebpf/object"
)

// linked makes a program of assembly text with maps.
func linked(t *testing.T, name, text string, maps ...abi.MapSpec) *object.Linked {
	t.Helper()
	var declarations strings.Builder
	for _, m := range maps {
		fmt.Fprintln(&declarations, ebpf.MapDeclaration{Name: m.Name, Type: m.Kind.String(), Key: m.KeySize, Value: m.ValueSize, Entries: max(m.MaxEntries, 1)})
	}
	text = declarations.String() + text
	return &object.Linked{
		Programs: []object.LinkedProgram{{
			Program: &object.Program{Name: name, Type: abi.SchedCLS, License: "GPL"},
			Insns:   assemble(t, text),
		}},
		Maps: maps,
	}
}

func collection(t *testing.T, l *object.Linked) *kernel.Collection {
	t.Helper()
	c, err := kernel.NewCollection(l.Maps, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func run(t *testing.T, p *kernel.Program) uint32 {
	t.Helper()
	ret, _, err := p.TestRun(packet(64))
	if err != nil {
		t.Fatal(err)
	}
	return ret
}

// TestCollectionObjects loads all programs of the project's own objects.
func TestCollectionObjects(t *testing.T) {
	available(t)
	names, err := filepath.Glob("../../testdata/programs/*.o")
	if err != nil || len(names) == 0 {
		t.Fatal("no objects", err)
	}
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		obj, err := object.Read(f, object.Options{})
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		var programs []string
		for i := range obj.Programs {
			programs = append(programs, obj.Programs[i].Name)
		}
		l, err := obj.Link(programs...)
		if err != nil {
			t.Fatal(err)
		}
		c, err := kernel.NewCollection(l.Maps, obj.Types)
		if err != nil {
			t.Fatal(err)
		}
		for i := range l.Programs {
			_, stats, err := c.Load(&l.Programs[i])
			if err != nil || stats.Steps == 0 {
				t.Errorf("%s: %+v %+v", name, err, stats)
			}
		}
		if err := c.FillProgramArrays(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := c.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCollectionContents loads what maps hold from the start: constants, whose
// map is frozen, and maps in maps.
func TestCollectionContents(t *testing.T) {
	available(t)
	constants := abi.MapSpec{
		Name: "constants", Kind: abi.ArrayMap, KeySize: 4, ValueSize: 8, MaxEntries: 1, Flags: abi.MapReadOnlyProg, Frozen: true,
		Contents: []abi.MapElement{{Key: make([]byte, 4), Value: []byte{7}}},
	}
	// The kernel takes the constant for known, or the division would be by 0.
	l := linked(t, "constant", `
		r1 = map[constants][0]+0
		r2 = *(u32 *)(r1 +0)
		r0 = 1
		if r2 == 7 goto out
		r0 = *(u64 *)(r2 +0)
	out:	exit`, constants)
	c := collection(t, l)
	p, _, err := c.Load(&l.Programs[0])
	if err != nil {
		t.Fatalf("%+v", err)
	}
	if got := run(t, p); got != 1 {
		t.Errorf("constant: returned %d", got)
	}

	inner := abi.MapSpec{
		Name: "inner", Kind: abi.ArrayMap, KeySize: 4, ValueSize: 4, MaxEntries: 1,
		Contents: []abi.MapElement{{Key: make([]byte, 4), Value: []byte{42}}},
	}
	template := inner
	template.Contents = nil
	outer := abi.MapSpec{
		Name: "outer", Kind: abi.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 1, Inner: &template,
		Contents: []abi.MapElement{{Key: make([]byte, 4), Name: "inner"}},
	}
	l = linked(t, "nested", `
		*(u32 *)(r10 -4) = 0
		r1 = map[outer]
		r2 = r10
		r2 += -4
		call bpf_map_lookup_elem
		if r0 == 0 goto out
		r1 = r0
		r2 = r10
		r2 += -4
		call bpf_map_lookup_elem
		if r0 == 0 goto out
		r0 = *(u32 *)(r0 +0)
	out:	exit`, inner, outer)
	c = collection(t, l)
	if p, _, err = c.Load(&l.Programs[0]); err != nil {
		t.Fatalf("%+v", err)
	}
	if got := run(t, p); got != 42 {
		t.Errorf("maps in maps: returned %d", got)
	}
}

// TestCollectionCallback loads a program without type information that passes
// a function to a helper, which the kernel wants to see described.
func TestCollectionCallback(t *testing.T) {
	available(t)
	l := linked(t, "callback", `
		r1 = 3
		r2 = subprog[round]
		r3 = 0
		r4 = 0
		call bpf_loop
		exit
	round:	r0 = 0
		exit`)
	c := collection(t, l)
	p, stats, err := c.Load(&l.Programs[0])
	if err != nil {
		t.Fatalf("%+v", err)
	}
	if got := run(t, p); got != 3 || stats.Steps == 0 {
		t.Errorf("returned %d, %+v", got, stats)
	}
}

// TestCollectionTailCall fills a program array.
func TestCollectionTailCall(t *testing.T) {
	available(t)
	programs := abi.MapSpec{
		Name: "programs", Kind: abi.ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 2,
		Contents: []abi.MapElement{{Key: []byte{1, 0, 0, 0}, Name: "second"}},
	}
	l := linked(t, "first", `
		r2 = map[programs]
		r3 = 1
		call bpf_tail_call
		r0 = 1
		exit`, programs)
	l.Programs = append(l.Programs, linked(t, "second", "r0 = 2\nexit").Programs...)
	c := collection(t, l)
	first, _, err := c.Load(&l.Programs[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := c.FillProgramArrays(); err == nil || !strings.Contains(err.Error(), `program "second" is not loaded`) {
		t.Errorf("the second program is not there, but: %v", err)
	}
	if got := run(t, first); got != 1 {
		t.Errorf("before the array was filled: %d", got)
	}
	if _, _, err := c.Load(&l.Programs[1]); err != nil {
		t.Fatal(err)
	}
	if err := c.FillProgramArrays(); err != nil {
		t.Fatal(err)
	}
	if got := run(t, first); got != 2 {
		t.Errorf("after it was: %d", got)
	}
}

// TestCollectionRefused asks for what the kernel says of a bad program and of a
// bad map.
func TestCollectionRefused(t *testing.T) {
	available(t)
	l := linked(t, "bad", "r0 = 0\nr0 = *(u8 *)(r0 +0)\nexit")
	_, stats, err := collection(t, l).Load(&l.Programs[0])
	var refused *kernel.VerifierError
	if !errors.As(err, &refused) || stats.Steps != 2 {
		t.Fatalf("%v, %+v", err, stats)
	}
	if got := refused.Message(); len(got) != 1 || got[0] != "R0 invalid mem access 'scalar'" {
		t.Errorf("the message is %q", got)
	}
	l = linked(t, "map", "r1 = map[m]\nr0 = 0\nexit", abi.MapSpec{Name: "m", Kind: abi.HashMap, KeySize: 4, ValueSize: 4})
	if _, _, err := collection(t, l).Load(&l.Programs[0]); err == nil || !strings.Contains(err.Error(), `making map "m" (hash, key 4 B`) {
		t.Errorf("a map without entries: %v", err)
	}
	l.Maps = nil
	if _, _, err := collection(t, l).Load(&l.Programs[0]); err == nil || !strings.Contains(err.Error(), "there is no map 0") {
		t.Errorf("no such map: %v", err)
	}
}
