package kernel

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	cilium "github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/object"
)

// A Collection is maps in the kernel and the programs that use them. A map is
// made when the first program names it. A Collection must be closed, which
// closes its programs, too.
type Collection struct {
	// Log asks the kernel's verifier for its path through programs, to be
	// found in [Program.Log] or, for those that it refuses, in the
	// [*VerifierError].
	Log bool

	specs    []abi.MapSpec
	maps     []*cilium.Map // by index in specs, nil until a program names it
	types    *btf.Spec     // of the object, nil if there is none
	programs map[string]*Program
}

// NewCollection prepares for programs that share maps: those of
// [object.Linked]. types is the type information of the object that the
// programs come from, [object.Object.Types], or nil.
func NewCollection(maps []abi.MapSpec, types []byte) (*Collection, error) {
	c := &Collection{specs: maps, maps: make([]*cilium.Map, len(maps)), programs: map[string]*Program{}}
	if types == nil {
		return c, nil
	}
	var err error
	if c.types, err = btf.LoadSpecFromReader(bytes.NewReader(types)); err != nil {
		return nil, fmt.Errorf("the object's type information: %w", err)
	}
	return c, nil
}

// Close removes the programs and maps from the kernel.
func (c *Collection) Close() error {
	var errs []error
	for _, p := range c.programs {
		errs = append(errs, p.Close())
	}
	for _, m := range c.maps {
		if m != nil {
			errs = append(errs, m.Close())
		}
	}
	clear(c.programs)
	clear(c.maps)
	return errors.Join(errs...)
}

// Load loads a program, with the maps that it names. The statistics are also
// those of a program that the kernel's verifier refuses, for which the error is
// a [*VerifierError] with the verifier's message. Without Log the path to it is
// left out: a line for each of the instructions, of which there may be millions.
// A program of type Tracing names its tracepoint already here, and the error is
// an [*AttachError] if there is none.
func (c *Collection) Load(p *object.LinkedProgram) (*Program, Stats, error) {
	insns, err := c.withMaps(p)
	if err != nil {
		return nil, Stats{}, err
	}
	code, err := instructions(p.Name, insns)
	if err != nil {
		return nil, Stats{}, err
	}
	if err := c.describeFunctions(p, code); err != nil {
		return nil, Stats{}, err
	}
	attach := cilium.AttachType(p.AttachType)
	if attach == cilium.AttachNone {
		attach = attachType(p.Type)
	}
	loaded, log, err := newProgram(p.Name, &cilium.ProgramSpec{
		Type: cilium.ProgramType(p.Type), AttachType: attach, AttachTo: p.AttachTo, Flags: p.Flags,
		License: p.License, Instructions: code,
	}, c.logLevel())
	if err != nil {
		var refused *VerifierError
		errors.As(err, &refused)
		return nil, refused.Stats(), err
	}
	if old := c.programs[p.Name]; old != nil {
		old.Close()
	}
	c.programs[p.Name] = loaded
	if c.Log {
		loaded.log = log
	}
	return loaded, readStats(log), nil
}

func (c *Collection) logLevel() cilium.LogLevel {
	if c.Log {
		return cilium.LogLevelInstruction | cilium.LogLevelStats
	}
	return cilium.LogLevelStats
}

// Maps returns the maps that programs have named so far, in the order of the
// object.
func (c *Collection) Maps() []*Map {
	var all []*Map
	for i, m := range c.maps {
		if m != nil {
			all = append(all, &Map{&c.specs[i], m})
		}
	}
	return all
}

// FillProgramArrays puts the programs that have been loaded into the program
// arrays that name them. A program array that no program uses does not exist.
func (c *Collection) FillProgramArrays() error {
	for i := range c.specs {
		if c.specs[i].Kind != abi.ProgArray || c.maps[i] == nil {
			continue
		}
		for _, e := range c.specs[i].Contents {
			p := c.programs[e.Name]
			if p == nil {
				return fmt.Errorf("map %q: program %q is not loaded", c.specs[i].Name, e.Name)
			}
			if err := c.maps[i].Put(e.Key, p.prog); err != nil {
				return fmt.Errorf("map %q: program %q: %w", c.specs[i].Name, e.Name, err)
			}
		}
	}
	return nil
}

