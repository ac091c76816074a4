package kernel_test

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/ebpf/object"
	"github.com/bpflab/bpflab/vm/engine"
)

func objectEngine(t *testing.T, l *object.Linked) *kernel.Engine {
	t.Helper()
	e, err := kernel.NewObjectEngine(l, nil)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func runOn(t *testing.T, e engine.Engine, p engine.Packet) engine.Result {
	t.Helper()
	out := make([]engine.Result, 1)
	if err := e.Run([]engine.Packet{p}, out); err != nil {
		t.Fatal(err)
	}
	return out[0]
}

// TestEngineContext sets the fields of the context that can be set, and finds
// them in the program; the others are refused to programs that read them, by
// name, and only to those.
func TestEngineContext(t *testing.T) {
	available(t)
	frame := packet(60)
	frame[0] = 0 // or its address would be a group's
	meta := cbpf.Metadata{
		Protocol: 0x0c0d, PacketType: 3, HasDevice: true, IfIndex: 1, HasLink: true, NetworkOffset: 14,
		Mark: 11, Priority: 12, IngressIfIndex: 13, CB: [5]uint32{14, 15}, GSOSegments: 16, GSOSize: 17,
	}
	given := map[string]uint32{
		"mark": 11, "priority": 12, "ingress_ifindex": 13, "cb": 14, "gso_segs": 16, "gso_size": 17,
		"len": 60, "wire_len": 60, "ifindex": 1, "pkt_type": 3, "protocol": 0x0d0c, "hash": 0, "queue_mapping": 0, "vlan_tci": 0,
	}
	refused := map[string]cbpf.Metadata{
		"ifindex": {IfIndex: 2}, "pkt_type": {PacketType: 0}, "protocol": {Protocol: 0x800}, "hash": {RxHash: 5},
		"queue_mapping": {Queue: 2}, "vlan_tci": {VLANPresent: true}, "vlan_present": {VLANPresent: true}, "tc_index": {TCIndex: 1},
	}
	for name, want := range given {
		e, err := kernel.NewEngine("context", abi.SchedCLS, readField(t, name))
		if err != nil {
			t.Fatal(name, err)
		}
		got := runOn(t, e, engine.Packet{Data: frame, WireLen: 60, Meta: meta})
		if got.Fault != nil || got.Return != want {
			t.Errorf("%s: %d, want %d; fault %v", name, got.Return, want, got.Fault)
		}
		if m, ok := refused[name]; ok {
			got := runOn(t, e, engine.Packet{Data: frame, WireLen: 60, Meta: m})
			var limit *kernel.PacketError
			if !errors.As(got.Fault, &limit) || !strings.Contains(limit.Limit, "may read "+name) {
				t.Errorf("%s: not refused but %+v", name, got)
			}
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
	e, err := kernel.NewEngine("blind", abi.SchedCLS, assemble(t, "r0 = *(u32 *)(r1 +8)\nexit"))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for name, m := range refused {
		m.Mark = 9
		if got := runOn(t, e, engine.Packet{Data: frame, WireLen: 1500, Meta: m}); got.Fault != nil || got.Return != 9 {
			t.Errorf("a program that does not read %s: %+v", name, got)
		}
	}
}

func readField(t *testing.T, name string) []ebpf.Instruction {
	return assemble(t, "r0 = *(u32 *)(r1 +"+strconv.Itoa(abi.SKBuff.Field(name).Offset)+")\nexit")
}

// TestEngineSizes checks that packets of sizes that the kernel does not take are
// refused by name.
func TestEngineSizes(t *testing.T) {
	available(t)
	v4, v6 := packet(33), packet(53)
	binary.BigEndian.PutUint16(v4[12:], 0x0800)
	binary.BigEndian.PutUint16(v6[12:], 0x86dd)
	for typ, cases := range map[abi.ProgType]map[string][]byte{
		abi.SchedCLS: {"whole Ethernet header": packet(13), "whole IPv4 header": v4, "whole IPv6 header": v6, "fit in one page": packet(4000)},
		abi.XDP:      {"whole Ethernet header": packet(0), "the program sees at most": packet(3700)},
	} {
		e, err := kernel.NewEngine("sizes", typ, assemble(t, "r0 = 1\nexit"))
		if err != nil {
			t.Fatal(err)
		}
		for limit, data := range cases {
			got := runOn(t, e, engine.Packet{Data: data, WireLen: uint32(len(data))})
			if !errors.Is(got.Fault, engine.ErrPacket) || !strings.Contains(got.Fault.Error(), limit) {
				t.Errorf("%v, %d bytes: %v, want %q", typ, len(data), got.Fault, limit)
			}
		}
		for _, n := range []int{14, 60, 3500} {
			if got := runOn(t, e, engine.Packet{Data: packet(n), WireLen: uint32(n)}); got.Fault != nil || got.Return != 1 {
				t.Errorf("%v, %d bytes: %+v", typ, n, got)
			}
		}
		e.Close()
	}
	e, err := kernel.NewEngine("len", abi.SchedCLS, assemble(t, returnLen))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	got := runOn(t, e, engine.Packet{Data: packet(60), WireLen: 61})
	if got.Fault == nil || !strings.Contains(got.Fault.Error(), "the program may read len") {
		t.Errorf("a part of a packet, for its length: %+v", got)
	}
}

// TestEngineFromNetwork runs a program that sees no link header: on a packet
// that has none, and on one that has another one than Ethernet's.
func TestEngineFromNetwork(t *testing.T) {
	available(t)
	const firstByte = `
		r6 = *(u32 *)(r1 +16)       ; protocol
		r2 = *(u32 *)(r1 +76)
		r3 = *(u32 *)(r1 +80)
		r0 = 0
		r4 = r2
		r4 += 1
		if r4 > r3 goto out
		r0 = *(u8 *)(r2 +0)
		r0 <<= 16
		r0 |= r6
	out:	exit`
	e, err := kernel.NewEngine("route", abi.LWTIn, assemble(t, firstByte))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	ip := append([]byte{0x45}, packet(39)[1:]...)
	cooked := append(make([]byte, 16), ip...)
	for name, p := range map[string]engine.Packet{
		"no link header": {Data: ip, Meta: cbpf.Metadata{Protocol: 0x800}},
		"cooked":         {Data: cooked, Meta: cbpf.Metadata{Protocol: 0x800, HasLink: true, NetworkOffset: 16}},
	} {
		p.WireLen = uint32(len(p.Data))
		got := runOn(t, e, p)
		if got.Fault != nil || got.Return != 0x450008 || string(got.Data) != string(p.Data) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestEngineEvents reads what a program puts into a ring buffer and a perf
// event array, packet by packet.
func TestEngineEvents(t *testing.T) {
	available(t)
	ring := abi.MapSpec{Name: "ring", Kind: abi.RingBuf, MaxEntries: 4096}
	perf := abi.MapSpec{Name: "perf", Kind: abi.PerfEventArray, KeySize: 4, ValueSize: 4, MaxEntries: 2}
	l := linked(t, "events", `
		r6 = r1
		r1 = *(u32 *)(r6 +8)
		*(u64 *)(r10 -8) = r1
		r1 = map[ring]
		r2 = r10
		r2 += -8
		r3 = 8
		r4 = 0
		call bpf_ringbuf_output
		r1 = r6
		r2 = map[perf]
		r3 = 0xffffffff ll
		r4 = r10
		r4 += -8
		r5 = 8
		call bpf_perf_event_output
		r0 = 0
		exit`, ring, perf)
	e := objectEngine(t, l)
	in := make([]engine.Packet, 50)
	for i := range in {
		in[i] = engine.Packet{Data: packet(60), WireLen: 60, Meta: cbpf.Metadata{Mark: uint32(i)}}
	}
	out := make([]engine.Result, len(in))
	if err := e.Run(in, out); err != nil {
		t.Fatal(err)
	}
	for i := range out {
		events := out[i].Events
		if len(events) != 2 || events[0].Source != "ring" || events[1].Source != "perf" || len(events[0].Data) != 8 || len(events[1].Data) < 8 {
			t.Fatalf("packet %d: %+v", i, events)
		}
		for _, event := range events {
			if got := binary.NativeEndian.Uint64(event.Data); got != uint64(i) {
				t.Errorf("packet %d: %s holds %d", i, event.Source, got)
			}
		}
	}
}

// TestEngineMaps fills a map before and reads it after a run.
func TestEngineMaps(t *testing.T) {
	available(t)
	l := linked(t, "counter", `
		*(u32 *)(r10 -4) = 0
		r1 = map[counts]
		r2 = r10
		r2 += -4
		call bpf_map_lookup_elem
		if r0 == 0 goto out
		r1 = *(u64 *)(r0 +0)
		r1 += 1
		*(u64 *)(r0 +0) = r1
	out:	r0 = 0
		exit`, abi.MapSpec{Name: "counts", Kind: abi.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	e := objectEngine(t, l)
	m, err := e.Collection().Map("counts")
	if err != nil {
		t.Fatal(err)
	}
	key := make([]byte, 4)
	values, err := m.Lookup(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range values {
		binary.NativeEndian.PutUint64(v, 100)
	}
	if err := m.Update(key, values...); err != nil {
		t.Fatal(err)
	}
	for cpu := range values[:min(len(values), 2)] {
		for range cpu + 3 {
			if got := runOn(t, e, engine.Packet{Data: packet(60), Meta: cbpf.Metadata{CPU: uint32(cpu)}}); got.Fault != nil {
				t.Fatal(got.Fault)
			}
		}
	}
	elements, err := m.Elements()
	if err != nil || len(elements) != 1 {
		t.Fatal(elements, err)
	}
	for cpu, v := range elements[0].Values[:min(len(values), 2)] {
		if got := binary.NativeEndian.Uint64(v); got != uint64(103+cpu) {
			t.Errorf("processor %d counts %d", cpu, got)
		}
	}
	if got := runOn(t, e, engine.Packet{Data: packet(60), Meta: cbpf.Metadata{CPU: 4000}}); !errors.Is(got.Fault, engine.ErrPacket) {
		t.Errorf("processor 4000: %+v", got)
	}
}

// TestEngineAlone has a program send a clone to a device: only the loopback of
// a namespace of its own is there.
func TestEngineAlone(t *testing.T) {
	available(t)
	e := objectEngine(t, linked(t, "clone", `
		r2 = 2
		r3 = 0
		call bpf_clone_redirect
		exit`))
	const eINVAL = 22 // there is no such device
	if got := runOn(t, e, engine.Packet{Data: packet(60), WireLen: 60}); int32(got.Return) != -eINVAL {
		t.Errorf("the clone went out: %d, %v", int32(got.Return), got.Fault)
	}
}

// TestEngineEnds checks the ends of an engine: a context that is done, and
// Close, after which nothing is open that was not before.
func TestEngineEnds(t *testing.T) {
	available(t)
	make1 := func() {
		ring := abi.MapSpec{Name: "ring", Kind: abi.RingBuf, MaxEntries: 4096}
		perf := abi.MapSpec{Name: "perf", Kind: abi.PerfEventArray, KeySize: 4, ValueSize: 4, MaxEntries: 2}
		e, err := kernel.NewObjectEngine(linked(t, "ends", "r1 = map[ring]\nr1 = map[perf]\nr0 = 0\nexit", ring, perf), nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		in, out := []engine.Packet{{Data: packet(60)}}, make([]engine.Result, 1)
		if err := e.RunContext(ctx, in, out); !errors.Is(err, context.Canceled) {
			t.Errorf("a run whose context is done: %v", err)
		}
		if err := errors.Join(e.Close(), e.Close()); err != nil {
			t.Error(err)
		}
		if err := e.Run(in, out); err == nil {
			t.Error("a closed engine runs")
		}
		c := classic(t, "ret #1")
		if err := errors.Join(c.Close(), c.Close()); err != nil {
			t.Error(err)
		}
		// One that fails half way.
		bad := linked(t, "bad", "r1 = map[ring]\nr0 = *(u64 *)(r1 +100)\nexit", ring)
		var refused *kernel.VerifierError
		if _, err := kernel.NewObjectEngine(bad, nil); !errors.As(err, &refused) {
			t.Errorf("a bad program: %v", err)
		}
		if _, err := kernel.NewEngine("probe", abi.Kprobe, assemble(t, "r0 = 0\nexit")); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("a kprobe: %v", err)
		}
	}
	make1() // the libraries keep descriptors of their own
	before := descriptors(t)
	for range 20 {
		make1()
	}
	if after := descriptors(t); !slices.Equal(before, after) {
		t.Errorf("before %q were open, after %q", before, after)
	}
}
