package replay_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/lift"
	"github.com/bpflab/bpflab/jit"
	"github.com/bpflab/bpflab/testdata/captures"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/capture"
	"github.com/bpflab/bpflab/vm/engine"
	"github.com/bpflab/bpflab/vm/replay"
)

// A maker makes an engine for packets of a link type.
type maker func(cbpf.LinkType) (engine.Engine, error)

func expression(expr string) maker {
	return func(link cbpf.LinkType) (engine.Engine, error) {
		p, err := filter.Compile(expr, filter.Options{LinkType: link})
		if err != nil {
			return nil, err
		}
		return vm.NewClassic(p.Insns, vm.Options{})
	}
}

// program is a classic program as it stands, which runs at most so many
// instructions (0: all).
func program(text string, budget uint64) maker {
	return func(cbpf.LinkType) (engine.Engine, error) {
		prog, err := cbpf.Parse([]byte(text), cbpf.FormatAsm)
		if err != nil {
			return nil, err
		}
		return vm.NewClassic(prog, vm.Options{Budget: budget})
	}
}

// lifted runs on an engine that is no [engine.Filter].
func lifted(expr string) maker {
	return func(link cbpf.LinkType) (engine.Engine, error) {
		p, err := filter.Compile(expr, filter.Options{LinkType: link})
		if err != nil {
			return nil, err
		}
		l, err := lift.Lift(p.Insns, lift.Options{Hook: abi.HookSocket, Access: lift.Abs})
		if err != nil {
			return nil, err
		}
		return vm.New(l.Type, l.Insns, vm.Options{})
	}
}

// compiled is machine code, or where there is none what lifted makes.
func compiled(expr string) maker {
	if jit.Supported() != nil {
		return lifted(expr)
	}
	return func(link cbpf.LinkType) (engine.Engine, error) {
		p, err := filter.Compile(expr, filter.Options{LinkType: link})
		if err != nil {
			return nil, err
		}
		l, err := lift.Lift(p.Insns, lift.Options{Hook: abi.HookSocket, Access: lift.Abs})
		if err != nil {
			return nil, err
		}
		proof, report := verifier.Verify(&verifier.Program{Type: l.Type, Insns: l.Insns}, verifier.Options{})
		if report != nil {
			return nil, report
		}
		return jit.New(vm.Options{}, proof)
	}
}

var filterCases = []struct {
	name string
	make maker
}{
	{"everything", expression("")},
	{"ip or ip6", expression("ip or ip6")},
	{"tcp port 80", expression("tcp port 80")},
	{"greater 100", expression("greater 100")},
	{"nothing", expression("less 1")},
	{"interface", program("ld #ifidx\njeq #2, yes\nret #0\nyes: ret #1", 0)},
	{"protocol", program("ldb [0]\njset #1, done\nld #proto\nret a\ndone: ret #0", 0)},
	{"network header", program("ldx #0xfff00000\nldb [x + 9]\njeq #6, yes\nret #0\nyes: ret #1", 0)},
	{"now and then a fault", program("ldb [23]\njeq #17, more\nret #1\nmore: ld #1\nld #2\nret #2", 4)},
	{"always a fault", program("ld #1\nret a", 1)},
	{"not a filter", lifted("udp or arp")},
	{"machine code", compiled("tcp port 80 or ip6 protochain 17 or len > 200")},
}