// poisonCall is a call of a helper that cannot exist: as with libbpf, what a
// program finds out to be absent before it calls it.
var poisonCall = ebpf.Instruction{Op: ebpf.ClassJMP | ebpf.Call, Imm: btf.COREBadRelocationSentinel}

// withMaps puts the descriptors of maps in place of their indexes, and calls
// that cannot be in place of those of absent kernel functions.
func (c *Collection) withMaps(p *object.LinkedProgram) ([]ebpf.Instruction, error) {
	if err := ebpf.Validate(p.Insns); err != nil {
		return nil, err
	}
	insns := slices.Clone(p.Insns)
	for i := 0; i < len(insns); i += insns[i].Width() {
		switch ins := &insns[i]; {
		case ins.Op == ebpf.LoadImm64 && (ins.Src == ebpf.WideMapFD || ins.Src == ebpf.WideMapValue):
			m, err := c.mapAt(int(ins.Imm))
			if err != nil {
				return nil, fmt.Errorf("program %q: %w", p.Name, err)
			}
			ins.Imm = int32(m.FD())
		case ins.Src == ebpf.CallKfunc && p.Absent[i] != "":
			*ins = poisonCall
		}
	}
	return insns, nil
}

// describeFunctions ties each function to its type. The kernel asks for that
// where a program passes functions to helpers, and in functions that use tail
// calls or legacy packet loads.
func (c *Collection) describeFunctions(p *object.LinkedProgram, code asm.Instructions) error {
	described, err := c.functionTypes(p)
	if err != nil || described == nil {
		return err
	}
	for i := code.Iterate(); i.Next(); {
		if f := described[int(i.Offset)]; f != nil {
			*i.Ins = btf.WithFuncMetadata(*i.Ins, f)
		}
	}
	return nil
}

// functionTypes returns the types of the functions by first slot: those of the
// object, or if it does not tell all of them types made up.
func (c *Collection) functionTypes(p *object.LinkedProgram) (map[int]*btf.Func, error) {
	types := map[int]*btf.Func{}
	for _, f := range p.Functions {
		if f.TypeID == 0 || c.types == nil {
			return madeUp(p.Insns), nil
		}
		t, err := c.types.TypeByID(btf.TypeID(f.TypeID))
		if err != nil {
			return nil, fmt.Errorf("program %q: the type of function %s: %w", p.Name, f.Name, err)
		}
		of, ok := t.(*btf.Func)
		if !ok {
			return nil, fmt.Errorf("program %q: the type of function %s is that of something else", p.Name, f.Name)
		}
		types[f.Start] = of
	}
	if len(types) == 0 {
		return madeUp(p.Insns), nil
	}
	return types, nil
}

// madeUp describes functions of which nothing is known as static ones, whose
// arguments the kernel does not look at. A program of one function needs no
// types; the result is nil then.
func madeUp(insns []ebpf.Instruction) map[int]*btf.Func {
	number := &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}
	types := map[int]*btf.Func{}
	for i := 0; i < len(insns); i += insns[i].Width() {
		ins := insns[i]
		isCall := ins.Op == ebpf.ClassJMP|ebpf.Call && ins.Src == ebpf.CallLocal
		if target, ok := ins.Target(i); ok && (isCall || ins.Op == ebpf.LoadImm64) {
			name := fmt.Sprintf("function_%d", target)
			types[target] = &btf.Func{Name: name, Type: &btf.FuncProto{Return: number}, Linkage: btf.StaticFunc}
		}
	}
	if len(types) == 0 {
		return nil
	}
	types[0] = &btf.Func{Name: "program", Type: &btf.FuncProto{Return: number}, Linkage: btf.StaticFunc}
	return types
}
