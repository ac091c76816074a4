package verifier_test

import (
	"encoding/binary"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unsafe"

	cilium "github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/testdata/require"
	"github.com/bpflab/bpflab/verifier"
)

// A referee gives programs to the kernel's verifier, many a second: package
// ebpf/kernel would spend most of the time on preparations. It makes the maps
// that programs name once for all programs.
type referee struct {
	t     testing.TB
	mutex sync.Mutex
	maps  map[string]*cilium.Map // by description
	types *btf.Handle
	fn    uint32 // the BTF id of a static function in types
}

func newReferee(t testing.TB) *referee {
	t.Helper()
	require.Root(t)
	if err := rlimit.RemoveMemlock(); err != nil {
		t.Log(err)
	}
	k := &referee{t: t, maps: map[string]*cilium.Map{}}
	b, err := btf.NewBuilder(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	number := &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}
	function := &btf.Func{Name: "f", Type: &btf.FuncProto{Return: number}, Linkage: btf.StaticFunc}
	id, err := b.Add(function)
	if err != nil {
		t.Fatal(err)
	}
	if k.types, err = btf.NewHandle(b); err != nil {
		require.Skip(t, "type information for the kernel: %v", err)
	}
	k.fn = uint32(id)
	t.Cleanup(k.close)
	return k
}

func (k *referee) close() {
	k.types.Close()
	for _, m := range k.maps {
		m.Close()
	}
}

// mapFD returns the descriptor of a map like that, for programs of a type: the
// first program that names a map which can hold programs decides for which type
// it is (map_type_contains_progs).
func (k *referee) mapFD(m *abi.MapSpec, t abi.ProgType) (int, error) {
	key := describe(m)
	switch m.Kind {
	case abi.ProgArray, abi.DevMap, abi.DevMapHash, abi.CPUMap:
		key += " of " + t.String()
	}
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if made := k.maps[key]; made != nil {
		return made.FD(), nil
	}
	spec := mapSpec(m)
	if m.Inner != nil {
		spec.InnerMap = mapSpec(m.Inner)
	}
	for _, e := range m.Contents {
		if e.Name != "" { // a program or a map: the verifier does not look at that
			continue
		}
		value := make([]byte, m.ValueSize)
		copy(value, e.Value)
		spec.Contents = append(spec.Contents, cilium.MapKV{Key: e.Key, Value: value})
	}
	made, err := cilium.NewMap(spec)
	if err != nil {
		return 0, fmt.Errorf("map %s: %w", key, err)
	}
	if m.Frozen {
		if err := made.Freeze(); err != nil {
			return 0, err
		}
	}
	k.maps[key] = made
	return made.FD(), nil
}

func describe(m *abi.MapSpec) string {
	s := fmt.Sprintf("%v %d %d %d %#x", m.Kind, m.KeySize, m.ValueSize, m.MaxEntries, m.Flags)
	if m.SpinLock != nil {
		s += fmt.Sprintf(" lock %d", *m.SpinLock)
	}
	if m.Inner != nil {
		s += " inner (" + describe(m.Inner) + ")"
	}
	if m.Contents != nil {
		s += fmt.Sprintf(" %x frozen %v", m.Contents, m.Frozen)
	}
	return s
}

func mapSpec(m *abi.MapSpec) *cilium.MapSpec {
	spec := &cilium.MapSpec{
		Type: cilium.MapType(m.Kind), KeySize: m.KeySize, ValueSize: m.ValueSize,
		MaxEntries: m.MaxEntries, Flags: m.Flags, MapExtra: m.Extra,
	}
	if m.SpinLock != nil {
		spec.Key, spec.Value = &btf.Int{Name: "unsigned int", Size: 4}, lockedType(m)
	}
	return spec
}

// lockedType describes a value with a spin lock in it.
func lockedType(m *abi.MapSpec) btf.Type {
	number := &btf.Int{Name: "unsigned int", Size: 4}
	lock := &btf.Struct{Name: "bpf_spin_lock", Size: 4, Members: []btf.Member{{Name: "val", Type: number}}}
	return &btf.Struct{Name: "value", Size: m.ValueSize, Members: []btf.Member{
		{Name: "lock", Type: lock, Offset: btf.Bits(8 * *m.SpinLock)},
	}}
}

// loadAttr is union bpf_attr for BPF_PROG_LOAD.
type loadAttr struct {
	typ, count            uint32
	insns, license        uint64
	logLevel, logSize     uint32
	logBuf                uint64
	kernVersion, flags    uint32
	name                  [16]byte
	ifindex, attach       uint32
	btfFD, funcInfoSize   uint32
	funcInfo              uint64
	funcCount, lineSize   uint32
	lineInfo              uint64
	lineCount, attachBTF  uint32
	attachProg, coreCount uint32
	fdArray, core         uint64
}

