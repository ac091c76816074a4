package replay_test

import (
	"errors"
	"os"
	"reflect"
	"testing"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/ebpf/object"
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
