package object_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/object"
	"github.com/bpflab/bpflab/testdata/require"
)

// TestForms reads the forms that maps, tail calls and references have had.
func TestForms(t *testing.T) {
	tests := []struct {
		name    string
		options object.Options
	}{
		{"legacy", object.Options{DefaultType: abi.SchedCLS}},
		{"iproute2", object.Options{}},
		{"indexed", object.Options{}},
		{"lock", object.Options{}},
		{"tags", object.Options{}},
		{"variables", object.Options{}},
		{"externs", object.Options{}},
		{"indirect", object.Options{}},
		{"core", object.Options{Types: kernelTypes(t)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.options.Types != nil && runtime.GOOS != "linux" {
				require.Skip(t, "CO-RE relocations are applied on Linux only")
			}
			o := readFile(t, "testdata/"+tt.name+".o", tt.options)
			golden(t, tt.name+".txt", describe(o))
		})
	}
}

// kernelTypes makes the BTF of a kernel whose struct task has its members in
// another order than core.c, one of them not at all, and other numbers for
// enum state.
func kernelTypes(t *testing.T) io.ReaderAt {
	t.Helper()
	long := &btf.Int{Name: "long", Size: 8, Encoding: btf.Signed}
	integer := &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}
	task := &btf.Struct{Name: "task", Size: 32, Members: []btf.Member{
		{Name: "flags", Type: long},
		{Name: "tgid", Type: integer, Offset: 8 * 20},
		{Name: "pid", Type: integer, Offset: 8 * 24},
	}}
	state := &btf.Enum{Name: "state", Size: 4, Values: []btf.EnumValue{{Name: "IDLE", Value: 7}, {Name: "BUSY", Value: 8}}}
	builder, err := btf.NewBuilder([]btf.Type{task, state}, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := builder.Marshal(nil, &btf.MarshalOptions{Order: binary.LittleEndian})
	if err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(raw)
}

// TestOneProgramFails checks that a program that cannot be used does not spoil
// the others of its object, and that the error tells where it is.
func TestOneProgramFails(t *testing.T) {
	noTypes := object.Options{Types: strings.NewReader("no BTF")}
	o := readFile(t, "testdata/core.o", noTypes)
	if p := o.Program("plain"); p.Err != nil || len(p.Insns) == 0 {
		t.Errorf("a program without relocations: %v", p.Err)
	}
	p := o.Program("offsets")
	var e *object.Error
	if !errors.As(p.Err, &e) || e.Program != "offsets" || e.Line == nil || !strings.HasSuffix(e.Line.File, "core.c") {
		t.Fatalf("error %v", p.Err)
	}
	if p.Insns != nil || !strings.Contains(e.Error(), "needs kernel type information") {
		t.Errorf("error %v", e)
	}
}

func TestSet(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"limit", "7", "07 00 00 00"},
		{"limit", "0xffffffff", "ff ff ff ff"},
		{"limit", "4294967296", `variable "limit" (const u32): want a number from 0 to 4294967295, have "4294967296"`},
		{"limit", "-1", `variable "limit" (const u32): want a number from 0 to 4294967295, have "-1"`},
		{"limit", "x:01020304", "01 02 03 04"},
		{"limit", "x:0102", `variable "limit" (const u32): have 2 bytes, want 4`},
		{"limit", "x:zz", `variable "limit" (const u32): x: wants bytes in hexadecimal: encoding/hex: invalid byte: U+007A 'z'`},
		{"enabled", "false", "00"},
		{"enabled", "1", "01"},
		{"enabled", "2", `variable "enabled" (const _Bool): want a number from 0 to 1, have "2"`},
		{"name", `"lo"`, "6c 6f 00 00 00 00 00 00"},
		{"name", `"12345678"`, "31 32 33 34 35 36 37 38"},
		{"name", `"123456789"`, `variable "name" (const char[8]): a text of 9 bytes does not fit`},
		{"mac", "{2, 0, 0, 0xff}", "02 00 00 ff 00 00"},
		{"mac", "{1,2,3,4,5,6,7}", `variable "mac" (const u8[6]): have 7 elements, want at most 6`},
		{"mac", "{}", "00 00 00 00 00 00"},
		{"mac", "{256}", `variable "mac" (const u8[6]): element 0: want a number from 0 to 255, have "256"`},
		{"grid", "{{1, -2}, {3}}", "01 00 fe ff 00 00 03 00 00 00 00 00"},
		{"color", "BLUE", "ff ff ff ff"},
		{"color", "5", "05 00 00 00"},
		{"color", "PINK", `variable "color" (const enum color): want a number from -2147483648 to 2147483647, have "PINK"`},
		{"origin", "x:0100000002000000", "01 00 00 00 02 00 00 00"},
		{"origin", "1", `variable "origin" (struct point): cannot set this type from "1", only as x: and 8 bytes in hexadecimal`},
		{"balance", "-9223372036854775808", "00 00 00 00 00 00 00 80"},
		{"balance", "9223372036854775808", `variable "balance" (s64): want a number from -9223372036854775808 to 9223372036854775807, have "9223372036854775808"`},
		{"letter", "'A'", "41"},
		{"letter", `'\n'`, "0a"},
		{"letter", "'AB'", `variable "letter" (char): 'AB' is not a character`},
		{"letter", "-1", "ff"},
		{"hidden", "1", `no variable "hidden", want one of `},
	}
	for _, tt := range tests {
		o := readFile(t, "testdata/variables.o", object.Options{})
		before := o.Variable(tt.name)
		got := ""
		if err := o.Set(tt.name, tt.text); err != nil {
			got = err.Error()
		} else {
			got = fmt.Sprintf("% x", o.Bytes(before))
		}
		if got != tt.want && !(tt.name == "hidden" && strings.HasPrefix(got, tt.want)) {
			t.Errorf("%s = %s: %s, want %s", tt.name, tt.text, got, tt.want)
		}
	}
}

// TestSetConfiguration sets a variable that stands for an option of the kernel.
func TestSetConfiguration(t *testing.T) {
	o := readFile(t, "testdata/externs.o", object.Options{})
	for name, text := range map[string]string{"CONFIG_HZ": "250", "CONFIG_SMP": "'y'"} {
		if err := o.Set(name, text); err != nil {
			t.Error(err)
		}
	}
	if got, want := o.Map(".kconfig").Contents[0].Value, []byte{'y', 0, 0, 0, 250, 0, 0, 0}; !bytes.Equal(got, want) {
		t.Errorf("value is % x, want % x", got, want)
	}
}

// TestSetLeavesOthers checks that setting one variable changes no byte of the
// map but its own.
func TestSetLeavesOthers(t *testing.T) {
	o := readFile(t, "testdata/variables.o", object.Options{})
	v := o.Variable("limit")
	before := bytes.Clone(o.Maps[v.Map].Contents[0].Value)
	if err := o.Set("limit", "x:11223344"); err != nil {
		t.Fatal(err)
	}
	after := o.Maps[v.Map].Contents[0].Value
	copy(before[v.Offset:], []byte{0x11, 0x22, 0x33, 0x44})
	if !bytes.Equal(before, after) {
		t.Errorf("value is % x, want % x", after, before)
	}
}
