package vm_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	cilium "github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/rlimit"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/testdata/require"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/maps"
)

// A callback of the programs here: its text, and the callbacks that it passes to
// helpers itself. Their context is two numbers on the stack of the main program:
// how many calls are left to those that count them, and a sum. Elements of hash
// maps come in no order, so what is added up for elements must not depend on it.
type callback struct {
	text string
	uses []string
}

var loopCallbacks = map[string]callback{
	"mix":     {text: addNumber + "r0 = 0\nexit\n"},
	"once":    {text: addNumber + "r0 = 1\nexit\n"},
	"limited": {text: countDown("r2", "limited") + addNumber + "r0 = 0\nexit\n"},
	"until":   {text: addNumber + "r0 = 0\nif r1 < 5 goto until_end\nr0 = 1\nuntil_end: exit\n"},
	"nested": {text: `r6 = r2
		r7 = r1
		r1 &= 3
		r2 = subprog[limited]
		r3 = r6
		r4 = 0
		call bpf_loop
		r0 += r7
		r1 = *(u64 *)(r6 + 8)
		r1 += r0
		*(u64 *)(r6 + 8) = r1
		r0 = 0
		exit
	`, uses: []string{"limited"}},
	"elements": {text: `r6 = r2
		r1 = map[array]
		r2 = subprog[sum]
		r3 = r6
		r4 = 0
		call bpf_for_each_map_elem
		r1 = *(u64 *)(r6 + 8)
		r1 += r0
		*(u64 *)(r6 + 8) = r1
		r0 = 0
		exit
	`, uses: []string{"sum"}},
}

var elementCallbacks = map[string]callback{
	"sum":     {text: addElement + "r0 = 0\nexit\n"},
	"first":   {text: countDown("r4", "first") + "r0 = 0\nexit\n"},
	"change":  {text: addElement + "r1 = *(u64 *)(r3 + 0)\nr1 *= 3\n*(u64 *)(r3 + 0) = r1\nr0 = 0\nexit\n"},
	"delete":  {text: "r6 = r4\n" + addElement + "call bpf_map_delete_elem\n" + addResult + "r0 = 0\nexit\n"},
	"odd":     {text: "r6 = r4\n" + addElement + "r0 = *(u32 *)(r2 + 0)\nr0 &= 1\nif r0 == 0 goto odd_end\ncall bpf_map_delete_elem\n" + addResult + "odd_end: r0 = 0\nexit\n"},
	"numbers": {text: "r6 = r4\nr1 = 3\nr2 = subprog[mix]\nr3 = r6\nr4 = 0\ncall bpf_loop\nr0 = 0\nexit\n", uses: []string{"mix"}},
}

const (
	addNumber  = "r3 = *(u64 *)(r2 + 8)\nr3 *= 31\nr3 += r1\n*(u64 *)(r2 + 8) = r3\n"
	addElement = "r5 = *(u64 *)(r4 + 8)\nr0 = *(u32 *)(r2 + 0)\nr5 += r0\nr0 = *(u64 *)(r3 + 0)\nr5 += r0\n*(u64 *)(r4 + 8) = r5\n"
	addResult  = "r1 = *(u64 *)(r6 + 8)\nr1 += r0\n*(u64 *)(r6 + 8) = r1\n"
)

// countDown returns 1 when no call is left.
func countDown(context, name string) string {
	return fmt.Sprintf("r0 = *(u64 *)(%s + 0)\nif r0 != 0 goto %s_on\nr0 = 1\nexit\n%s_on: r0 += -1\n*(u64 *)(%s + 0) = r0\n", context, name, name, context)
}

// callbackMaps are the maps that programs iterate over.
var callbackMaps = []abi.MapSpec{
	{Name: "array", Kind: abi.ArrayMap, KeySize: 4, ValueSize: 8, MaxEntries: 7},
	{Name: "percpu_array", Kind: abi.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: 5},
	{Name: "hash", Kind: abi.HashMap, KeySize: 4, ValueSize: 8, MaxEntries: 64},
	{Name: "percpu_hash", Kind: abi.PerCPUHash, KeySize: 4, ValueSize: 8, MaxEntries: 64},
	{Name: "lru", Kind: abi.LRUHash, KeySize: 4, ValueSize: 8, MaxEntries: 64},
}

