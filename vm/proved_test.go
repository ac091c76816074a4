package vm_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

func assembled(t testing.TB, text string) []ebpf.Instruction {
	t.Helper()
	prog, err := ebpf.Assemble(text)
	if err != nil {
		t.Fatal(err)
	}
	return prog
}

// TestProvedRefusals has all that LoadProved does not take.
func TestProvedRefusals(t *testing.T) {
	spec := abi.MapSpec{Name: "m", Kind: abi.ArrayMap, KeySize: 4, ValueSize: 8, MaxEntries: 1}
	other := spec
	other.ValueSize = 4
	load := func(maps ...abi.MapSpec) *verifier.Program {
		return &verifier.Program{Name: "load", Type: abi.XDP, Maps: maps, Insns: assembled(t, "r1 = map[fd:0][0]+0\nr0 = *(u32 *)(r1 +0)\nexit")}
	}
	user := abi.Helper{ID: 7777, Args: []abi.ArgKind{abi.ArgReadMem, abi.ArgSize}, Types: abi.Types(abi.XDP)}
	wider := user
	wider.Args = []abi.ArgKind{abi.ArgReadMem, abi.ArgSizeOrZero}
	calls := &verifier.Program{Name: "calls", Type: abi.XDP, Helpers: []abi.Helper{user}, Insns: assembled(t, `
		*(u64 *)(r10 - 8) = 7
		r1 = r10
		r1 += -8
		r2 = 8
		call 7777
		exit`)}
	given := func(h abi.Helper) vm.Options {
		return vm.Options{Helpers: []vm.Helper{{Proto: h, Func: func(c *vm.Caller, a [5]uint64) uint64 {
			b, ok := c.Bytes(a[0], a[1], false)
			if !ok {
				return 0
			}
			return uint64(b[0])
		}}}}
	}
	for _, tt := range []struct {
		name     string
		options  vm.Options
		programs []*verifier.Program
		want     string
	}{
		{"one", vm.Options{}, []*verifier.Program{load(spec)}, ""},
		{"same maps", vm.Options{}, []*verifier.Program{load(spec), load(spec)}, ""},
		{"other maps", vm.Options{}, []*verifier.Program{load(spec), load(other)}, "proved with other maps"},
		{"more maps", vm.Options{}, []*verifier.Program{load(spec), load(spec, other)}, "proved with other maps"},
		{"helper", given(user), []*verifier.Program{calls}, ""},
		{"helper not given", vm.Options{}, []*verifier.Program{calls}, "there is no helper function 7777"},
		{"another prototype", given(wider), []*verifier.Program{calls}, "not proved with helper function 7777"},
		{"helper not proved with", given(user), []*verifier.Program{load(spec)}, "not proved with helper function 7777"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := vm.LoadProved(tt.options, proved(t, tt.programs...)...)
			if err == nil {
				defer m.Close()
			}
			switch {
			case tt.want == "" && err != nil:
				t.Fatal(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Fatalf("error %v, want %q", err, tt.want)
			case tt.want == "":
				if res := runMachine(t, m, make([]byte, 64)); res.Fault != nil {
					t.Error(res.Fault)
				}
			}
		})
	}
	if _, err := vm.LoadProved(vm.Options{}); err == nil {
		t.Error("no proofs are enough for a machine")
	}
}

// TestProvedContextSize: a program whose context is bytes was proved for some
// number of them. Fewer are refused, more are good.
func TestProvedContextSize(t *testing.T) {
	proofs := proved(t, &verifier.Program{Type: abi.Tracepoint, ContextSize: 16, Insns: assembled(t, "r0 = *(u64 *)(r1 +8)\nexit")})
	m, err := vm.LoadProved(vm.Options{}, proofs...)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for n := range 20 {
		data := make([]byte, n)
		if n > 8 {
			data[8] = byte(n)
		}
		var out [1]engine.Result
		if err := m.Run([]engine.Packet{{Data: data}}, out[:]); err != nil {
			t.Fatal(err)
		}
		if refused := errors.Is(out[0].Fault, engine.ErrPacket); refused != (n < 16) {
			t.Errorf("%d bytes: %v", n, out[0].Fault)
		} else if !refused && out[0].R0 != uint64(n) {
			t.Errorf("%d bytes: %d", n, out[0].R0)
		}
	}
}

