package vm_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter"
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/lift"
	"github.com/bpflab/bpflab/jit"
	"github.com/bpflab/bpflab/testdata/filters"
	"github.com/bpflab/bpflab/testdata/packets"
	programs "github.com/bpflab/bpflab/testdata/verifier"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
	"github.com/bpflab/bpflab/vm/maps"
)

// What the verifier proves holds: these tests run programs that it accepts, on
// random packets, in checked mode, and look before each instruction whether
// everything is as the proof says (vm.Watch). Trusted mode must then do the
// same as checked mode.

var (
	soundPrograms = flag.Int("sound.programs", 10_000, "how many random programs are held against their proofs")
	soundRuns     = flag.Int("sound.runs", 16, "how many packets each of them gets")
	soundFilters  = flag.Int("sound.filters", 60, "how many filters of the corpus are held against their proofs; 0 for all")
	soundSeed     = flag.Uint64("sound.seed", 2026, "seed of what is random")
)

// proved verifies programs, which share their maps.
func proved(t testing.TB, list ...*verifier.Program) []*verifier.Proof {
	t.Helper()
	var proofs []*verifier.Proof
	for _, p := range list {
		proof, report := verifier.Verify(p, verifier.Options{Facts: true})
		if report != nil {
			t.Fatalf("%s: %v", p.Name, report)
		}
		proofs = append(proofs, proof)
	}
	return proofs
}

// options are those of two machines that are to do the same.
func soundOptions(seed uint64) vm.Options {
	rnd := rand.New(rand.NewPCG(seed, 7))
	return vm.Options{CPUs: 2, Budget: 10_000, Random: func() uint32 { return uint32(oddNumber(rnd)) }}
}

// sound runs proved programs on packets in both modes, and as machine code if
// that is asked for. It returns the first thing that is not as proved.
func sound(proofs []*verifier.Proof, seed uint64, runs int, next func(*rand.Rand) engine.Packet, withNative bool) error {
	checked, watch, err := vm.LoadWatched(soundOptions(seed), proofs...)
	if err != nil {
		return err
	}
	defer checked.Close()
	trusted, err := vm.LoadProved(soundOptions(seed), proofs...)
	if err != nil {
		return err
	}
	defer trusted.Close()
	machines := []*vm.Machine{checked, trusted}
	var native *jit.Engine
	if withNative && jit.Supported() == nil {
		if native, err = nativeEngine(seed, proofs); err != nil {
			return err
		}
		defer native.Close()
		machines = append(machines, native.Machine())
	}
	for _, m := range machines {
		fillMaps(m, seed)
	}
	rnd := rand.New(rand.NewPCG(seed, 8))
	for i := range runs {
		in := next(rnd)
		want, err := watch.Run(in)
		if err != nil {
			return fmt.Errorf("packet %d: %w\n%x %+v", i, err, in.Data, in.Meta)
		}
		var got [1]engine.Result
		if err := trusted.Run([]engine.Packet{in}, got[:]); err != nil {
			return err
		}
		if want.Return != got[0].Return || want.R0 != got[0].R0 || want.Redirect != got[0].Redirect || want.Executed != got[0].Executed ||
			!slices.Equal(want.Data, got[0].Data) || !reflect.DeepEqual(want.Events, got[0].Events) || (want.Fault == nil) != (got[0].Fault == nil) {
			return fmt.Errorf("packet %d: checked %+v, trusted %+v\n%x %+v", i, want, got[0], in.Data, in.Meta)
		}
		if want.Fault != nil {
			native = nil // machine code does not count instructions one by one
		}
		if err := sameNative(native, in, want); err != nil {
			return fmt.Errorf("packet %d: %w\n%x %+v", i, err, in.Data, in.Meta)
		}
	}
	if native != nil {
		if err := sameMaps(checked.Maps(), native.Machine().Maps()); err != nil {
			return fmt.Errorf("machine code: %w", err)
		}
	}
	return sameMaps(checked.Maps(), trusted.Maps())
}

// nativeEngine makes an engine of machine code.
func nativeEngine(seed uint64, proofs []*verifier.Proof) (*jit.Engine, error) {
	o := soundOptions(seed)
	o.Budget = 0
	return jit.New(o, proofs...)
}

// sameNative runs machine code, too.
func sameNative(e *jit.Engine, in engine.Packet, want engine.Result) error {
	if e == nil {
		return nil
	}
	var got [1]engine.Result
	if err := e.Run([]engine.Packet{in}, got[:]); err != nil {
		return err
	}
	if want.Return != got[0].Return || want.R0 != got[0].R0 || want.Redirect != got[0].Redirect ||
		!slices.Equal(want.Data, got[0].Data) || !reflect.DeepEqual(want.Events, got[0].Events) || got[0].Fault != nil {
		return fmt.Errorf("checked %+v, machine code %+v", want, got[0])
	}
	return nil
}

