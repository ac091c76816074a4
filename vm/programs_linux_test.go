package vm_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	cilium "github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/object"
	"github.com/bpflab/bpflab/jit"
	"github.com/bpflab/bpflab/testdata/require"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// The tests here run the programs of testdata/programs on the machine and in
// the running kernel, over the same packets and with the same variables and
// maps: verdicts, packets after the program, events and what is in the maps in
// the end must be the same.

// minPackets is over how many packets each program must have run.
const minPackets = 2000

// A proof is one object that runs in both places, and on the machine as machine
// code, too.
type proof struct {
	t        *testing.T
	object   *object.Object
	ours     []*ourSide
	kernel   *cilium.Collection
	ran      int
	verdicts map[uint32]int
}

// An ourSide is one of our engines.
type ourSide struct {
	runner
	t      *testing.T
	events map[string][][]byte // by map
}

// newProof loads an object, its variables set as text, into both. The programs
// are those that [proof.run] may name.
func newProof(t *testing.T, name string, variables map[string]string, programs ...string) *proof {
	t.Helper()
	onFirstCPU(t)
	data, obj := readProgram(t, name)
	for variable, text := range variables {
		if err := obj.Set(variable, text); err != nil {
			t.Fatal(err)
		}
	}
	p := &proof{t: t, object: obj, verdicts: map[uint32]int{}}
	p.kernel = loadIntoKernel(t, data, obj)
	t.Cleanup(p.kernel.Close)
	cpus := cilium.MustPossibleCPU()
	p.addOurs(loadMachine(t, obj, cpus, programs...))
	if jit.Supported() == nil {
		p.addOurs(loadNative(t, obj, cpus, programs...))
	}
	return p
}

func (p *proof) addOurs(r runner) {
	p.ours = append(p.ours, &ourSide{r, p.t, map[string][][]byte{}})
}