// callbackProgram makes a program of up to three calls, and lists its functions
// behind the main program.
func (g *generator) callbackProgram() (text string, functions []string) {
	var b strings.Builder
	// The mark is 0, which the verifier does not know: it would follow constants and bounds
	// through every turn.
	fmt.Fprintf(&b, "r9 = *(u32 *)(r1 + 8)\n*(u64 *)(r10 - 8) = r9\nr1 = r9\nr1 ^= %d\n*(u64 *)(r10 - 16) = r1\n", pick(g, 0, 1, 3, 10, 40))
	for range 1 + g.IntN(3) {
		pool, first := loopCallbacks, "r1 = "+pick(g, "0", "1", "2", "7", "50", "50", "8388609", "-1", "0x100000003 ll")
		helper := "bpf_loop"
		if g.IntN(2) == 0 {
			pool, first = elementCallbacks, fmt.Sprintf("r1 = map[%s]", callbackMaps[g.IntN(len(callbackMaps))].Name)
			helper = "bpf_for_each_map_elem"
		}
		names := sortedNames(pool)
		name := names[g.IntN(len(names))]
		functions = withUses(functions, name)
		if name == "limited" && g.IntN(2) == 0 {
			first = "r1 = 8388608"
		}
		fmt.Fprintf(&b, "%s\nr2 = subprog[%s]\nr3 = r10\nr3 += -16\nr4 = %d\ncall %s\nr9 *= 31\nr9 += r0\n", first, name, pick(g, 0, 0, 0, 0, 0, 1), helper)
	}
	b.WriteString("r1 = *(u64 *)(r10 - 8)\nr9 *= 31\nr9 += r1\nr0 = r9\nr0 >>= 32\nr0 ^= r9\nexit\n")
	for _, name := range functions {
		fmt.Fprintf(&b, "%s: %s", name, callbackNamed(name).text)
	}
	return b.String(), functions
}

func callbackNamed(name string) callback {
	if c, ok := loopCallbacks[name]; ok {
		return c
	}
	return elementCallbacks[name]
}

