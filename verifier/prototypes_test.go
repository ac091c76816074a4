package verifier_test

import (
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/verifier"
)

// TestPrototypes has prototypes of helper functions that users give: those that
// make no sense are refused, and calls are held to those that do.
func TestPrototypes(t *testing.T) {
	known := *abi.HelperByID(abi.GetPrandomU32)
	changed := known
	changed.Args = []abi.ArgKind{abi.ArgScalar}
	user := func(args ...abi.ArgKind) abi.Helper {
		return abi.Helper{ID: 7777, Types: abi.Types(abi.XDP), Args: args, Min: 0, Max: 7}
	}
	pointer := user()
	pointer.Returns = abi.ReturnsValue
	releases := user(abi.ArgScalar)
	releases.Releases = true
	moves := user(abi.ArgScalar)
	moves.MovesPacket = true
	ofTC := user(abi.ArgScalar)
	ofTC.Types = abi.Types(abi.SchedCLS)
	const call = `
		r6 = r1
		r7 = *(u32 *)(r1 +0)
		r8 = *(u32 *)(r1 +4)
		r9 = r7
		r9 += 8
		if r9 > r8 goto out
		*(u64 *)(r10 -8) = 0
		r1 = 1
		call 7777
		r1 = r10
		r1 += r0
		r1 = *(u8 *)(r1 -8)
		r1 = *(u8 *)(r7 +7)
	out:	r0 = 2
		exit`
	for _, tt := range []struct {
		name    string
		helpers []abi.Helper
		want    string // in the report, "" for a proof
	}{
		{"number", []abi.Helper{user(abi.ArgScalar)}, ""},
		{"known one", []abi.Helper{user(abi.ArgScalar), known}, ""},
		{"not given", nil, "there is no helper function 7777"},
		{"for others", []abi.Helper{ofTC}, "xdp programs cannot call helper 7777"},
		{"moves the packet", []abi.Helper{moves}, "V104"},
		{"wants memory", []abi.Helper{user(abi.ArgReadMem, abi.ArgSize)}, "V304"},
		{"wants the context", []abi.Helper{user(abi.ArgContext)}, "V304"},
		{"known one, changed", []abi.Helper{changed}, "a known function has another one"},
		{"twice", []abi.Helper{user(abi.ArgScalar), user()}, "two of that number"},
		{"six arguments", []abi.Helper{user(0, 0, 0, 0, 0, 0)}, "five registers"},
		{"no kind", []abi.Helper{user(255)}, "only known functions have such arguments"},
		{"a function", []abi.Helper{user(abi.ArgFunc)}, "only known functions have such arguments"},
		{"memory without size", []abi.Helper{user(abi.ArgReadMem)}, "no size follows"},
		{"size without memory", []abi.Helper{user(abi.ArgScalar, abi.ArgSize)}, "no memory is before the size"},
		{"size alone", []abi.Helper{user(abi.ArgSize)}, "no memory is before the size"},
		{"key without map", []abi.Helper{user(abi.ArgMapKey)}, "the first one is no map"},
		{"second map", []abi.Helper{user(abi.ArgScalar, abi.ArgMap)}, "a map is the first argument"},
		{"two to fill", []abi.Helper{user(abi.ArgWriteLong, abi.ArgWriteLong)}, "two arguments are memory to fill"},
		{"pointer", []abi.Helper{pointer}, "only known functions return pointers"},
		{"release", []abi.Helper{releases}, "only known functions give back"},
	} {
		prog, err := ebpf.Assemble(call)
		if err != nil {
			t.Fatal(err)
		}
		_, report := verifier.Verify(&verifier.Program{Type: abi.XDP, Insns: prog, Helpers: tt.helpers}, verifier.Options{})
		switch {
		case tt.want == "" && report != nil:
			t.Errorf("%s: %v", tt.name, report)
		case tt.want != "" && (report == nil || !strings.Contains(report.Error(), tt.want)):
			t.Errorf("%s: %v, want %q", tt.name, report, tt.want)
		}
	}
}