// fillMaps puts random values under small keys into what has none.
func fillMaps(m *vm.Machine, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 9))
	for _, mp := range m.Maps().All() {
		spec := mp.Spec()
		if spec.Frozen || spec.Flags&abi.MapReadOnlyProg != 0 || spec.Kind.Info().Calls&abi.CallLookup == 0 || spec.Inner != nil || spec.SpinLock != nil {
			continue
		}
		for range min(spec.MaxEntries, 8) {
			key := make([]byte, spec.KeySize)
			if len(key) > 0 {
				key[0] = byte(rnd.UintN(8))
			}
			// An error is a key or value that such maps do not have.
			_ = mp.Update(key, oddBytes(rnd, mp.ValueLen()), abi.UpdateAny)
		}
	}
}

func sameMaps(a, b *maps.Set) error {
	for i, mp := range a.All() {
		if x, y := text(mp), text(b.All()[i]); x != y {
			return fmt.Errorf("map %s: checked %s, trusted %s", mp.Name(), x, y)
		}
	}
	return nil
}

func text(mp *maps.Map) string {
	var b strings.Builder
	if err := mp.WriteJSON(&b); err != nil {
		return err.Error()
	}
	return b.String()
}

// oddNumber favours the numbers around which something changes.
func oddNumber(rnd *rand.Rand) uint64 {
	switch rnd.UintN(6) {
	case 0:
		return rnd.Uint64()
	case 1:
		return rnd.Uint64() >> rnd.UintN(64)
	case 2:
		return uint64(rnd.UintN(80))
	case 3:
		return -uint64(rnd.UintN(80))
	case 4:
		return 1<<rnd.UintN(64) - uint64(rnd.UintN(3))
	}
	return uint64(rnd.Uint32())<<32 | uint64(rnd.UintN(80)) // small in the lower half
}

func oddBytes(rnd *rand.Rand, n int) []byte {
	b := make([]byte, n+8)
	for i := 0; i < n; i += 8 {
		v := oddNumber(rnd)
		if rnd.UintN(4) == 0 {
			v = uint64(byte(v)) * 0x0101010101010101
		}
		for j := range 8 {
			b[i+j] = byte(v >> (8 * j))
		}
	}
	return b[:n]
}

// oddPacket is a packet of odd numbers, with odd metadata.
func oddPacket(rnd *rand.Rand) engine.Packet {
	data := oddBytes(rnd, rnd.IntN(pickLength(rnd)))
	return engine.Packet{Data: data, WireLen: uint32(len(data)) + rnd.Uint32N(2)*rnd.Uint32N(9), Meta: oddMetadata(rnd)}
}

func pickLength(rnd *rand.Rand) int { return []int{20, 80, 200, 400}[rnd.IntN(4)] }

func oddMetadata(rnd *rand.Rand) cbpf.Metadata {
	n := func() uint64 { return oddNumber(rnd) }
	return cbpf.Metadata{
		Protocol: uint16(n()), PacketType: uint8(rnd.UintN(5)), HasDevice: true, IfIndex: uint32(n()), Mark: uint32(n()), Queue: uint16(n()),
		RxHash: uint32(n()), CPU: rnd.Uint32N(3), VLANPresent: rnd.UintN(4) == 0, VLANTCI: uint16(n()), VLANProto: 0x8100,
		HasLink: true, NetworkOffset: 14, IngressIfIndex: uint32(n()), Priority: uint32(n()), TCIndex: uint16(n()),
		CB: [5]uint32{uint32(n()), uint32(n()), uint32(n())}, Timestamp: n(), GSOSegments: uint16(n()), GSOSize: uint16(n()),
	}
}

// TestSoundPrograms holds the programs of this project to their proofs.
func TestSoundPrograms(t *testing.T) {
	for _, name := range []string{"dissector", "ext_headers", "flow_tracker", "sampler", "tail_parser", "tc_nat", "xdp_balancer", "xdp_firewall"} {
		t.Run(name, func(t *testing.T) {
			_, obj := readProgram(t, name)
			for i := range obj.Programs {
				l, err := obj.Link(obj.Programs[i].Name)
				if err != nil {
					t.Fatal(err)
				}
				inputs := append(traffic(*soundSeed, 300), chains(rand.New(rand.NewPCG(*soundSeed, 1)), 100)...)
				next := func(rnd *rand.Rand) engine.Packet {
					data := inputs[rnd.IntN(len(inputs))]
					return engine.Packet{Data: data, WireLen: uint32(len(data)), Meta: oddMetadata(rnd)}
				}
				if err := sound(proved(t, verifier.ProgramsOf(l)...), *soundSeed, 1000, next, true); err != nil {
					t.Errorf("%s: %v", l.Programs[0].Name, err)
				}
			}
		})
	}
}

