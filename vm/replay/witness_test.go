package replay_test

import (
	"bytes"
	"errors"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/ebpf/object"
	programs "github.com/bpflab/bpflab/testdata/verifier"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/capture"
	"github.com/bpflab/bpflab/vm/engine"
	"github.com/bpflab/bpflab/vm/replay"
)

// rejected returns the programs of an object that the verifier rejects, and
// the reports.
func rejected(t testing.TB, name string) (programs []*verifier.Program, reports []*verifier.Report) {
	t.Helper()
	f, err := os.Open("../../testdata/verifier/reports/" + name + ".o")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	obj, err := object.Read(f, object.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range obj.Programs {
		l, err := obj.Link(obj.Programs[i].Name)
		if err != nil {
			t.Fatal(err)
		}
		p := verifier.ProgramsOf(l)[0]
		_, r := verifier.Verify(p, verifier.Options{Steps: 20_000})
		if r == nil {
			t.Fatalf("%s: accepted", p.Name)
		}
		programs, reports = append(programs, p), append(reports, r)
	}
	return programs, reports
}

// TestWitness looks for witnesses against programs with known mistakes, and
// runs those found once more.
func TestWitness(t *testing.T) {
	want := map[string]bool{
		"variable_header": true, "wrong_branch": true, "options": true, "in_function": true, "size_argument": true,
		"signed_index": true, "index_off_by_one": true, "unchecked_lookup": true, "checked_the_other": true,
		"stale_pointer": false, // the machine does not move the packet
		"end_moved":     false, // a rule of the verifier's alone, as those below
		"lost_record":   false, "truncated_pointer": false, "explosion": false,
	}
	for _, name := range []string{"packet", "maps"} {
		programs, reports := rejected(t, name)
		for i, p := range programs {
			w := replay.Witness(p, reports[i], 0)
			if found, ok := want[p.Name]; !ok || w.Found != found {
				t.Errorf("%s: %+v", p.Name, w)
				continue
			}
			if again := replay.Witness(p, reports[i], 0); !reflect.DeepEqual(w, again) {
				t.Errorf("%s: another search finds %+v instead of %+v", p.Name, again, w)
			}
			if w.Found && w.Setup == "" {
				fault := runWitness(t, p, w.Packet)
				if fault == nil || fault.Index != w.Slot || fault.Msg != w.Fault {
					t.Errorf("%s: %v, the witness says %q at %d", p.Name, fault, w.Fault, w.Slot)
				}
			}
			if !w.Found && w.Note == "" {
				t.Errorf("%s: not said why there is none", p.Name)
			}
		}
	}
}

// TestWitnessIsSimple checks that what does not matter is left out of a long
// packet, and of the long value of a map.
func TestWitnessIsSimple(t *testing.T) {
	w := witnessOf(t, "", `
	r2 = *(u32 *)(r1 +0)
	r3 = *(u32 *)(r1 +4)
	r4 = r2
	r4 += 1000
	r0 = 2
	if r4 > r3 goto out
	r5 = *(u8 *)(r2 +500)
	if r5 != 7 goto out
	r5 = *(u8 *)(r2 +1200)
out:	exit`)
	want := make([]byte, len(w.Packet))
	if len(want) > 500 {
		want[500] = 7
	}
	if !w.Found || !bytes.Equal(w.Packet, want) {
		t.Errorf("%+v", w)
	}
	w = witnessOf(t, "map big hash 4 2000 100", `
	*(u32 *)(r10 -4) = 3
	r2 = r10
	r2 += -4
	r1 = map[big]
	call bpf_map_lookup_elem#1
	if r0 == 0 goto out
	r6 = *(u32 *)(r0 +1600)
	r0 += r6
	r0 = *(u8 *)(r0 +0)
out:	r0 = 2
	exit`)
	if !w.Found || !regexp.MustCompile(`^with big\[03000000\] = \(00 × 160\d\)[0-9a-f]{2}(00)*\(00 × 39\d\)$`).MatchString(w.Setup) {
		t.Errorf("%+v", w)
	}
}

// TestWitnessContext checks that fields of the context that do not matter are
// left out.
func TestWitnessContext(t *testing.T) {
	w := witnessOf(t, "type sched_cls", `
	r6 = *(u32 *)(r1 +8)
	r7 = *(u32 *)(r1 +12)
	r8 = *(u32 *)(r1 +32)
	r9 = *(u32 *)(r1 +44)
	r2 = *(u32 *)(r1 +76)
	r0 = 2
	if r6 != 77 goto out
	r0 = *(u8 *)(r2 +0)
out:	exit`)
	if !w.Found || w.Setup != "with mark = 77" {
		t.Errorf("%+v", w)
	}
}

// TestWitnessOfLongRun checks that a run that ends is no witness of a loop that
// does not, however long it is.
func TestWitnessOfLongRun(t *testing.T) {
	w := witnessOf(t, "", `
	r6 = *(u32 *)(r1 +12)
	r7 = 0
round:	r7 += 1
	if r7 < 40000 goto round
	r0 = 2
endless:	if r6 == 5 goto endless
	exit`)
	if w.Found && !strings.Contains(w.Setup, "ingress_ifindex = 5") {
		t.Errorf("%+v", w)
	}
}

// TestWitnessOfHugeMaps checks that maps do not take time and memory by their
// say-so.
func TestWitnessOfHugeMaps(t *testing.T) {
	if w := witnessOf(t, "map huge hash 4 100000000 100", `
	*(u32 *)(r10 -4) = 3
	r2 = r10
	r2 += -4
	r1 = map[huge]
	call bpf_map_lookup_elem#1
	if r0 == 0 goto out
	r6 = *(u32 *)(r0 +1600)
	r0 += r6
	r0 = *(u8 *)(r0 +0)
out:	r0 = 2
	exit`); w.Found {
		t.Errorf("%+v", w)
	}
}

func witnessOf(t *testing.T, maps, text string) *verifier.Witness {
	t.Helper()
	list, err := programs.Parse(t.Name(), "program test\ntype xdp\n"+maps+text+"\n")
	if err != nil {
		t.Fatal(err)
	}
	p := &verifier.Program{Type: list[0].Type, Insns: list[0].Insns, Maps: list[0].Maps}
	_, r := verifier.Verify(p, verifier.Options{})
	if r == nil {
		t.Fatal("accepted")
	}
	return replay.Witness(p, r, 0)
}

func runWitness(t *testing.T, p *verifier.Program, packet []byte) *vm.Fault {
	t.Helper()
	m, err := vm.Load(vm.Collection{Programs: []vm.Program{{Type: p.Type, Insns: p.Insns, Absent: p.Absent}}, Maps: p.Maps}, vm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	in := capture.Packet{Data: packet, WireLen: uint32(len(packet)), LinkType: cbpf.LinkEthernet}
	var out [1]engine.Result
	if err := m.Run([]engine.Packet{in.Engine()}, out[:]); err != nil {
		t.Fatal(err)
	}
	var fault *vm.Fault
	errors.As(out[0].Fault, &fault)
	return fault
}

func BenchmarkWitness(b *testing.B) {
	programs, reports := rejected(b, "packet")
	for i, p := range programs {
		b.Run(p.Name, func(b *testing.B) {
			for b.Loop() {
				replay.Witness(p, reports[i], 0)
			}
		})
	}
}