// loadNative makes machine code of programs of an object.
func loadNative(t *testing.T, obj *object.Object, cpus int, programs ...string) *jit.Engine {
	t.Helper()
	l, err := obj.Link(programs...)
	if err != nil {
		t.Fatal(err)
	}
	e, err := jit.New(vm.Options{CPUs: cpus}, proved(t, verifier.ProgramsOf(l)...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func loadIntoKernel(t *testing.T, data []byte, obj *object.Object) *cilium.Collection {
	t.Helper()
	if err := rlimit.RemoveMemlock(); err != nil {
		t.Fatal(err)
	}
	spec, err := cilium.LoadCollectionSpecFromReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for i := range obj.Variables {
		v := &obj.Variables[i]
		if err := spec.Variables[v.Name].Set(obj.Bytes(v)); err != nil {
			t.Fatal(err)
		}
	}
	c, err := cilium.NewCollection(spec)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	return c
}

// put puts an element into a map of both.
func (p *proof) put(name string, key, value []byte) {
	p.t.Helper()
	for _, o := range p.ours {
		if err := o.Maps().ByName(name).Update(key, value, abi.UpdateAny); err != nil {
			p.t.Fatalf("our map %s: %v", name, err)
		}
	}
	if err := p.kernel.Maps[name].Put(key, value); err != nil {
		p.t.Fatalf("the kernel's map %s: %v", name, err)
	}
}

// run runs a program over packets and returns what it left of them. Packets
// that the kernel does not test-run are left out in both.
func (p *proof) run(program string, in [][]byte) (after [][]byte) {
	p.t.Helper()
	for _, o := range p.ours {
		if err := o.Select(program); err != nil {
			p.t.Fatal(err)
		}
	}
	prog := p.kernel.Programs[program]
	differ := 0
	for n, data := range in {
		if len(data) > longestLinear {
			continue
		}
		ret, out, err := testRun(prog, data)
		if errors.Is(err, unix.EINVAL) {
			continue
		}
		if err != nil {
			p.t.Fatalf("packet %d: the kernel: %v", n, err)
		}
		p.ran++
		p.verdicts[ret]++
		after = append(after, out)
		for _, o := range p.ours {
			ours := o.run(p.inputOf(data))
			if ours.Fault == nil && ours.Return == ret && bytes.Equal(ours.Data, out) {
				continue
			}
			p.t.Errorf("%s, packet %d: %x\n%s: %d, fault %v, %x\nkernel: %d, %x", program, n, data,
				o.Name(), ours.Return, ours.Fault, ours.Data, ret, out)
			if differ++; differ == 5 {
				p.t.Fatal("and so on")
			}
		}
	}
	return after
}

// longestLinear is below what the kernel shows an XDP program of a packet at
// once; the rest of a longer one would be in fragments.
const longestLinear = 3400

func testRun(prog *cilium.Program, data []byte) (uint32, []byte, error) {
	o := cilium.RunOptions{Data: data, DataOut: make([]byte, len(data)+512)}
	ret, err := prog.Run(&o)
	if err == nil && prog.Type() == cilium.SocketFilter {
		o.DataOut = o.DataOut[linkHeader:]
	}
	return ret, o.DataOut, err
}

// inputOf is a packet as the kernel's test run has it: that begins with the
// network header for a socket filter, and knows its protocol (eth_type_trans).
func (p *proof) inputOf(data []byte) engine.Packet {
	in := engine.Packet{Data: data}
	in.Meta.HasLink, in.Meta.NetworkOffset = true, linkHeader
	in.Meta.Protocol = uint16(data[12])<<8 | uint16(data[13])
	if p.object.Programs[0].Type == abi.SocketFilter {
		in.Data = data[linkHeader:]
		in.Meta.LinkOffset, in.Meta.NetworkOffset = -linkHeader, 0
	}
	in.WireLen = uint32(len(in.Data))
	return in
}

func (o *ourSide) run(in engine.Packet) engine.Result {
	out := make([]engine.Result, 1)
	if err := o.Run([]engine.Packet{in}, out); err != nil {
		o.t.Fatal(err)
	}
	for _, e := range out[0].Events {
		o.events[e.Source] = append(o.events[e.Source], bytes.Clone(e.Data))
	}
	return out[0]
}

// finish compares events and maps, and checks that there was work: enough
// packets, and each of the verdicts for some.
func (p *proof) finish(verdicts ...uint32) {
	p.t.Helper()
	if p.ran < minPackets {
		p.t.Errorf("ran over %d packets only", p.ran)
	}
	if got := slices.Sorted(maps.Keys(p.verdicts)); !slices.Equal(got, verdicts) {
		p.t.Errorf("verdicts %v, want %v", got, verdicts)
	}
	for i := range p.object.Maps {
		name := p.object.Maps[i].Name
		switch abi.MapKind(p.object.Maps[i].Kind) {
		case abi.ProgArray, abi.ArrayOfMaps, abi.HashOfMaps:
			// Their values are identifiers, which differ, and no program
			// can change them.
		case abi.RingBuf:
			p.compareEvents(name)
		default:
			p.compareMap(name)
		}
	}
	p.t.Logf("%d packets, verdicts %v", p.ran, p.verdicts)
}

func (p *proof) compareEvents(name string) {
	p.t.Helper()
	r, err := ringbuf.NewReader(p.kernel.Maps[name])
	if err != nil {
		p.t.Fatal(err)
	}
	defer r.Close()
	r.SetDeadline(time.Now())
	var theirs [][]byte
	for {
		record, err := r.Read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			p.t.Fatal(err)
		}
		theirs = append(theirs, record.RawSample)
	}
	for _, o := range p.ours {
		ours := o.events[name]
		if len(theirs) == 0 || !slices.EqualFunc(ours, theirs, bytes.Equal) {
			p.t.Errorf("map %s: %s has %d events, the kernel %d; first ones\n%x\n%x", name, o.Name(), len(ours), len(theirs),
				ours[:min(3, len(ours))], theirs[:min(3, len(theirs))])
		}
	}
	p.t.Logf("%s: %d events", name, len(theirs))
}

// compareMap compares the elements of a map, in no order.
func (p *proof) compareMap(name string) {
	p.t.Helper()
	theirs := kernelContents(p.t, p.kernel.Maps[name])
	for _, o := range p.ours {
		p.compareContents(name, o.contents(name), theirs)
	}
}

func (p *proof) compareContents(name string, ours, theirs map[string]string) {
	p.t.Helper()
	if maps.Equal(ours, theirs) {
		p.t.Logf("%s: %d elements", name, len(ours))
		return
	}
	shown := 0
	for _, key := range slices.Sorted(maps.Keys(merged(ours, theirs))) {
		if ours[key] == theirs[key] {
			continue
		}
		p.t.Errorf("map %s, key %x: we have %x, the kernel %x", name, key, ours[key], theirs[key])
		if shown++; shown == 5 {
			break
		}
	}
}

// counted checks that the 64-bit counters in a variable have reached what they
// must at least; one that must be 0 is.
func (p *proof) counted(variable string, least ...uint64) {
	p.t.Helper()
	v := p.object.Variable(variable)
	for _, o := range p.ours {
		value := o.contents(p.object.Maps[v.Map].Name)[string(make([]byte, 4))][v.Offset:]
		for i, want := range least {
			got := binary.LittleEndian.Uint64([]byte(value[8*i:]))
			if got < want || want == 0 && got != 0 {
				p.t.Errorf("%s: %s[%d] is %d, want %d", o.Name(), variable, i, got, want)
			}
		}
	}
}

func merged(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

func (o *ourSide) contents(name string) map[string]string {
	m := o.Maps().ByName(name)
	all := map[string]string{}
	value := make([]byte, m.ValueLen())
	for key, next := []byte(nil), make([]byte, m.Spec().KeySize); m.NextKey(key, next) == nil; {
		key = bytes.Clone(next)
		if err := m.Lookup(key, value); err != nil {
			o.t.Fatalf("our map %s: %v", name, err)
		}
		all[string(key)] = string(value)
	}
	return all
}

func kernelContents(t *testing.T, m *cilium.Map) map[string]string {
	all := map[string]string{}
	for key := any(nil); ; {
		next, err := m.NextKeyBytes(key)
		if err != nil {
			t.Fatal(err)
		}
		if next == nil {
			return all
		}
		value, err := m.LookupBytes(next)
		if err != nil {
			t.Fatal(err)
		}
		all[string(next)], key = string(value), next
	}
}

// TestPrograms is the proof on real programs.
func TestPrograms(t *testing.T) {
	require.Root(t)
	t.Run("xdp_firewall", proveFirewall)
	t.Run("xdp_firewall strict", proveStrictFirewall)
	t.Run("xdp_balancer", proveBalancer)
	t.Run("tc_nat", proveNAT)
	t.Run("flow_tracker", proveFlowTracker)
	t.Run("tail_parser", proveTailParser)
	t.Run("ext_headers", proveExtHeaders)
	t.Run("sampler", proveSampler)
}

// onFirstCPU keeps the kernel's test runs on the CPU that programs run on in
// the machine, so that maps per CPU compare.
func onFirstCPU(t *testing.T) {
	t.Helper()
	var set unix.CPUSet
	set.Set(0)
	runtime.LockOSThread()
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		require.Skip(t, "cannot stay on CPU 0: %v", err)
	}
}