func committed(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("../../testdata/captures/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// outcome is what a replay came to: a line for each match, and the error.
type outcome struct {
	matches []string
	err     error
}

func (o *outcome) add(number int, p *capture.Packet) {
	o.matches = append(o.matches, fmt.Sprintf("%d: %d %x of %d on %d, %v, %q", number, p.Time, p.Data, p.WireLen, p.Interface, p.LinkType, p.Options.Comments()))
}

// byRun is the outcome to compare with: that of all packets with their metadata.
func byRun(r *capture.Reader, make maker) (o outcome) {
	made := engineCache(make)
	o.err = replay.Run(r, func(link cbpf.LinkType) ([]engine.Engine, error) {
		e, err := made(link)
		return []engine.Engine{e}, err
	}, func(number int, p *capture.Packet, results []engine.Result) error {
		if results[0].Fault != nil {
			return fmt.Errorf("packet %d: %w", number, results[0].Fault)
		}
		if results[0].Return != 0 {
			o.add(number, p)
		}
		return nil
	})
	return o
}

func byFilter(r *capture.Reader, make maker, workers int) (o outcome) {
	o.err = replay.Filter(r, team(make, workers), each(func(m replay.Match) error {
		o.add(m.Number, m.Packet())
		return nil
	}), nil)
	return o
}

// each visits one match after another.
func each(visit func(replay.Match) error) func(*replay.Matches) error {
	return func(matches *replay.Matches) error {
		for m := range matches.All() {
			if err := visit(m); err != nil {
				return err
			}
		}
		return nil
	}
}

func team(make maker, n int) (workers []replay.EngineFor) {
	for range n {
		workers = append(workers, engineCache(make))
	}
	return workers
}

func engineCache(make maker) replay.EngineFor {
	made := map[cbpf.LinkType]engine.Engine{}
	return func(link cbpf.LinkType) (e engine.Engine, err error) {
		if made[link] == nil {
			made[link], err = make(link)
		}
		return made[link], err
	}
}

// chunks gives up to n bytes at a time, as a pipe may.
type chunks struct {
	src io.Reader
	n   int
}

func (c chunks) Read(b []byte) (int, error) { return c.src.Read(b[:min(len(b), c.n)]) }

// TestFilterIsRun compares the two ways on all captures, damaged ones included,
// by one worker and by several.
func TestFilterIsRun(t *testing.T) {
	for _, f := range captures.Files() {
		open := func(n int) *capture.Reader {
			var src io.Reader = bytes.NewReader(f.Data) // which can be read like a file
			if n > 0 {
				src = chunks{src, n}
			}
			r, err := capture.NewReader(src)
			if err != nil {
				return nil
			}
			return r
		}
		if open(1000) == nil {
			continue
		}
		for _, c := range filterCases {
			want := byRun(open(1<<20), c.make)
			for _, workers := range []int{1, 2, 5} {
				for _, n := range []int{0, 700, 1 << 20} {
					got := byFilter(open(n), c.make, workers)
					if !slices.Equal(got.matches, want.matches) || fmt.Sprint(got.err) != fmt.Sprint(want.err) {
						t.Errorf("%s, %s, %d workers, %d bytes at a time: %d matches and %v, want %d and %v",
							f.Name, c.name, workers, n, len(got.matches), got.err, len(want.matches), want.err)
					}
				}
			}
		}
	}
}

// TestFilterErrors: the first error ends it, after the matches before.
func TestFilterErrors(t *testing.T) {
	broken := errors.New("broken")
	file := committed(t, "mixed.pcap")
	badEngine := func(cbpf.LinkType) (engine.Engine, error) { return &failing{sum{name: "bad"}}, nil }
	noEngine := func(cbpf.LinkType) (engine.Engine, error) { return nil, broken }
	for _, workers := range []int{1, 3} {
		for _, c := range []struct {
			name    string
			make    maker
			visit   func(n int) error
			idle    func() error
			visited int // -1: depends
			err     string
		}{
			{"visitor stops", expression(""), stopAt(7, replay.ErrStop), nil, 7, ""},
			{"visitor fails", expression(""), stopAt(7, broken), nil, 7, "broken"},
			{"visitor returns EOF", expression(""), stopAt(7, io.EOF), nil, 7, "EOF"},
			{"idle fails", expression(""), stopAt(0, nil), func() error { return broken }, -1, "broken"},
			{"engine fails", badEngine, stopAt(0, nil), nil, 0, "engine bad, packets 1 to "},
			{"no engine", noEngine, stopAt(0, nil), nil, 0, "broken"},
		} {
			r, err := capture.NewReader(chunks{bytes.NewReader(file), 500})
			if err != nil {
				t.Fatal(err)
			}
			visited := 0
			err = replay.Filter(r, team(c.make, workers), each(func(replay.Match) error {
				visited++
				return c.visit(visited)
			}), c.idle)
			if c.visited >= 0 && visited != c.visited || (err == nil) != (c.err == "") || err != nil && !strings.HasPrefix(err.Error(), c.err) {
				t.Errorf("%s, %d workers: visited %d, %v", c.name, workers, visited, err)
			}
		}
	}
}

func stopAt(n int, err error) func(int) error {
	return func(i int) error {
		if i == n {
			return err
		}
		return nil
	}
}

// TestFilterOfALiveSource feeds a packet at a time, and the next only after the
// visitor has had its output handed over; then the visitor stops, in the
// middle of a read.
func TestFilterOfALiveSource(t *testing.T) {
	for _, workers := range []int{1, 3} {
		in, feed := io.Pipe()
		handedOver := make(chan int)
		done := make(chan error)
		go func() {
			r, err := capture.NewReader(in)
			if err != nil {
				done <- err
				return
			}
			seen, told := 0, 0
			idle := func() error {
				if seen > told {
					told = seen
					handedOver <- seen
				}
				return nil
			}
			done <- replay.Filter(r, team(expression(""), workers), each(func(m replay.Match) error {
				if seen = m.Number; seen == 5 {
					return replay.ErrStop
				}
				return nil
			}), idle)
		}()
		file := committed(t, "raw.pcap")
		end := 24
		feed.Write(file[:end])
		for n := 1; n <= 5; n++ {
			start := end
			end += 16 + int(file[start+8]) + int(file[start+9])<<8
			feed.Write(file[start:end])
			if n == 5 {
				break
			}
			select {
			case got := <-handedOver:
				if got != n {
					t.Fatalf("%d workers: packet %d was handed over after %d had come", workers, got, n)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("%d workers: packet %d is held back", workers, n)
			}
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		feed.Close()
	}
}

// TestFilterAllocatesNothing per packet, with any number of workers.
func TestFilterAllocatesNothing(t *testing.T) {
	one := committed(t, "mixed.pcap")
	for _, workers := range []int{1, 2} {
		allocations := func(repeat int) float64 {
			file := append(bytes.Clone(one), bytes.Repeat(one[24:], repeat)...)
			return testing.AllocsPerRun(1, func() {
				r, err := capture.NewReader(bytes.NewReader(file))
				if err != nil {
					t.Fatal(err)
				}
				if err := replay.Filter(r, team(program("ret #1", 0), workers), func(*replay.Matches) error { return nil }, nil); err != nil {
					t.Fatal(err)
				}
			})
		}
		packets := float64((len(one)-24)*90) / 200 // at least
		if short, long := allocations(10), allocations(100); long-short > packets/50 {
			t.Errorf("%d workers: %v allocations, %v for a tenth", workers, long, short)
		}
	}
}