// unsupported tells the error of a program that calls a helper which the machine
// does not have.
func unsupported(err error) bool {
	refused := new(ebpf.Error)
	return errors.As(err, &refused)
}

// TestSoundTables does so for the programs that tables for verifiers have.
func TestSoundTables(t *testing.T) {
	for _, p := range programs.Accepts() {
		if slices.ContainsFunc(p.Insns, func(ins ebpf.Instruction) bool { return ins.Op == ebpf.CallX }) {
			continue
		}
		list := proved(t, &verifier.Program{
			Name: p.Name, Type: p.Type, Insns: p.Insns, Maps: p.Maps, Absent: p.Absent, NotGPL: p.NotGPL, Egress: p.Egress, ContextSize: p.ContextSize,
		})
		next := func(rnd *rand.Rand) engine.Packet {
			in := oddPacket(rnd)
			if n := p.ContextSize - len(in.Data); n > 0 {
				in.Data = append(in.Data, make([]byte, n)...)
			}
			return in
		}
		err := sound(list, *soundSeed, 1000, next, true)
		if err != nil && !unsupported(err) {
			t.Errorf("%s: %s: %v", p.Where, p.Name, err)
		}
	}
}

// TestSoundFilters does so for filters, translated in all ways.
func TestSoundFilters(t *testing.T) {
	rnd := rand.New(rand.NewPCG(*soundSeed, 2))
	cases := filters.Load()
	rnd.Shuffle(len(cases), func(i, j int) { cases[i], cases[j] = cases[j], cases[i] })
	if *soundFilters > 0 {
		cases = cases[:*soundFilters]
	}
	count := 0
	for _, c := range cases {
		classic, err := filter.Compile(c.Expr, filter.Options{LinkType: c.LinkType})
		if err != nil {
			continue // the resolver's names are not here
		}
		var inputs []engine.Packet
		for _, p := range packets.Generate(c.LinkType, *soundSeed, 200) {
			inputs = append(inputs, engine.Packet{Data: p.Data, WireLen: p.WireLen})
		}
		next := func(rnd *rand.Rand) engine.Packet {
			in := inputs[rnd.IntN(len(inputs))]
			in.Meta = oddMetadata(rnd)
			return in
		}
		for _, hook := range []abi.Hook{abi.HookSocket, abi.HookXDP, abi.HookTC, abi.HookCGroupSKB} {
			for _, access := range lift.Accesses(hook) {
				l, err := lift.Lift(classic.Insns, lift.Options{Hook: hook, Access: access})
				if err != nil {
					continue // an extension that the hook does not have
				}
				count++
				list := proved(t, &verifier.Program{Name: c.Expr, Type: l.Type, Insns: l.Insns})
				if err := sound(list, *soundSeed, 40, next, true); err != nil {
					t.Errorf("%s: %s for %v, access %v: %v", c.Where, c.Expr, hook, access, err)
				}
			}
		}
	}
	if count < len(cases) {
		t.Errorf("only %d programs of %d filters", count, len(cases))
	}
}

// TestSoundRandom does so for random programs, as far as they are accepted. Those
// of TestNativeRandom run as machine code.
func TestSoundRandom(t *testing.T) {
	accepted := 0
	for i := range *soundPrograms {
		seed := *soundSeed + uint64(i)
		p := uncertain(rand.New(rand.NewPCG(seed, 3)))
		proof, report := verifier.Verify(p, verifier.Options{Facts: true, Steps: 20_000})
		if report != nil {
			if testing.Verbose() && i < 300 {
				t.Log(report)
			}
			continue
		}
		accepted++
		if err := sound([]*verifier.Proof{proof}, seed, *soundRuns, oddPacket, false); err != nil {
			t.Errorf("-sound.programs 1 -sound.seed %d: %v\n%s", seed, err, strings.Join(ebpf.Disassemble(p.Insns), "\n"))
			if t.Failed() && *soundPrograms > 1 {
				return
			}
		}
	}
	t.Logf("%d of %d programs are accepted", accepted, *soundPrograms)
	if *soundPrograms > 1000 && accepted < *soundPrograms/4 {
		t.Errorf("only %d of %d random programs are accepted", accepted, *soundPrograms)
	}
}
