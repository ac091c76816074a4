package verifier_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	programs "github.com/bpflab/bpflab/testdata/verifier"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

var (
	verdicts = flag.Int("verdicts", 50_000, "how many random programs are compared with the kernel's verifier")
	seed     = flag.Uint64("seed", 2026, "seed of the random programs")
	show     = flag.Int("show", 0, "how many programs are shown of each class of differences")
)

// A difference is a class of programs about which the kernel and we disagree.
type difference struct {
	class   string // who accepts, and the other's reason
	count   int
	bad     bool // a program that was accepted does harm
	unknown bool // not one of the classes that are known
	shown   []string
}

// A comparison collects the verdicts on random programs.
type comparison struct {
	sync.Mutex
	*referee
	corpus                []*verifier.Program
	compared, both, ahead int // all; accepted by both; accepted here and not there
	behind                int // accepted there and not here
	differences           map[string]*difference
}

// TestVerdictsAgainstKernel compares verdicts on random programs and on
// mutations of real ones. A program that is accepted here and not by the
// kernel must do no harm when it runs with every access checked, and be of a
// class where the kernel is known to be the less precise one, save for one in
// 5000, which are printed to be looked at: numbers can be known better in more
// ways than there are classes. What the kernel accepts is rejected here for not
// more than one program in 200.
func TestVerdictsAgainstKernel(t *testing.T) {
	c := &comparison{referee: newReferee(t), corpus: corpus(t), differences: map[string]*difference{}}
	n := *verdicts
	if testing.Short() {
		n /= 20
	}
	workers := runtime.GOMAXPROCS(0)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				c.judge(t, i)
			}
		})
	}
	wg.Wait()
	t.Logf("%d programs: %d accepted by both, %d only here, %d only by the kernel", c.compared, c.both, c.ahead, c.behind)
	unknown := 0
	byCount := slices.SortedFunc(maps.Values(c.differences), func(a, b *difference) int { return b.count - a.count })
	for _, d := range byCount {
		t.Logf("%6d %s", d.count, d.class)
		for _, text := range d.shown {
			t.Log(text)
		}
		if d.bad {
			t.Errorf("%d programs: %s", d.count, d.class)
		}
		if d.unknown {
			unknown += d.count
		}
	}
	if unknown*5000 > c.compared {
		t.Errorf("%d of %d programs are accepted here only, for reasons that are of no class", unknown, c.compared)
	}
	if c.behind*200 > c.compared {
		t.Errorf("%d of %d programs are rejected that the kernel accepts", c.behind, c.compared)
	}
	if c.both*5 < c.compared {
		t.Errorf("only %d of %d programs are safe: they test little", c.both, c.compared)
	}
}

// corpus are the programs that are mutated.
func corpus(t *testing.T) []*verifier.Program {
	t.Helper()
	var all []*verifier.Program
	for _, p := range slices.Concat(programs.Rejects(), programs.Accepts(), programs.Bugs()) {
		if slices.Contains(randomTypes, p.Type) && p.Code != int(verifier.TooComplex) && p.Kernel == "" {
			all = append(all, program(&p))
		}
	}
	for _, p := range ownPrograms(t) {
		if slices.Contains(randomTypes, p.Type) {
			all = append(all, p.Program)
		}
	}
	return all
}

// make writes program i.
func (c *comparison) program(i int) *verifier.Program {
	rnd := rand.New(rand.NewPCG(*seed, uint64(i)))
	for {
		var p *verifier.Program
		switch rnd.IntN(10) {
		case 0, 1, 2, 3, 4:
			p = randomProgram(rnd)
		case 5, 6:
			p = mutate(rnd, randomProgram(rnd))
		default:
			p = mutate(rnd, c.corpus[rnd.IntN(len(c.corpus))])
		}
		if ebpf.Validate(p.Insns) == nil {
			return p
		}
	}
}

// judge compares the verdicts on program i.
func (c *comparison) judge(t *testing.T, i int) {
	p := c.program(i)
	proof, report := verifier.Verify(p, verifier.Options{Steps: 200_000})
	if report != nil && slow(report) && i%20 != 0 {
		return
	}
	accepted, err := c.load(p, nil)
	if errors.Is(err, unix.ENOMEM) {
		return // the kernel is short of memory for the moment
	}
	if err != nil {
		t.Errorf("program %d: %v", i, err)
		return
	}
	c.Lock()
	c.compared++
	if accepted && proof != nil {
		c.both++
	}
	c.Unlock()
	switch {
	case proof != nil && !accepted:
		words := c.words(p)
		class, known := why(p, words)
		d := difference{class: "only here: " + class}
		if !known {
			d = difference{class: "only here, of no class: " + class, unknown: true}
		}
		if err := runs(p, i); err != nil {
			d = difference{class: "only here, AND IT FAULTS: " + err.Error(), bad: true}
		}
		c.add(d, i, p, words)
	case proof == nil && accepted:
		c.add(difference{class: fmt.Sprintf("only the kernel; here V%03d: %s", report.Code, numbers.ReplaceAllString(report.Message, "N"))}, i, p, report.Error())
	}
}

