package maps_test

import (
	"bytes"
	"errors"
	"fmt"
	stdmaps "maps"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"testing"
	"unsafe"

	cilium "github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/testdata/require"
	"github.com/bpflab/bpflab/vm/maps"
)

// The tests here do the same to a map of the kernel and to one of ours, and
// want the same errno and the same bytes from both. They make the system calls
// themselves, because libraries translate errors and refuse what the kernel
// should be asked.

const (
	cmdCreate          = 0
	cmdLookup          = 1
	cmdUpdate          = 2
	cmdDelete          = 3
	cmdNextKey         = 4
	cmdLookupAndDelete = 21
	cmdFreeze          = 22
)

// bpf makes the system call with an attribute of 128 bytes.
func bpf(cmd int, attr *[16]uint64) (int, maps.Errno) {
	n, _, e := unix.Syscall(unix.SYS_BPF, uintptr(cmd), uintptr(unsafe.Pointer(attr)), unsafe.Sizeof(*attr))
	return int(n), maps.Errno(e)
}

// createKernelMap returns the file descriptor of a new map.
func createKernelMap(s *abi.MapSpec, inner int) (int, maps.Errno) {
	attr := [16]uint64{
		uint64(s.Kind) | uint64(s.KeySize)<<32,
		uint64(s.ValueSize) | uint64(s.MaxEntries)<<32,
		uint64(s.Flags) | uint64(uint32(inner))<<32,
		8: s.Extra,
	}
	return bpf(cmdCreate, &attr)
}

// A kernelMap is a map of the kernel with the face of ours.
type kernelMap struct{ fd int }

func (k kernelMap) do(cmd int, key, value []byte, flags uint64) error {
	var p runtime.Pinner
	defer p.Unpin()
	address := func(b []byte) uint64 {
		if len(b) == 0 {
			return 0
		}
		p.Pin(&b[0])
		return uint64(uintptr(unsafe.Pointer(&b[0])))
	}
	attr := [16]uint64{uint64(k.fd), address(key), address(value), flags}
	if _, e := bpf(cmd, &attr); e != 0 {
		return e
	}
	return nil
}

func (k kernelMap) Lookup(key, value []byte) error { return k.do(cmdLookup, key, value, 0) }
func (k kernelMap) Delete(key []byte) error        { return k.do(cmdDelete, key, nil, 0) }
func (k kernelMap) NextKey(key, next []byte) error { return k.do(cmdNextKey, key, next, 0) }
func (k kernelMap) LookupAndDelete(key, value []byte) error {
	return k.do(cmdLookupAndDelete, key, value, 0)
}
func (k kernelMap) Freeze() error { return k.do(cmdFreeze, nil, nil, 0) }
func (k kernelMap) Update(key, value []byte, flags uint64) error {
	return k.do(cmdUpdate, key, value, flags)
}

// userMap is what both have.
type userMap interface {
	Lookup(key, value []byte) error
	Update(key, value []byte, flags uint64) error
	Delete(key []byte) error
	LookupAndDelete(key, value []byte) error
	NextKey(key, next []byte) error
	Freeze() error
}

// number is the errno in an error.
func number(err error) maps.Errno {
	var e maps.Errno
	errors.As(err, &e)
	return e
}

func closeAfter(t testing.TB, fd int) {
	t.Cleanup(func() {
		if err := unix.Close(fd); err != nil {
			t.Error(err)
		}
	})
}

