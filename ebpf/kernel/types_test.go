package kernel_test

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"testing"

	"github.com/cilium/ebpf/btf"

	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/ebpf/object"
)

var (
	char   = &btf.Int{Name: "char", Size: 1, Encoding: btf.Signed}
	u8     = &btf.Int{Name: "unsigned char", Size: 1}
	s16    = &btf.Int{Name: "short", Size: 2, Encoding: btf.Signed}
	u32    = &btf.Typedef{Name: "u32", Type: &btf.Int{Name: "unsigned int", Size: 4}}
	truth  = &btf.Int{Name: "_Bool", Size: 1, Encoding: btf.Bool}
	colour = &btf.Enum{Name: "colour", Size: 4, Signed: true, Values: []btf.EnumValue{{Name: "RED", Value: 1}, {Name: "NONE", Value: ^uint64(0)}}}
)

// typesOf makes type information of a type.
func typesOf(t *testing.T, of ...btf.Type) *kernel.Types {
	t.Helper()
	b, err := btf.NewBuilder(of, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := b.Marshal(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	types, err := kernel.NewTypes(raw)
	if err != nil {
		t.Fatal(err)
	}
	return types
}

// structOf lays members out one after another.
func structOf(name string, members ...btf.Member) *btf.Struct {
	s := &btf.Struct{Name: name, Members: members}
	for i := range members {
		size, err := btf.Sizeof(members[i].Type)
		if err != nil {
			panic(err)
		}
		members[i].Offset = btf.Bits(8 * s.Size)
		s.Size += uint32(size)
	}
	return s
}

func TestTypes(t *testing.T) {
	bits := &btf.Struct{Name: "bits", Size: 1, Members: []btf.Member{
		{Name: "low", Type: u32, BitfieldSize: 3}, {Name: "high", Type: u32, Offset: 3, BitfieldSize: 5},
	}}
	either := &btf.Union{Size: 4, Members: []btf.Member{{Name: "number", Type: u32}, {Name: "bytes", Type: &btf.Array{Type: u8, Index: u32, Nelems: 4}}}}
	all := structOf("all",
		btf.Member{Name: "byte", Type: u8}, btf.Member{Name: "flag", Type: truth}, btf.Member{Name: "short", Type: &btf.Const{Type: s16}},
		btf.Member{Name: "colour", Type: colour}, btf.Member{Name: "other", Type: colour},
		btf.Member{Name: "name", Type: &btf.Array{Type: char, Index: u32, Nelems: 5}},
		btf.Member{Name: "mac", Type: &btf.Array{Type: u8, Index: u32, Nelems: 2}},
		btf.Member{Name: "bits", Type: bits}, btf.Member{Type: either},
		btf.Member{Name: "list", Type: &btf.Array{Type: s16, Index: u32, Nelems: 2}},
		btf.Member{Name: "pointer", Type: &btf.Pointer{Target: u8}},
		btf.Member{Name: "real", Type: &btf.Float{Name: "float", Size: 4}},
	)
	data := []byte{200, 1}
	data = binary.NativeEndian.AppendUint16(data, 0xfffe)
	data = binary.NativeEndian.AppendUint32(data, ^uint32(0))
	data = binary.NativeEndian.AppendUint32(data, 7)
	data = append(data, 'h', 'i', 0, 'x', 'x', 0xaa, 0xbb, 5|9<<3)
	data = binary.NativeEndian.AppendUint32(data, 0x01010101)
	data = binary.NativeEndian.AppendUint16(data, 3)
	data = binary.NativeEndian.AppendUint16(data, 0xffff)
	data = binary.NativeEndian.AppendUint64(data, 0x1000)
	data = binary.NativeEndian.AppendUint32(data, 0x3fc00000)
	typ, err := typesOf(t, all).Struct("all")
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]string{
		len(data): `{"byte":200,"flag":true,"short":-2,"colour":"NONE","other":7,"name":"hi","mac":"aabb","bits":{"low":5,"high":9},` +
			`"number":16843009,"bytes":"01010101","list":[3,-1],"pointer":"0x1000","real":1.5}`,
		4: `{"byte":200,"flag":true,"short":-2}`,
		0: `{}`,
	} {
		got, err := json.Marshal(typ.Value(data[:n]))
		if err != nil || string(got) != want {
			t.Errorf("%d bytes: %s %v, want %s", n, got, err, want)
		}
	}
	for want, data := range map[string][]byte{"7": {7}, "1": binary.NativeEndian.AppendUint32(nil, 1), `"010203"`: {1, 2, 3}} {
		if got, err := json.Marshal(kernel.Type{}.Value(data)); err != nil || string(got) != want {
			t.Errorf("% x without a type: %s %v, want %s", data, got, err, want)
		}
	}
}

// TestTypesEndless has structures that contain themselves.
func TestTypesEndless(t *testing.T) {
	self := &btf.Struct{Name: "self", Size: 8}
	self.Members = []btf.Member{{Name: "a", Type: self}, {Name: "b", Type: self}}
	typ, err := typesOf(t, self).Struct("self")
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := typ.Value(make([]byte, 8)).(kernel.Members); !ok || len(v) != 2 {
		t.Errorf("%v", v)
	}
}

// TestTypesOfObject finds the types of maps and records of the tracers.
func TestTypesOfObject(t *testing.T) {
	f, err := os.Open("../../testdata/programs/syscall_count.o")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	obj, err := object.Read(f, object.Options{})
	if err != nil {
		t.Fatal(err)
	}
	types, err := kernel.NewTypes(obj.Types)
	if err != nil {
		t.Fatal(err)
	}
	key, value := types.Map("calls")
	if key.Name() != "syscall" || value.Name() != "stat" || key.Value(binary.NativeEndian.AppendUint32(nil, 257)) != "sys_openat" {
		t.Errorf("%v %v", key, value)
	}
	if found, ok := types.OfSize(24); !ok || found.Name() != "stat" {
		t.Errorf("%v %v", found, ok)
	}
	if _, ok := types.OfSize(23); ok {
		t.Error("there is a structure of 23 bytes")
	}
	if k, v := types.Map("nothing"); k.Name()+v.Name() != "" {
		t.Error("there is a map of that name")
	}
	if _, err := types.Struct("nothing"); err == nil {
		t.Error("there is a structure of that name")
	}
}