// load asks the kernel about a program, which writes what it says into log if
// that is not nil. The error is about the question, not the program.
func (k *referee) load(p *verifier.Program, log []byte) (accepted bool, err error) {
	insns := make([]ebpf.Instruction, len(p.Insns))
	copy(insns, p.Insns)
	for i := 0; i < len(insns); i += insns[i].Width() {
		if err := k.patch(p, &insns[i]); err != nil {
			return false, err
		}
	}
	raw, license := ebpf.Append(nil, insns, binary.NativeEndian), []byte("GPL\x00")
	if p.NotGPL {
		license = []byte("MIT\x00")
	}
	attr := loadAttr{
		typ: uint32(p.Type), count: uint32(len(insns)), insns: pointer(raw), license: pointer(license), name: [16]byte{'t'},
	}
	if p.Egress {
		attr.attach = 1 // BPF_CGROUP_INET_EGRESS
	}
	info := k.functions(insns)
	if len(info) > 0 {
		attr.btfFD, attr.funcInfoSize, attr.funcCount = uint32(k.types.FD()), 8, uint32(len(info)/2)
		attr.funcInfo = uint64(uintptr(unsafe.Pointer(&info[0])))
	}
	if log != nil {
		attr.logLevel, attr.logSize, attr.logBuf = 1, uint32(len(log)), pointer(log)
	}
	fd, errno := uintptr(0), unix.EAGAIN
	for errno == unix.EAGAIN { // a signal of the Go runtime came in between
		fd, _, errno = unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	}
	runtime.KeepAlive(raw)
	runtime.KeepAlive(license)
	runtime.KeepAlive(info)
	runtime.KeepAlive(log)
	switch errno {
	case 0:
		unix.Close(int(fd))
		return true, nil
	case unix.EACCES, unix.EPERM, unix.EINVAL, unix.E2BIG, unix.ENOSPC, unix.EFAULT, unix.ENOTSUP, unix.Errno(524), unix.EDEADLK, unix.ENOENT, unix.ELOOP, unix.EBADF:
		return false, nil
	}
	return false, fmt.Errorf("bpf(BPF_PROG_LOAD): %w", errno)
}

func pointer(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(&b[0]))) }

// patch puts the descriptor of a map in place of its index.
func (k *referee) patch(p *verifier.Program, ins *ebpf.Instruction) error {
	if ins.Op != ebpf.LoadImm64 || ins.Src != ebpf.WideMapFD && ins.Src != ebpf.WideMapValue {
		return nil
	}
	if ins.Imm < 0 || int(ins.Imm) >= len(p.Maps) {
		ins.Imm = 1 << 20 // no such descriptor
		return nil
	}
	fd, err := k.mapFD(&p.Maps[ins.Imm], p.Type)
	ins.Imm = int32(fd)
	return err
}

// functions returns the table of functions (struct bpf_func_info) of a program
// that has more than one: the kernel asks for it for callbacks, and for legacy
// packet loads and tail calls in functions.
func (k *referee) functions(insns []ebpf.Instruction) []uint32 {
	starts := make([]bool, len(insns)+1)
	several := false
	for i := 0; i < len(insns); i += insns[i].Width() {
		ins := insns[i]
		call := ins.Op == ebpf.ClassJMP|ebpf.Call && ins.Src == ebpf.CallLocal || ins.Op == ebpf.LoadImm64 && ins.Src == ebpf.WideFunc
		if !call {
			continue
		}
		if target := i + 1 + int(ins.Imm); target >= 0 && target < len(insns) {
			starts[target], several = true, true
		}
	}
	if !several {
		return nil
	}
	starts[0] = true
	var info []uint32
	for i, start := range starts {
		if start {
			info = append(info, uint32(i), k.fn)
		}
	}
	return info
}

// words returns what the kernel says last of a program that it rejects.
func (k *referee) words(p *verifier.Program) string {
	log := make([]byte, 1<<20)
	if _, err := k.load(p, log); err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(unix.ByteSliceToString(log)), "\n")
	n := len(lines)
	for n > 0 && statistics.MatchString(lines[n-1]) {
		n--
	}
	return strings.Join(lines[max(0, n-2):n], " / ")
}

var statistics = regexp.MustCompile(`^(processed|verification time|stack depth) `)
