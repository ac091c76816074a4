package vm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm/arena"
	"github.com/bpflab/bpflab/vm/maps"
)

// A Program is one program of a machine. Its references to maps
// ([ebpf.WideMapFD] and the others) are indexes into the maps of its
// [Collection].
type Program struct {
	Name  string
	Type  abi.ProgType
	Insns []ebpf.Instruction

	// Absent says, by slot, what calls are of functions that are not there,
	// which the program finds out before it calls them: reaching one is a
	// fault with that text.
	Absent map[int]string

	proof       *verifier.Proof // see LoadProved
	contextSize int             // that it was proved for
}

// A Collection is what a machine is made of: programs that may call each other
// by tail calls, and maps that they share.
type Collection struct {
	Programs []Program     // the first is the one that runs, until [Machine.Select]
	Maps     []abi.MapSpec // a map of maps stands behind the maps that it names
}

// A program is a Program as the machine has it: its instructions start at an
// index of Machine.prog and Machine.ops.
type program struct {
	name       string
	typ        abi.ProgType
	start, end int
	needs      int // bytes of a context that is bytes, by the program's proof
}

// New makes a machine for one program of the given type. The program is
// validated ([ebpf.Validate]) but not verified: the machine runs in checked
// mode, where every access is checked as it happens. The error is an
// [*ebpf.Error] if it is about an instruction: an invalid one, or one that
// this machine does not support.
func New(t abi.ProgType, prog []ebpf.Instruction, o Options) (*Machine, error) {
	return Load(Collection{Programs: []Program{{Type: t, Insns: prog}}}, o)
}

// A ProgramError is the refusal of a program of a collection that has a name.
type ProgramError struct {
	Program string
	Err     error // an [*ebpf.Error] if it is about an instruction
}

func (e *ProgramError) Error() string { return fmt.Sprintf("program %q: %v", e.Program, e.Err) }

// Unwrap returns what is wrong with the program.
func (e *ProgramError) Unwrap() error { return e.Err }

func inProgram(name string, err error) error {
	if name == "" {
		return err
	}
	return &ProgramError{name, err}
}

// Load makes a machine for several programs. The error is as that of [New], in
// a [*ProgramError] if it is about a program that has a name.
func Load(c Collection, o Options) (_ *Machine, err error) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		return nil, errors.New("the eBPF machine needs a little-endian host")
	}
	if len(c.Programs) == 0 {
		return nil, errors.New("there is no program to run")
	}
	m := newMachine(c, o)
	if m.mem, err = arena.New(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.mem.Close())
		}
	}()
	if err := m.allocate(); err != nil {
		return nil, err
	}
	if err := m.makeMaps(); err != nil {
		return nil, err
	}
	if err := m.addPrograms(); err != nil {
		return nil, err
	}
	return m, nil
}

// newMachine makes a machine without memory. Its programs are known by number
// from the start, because program arrays hold them.
func newMachine(c Collection, o Options) *Machine {
	m := &Machine{o: o.withDefaults(), collection: c, targets: map[int]bool{}, generator: rand.New(rand.NewPCG(0, 0))}
	for _, p := range c.Programs {
		m.programs = append(m.programs, program{name: p.Name, typ: p.Type})
	}
	m.note, m.drainOne = m.noteElement, m.drained
	return m
}

// makeMaps makes the maps of the collection.
func (m *Machine) makeMaps() (err error) {
	if m.set, err = maps.NewSet(m.mem, m.o.CPUs); err != nil {
		return err
	}
	m.set.Program, m.set.CheckProgram = m.findProgram, m.checkProgram
	for i := range m.collection.Maps {
		mp, err := m.set.New(&m.collection.Maps[i])
		if err != nil {
			return err
		}
		m.mapsOf = append(m.mapsOf, mp)
	}
	return nil
}

// addPrograms makes the machine ready to run, whose maps are there.
func (m *Machine) addPrograms() error {
	m.headers = uint64(m.set.Headers())
	if err := m.allocateKeys(); err != nil {
		return err
	}
	for i, p := range m.collection.Programs {
		if err := m.add(&m.programs[i], p); err != nil {
			return inProgram(p.Name, err)
		}
	}
	m.enterAt(&m.programs[0])
	return nil
}

// allocateKeys makes room for the keys that callbacks for elements of maps get
// pointers to.
func (m *Machine) allocateKeys() (err error) {
	for i := range m.collection.Maps {
		for s := &m.collection.Maps[i]; s != nil; s = s.Inner {
			m.keyRoom = max(m.keyRoom, (uint64(s.KeySize)+7)&^7)
		}
	}
	if m.keyRoom == 0 {
		return nil
	}
	size := maxFrames * m.keyRoom
	if m.keys, err = m.mem.Alloc(size); err != nil {
		return err
	}
	start := uint64(m.keys)
	m.own(&values{name: "a key of a map", start: start, end: start + size, stride: m.keyRoom, size: m.keyRoom, may: [2]bool{read: true}})
	return nil
}

// Maps returns the maps of the machine: those of its collection have the ids
// from 1 on. They may be used between runs, and others made.
func (m *Machine) Maps() *maps.Set { return m.set }

// add puts a program behind those that are there.
func (m *Machine) add(to *program, p Program) error {
	if abi.ContextOf(p.Type) == nil && !p.Type.HasByteContext() {
		return fmt.Errorf("programs of type %v are not supported", p.Type)
	}
	if err := ebpf.Validate(p.Insns); err != nil {
		return err
	}
	if p.Type == abi.FlowDissector {
		if err := m.allocateFlowKeys(); err != nil {
			return err
		}
	}
	start := len(m.prog)
	m.prog = append(m.prog, p.Insns...)
	to.start, to.end = start, len(m.prog)
	if p.proof != nil && p.Type.HasByteContext() {
		to.needs = p.contextSize
	}
	m.usesStack = m.usesStack || slices.ContainsFunc(p.Insns, usesStack)
	return m.decode(p, start)
}

// usesStack reports whether an instruction can lead to the stack.
func usesStack(ins ebpf.Instruction) bool { return ins.Dst == ebpf.R10 || ins.Src == ebpf.R10 }

// allocate lays out the machine's memory: context, stack, packet.
func (m *Machine) allocate() (err error) {
	if err := m.allocateContext(); err != nil {
		return err
	}
	stack, err := m.mem.Alloc(maxFrames * stackSize)
	if err != nil {
		return err
	}
	m.stackTop = stack + maxFrames*stackSize
	return m.growPacket(0)
}

// Select makes Run run the program with that name.
func (m *Machine) Select(name string) error {
	i := slices.IndexFunc(m.programs, func(p program) bool { return p.name == name })
	if i < 0 {
		return fmt.Errorf("there is no program %q", name)
	}
	m.enterAt(&m.programs[i])
	return nil
}

// enterAt prepares runs that start with a program.
func (m *Machine) enterAt(p *program) {
	context := abi.ContextOf(p.typ)
	m.fromNetwork = p.typ.FromNetwork()
	m.entry, m.ctx, m.ctxAccess = p, m.ctxMemory, nil
	if m.skb = context == &abi.SKBuff; context != nil {
		m.ctxAccess = contextAccess(p.typ, context)
	}
	m.window = [2]window{}
}

// programAt returns the program that an instruction belongs to.
func (m *Machine) programAt(index int) *program {
	for i := range m.programs {
		if index < m.programs[i].end {
			return &m.programs[i]
		}
	}
	return m.entry
}
