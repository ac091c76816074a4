package cbpf_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/testdata/programs"
)

// numbered is a packet whose bytes are their own offsets.
func numbered(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i)
	}
	return p
}

// What programs return where machines differ, and at the edges. The values are
// the Linux kernel's; the tests that ask it are in the files for Linux.
func TestRun(t *testing.T) {
	link := &cbpf.Metadata{HasLink: true, LinkOffset: 2, NetworkOffset: 16}
	for _, c := range []struct {
		name, program string
		meta          *cbpf.Metadata
		want          uint32
	}{
		{"shift by X is masked", "ldx #33\nld #1\nlsh x\nret a", nil, 2},
		{"right shift by X is masked", "ldx #33\nld #64\nrsh x\nret a", nil, 32},
		{"division by X = 0 returns 0", "ld #7\ndiv x\nret #1", nil, 0},
		{"remainder by X = 0 returns 0", "ld #7\nmod x\nret #1", nil, 0},
		{"division is unsigned", "ld #-1\ndiv #2\nret a", nil, 0x7fffffff},
		{"neg", "ld #5\nneg\nret a", nil, 0xfffffffb},
		{"A and X start as 0", "add x\nadd #3\nret a", nil, 3},
		{"jset", "ld #6\njset #1, no\nret #9\nno: ret #0", nil, 9},
		{"jgt is unsigned", "ld #-1\njgt #5, yes\nret #0\nyes: ret #1", nil, 1},
		{"last byte", "ldb [99]\nret a", nil, 99},
		{"one past the end", "ldb [100]\nret #5", nil, 0},
		{"last half", "ldh [98]\nret a", nil, 0x6263},
		{"half past the end", "ldh [99]\nret #5", nil, 0},
		{"last word", "ld [96]\nret a", nil, 0x60616263},
		{"word past the end", "ld [97]\nret #5", nil, 0},
		{"largest offset", "ld [0x7fffffff]\nret #5", nil, 0},
		{"X+k wraps", "ldx #0xffffffff\nldb [x + 11]\nret a", nil, 10},
		{"X+k with negative k", "ldx #10\nldb [x + -2]\nret a", nil, 8},
		{"X+k past the end", "ldx #99\nldh [x + 0]\nret #5", nil, 0},
		{"msh", "ldx 4*([27]&0xf)\ntxa\nret a", nil, 44},
		{"msh past the end", "ldx 4*([100]&0xf)\nret #5", nil, 0},
		{"length on the wire", "ld #len\nret a", nil, 150},
		{"length on the wire in X", "ldx #len\ntxa\nret a", nil, 150},
		{"network header", "ldb [-1048576]\nret a", link, 16},
		{"network header by X", "ldx #-1\nldh [x + -1048575]\nret a", link, 0x1011},
		{"network header's msh", "ldx 4*([-1048575]&0xf)\ntxa\nret a", link, 4},
		{"network header, past the end", "ld [-1048495]\nret #1", link, 0},
		{"link header", "ld [-2097152]\nret a", link, 0x02030405},
		{"link header, none", "ld [-2097152]\nret #1", nil, 0},
		{"below the link header", "ld [-2097153]\nret #1", link, 0},
		{"before the packet", "ld [-2097152]\nret #1", &cbpf.Metadata{HasLink: true, LinkOffset: -14}, 0},
		{"one before the packet", "ldb [-2097152]\nret #1", &cbpf.Metadata{HasLink: true, LinkOffset: -1}, 0},
		{"no device", "ld #7\nld #ifidx\nret #1", nil, 7},
		{"no device, no type", "ld #7\nld #hatype\nret #1", nil, 7},
		{"interface", "ld #ifidx\nret a", &cbpf.Metadata{HasDevice: true, IfIndex: 70000}, 70000},
		{"xor_x", "ldx #5\nld #6\nld [0xfffff028]\nret a", nil, 3},
		{"packet type has three bits", "ldb #type\nret a", &cbpf.Metadata{PacketType: 12}, 4},
		{"queue", "ldh #queue\nret a", &cbpf.Metadata{Queue: 300}, 300},
		{"hash", "ld #rxhash\nret a", &cbpf.Metadata{RxHash: 0x87654321}, 0x87654321},
		{"tag", "ld #vlan_tci\nret a", &cbpf.Metadata{VLANTCI: 0xe00a}, 0xe00a},
		{"random", "ld #rand\nret a", nil, 4},
	} {
		m, err := cbpf.New(assemble(t, c.program))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		m.Random = func() uint32 { return 4 }
		if have, err := m.Run(numbered(100), 150, c.meta); err != nil || have != c.want {
			t.Errorf("%s: returns %#x (%v), want %#x", c.name, have, err, c.want)
		}
	}
}