// TestProvedContextSizeTailCall: neither does a tail call come to a program that
// was proved for more.
func TestProvedContextSizeTailCall(t *testing.T) {
	maps := []abi.MapSpec{{Name: "next", Kind: abi.ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 1, Contents: []abi.MapElement{{Key: make([]byte, 4), Name: "long"}}}}
	m, err := vm.LoadProved(vm.Options{}, proved(t,
		&verifier.Program{Name: "short", Type: abi.Tracepoint, ContextSize: 8, Maps: maps, Insns: assembled(t, "r2 = map[fd:0]\nr3 = 0\ncall bpf_tail_call\nr0 = 1\nexit")},
		&verifier.Program{Name: "long", Type: abi.Tracepoint, ContextSize: 4096, Maps: maps, Insns: assembled(t, "r0 = *(u64 *)(r1 +4088)\nr0 = 2\nexit")},
	)...)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for n, want := range map[int]uint64{8: 1, 4095: 1, 4096: 2} {
		if res := runMachine(t, m, make([]byte, n)); res.R0 != want || res.Fault != nil {
			t.Errorf("%d bytes: %d, %v, want %d", n, res.R0, res.Fault, want)
		}
	}
}

// TestHelperResult: a function that does not keep what its prototype promises
// ends the run, because a proof relies on that.
func TestHelperResult(t *testing.T) {
	bounded := abi.Helper{ID: 7777, Types: abi.Types(abi.XDP), Min: -1, Max: 7}
	length := abi.Helper{ID: 7778, Types: abi.Types(abi.XDP), Args: []abi.ArgKind{abi.ArgWriteMem, abi.ArgSize}, Returns: abi.ReturnsLength}
	for _, tt := range []struct {
		proto  abi.Helper
		result int64
		good   bool
	}{{bounded, 7, true}, {bounded, -1, true}, {bounded, 8, false}, {bounded, -2, false}, {length, 8, true}, {length, -4095, true}, {length, 9, false}, {length, -4096, false}} {
		p := &verifier.Program{Type: abi.XDP, Helpers: []abi.Helper{tt.proto}, Insns: assembled(t, fmt.Sprintf("r1 = r10\nr1 += -8\nr2 = 8\ncall %d\nexit", tt.proto.ID))}
		o := vm.Options{Helpers: []vm.Helper{{Proto: tt.proto, Func: func(*vm.Caller, [5]uint64) uint64 { return uint64(tt.result) }}}}
		m, err := vm.LoadProved(o, proved(t, p)...)
		if err != nil {
			t.Fatal(err)
		}
		if res := runMachine(t, m, make([]byte, 64)); (res.Fault == nil) != tt.good {
			t.Errorf("function %d returns %d: %v", tt.proto.ID, tt.result, res.Fault)
		}
		m.Close()
	}
}

// TestProvedOwnsProgram: what was proved does not change with what it was made
// of.
func TestProvedOwnsProgram(t *testing.T) {
	p := &verifier.Program{Type: abi.XDP, Insns: assembled(t, "r0 = 2\nexit"), Maps: []abi.MapSpec{
		{Name: "m", Kind: abi.ArrayMap, KeySize: 4, ValueSize: 8, MaxEntries: 1, Contents: []abi.MapElement{{Key: make([]byte, 4), Value: []byte{1, 2, 3, 4, 5, 6, 7, 8}}}},
	}}
	proofs := proved(t, p)
	p.Insns[0].Imm = 3
	p.Maps[0].Contents[0].Value[0] = 9
	copied := proofs[0].Program()
	copied.Insns[0].Imm = 4
	copied.Maps[0].Contents[0].Value[0] = 9
	m, err := vm.LoadProved(vm.Options{}, proofs...)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if res := runMachine(t, m, make([]byte, 64)); res.Return != 2 {
		t.Error(res.Return)
	}
	value := make([]byte, 8)
	if err := m.Maps().ByName("m").Lookup(make([]byte, 4), value); err != nil || value[0] != 1 {
		t.Error(value, err)
	}
}