// slow reports whether a program was rejected for what takes the kernel, which
// goes on until its million of instructions is used up, seconds to find out.
func slow(r *verifier.Report) bool {
	return r.Code == verifier.TooComplex || r.Code == verifier.Unreleased && strings.Contains(r.Message, "references are held")
}

var numbers = regexp.MustCompile(`-?\b(0x[0-9a-f]+|\d+)\b`)

func (c *comparison) add(d difference, i int, p *verifier.Program, words string) {
	c.Lock()
	defer c.Unlock()
	if strings.HasPrefix(d.class, "only here") {
		c.ahead++
	} else {
		c.behind++
	}
	have := c.differences[d.class]
	if have == nil {
		have = &d
		c.differences[d.class] = have
	}
	have.count++
	if len(have.shown) < *show || d.unknown {
		have.shown = append(have.shown, fmt.Sprintf("program %d, %v: %s\n%s", i, p.Type, words, strings.Join(slotted(p.Insns), "\n")))
	}
}

func slotted(prog []ebpf.Instruction) []string {
	text := ebpf.Disassemble(prog)
	for i := range text {
		text[i] = fmt.Sprintf("%4d: %s", i, text[i])
	}
	return text
}

// sharper are the reasons for which programs are accepted here and not by the
// kernel: what it does not know about their instructions, Linux 6.18 at least.
// They are listed in docs/VERIFIER.md.
var sharper = []struct {
	class string
	what  func(ebpf.Instruction) bool
}{
	{"a register compared with itself", func(ins ebpf.Instruction) bool {
		return isConditional(ins) && ins.Op.Source() == ebpf.SourceX && ins.Dst == ins.Src
	}},
	{"arithmetic of a register with itself", func(ins ebpf.Instruction) bool {
		return isArithmetic(ins) && ins.Op.Source() == ebpf.SourceX && ins.Dst == ins.Src && ins.Op.Operation() != ebpf.Mov
	}},
	{"bounds of quotients and remainders", func(ins ebpf.Instruction) bool {
		return isArithmetic(ins) && (ins.Op.Operation() == ebpf.Div || ins.Op.Operation() == ebpf.Mod)
	}},
	{"how often bpf_loop calls", func(ins ebpf.Instruction) bool {
		return ins == ebpf.CallTo(abi.Loop)
	}},
	{"what a helper function returns", func(ins ebpf.Instruction) bool {
		if ins.Op != ebpf.ClassJMP|ebpf.Call || ins.Src != ebpf.CallHelper {
			return false
		}
		h := abi.HelperByID(ins.Imm)
		return h != nil && (h.Min != 0 || h.Max != 0)
	}},
	{"signs: shifts that keep them, moves and loads that extend them", func(ins ebpf.Instruction) bool {
		operation, class := ins.Op.Operation(), ins.Op.Class()
		return isArithmetic(ins) && (operation == ebpf.Arsh || operation == ebpf.Mov && ins.Off != 0) ||
			class == ebpf.ClassLDX && ins.Op.Mode() == ebpf.ModeMEMSX
	}},
	{"numbers that differ by much", func(ins ebpf.Instruction) bool {
		operation := ins.Op.Operation()
		return isArithmetic(ins) && ins.Op.Source() == ebpf.SourceK && (operation == ebpf.Add || operation == ebpf.Sub) && (ins.Imm > 1<<29 || ins.Imm < -1<<29)
	}},
	{"the width of a legacy load", func(ins ebpf.Instruction) bool {
		mode := ins.Op.Mode()
		return ins.Op.Class() == ebpf.ClassLD && (mode == ebpf.ModeABS || mode == ebpf.ModeIND)
	}},
	{"an atomic operation that replaces its own address", func(ins ebpf.Instruction) bool {
		if ins.Op.Class() != ebpf.ClassSTX || ins.Op.Mode() != ebpf.ModeATOMIC {
			return false
		}
		return ins.Imm == ebpf.AtomicCmpXchg && ins.Dst == ebpf.R0 || ins.Imm&ebpf.AtomicFetch != 0 && ins.Dst == ins.Src
	}},
	{"shifts of 32 bits by a register", func(ins ebpf.Instruction) bool {
		switch ins.Op.Operation() {
		case ebpf.Lsh, ebpf.Rsh, ebpf.Arsh:
			return ins.Op.Class() == ebpf.ClassALU && ins.Op.Source() == ebpf.SourceX
		}
		return false
	}},
	{"elements that arrays have", func(ins ebpf.Instruction) bool {
		return ins == ebpf.CallTo(abi.MapLookupElem)
	}},
}

