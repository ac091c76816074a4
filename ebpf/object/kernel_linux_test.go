package object_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	cilium "github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/rlimit"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/ebpf/object"
	"github.com/bpflab/bpflab/testdata/require"
)

// TestKernelAccepts makes the maps of every object in the kernel as this
// package describes them, puts their descriptors into the instructions, and has
// the kernel's verifier judge all programs.
func TestKernelAccepts(t *testing.T) {
	require.Root(t)
	if err := rlimit.RemoveMemlock(); err != nil {
		t.Log(err)
	}
	for _, name := range programNames(t) {
		t.Run(name, func(t *testing.T) {
			o := readProgram(t, name)
			fds := createMaps(t, o)
			for i := range o.Programs {
				loadProgram(t, o, &o.Programs[i], fds)
			}
		})
	}
}

// createMaps returns the descriptors of the maps of an object. Programs and
// maps are not put into them: the verifier does not look at that.
func createMaps(t *testing.T, o *object.Object) []int {
	t.Helper()
	var fds []int
	for _, m := range o.Maps {
		spec := mapSpec(m)
		if m.Inner != nil {
			spec.InnerMap = mapSpec(*m.Inner)
		}
		for _, e := range m.Contents {
			if e.Value != nil {
				spec.Contents = append(spec.Contents, cilium.MapKV{Key: e.Key, Value: e.Value})
			}
		}
		made, err := cilium.NewMap(spec)
		if err != nil {
			t.Fatalf("map %s: %v", m.Name, err)
		}
		t.Cleanup(func() { made.Close() })
		if m.Frozen {
			if err := made.Freeze(); err != nil {
				t.Fatal(err)
			}
		}
		fds = append(fds, made.FD())
	}
	return fds
}

func mapSpec(m object.MapSpec) *cilium.MapSpec {
	return &cilium.MapSpec{
		Type: cilium.MapType(m.Kind), KeySize: m.KeySize, ValueSize: m.ValueSize,
		MaxEntries: m.MaxEntries, Flags: m.Flags, MapExtra: m.Extra,
	}
}

func loadProgram(t *testing.T, o *object.Object, p *object.Program, fds []int) {
	t.Helper()
	insns := slices.Clone(p.Insns)
	for _, ref := range p.Refs {
		if ref.Kind == object.RefMap || ref.Kind == object.RefMapValue {
			insns[ref.Slot].Imm = int32(fds[insns[ref.Slot].Imm])
		}
	}
	raw := bytes.NewReader(ebpf.Append(nil, insns, binary.NativeEndian))
	code, err := asm.AppendInstructions(nil, raw, binary.LittleEndian, "linux")
	if err != nil {
		t.Fatal(err)
	}
	addFunctions(t, o, p, code)
	prog, err := cilium.NewProgram(&cilium.ProgramSpec{
		Type: cilium.ProgramType(p.Type), AttachType: cilium.AttachType(p.AttachType),
		Flags: p.Flags, License: p.License, Instructions: code,
	})
	if err != nil {
		t.Fatalf("program %s: %+v", p.Name, err)
	}
	prog.Close()
}

// addFunctions names the functions to the kernel, which insists on it for
// callbacks.
func addFunctions(t *testing.T, o *object.Object, p *object.Program, code asm.Instructions) {
	t.Helper()
	types, err := btf.LoadSpecFromReader(bytes.NewReader(o.Types))
	if err != nil {
		t.Fatal(err)
	}
	starts := map[int]btf.TypeID{}
	for _, f := range p.Functions {
		starts[f.Start] = btf.TypeID(f.TypeID)
	}
	for iter := code.Iterate(); iter.Next(); {
		if id := starts[int(iter.Offset)]; id != 0 {
			typ, err := types.TypeByID(id)
			if err != nil {
				t.Fatal(err)
			}
			*iter.Ins = btf.WithFuncMetadata(*iter.Ins, typ.(*btf.Func))
		}
	}
}

// TestLoadWithoutMaps loads programs that need no maps by package kernel.
func TestLoadWithoutMaps(t *testing.T) {
	require.Root(t)
	o := readFile(t, "testdata/core.o", object.Options{Types: kernelTypes(t)})
	p := o.Program("plain")
	prog, err := kernel.Load(p.Name, p.Type, p.Insns)
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	if ret, _, err := prog.TestRun(make([]byte, 64)); err != nil || ret != 0 {
		t.Errorf("test run: %d, %v; want receive queue 0", ret, err)
	}
}
