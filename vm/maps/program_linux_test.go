package maps_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	cilium "github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/testdata/require"
	"github.com/bpflab/bpflab/vm/maps"
)

// The tests here use maps as programs do, by test runs in the kernel. A
// program takes its arguments from the only value of a control map, and leaves
// the result there.
const (
	ctlResult = 0  // what the helper returned; of a lookup 1 or 0
	ctlFlags  = 8  // the helper's flags
	ctlKey    = 16 // 16 bytes
	ctlValue  = 32 // 64 bytes: the value that goes in or came out
	ctlSize   = 96
)

// A caller runs programs of one map.
type caller struct {
	t        testing.TB
	control  *cilium.Map
	programs map[string]*cilium.Program
	fd       int
	spec     *abi.MapSpec
}

func newCaller(t testing.TB, p *pair) *caller {
	t.Helper()
	control, err := cilium.NewMap(&cilium.MapSpec{Type: cilium.Array, KeySize: 4, ValueSize: ctlSize, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { control.Close() })
	c := &caller{t, control, map[string]*cilium.Program{}, p.kernel.fd, &p.spec}
	t.Cleanup(func() {
		for _, prog := range c.programs {
			prog.Close()
		}
	})
	return c
}

// program builds the program that calls a helper. R6 is the control value.
func (c *caller) program(op string) asm.Instructions {
	address := func(r asm.Register, off int32) asm.Instructions {
		return asm.Instructions{asm.Mov.Reg(r, asm.R6), asm.Add.Imm(r, off)}
	}
	insns := asm.Instructions{
		asm.Mov.Reg(asm.R7, asm.R1),
		asm.StoreImm(asm.R10, -4, 0, asm.Word),
		asm.LoadMapPtr(asm.R1, c.control.FD()),
		asm.Mov.Reg(asm.R2, asm.R10), asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "out"),
		asm.Mov.Reg(asm.R6, asm.R0),
		asm.LoadMapPtr(asm.R1, c.fd),
	}
	add := func(more ...asm.Instruction) { insns = append(insns, more...) }
	op, arg, _ := strings.Cut(op, " ")
	var size int32
	if arg != "" {
		if _, err := fmt.Sscan(arg, &size); err != nil {
			c.t.Fatal(err)
		}
	}
	switch op {
	case "find":
		add(address(asm.R2, ctlKey)...)
		add(asm.FnMapLookupElem.Call(), asm.JEq.Imm(asm.R0, 0, "store"))
		for i := range int16(c.spec.ValueSize) {
			add(asm.LoadMem(asm.R1, asm.R0, i, asm.Byte), asm.StoreMem(asm.R6, ctlValue+i, asm.R1, asm.Byte))
		}
		add(asm.Mov.Imm(asm.R0, 1))
	case "put":
		add(address(asm.R2, ctlKey)...)
		add(address(asm.R3, ctlValue)...)
		add(asm.LoadMem(asm.R4, asm.R6, ctlFlags, asm.DWord), asm.FnMapUpdateElem.Call())
	case "remove":
		add(address(asm.R2, ctlKey)...)
		add(asm.FnMapDeleteElem.Call())
	case "push":
		add(address(asm.R2, ctlValue)...)
		add(asm.LoadMem(asm.R3, asm.R6, ctlFlags, asm.DWord), asm.FnMapPushElem.Call())
	case "pop":
		add(address(asm.R2, ctlValue)...)
		add(asm.FnMapPopElem.Call())
	case "peek":
		add(address(asm.R2, ctlValue)...)
		add(asm.FnMapPeekElem.Call())
	case "output":
		add(address(asm.R2, 0)...)
		add(asm.Mov.Imm(asm.R3, size), asm.LoadMem(asm.R4, asm.R6, ctlFlags, asm.DWord), asm.FnRingbufOutput.Call())
	case "reserve", "discard":
		add(asm.Mov.Imm(asm.R2, size), asm.Mov.Imm(asm.R3, 0), asm.FnRingbufReserve.Call(), asm.JEq.Imm(asm.R0, 0, "store"))
		add(asm.Mov.Reg(asm.R1, asm.R0), asm.Mov.Imm(asm.R2, 0))
		if op == "discard" {
			add(asm.FnRingbufDiscard.Call())
		} else {
			add(asm.FnRingbufSubmit.Call())
		}
		add(asm.Mov.Imm(asm.R0, 1))
	case "query":
		add(asm.LoadMem(asm.R2, asm.R6, ctlFlags, asm.DWord), asm.FnRingbufQuery.Call())
	case "perf":
		add(asm.Mov.Reg(asm.R2, asm.R1), asm.Mov.Reg(asm.R1, asm.R7), asm.LoadMem(asm.R3, asm.R6, ctlFlags, asm.DWord))
		add(address(asm.R4, 0)...)
		add(asm.Mov.Imm(asm.R5, size), asm.FnPerfEventOutput.Call())
	default:
		c.t.Fatalf("no such operation: %s", op)
	}
	add(asm.StoreMem(asm.R6, ctlResult, asm.R0, asm.DWord).WithSymbol("store"))
	return append(insns, asm.Mov.Imm(asm.R0, 0).WithSymbol("out"), asm.Return())
}