// takesLength reports whether a program subtracts a packet pointer from the
// end of the packet, of which the kernel makes nothing.
func takesLength(p *verifier.Program) bool {
	proof, _ := verifier.Verify(p, verifier.Options{Steps: 200_000, Facts: true})
	if proof == nil {
		return false
	}
	for i, ins := range p.Insns {
		if ins.Op == ebpf.ClassALU64|ebpf.Sub|ebpf.SourceX && proof.Facts(i) != nil {
			known := proof.Facts(i).Registers
			if known[ins.Dst].Kind == verifier.PacketEnd && known[ins.Src].Kind == verifier.PacketPointer {
				return true
			}
		}
	}
	return false
}

// comparesWithNull reports whether a program compares a pointer with 0 of which
// the kernel does not say that it is never NULL (reg_not_null).
func comparesWithNull(p *verifier.Program) bool {
	proof, _ := verifier.Verify(p, verifier.Options{Steps: 200_000, Facts: true})
	if proof == nil {
		return false
	}
	for i, ins := range p.Insns {
		op := ins.Op.Operation()
		if !isConditional(ins) || op != ebpf.Jeq && op != ebpf.Jne || ins.Imm != 0 || proof.Facts(i) == nil {
			continue
		}
		switch proof.Facts(i).Registers[ins.Dst].Kind {
		case verifier.ContextPointer, verifier.StackPointer, verifier.PacketPointer, verifier.MetadataPointer, verifier.PacketEnd:
			return true
		}
	}
	return false
}

func isConditional(ins ebpf.Instruction) bool {
	switch ins.Op.Class() {
	case ebpf.ClassJMP, ebpf.ClassJMP32:
		switch ins.Op.Operation() {
		case ebpf.Ja, ebpf.Call, ebpf.Exit, ebpf.Jcond:
			return false
		}
		return true
	}
	return false
}

func isArithmetic(ins ebpf.Instruction) bool {
	return (ins.Op.Class() == ebpf.ClassALU || ins.Op.Class() == ebpf.ClassALU64) &&
		ins.Op.Operation() != ebpf.Endian && ins.Op.Operation() != ebpf.Neg
}

// why returns the class of a program that is accepted here only, or the
// kernel's reason, which then is not known to be a lack of precision.
func why(p *verifier.Program, words string) (class string, known bool) {
	if takesLength(p) {
		return "the packet's length", true
	}
	if comparesWithNull(p) {
		return "pointers to context, stack and packet are not NULL", true
	}
	for _, s := range sharper {
		if slices.ContainsFunc(p.Insns, s.what) {
			return s.class, true
		}
	}
	_, reason, ok := strings.Cut(words, " / ")
	if !ok {
		reason = words
	}
	return numbers.ReplaceAllString(reason, "N"), false
}

// runs runs a program that was accepted on some packets, every access checked.
func runs(p *verifier.Program, seed int) error {
	rnd := rand.New(rand.NewPCG(1, uint64(seed)))
	maps := slices.Clone(p.Maps)
	for i := range maps {
		maps[i].Contents = slices.DeleteFunc(slices.Clone(maps[i].Contents), func(e abi.MapElement) bool { return e.Name != "" })
	}
	m, err := vm.Load(vm.Collection{Programs: []vm.Program{{Type: p.Type, Insns: p.Insns}}, Maps: maps}, vm.Options{})
	if err != nil {
		return err
	}
	defer m.Close()
	packets := make([]engine.Packet, 1000)
	for i := range packets {
		data := make([]byte, 14+rnd.IntN(100))
		for j := range data {
			data[j] = byte(rnd.Uint32())
		}
		packets[i] = engine.Packet{Data: data, WireLen: uint32(len(data))}
	}
	out := make([]engine.Result, len(packets))
	if err := m.Run(packets, out); err != nil {
		return err
	}
	for i := range out {
		var fault *vm.Fault
		if errors.As(out[i].Fault, &fault) {
			return errors.New(numbers.ReplaceAllString(fault.Msg, "N"))
		}
	}
	return nil
}
