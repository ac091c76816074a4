package verifier_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter"
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/lift"
	"github.com/bpflab/bpflab/ebpf/object"
	"github.com/bpflab/bpflab/verifier"
)

// An ownProgram is a program under testdata/programs.
type ownProgram struct {
	*verifier.Program
	linked *object.Linked // it is the first program
	types  []byte         // BTF of its object
}

// ownPrograms are the programs under testdata/programs.
func ownPrograms(t testing.TB) []ownProgram {
	names, err := filepath.Glob("../testdata/programs/*.o")
	if err != nil || len(names) == 0 {
		t.Fatal("no objects", err)
	}
	var all []ownProgram
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		obj, err := object.Read(f, object.Options{})
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		for i := range obj.Programs {
			l, err := obj.Link(obj.Programs[i].Name)
			if err != nil {
				t.Fatal(err)
			}
			p := verifier.ProgramsOf(l)[0]
			p.Name = strings.TrimSuffix(filepath.Base(name), ".o") + "/" + p.Name
			all = append(all, ownProgram{p, l, obj.Types})
		}
	}
	return all
}

// TestOwnPrograms verifies the programs that the kernel is the referee of
// elsewhere.
func TestOwnPrograms(t *testing.T) {
	for _, p := range ownPrograms(t) {
		proof, report := verifier.Verify(p.Program, verifier.Options{})
		if report != nil {
			t.Errorf("%s: %+v (%+v)", p.Name, report, report.Stats)
			continue
		}
		t.Logf("%s: %d instructions, %+v", p.Name, len(p.Insns), proof.Stats())
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, p := range ownPrograms(b) {
		b.Run(p.Name, func(b *testing.B) {
			b.ReportAllocs()
			steps := 0
			for b.Loop() {
				proof, report := verifier.Verify(p.Program, verifier.Options{})
				if report != nil {
					b.Fatal(report)
				}
				steps = proof.Stats().Steps
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(steps), "ns/step")
			b.ReportMetric(float64(steps), "steps")
		})
	}
}

// BenchmarkFilter verifies everyday filters, lifted for XDP.
func BenchmarkFilter(b *testing.B) {
	for _, expr := range []string{"ip", "tcp port 80", "host 10.0.0.1 and not port 22", "icmp6 or (udp portrange 1000-2000)"} {
		classic, err := filter.Compile(expr, filter.Options{LinkType: cbpf.LinkEthernet})
		if err != nil {
			b.Fatal(err)
		}
		lifted, err := lift.Lift(classic.Insns, lift.Options{Hook: abi.HookXDP, Access: lift.Direct})
		if err != nil {
			b.Fatal(err)
		}
		p := &verifier.Program{Type: lifted.Type, Insns: lifted.Insns}
		b.Run(expr, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, report := verifier.Verify(p, verifier.Options{}); report != nil {
					b.Fatal(report)
				}
			}
			b.ReportMetric(float64(len(p.Insns)), "insns")
		})
	}
}

// TestConcurrently verifies all programs in several goroutines at a time:
// searches share nothing but spare memory.
func TestConcurrently(t *testing.T) {
	all := ownPrograms(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, p := range all {
				if _, report := verifier.Verify(p.Program, verifier.Options{}); report != nil {
					t.Errorf("%s: %v", p.Name, report)
				}
			}
		})
	}
	wg.Wait()
}

// TestAttachTypes verifies programs that the attach type of their section gives
// rights: packets behind a device map have an egress_ifindex.
func TestAttachTypes(t *testing.T) {
	insns, err := ebpf.Assemble("r0 = *(u32 *)(r1 +20)\nexit")
	if err != nil {
		t.Fatal(err)
	}
	const xdp, devMap = 37, 33 // BPF_XDP, BPF_XDP_DEVMAP
	for attach, want := range map[uint32]bool{xdp: false, devMap: true} {
		p := &object.Program{Type: abi.XDP, AttachType: attach}
		l := &object.Linked{Programs: []object.LinkedProgram{{Program: p, Insns: insns}}}
		if _, report := verifier.Verify(verifier.ProgramsOf(l)[0], verifier.Options{}); (report == nil) != want {
			t.Errorf("attach type %d: %v", attach, report)
		}
	}
}