// call runs the program for an operation. It returns what the helper returned
// and the value area.
func (c *caller) call(op string, key, value []byte, flags uint64) (uint64, []byte) {
	c.t.Helper()
	prog := c.programs[op]
	if prog == nil {
		var err error
		prog, err = cilium.NewProgram(&cilium.ProgramSpec{Type: cilium.SchedCLS, License: "GPL", Instructions: c.program(op)})
		if err != nil {
			c.t.Fatalf("%s: %+v", op, err)
		}
		c.programs[op] = prog
	}
	ctl := make([]byte, ctlSize)
	copy(ctl[ctlFlags:], u64(flags))
	copy(ctl[ctlKey:], key)
	copy(ctl[ctlValue:], value)
	if err := c.control.Put(uint32(0), ctl); err != nil {
		c.t.Fatal(err)
	}
	if _, _, err := prog.Test(make([]byte, 64)); err != nil {
		c.t.Fatal(err)
	}
	if err := c.control.Lookup(uint32(0), &ctl); err != nil {
		c.t.Fatal(err)
	}
	return uint64(le32(ctl)) | uint64(le32(ctl[4:]))<<32, ctl[ctlValue:]
}

// onCPU0 keeps the test on the first CPU, the one that programs run on here.
func onCPU0(t testing.TB) {
	t.Helper()
	runtime.LockOSThread() // for good: the thread ends with the test
	var set unix.CPUSet
	set.Set(0)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		require.Skip(t, "cannot stay on CPU 0: %v", err)
	}
}

// TestKernelPrograms does random operations as programs do.
func TestKernelPrograms(t *testing.T) {
	require.Root(t)
	onCPU0(t)
	n := cpus(t)
	elements := []string{"find", "put", "put", "remove"}
	tests := []struct {
		spec abi.MapSpec
		ops  []string
	}{
		{abi.MapSpec{Kind: abi.ArrayMap, KeySize: 4, ValueSize: 6, MaxEntries: 5}, elements},
		{abi.MapSpec{Kind: abi.HashMap, KeySize: 4, ValueSize: 6, MaxEntries: 5}, elements},
		{abi.MapSpec{Kind: abi.PerCPUArray, KeySize: 4, ValueSize: 6, MaxEntries: 5}, elements},
		{abi.MapSpec{Kind: abi.PerCPUHash, KeySize: 4, ValueSize: 8, MaxEntries: 5}, elements},
		{abi.MapSpec{Kind: abi.LRUHash, KeySize: 4, ValueSize: 6, MaxEntries: 1000}, elements},
		{abi.MapSpec{Kind: abi.LRUPerCPUHash, KeySize: 4, ValueSize: 8, MaxEntries: 1000}, elements},
		{abi.MapSpec{Kind: abi.LPMTrie, KeySize: 6, ValueSize: 6, MaxEntries: 7, Flags: abi.MapNoPrealloc}, elements},
		{abi.MapSpec{Kind: abi.Queue, ValueSize: 6, MaxEntries: 4}, []string{"push", "push", "pop", "peek"}},
		{abi.MapSpec{Kind: abi.Stack, ValueSize: 6, MaxEntries: 4}, []string{"push", "push", "pop", "peek"}},
	}
	for _, tt := range tests {
		p := newPair(t, newSet(t, n), tt.spec)
		c := newCaller(t, p)
		rng := rand.New(rand.NewPCG(2, uint64(tt.spec.Kind)))
		for range 600 {
			op, flags := tt.ops[rng.IntN(len(tt.ops))], p.randomFlags(rng)
			key, value := p.randomKey(rng), p.randomValue(rng)[:p.spec.ValueSize]
			if diff := p.call(c, op, key, value, flags); diff != "" {
				t.Errorf("%v: %s key %x value %x flags %d: %s", p.spec.Kind, op, key, value, flags, diff)
				break
			}
		}
		if ours, theirs := p.contents(t, p.ours), p.contents(t, p.kernel); !slices.Equal(ours, theirs) {
			t.Errorf("%v: in the end we have\n%q\nthe kernel has\n%q", p.spec.Kind, ours, theirs)
		}
	}
	testRing(t, n)
	testPerf(t, n)
}