// RunBytes gives what Run does with any metadata, or reports false.
func TestRunBytes(t *testing.T) {
	meta := &cbpf.Metadata{HasDevice: true, IfIndex: 3, Mark: 7, HasLink: true, NetworkOffset: 14}
	for _, c := range []struct {
		program string
		ok      bool
	}{
		{"ld [96]\nret a", true},
		{"ld [97]\nret #5", true},
		{"ldx #90\nldh [x + 9]\nret #5", true},
		{"ld #len\nret a", true},
		{"ldx #0x70000000\nldb [x + 0x70000000]\nret #5", true}, // fails whatever the headers
		{"ld [-1048576]\nret a", false},
		{"ld [-2097152]\nret a", false},
		{"ldx 4*([-1048575]&0xf)\ntxa\nret a", false},
		{"ldx #-1\nldh [x + -1048575]\nret a", false},
		{"ldx #-1048576\nldh [x + 0]\njeq #5, no\nret #1\nno: ret #0", false},
		{"ld #mark\nret a", false},
		{"ld #ifidx\nret a", false},
	} {
		m, err := cbpf.New(assemble(t, c.program))
		if err != nil {
			t.Fatal(err)
		}
		want, _ := m.Run(numbered(100), 150, meta)
		have, ok := m.RunBytes(numbered(100), 150)
		if ok != c.ok || ok && have != want {
			t.Errorf("%q: %d, %t; want %d, %t", c.program, have, ok, want, c.ok)
		}
	}
	m, err := cbpf.New(assemble(t, "ld #1\nret a"))
	if err != nil {
		t.Fatal(err)
	}
	m.Budget = 1
	if _, ok := m.RunBytes(nil, 0); ok {
		t.Error("a budget was exceeded unnoticed")
	}
}

// A run with a budget is the run without one, or stops where the budget ends.
func TestBudget(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 8))
	for range 300 {
		m, err := cbpf.New(programs.Random(r, programs.Options{}))
		if err != nil {
			t.Fatal(err)
		}
		packet := programs.Packet(r)
		want, err := m.Run(packet, 9, nil)
		if err != nil {
			t.Fatal(err)
		}
		executed := m.Executed()
		for m.Budget = 1; m.Budget < executed+2; m.Budget++ {
			have, err := m.Run(packet, 9, nil)
			var e *cbpf.BudgetError
			switch {
			case m.Budget < executed && (!errors.As(err, &e) || have != 0 || m.Executed() != m.Budget || e.Budget != m.Budget):
				t.Fatalf("budget %d of %d: %d, %v after %d instructions", m.Budget, executed, have, err, m.Executed())
			case m.Budget >= executed && (err != nil || have != want || m.Executed() != executed):
				t.Fatalf("budget %d of %d: %d, %v", m.Budget, executed, have, err)
			}
		}
	}
}

// A jump into the middle of a pair that is run in one step, and the count of
// instructions over such pairs.
func TestExecuted(t *testing.T) {
	m, err := cbpf.New(assemble(t, `
		ld #2
		jeq #2, in
		ldb [3]
	in:	jeq #2, yes
		ret #0
	yes:	ldb [7]
		jeq #7, done
		ret #0
	done:	ret #1`))
	if err != nil {
		t.Fatal(err)
	}
	if ret, err := m.Run(numbered(10), 10, nil); ret != 1 || err != nil || m.Executed() != 6 {
		t.Errorf("returns %d, %v after %d instructions", ret, err, m.Executed())
	}
}

// The machine takes programs longer than the kernel does.
func TestLongProgram(t *testing.T) {
	prog := make([]bpf.RawInstruction, 100_000)
	for i := range prog {
		prog[i] = bpf.RawInstruction{Op: cbpf.ClassALU | cbpf.ADD, K: 1}
	}
	prog[0] = bpf.RawInstruction{Op: cbpf.ClassJMP | cbpf.JA, K: 70_000}
	prog[len(prog)-1] = bpf.RawInstruction{Op: cbpf.ClassRET | cbpf.SrcA}
	m, err := cbpf.New(prog)
	if err != nil {
		t.Fatal(err)
	}
	if ret, err := m.Run(nil, 0, nil); ret != 29_998 || err != nil || m.Executed() != 30_000 {
		t.Errorf("returns %d, %v after %d instructions", ret, err, m.Executed())
	}
}

func TestRunAllocatesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 9))
	extensions := append([]uint32{cbpf.AdCPU, cbpf.AdRandom}, withoutDevice...)
	for range 50 {
		m, err := cbpf.New(programs.Random(r, programs.Options{Extensions: extensions, Headers: true}))
		if err != nil {
			t.Fatal(err)
		}
		packet := programs.Packet(r)
		if n := testing.AllocsPerRun(10, func() { _, _ = m.Run(packet, 1, nil) }); n != 0 {
			t.Fatalf("%v allocations a run", n)
		}
	}
}