func sortedNames(pool map[string]callback) (names []string) {
	for name := range pool {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// withUses adds a callback and those that it uses.
func withUses(list []string, name string) []string {
	if slices.Contains(list, name) {
		return list
	}
	list = append(list, name)
	for _, used := range callbackNamed(name).uses {
		list = withUses(list, used)
	}
	return list
}

// TestCallbacksAgainstKernel runs random programs that pass functions to helpers
// here and in the kernel, over the same maps: what they return, which holds the
// numbers of calls and what the functions added up, and how many elements are
// left must be the same.
func TestCallbacksAgainstKernel(t *testing.T) {
	require.Root(t)
	onFirstCPU(t)
	if err := rlimit.RemoveMemlock(); err != nil {
		t.Fatal(err)
	}
	g := &generator{Rand: rand.New(rand.NewPCG(2026, 181))}
	const programs = 400
	refused := 0
	for i := range programs {
		text, functions := g.callbackProgram()
		c := callbackCollection(t, text)
		left, ret, err := callbacksInKernel(t, c, functions)
		if err != nil {
			t.Logf("program %d: %v", i, err)
			refused++
			continue
		}
		m, err := vm.Load(c, vm.Options{})
		if err != nil {
			t.Fatal(err)
		}
		res := runMachine(t, m, make([]byte, 64))
		if res.Return != ret || res.Fault != nil {
			t.Fatalf("program %d: %#x, %v, in the kernel %#x\n%s", i, res.Return, res.Fault, ret, text)
		}
		for k := range c.Maps {
			if got := countElements(t, m.Maps().ByID(uint32(k+1))); got != left[k] {
				t.Fatalf("program %d: %d elements are left in %s, in the kernel %d\n%s", i, got, c.Maps[k].Name, left[k], text)
			}
		}
		m.Close()
	}
	// The verifier of 6.18 trips over some that pass callbacks from callbacks
	// ("verifier bug").
	if refused > programs/10 {
		t.Errorf("the kernel refused %d of %d programs", refused, programs)
	}
}

// callbackCollection makes a collection of a text that names callbackMaps.
func callbackCollection(t *testing.T, text string) vm.Collection {
	t.Helper()
	c := vm.Collection{Maps: slices.Clone(callbackMaps)}
	var declarations strings.Builder
	for i := range c.Maps {
		s := &c.Maps[i]
		fmt.Fprintf(&declarations, ".map %s type %v key 4 value 8 entries %d\n", s.Name, s.Kind, s.MaxEntries)
		n := min(s.MaxEntries, 20)
		for k := range n {
			s.Contents = append(s.Contents, abi.MapElement{Key: le32(k), Value: le32(k*k+1, k)})
		}
	}
	c.Programs = []vm.Program{{Type: abi.SchedCLS, Insns: assemble(t, declarations.String()+text)}}
	return c
}

func countElements(t *testing.T, m *maps.Map) (n int) {
	t.Helper()
	key := make([]byte, 4)
	for err := m.NextKey(nil, key); err == nil; err = m.NextKey(bytes.Clone(key), key) {
		n++
	}
	return n
}

// callbacksInKernel runs the program of a collection in the kernel and counts
// what is left in the maps.
func callbacksInKernel(t *testing.T, c vm.Collection, functions []string) (left []int, ret uint32, err error) {
	t.Helper()
	insns := slices.Clone(c.Programs[0].Insns)
	var made []*cilium.Map
	for i := range c.Maps {
		m := kernelMap(t, &c.Maps[i])
		defer m.Close()
		made = append(made, m)
	}
	for i := range insns {
		if insns[i].Op == ebpf.LoadImm64 && insns[i].Src == ebpf.WideMapFD {
			insns[i].Imm = int32(made[insns[i].Imm].FD())
		}
	}
	prog, err := cilium.NewProgram(&cilium.ProgramSpec{
		Type: cilium.SchedCLS, License: "GPL", Instructions: withFunctions(t, insns, functions),
	})
	if err != nil {
		return nil, 0, err
	}
	defer prog.Close()
	if ret, err = prog.Run(&cilium.RunOptions{Data: make([]byte, 64)}); err != nil {
		t.Fatal(err)
	}
	for _, m := range made {
		left = append(left, len(kernelContents(t, m)))
	}
	return left, ret, nil
}

func kernelMap(t *testing.T, s *abi.MapSpec) *cilium.Map {
	t.Helper()
	m, err := cilium.NewMap(&cilium.MapSpec{
		Name: s.Name, Type: cilium.MapType(s.Kind), KeySize: s.KeySize, ValueSize: s.ValueSize, MaxEntries: s.MaxEntries,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range s.Contents {
		var value any = e.Value
		if s.Kind.Info().PerCPU {
			all := make([][]byte, cilium.MustPossibleCPU())
			for cpu := range all {
				all[cpu] = e.Value
			}
			value = all
		}
		if err := m.Put(e.Key, value); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// withFunctions makes instructions of which the kernel knows the functions: it
// takes callbacks only if type information says that they are static. The
// functions begin where the main program and each other end.
func withFunctions(t *testing.T, prog []ebpf.Instruction, functions []string) asm.Instructions {
	t.Helper()
	starts := functionStarts(prog)
	if len(starts) != len(functions)+1 {
		t.Fatalf("functions start at %v, want %v", starts, functions)
	}
	insns, err := asm.AppendInstructions(nil, bytes.NewReader(ebpf.Append(nil, prog, binary.LittleEndian)), binary.LittleEndian, "linux")
	if err != nil {
		t.Fatal(err)
	}
	slot := 0
	for i := range insns {
		if k := slices.Index(starts, slot); k >= 0 {
			name := append([]string{"main"}, functions...)[k]
			fn := &btf.Func{Name: name, Type: &btf.FuncProto{Return: &btf.Int{Name: "long", Size: 8, Encoding: btf.Signed}}, Linkage: btf.StaticFunc}
			insns[i] = btf.WithFuncMetadata(insns[i].WithSymbol(name), fn)
		}
		slot += int(insns[i].Width())
	}
	return insns
}

// functionStarts finds the functions that a program refers to.
func functionStarts(prog []ebpf.Instruction) []int {
	starts := []int{0}
	for i := 0; i < len(prog); i += prog[i].Width() {
		if ins := prog[i]; ins.Op == ebpf.LoadImm64 && ins.Src == ebpf.WideFunc {
			target, _ := ins.Target(i)
			starts = append(starts, target)
		}
	}
	slices.Sort(starts)
	return slices.Compact(starts)
}