// call does one operation as a program to both maps, and says what differs.
func (p *pair) call(c *caller, op string, key, value []byte, flags uint64) string {
	theirs, out := c.call(op, key, value, flags)
	got := bytes.Clone(value)
	var ours uint64
	switch op {
	case "find":
		if addr := p.ours.Find(key, 0); addr != 0 {
			ours = 1
			copy(got, p.ours.Bytes(addr))
		}
	case "put":
		ours = p.ours.Put(key, value, flags, 0).Negative()
	case "remove":
		ours = p.ours.Remove(key).Negative()
	case "push":
		ours = p.ours.Push(value, flags).Negative()
	case "pop":
		ours = p.ours.Pop(got).Negative()
	case "peek":
		ours = p.ours.Peek(got).Negative()
	}
	if ours != theirs {
		return fmt.Sprintf("we return %d, the kernel %d", int64(ours), int64(theirs))
	}
	if !bytes.Equal(got, out[:len(got)]) {
		return fmt.Sprintf("we have %x, the kernel has %x", got, out[:len(got)])
	}
	return ""
}

// testRing fills a ring buffer until nothing fits any more.
func testRing(t *testing.T, cpus int) {
	set := newSet(t, cpus)
	p := newPair(t, set, abi.MapSpec{Kind: abi.RingBuf, MaxEntries: 4096})
	c := newCaller(t, p)
	rng := rand.New(rand.NewPCG(3, 3))
	sizes := []int{0, 1, 8, 40, 90, 4088, 4089, 1 << 30}
	for i := range 200 {
		op := []string{"output", "reserve", "discard"}[rng.IntN(3)]
		size := sizes[rng.IntN(len(sizes))]
		flags := []uint64{0, 0, 0, 1, 2, 3, 4}[rng.IntN(7)]
		var ours uint64
		if op == "output" {
			size = min(size, ctlValue)
			ours = p.ours.Output(make([]byte, size), flags).Negative()
		} else if addr := p.ours.Reserve(uint64(size), 0); addr != 0 {
			ours = 1
			if m, n := set.Record(uint64(addr)); m != p.ours || n != uint32(size) {
				t.Errorf("a record of %d bytes at %#x is found as %d bytes of %v", size, addr, n, m)
			}
			if !set.Commit(uint64(addr), op == "discard") || set.Commit(uint64(addr), false) {
				t.Error("a record is not committed once")
			}
		}
		theirs, _ := c.call(fmt.Sprintf("%s %d", op, size), nil, nil, flags)
		if ours != theirs {
			t.Errorf("%d: %s of %d bytes, flags %d: we return %d, the kernel %d", i, op, size, flags, int64(ours), int64(theirs))
		}
		for q := range uint64(5) {
			theirs, _ := c.call("query", nil, nil, q)
			if ours := p.ours.Query(q); ours != theirs {
				t.Errorf("%d: after %s of %d bytes: query %d: we say %d, the kernel %d", i, op, size, q, ours, theirs)
			}
		}
	}
}

// testPerf sends records where a reader is and where none is.
func testPerf(t *testing.T, cpus int) {
	set := newSet(t, cpus)
	p := perfArray(t, set)
	for _, fd := range p.put { // buffers, without which nothing can be sent
		buffer, err := unix.Mmap(int(fd), 0, 9*os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := unix.Munmap(buffer); err != nil {
				t.Error(err)
			}
		})
	}
	c := newCaller(t, p)
	for _, index := range []uint64{maps.PerfCurrentCPU, 0, 1, 4, 5, 1 << 31} {
		theirs, _ := c.call("perf 8", nil, nil, index)
		ours := p.ours.PerfOutput(index, 0, make([]byte, 8), nil).Negative()
		if ours != theirs {
			t.Errorf("index %#x: we return %d, the kernel %d", index, int64(ours), int64(theirs))
		}
	}
}

// TestKernelJSON compares what bpftool prints of the kernel's map and we of
// ours.
func TestKernelJSON(t *testing.T) {
	require.Root(t)
	bpftool := require.Command(t, "bpftool")
	set := newSet(t, cpus(t))
	for _, p := range kinds(t, set) {
		if p.got != nil || p.spec.Kind == abi.PerfEventArray || p.spec.Flags&(abi.MapReadOnly|abi.MapWriteOnly) != 0 ||
			p.spec.KeySize == 0 {
			continue // ids differ, or we print something else or nothing
		}
		rng := rand.New(rand.NewPCG(4, uint64(p.spec.Kind)))
		for range 20 {
			p.step("update", p.randomKey(rng), p.randomValue(rng), 0)
		}
		out, err := exec.Command(bpftool, "-j", "map", "dump", "id", fmt.Sprint(mapID(t, p.kernel.fd))).Output()
		if err != nil {
			t.Errorf("%v: bpftool: %v", p.spec.Kind, err)
		}
		ours, theirs := splitElements(dump(t, p.ours)), splitElements(string(out))
		if p.unordered() {
			slices.Sort(ours)
			slices.Sort(theirs)
		}
		if !slices.Equal(ours, theirs) {
			t.Errorf("%v: ours\n%s\nbpftool's\n%s", p.spec.Kind, ours, theirs)
		}
	}
}

func splitElements(s string) []string {
	s = strings.TrimPrefix(strings.TrimSuffix(strings.TrimSpace(s), "]"), `[{"key"`)
	return strings.Split(s, `,{"key"`)
}