func cpus(t testing.TB) int {
	t.Helper()
	n, err := cilium.PossibleCPU()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A pair is a map of the kernel and one of ours.
type pair struct {
	spec   abi.MapSpec
	kernel kernelMap
	ours   *maps.Map

	// Values that stand for other objects: ours by the number that user
	// space uses here, and the kernel's.
	put map[uint32]uint32 // what user space puts in there
	got map[uint32]uint32 // what the kernel gives back for it
}

func newPair(t testing.TB, set *maps.Set, spec abi.MapSpec) *pair {
	t.Helper()
	inner := -1
	if spec.Inner != nil {
		fd, e := createKernelMap(spec.Inner, 0)
		if e != 0 {
			t.Fatalf("inner %v: %v", spec.Inner.Kind, e)
		}
		closeAfter(t, fd)
		inner = fd
	}
	fd, e := createKernelMap(&spec, inner)
	if e != 0 {
		t.Fatalf("%v: %v", spec.Kind, e)
	}
	closeAfter(t, fd)
	return &pair{spec: spec, kernel: kernelMap{fd}, ours: newMap(t, set, spec)}
}

// toKernel and fromKernel translate values that stand for objects.
func (p *pair) toKernel(value []byte) []byte {
	if p.put == nil || len(value) == 0 {
		return value
	}
	value = bytes.Clone(value)
	fd, ok := p.put[le32(value)]
	if !ok {
		fd = 1<<32 - 1
	}
	copy(value, u32(fd))
	return value
}

func (p *pair) fromKernel(value []byte) {
	for ours, theirs := range p.got {
		if theirs == le32(value) {
			copy(value, u32(ours))
			return
		}
	}
}

// step does one operation to both and compares. It returns what it was, for
// messages, and what differs.
func (p *pair) step(op string, key, value []byte, flags uint64) (string, string) {
	a, b := bytes.Clone(value), p.toKernel(value)
	var ours, theirs error
	switch op {
	case "lookup":
		ours, theirs = p.ours.Lookup(key, a), p.kernel.Lookup(key, b)
	case "update":
		ours, theirs = p.ours.Update(key, a, flags), p.kernel.Update(key, b, flags)
	case "delete":
		ours, theirs = p.ours.Delete(key), p.kernel.Delete(key)
	case "take":
		ours, theirs = p.ours.LookupAndDelete(key, a), p.kernel.LookupAndDelete(key, b)
	case "next":
		a, b = make([]byte, p.spec.KeySize), make([]byte, p.spec.KeySize)
		ours, theirs = p.ours.NextKey(key, a), p.kernel.NextKey(key, b)
	case "freeze":
		ours, theirs = p.ours.Freeze(), p.kernel.Freeze()
	}
	did := fmt.Sprintf("%s key %x value %x flags %d", op, key, value, flags)
	if number(ours) != number(theirs) {
		return did, fmt.Sprintf("we say %v, the kernel says %v", ours, theirs)
	}
	if ours == nil && (op == "lookup" || op == "take") {
		p.fromKernel(b)
	}
	if ours == nil && (op == "lookup" || op == "take" || op == "next") && !bytes.Equal(a, b) {
		return did, fmt.Sprintf("we have %x, the kernel has %x", a, b)
	}
	return did, ""
}

// contents goes through a map and returns the elements in the order of their
// keys.
func (p *pair) contents(t testing.TB, m userMap) []string {
	t.Helper()
	var list []string
	var key []byte
	next := make([]byte, p.spec.KeySize)
	for len(list) < 1e5 {
		if err := m.NextKey(key, next); err != nil {
			break
		}
		key = bytes.Clone(next)
		value := make([]byte, p.ours.ValueLen())
		if err := m.Lookup(key, value); err != nil {
			list = append(list, fmt.Sprintf("%x: %v", key, number(err)))
			continue
		}
		if m == userMap(p.kernel) {
			p.fromKernel(value)
		}
		list = append(list, fmt.Sprintf("%x: %x", key, value))
	}
	slices.Sort(list)
	return list
}

// kinds are the maps that the tests use: small, so that limits are met.
func kinds(t testing.TB, set *maps.Set) []*pair {
	t.Helper()
	specs := []abi.MapSpec{
		{Kind: abi.ArrayMap, KeySize: 4, ValueSize: 5, MaxEntries: 5},
		{Kind: abi.HashMap, KeySize: 4, ValueSize: 9, MaxEntries: 6},
		{Kind: abi.HashMap, KeySize: 7, ValueSize: 8, MaxEntries: 6, Flags: abi.MapNoPrealloc},
		{Kind: abi.PerCPUArray, KeySize: 4, ValueSize: 6, MaxEntries: 5},
		{Kind: abi.PerCPUHash, KeySize: 8, ValueSize: 12, MaxEntries: 6},
		{Kind: abi.LRUHash, KeySize: 4, ValueSize: 8, MaxEntries: 10000},
		{Kind: abi.LRUPerCPUHash, KeySize: 4, ValueSize: 8, MaxEntries: 10000},
		{Kind: abi.LPMTrie, KeySize: 5, ValueSize: 3, MaxEntries: 12, Flags: abi.MapNoPrealloc},
		{Kind: abi.LPMTrie, KeySize: 13, ValueSize: 8, MaxEntries: 8, Flags: abi.MapNoPrealloc},
		{Kind: abi.Queue, ValueSize: 3, MaxEntries: 4},
		{Kind: abi.Stack, ValueSize: 8, MaxEntries: 4},
		{Kind: abi.RingBuf, MaxEntries: 4096},
		{Kind: abi.DevMap, KeySize: 4, ValueSize: 4, MaxEntries: 5},
		{Kind: abi.DevMap, KeySize: 4, ValueSize: 8, MaxEntries: 5},
		{Kind: abi.DevMapHash, KeySize: 4, ValueSize: 8, MaxEntries: 5},
		{Kind: abi.CPUMap, KeySize: 4, ValueSize: 8, MaxEntries: 4},
		{Kind: abi.HashMap, KeySize: 4, ValueSize: 4, MaxEntries: 6, Flags: abi.MapReadOnly},
		{Kind: abi.HashMap, KeySize: 4, ValueSize: 4, MaxEntries: 6, Flags: abi.MapWriteOnly},
	}
	var pairs []*pair
	for _, s := range specs {
		pairs = append(pairs, newPair(t, set, s))
	}
	inner := &abi.MapSpec{Kind: abi.ArrayMap, KeySize: 4, ValueSize: 4, MaxEntries: 3}
	for _, s := range []abi.MapSpec{
		{Kind: abi.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 5, Inner: inner},
		{Kind: abi.HashOfMaps, KeySize: 6, ValueSize: 4, MaxEntries: 6, Inner: inner},
	} {
		p := newPair(t, set, s)
		addInner(t, set, p)
		pairs = append(pairs, p)
	}
	return append(pairs, progArray(t, set), xskMap(t, set), perfArray(t, set))
}

// addInner makes maps that may and one that may not stand in a map of maps.
func addInner(t testing.TB, set *maps.Set, p *pair) {
	p.put, p.got = map[uint32]uint32{}, map[uint32]uint32{}
	for i := range 3 {
		s := *p.spec.Inner
		s.MaxEntries += uint32(i / 2)
		in := newPair(t, set, s)
		p.put[in.ours.ID()] = uint32(in.kernel.fd)
		p.got[in.ours.ID()] = mapID(t, in.kernel.fd)
	}
}

// mapID asks the kernel for the id of a map.
func mapID(t testing.TB, fd int) uint32 {
	t.Helper()
	m, err := cilium.NewMapFromFD(dup(t, fd))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	info, err := m.Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	return uint32(id)
}

func dup(t testing.TB, fd int) int {
	t.Helper()
	fd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func progArray(t testing.TB, set *maps.Set) *pair {
	p := newPair(t, set, abi.MapSpec{Kind: abi.ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 5})
	p.put, p.got = map[uint32]uint32{}, map[uint32]uint32{}
	for id := uint32(1); id <= 2; id++ {
		prog, err := cilium.NewProgram(&cilium.ProgramSpec{
			Type: cilium.SocketFilter, License: "BSD",
			Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { prog.Close() })
		info, err := prog.Info()
		if err != nil {
			t.Fatal(err)
		}
		theirs, _ := info.ID()
		p.put[id], p.got[id] = uint32(prog.FD()), uint32(theirs)
	}
	set.CheckProgram = func(_ abi.MapKind, id uint32) maps.Errno {
		if _, ok := p.put[id]; !ok {
			return maps.EBADF
		}
		return 0
	}
	return p
}

func xskMap(t testing.TB, set *maps.Set) *pair {
	p := newPair(t, set, abi.MapSpec{Kind: abi.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: 5})
	p.put = map[uint32]uint32{}
	for n := uint32(1); n < 3; n++ {
		fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			require.Skip(t, "no AF_XDP socket: %v", err)
		}
		closeAfter(t, fd)
		p.put[n] = uint32(fd)
	}
	return p
}

func perfArray(t testing.TB, set *maps.Set) *pair {
	p := newPair(t, set, abi.MapSpec{Kind: abi.PerfEventArray, KeySize: 4, ValueSize: 4, MaxEntries: 5})
	p.put = map[uint32]uint32{}
	for cpu := range set.CPUs() {
		attr := unix.PerfEventAttr{
			Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_BPF_OUTPUT,
			Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{})), Sample_type: unix.PERF_SAMPLE_RAW,
		}
		fd, err := unix.PerfEventOpen(&attr, -1, cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		closeAfter(t, fd)
		p.put[uint32(cpu)] = uint32(fd)
		if cpu < 5 {
			if err := p.kernel.Update(u32(uint32(cpu)), u32(uint32(fd)), 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	return p
}

// TestKernelRandom does random operations.
func TestKernelRandom(t *testing.T) {
	require.Root(t)
	set := newSet(t, cpus(t))
	for _, p := range kinds(t, set) {
		t.Run(fmt.Sprintf("%v/%d/%d", p.spec.Kind, p.spec.KeySize, p.spec.Flags), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, uint64(p.spec.Kind)))
			steps := 4000
			if p.spec.Kind == abi.CPUMap {
				steps = 200 // each update makes a thread
			}
			var log []string
			for range steps {
				op := []string{"lookup", "update", "update", "update", "delete", "take", "next"}[rng.IntN(7)]
				key := p.randomKey(rng)
				if op == "next" && (p.unordered() || rng.IntN(8) == 0) {
					key = nil
				}
				if op == "next" && p.unordered() {
					op = "lookup"
					key = p.randomKey(rng)
				}
				did, diff := p.step(op, key, p.randomValue(rng), p.randomFlags(rng))
				log = append(log, did)
				if diff != "" {
					t.Fatalf("%v\n%s\nafter %q", p.ours, diff, log[max(0, len(log)-12):])
				}
			}
			ours, theirs := p.contents(t, p.ours), p.contents(t, p.kernel)
			if !slices.Equal(ours, theirs) {
				t.Errorf("in the end we have\n%q\nthe kernel has\n%q", ours, theirs)
			}
			if did, diff := p.step("freeze", nil, nil, 0); diff != "" {
				t.Errorf("%s: %s", did, diff)
			}
			for _, op := range []string{"freeze", "update", "lookup", "delete", "take"} {
				if did, diff := p.step(op, p.randomKey(rng), p.randomValue(rng), 0); diff != "" {
					t.Errorf("frozen: %s: %s", did, diff)
				}
			}
		})
	}
}

// unordered reports whether the order of the keys is the map's own business.
func (p *pair) unordered() bool {
	switch p.spec.Kind {
	case abi.HashMap, abi.PerCPUHash, abi.LRUHash, abi.LRUPerCPUHash, abi.HashOfMaps, abi.DevMapHash:
		return true
	}
	return false
}

func (p *pair) randomKey(rng *rand.Rand) []byte {
	key := make([]byte, p.spec.KeySize)
	switch {
	case len(key) == 0:
		return nil
	case p.spec.Kind == abi.LPMTrie:
		limit := 8 * (p.spec.KeySize - 4)
		copy(key, u32(min(rng.Uint32N(limit+2), rng.Uint32N(limit+2))))
		for i := range key[4:] {
			key[4+i] = []byte{0, 0x80, 0x40, 0xc0}[rng.IntN(4)]
		}
	default:
		key[0] = byte(rng.IntN(9))
		key[len(key)-1] |= byte(rng.IntN(50) / 49)
	}
	return key
}

func (p *pair) randomValue(rng *rand.Rand) []byte {
	value := make([]byte, p.ours.ValueLen())
	switch {
	case p.put != nil:
		numbers := slices.Sorted(stdmaps.Keys(p.put))
		nothing := uint32(1 << 20)
		if p.spec.Kind == abi.XSKMap {
			nothing = 0 // any other number is a socket
		}
		copy(value, u32(append(numbers, nothing)[rng.IntN(len(numbers)+1)]))
	case p.spec.Kind == abi.DevMap || p.spec.Kind == abi.DevMapHash:
		copy(value, u32(rng.Uint32N(2))) // the loopback device
		if len(value) == 8 {
			copy(value[4:], u32(-rng.Uint32N(2)))
		}
	case p.spec.Kind == abi.CPUMap:
		copy(value, u32([]uint32{0, 64, 192, 16384, 16385}[rng.IntN(5)]))
	default:
		for i := range value {
			value[i] = byte(rng.Uint32())
		}
	}
	return value
}

func (p *pair) randomFlags(rng *rand.Rand) uint64 {
	return []uint64{0, 0, 0, 0, 1, 2, 3, 4, 1 << 40}[rng.IntN(9)]
}

// TestKernelCreate compares which maps can be made.
func TestKernelCreate(t *testing.T) {
	require.Root(t)
	n := cpus(t)
	innerSpec := &abi.MapSpec{Kind: abi.ArrayMap, KeySize: 4, ValueSize: 4, MaxEntries: 1}
	inner, e := createKernelMap(innerSpec, 0)
	if e != 0 {
		t.Fatal(e)
	}
	closeAfter(t, inner)
	for _, info := range abi.MapKinds {
		for _, key := range []uint32{0, 3, 4, 5, 8, 260, 261} {
			for _, value := range []uint32{0, 1, 4, 5, 8, 32769, 1 << 22, 1<<22 + 1, 1 << 31} {
				for _, entries := range []uint32{0, 1, 3, 4096} {
					s := abi.MapSpec{Kind: info.Kind, KeySize: key, ValueSize: value, MaxEntries: entries, Flags: info.Needs, Inner: innerSpec}
					compareCreate(t, &s, inner, n)
				}
			}
		}
		good := abi.MapSpec{Kind: info.Kind, KeySize: info.Key.Min, ValueSize: info.Value.Min, MaxEntries: 4096, Flags: info.Needs, Inner: innerSpec}
		for bit := range 20 {
			if 1<<bit == abi.MapNUMANode || bit == 5 || bit == 16 {
				continue // they go with another field, or are about the descriptor
			}
			s := good
			s.Flags ^= 1 << bit
			compareCreate(t, &s, inner, n)
			s.Flags |= abi.MapReadOnly | abi.MapReadOnlyProg
			compareCreate(t, &s, inner, n)
		}
		for _, extra := range []uint64{1, 15, 16} {
			s := good
			s.Extra = extra
			compareCreate(t, &s, inner, n)
		}
	}
}

// tooLarge leaves out maps that would take much of the machine's memory, and
// more CPUs than the kernel may have been built for.
func tooLarge(s *abi.MapSpec) bool {
	return uint64(s.MaxEntries)*uint64(s.ValueSize) > 1<<16 || s.Kind == abi.CPUMap && s.MaxEntries > 64
}

func compareCreate(t *testing.T, s *abi.MapSpec, inner, cpus int) {
	t.Helper()
	ours := number(maps.Check(s, cpus))
	if ours == 0 && tooLarge(s) {
		return
	}
	fd, theirs := createKernelMap(s, inner)
	if theirs == 0 {
		if err := unix.Close(fd); err != nil {
			t.Fatal(err)
		}
	}
	if ours != theirs && theirs != maps.ENOMEM {
		t.Errorf("%v key %d value %d entries %d flags %#x extra %d: we say %v, the kernel says %v",
			s.Kind, s.KeySize, s.ValueSize, s.MaxEntries, s.Flags, s.Extra, ours, theirs)
	}
}

// TestKernelBloom compares what the kernel promises: values that were pushed
// are there.
func TestKernelBloom(t *testing.T) {
	require.Root(t)
	p := newPair(t, newSet(t, 1), abi.MapSpec{Kind: abi.BloomFilter, ValueSize: 6, MaxEntries: 100, Extra: 3})
	value := make([]byte, 6)
	for i := range byte(50) {
		value[i%6] += i
		for _, op := range []string{"update", "lookup", "delete", "take", "next"} {
			if did, diff := p.step(op, nil, value, 0); diff != "" {
				t.Errorf("%s: %s", did, diff)
			}
		}
		if did, diff := p.step("update", nil, value, 1); diff != "" {
			t.Errorf("%s: %s", did, diff)
		}
	}
}

// TestHugeArrayIsNotThere checks that an array of 33 million elements costs
// what is touched of it.
func TestHugeArrayIsNotThere(t *testing.T) {
	resident := func() (pages int) {
		statm, err := os.ReadFile("/proc/self/statm")
		if err != nil {
			require.Skip(t, "no /proc: %v", err)
		}
		var size int
		if _, err := fmt.Sscan(string(statm), &size, &pages); err != nil {
			t.Fatal(err)
		}
		return pages
	}
	set := newSet(t, 1)
	before := resident()
	for _, kind := range []abi.MapKind{abi.ArrayMap, abi.HashMap} {
		m := newMap(t, set, abi.MapSpec{Kind: kind, KeySize: 4, ValueSize: 16, MaxEntries: 33 << 20})
		for i := range uint32(100) {
			if err := m.Update(u32(i*300000), make([]byte, 16), 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	if grown := (resident() - before) * os.Getpagesize(); grown > 32<<20 {
		t.Errorf("two maps with 100 elements each take %d bytes", grown)
	}
}
