package object

import (
	"encoding/binary"

	"github.com/bpflab/bpflab/cbpf/origin"
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// An Object is what one ELF file holds. It is plain data: nothing is loaded
// anywhere, and it may be changed before it is.
type Object struct {
	Programs  []Program  // in the order of the file
	Maps      []MapSpec  // in the order of the file; instructions refer to them by index
	Variables []Variable // global variables, in the order of the file
	ByteOrder binary.ByteOrder

	// Types is the object's type information as it is, raw BTF, nil if it has
	// none. The kernel wants it for programs that pass functions to helpers.
	Types []byte
}

// Program returns the program with the given name, or nil.
func (o *Object) Program(name string) *Program {
	for i := range o.Programs {
		if o.Programs[i].Name == name {
			return &o.Programs[i]
		}
	}
	return nil
}

// Map returns the map with the given name, or nil.
func (o *Object) Map(name string) *MapSpec {
	for i := range o.Maps {
		if o.Maps[i].Name == name {
			return &o.Maps[i]
		}
	}
	return nil
}

// A Program is one entry point with all functions that it calls linked in
// behind it.
type Program struct {
	Name       string       // of the function
	Section    string       // of the file, which tells the type: "xdp", "tc/ingress"
	Type       abi.ProgType // 0 if neither the section nor [Options.DefaultType] tells it
	AttachType uint32       // enum bpf_attach_type, 0 if the section tells none
	AttachTo   string       // what the section names behind the "/" of types that attach to something
	Flags      uint32       // BPF_F_SLEEPABLE, BPF_F_XDP_HAS_FRAGS
	License    string

	// Insns is the code. A [ebpf.WideMapFD] or [ebpf.WideMapValue] load has
	// the index of the map in [Object.Maps] as its Imm. It is nil if Err is not.
	Insns     []ebpf.Instruction
	Functions []Function   // rising by Start; the first one is the program itself
	Refs      []Ref        // rising by Slot
	Lines     []Line       // the lines of source that Insns came from, in order of first use
	Origin    origin.Table // slot → index in Lines; empty sets without line information

	// Err says why this program cannot be used, while others of the object
	// can: an undefined function, type information that is not there.
	Err error
}

// LineAt returns the line of source that a slot came from, or nil if the
// object does not tell.
func (p *Program) LineAt(slot int) *Line {
	if slot < 0 || slot >= len(p.Origin) || len(p.Origin[slot]) == 0 {
		return nil
	}
	return &p.Lines[p.Origin[slot][0].Start]
}

// FunctionAt returns the function that a slot lies in, or nil for a slot
// outside the program.
func (p *Program) FunctionAt(slot int) *Function {
	if slot < 0 || slot >= len(p.Insns) {
		return nil
	}
	for i := len(p.Functions) - 1; i >= 0; i-- {
		if p.Functions[i].Start <= slot {
			return &p.Functions[i]
		}
	}
	return nil
}

// RefAt returns the reference in a slot, or nil.
func (p *Program) RefAt(slot int) *Ref {
	for i := range p.Refs {
		if p.Refs[i].Slot == slot {
			return &p.Refs[i]
		}
	}
	return nil
}

// A Function is one function of a program.
type Function struct {
	Name   string
	Start  int    // slot of its first instruction
	TypeID uint32 // of the function in Object.Types, 0 if unknown
}

// A Line is a line of the source of a program, from the object's BTF.
type Line struct {
	File   string // as the compiler was given it, relative to where it ran
	Number int    // from 1
	Text   string // without surrounding blanks; "" if the compiler had none
}

// A Ref says what an instruction refers to by name.
type Ref struct {
	Slot   int // the first slot of the instruction
	Kind   RefKind
	Name   string // of the map, the function or the variable; the field for RefPoison
	Offset int32  // into the value, for RefMapValue
	Weak   bool   // the program copes with the absence of a RefKfunc or RefKsym
}

// A RefKind says what a [Ref] refers to.
type RefKind uint8

const (
	RefMap      RefKind = iota // a map, by its index in Imm
	RefMapValue                // the value of the only element of a map, likewise
	RefKfunc                   // a call of a kernel function, whose BTF id 0 is to be filled in
	RefKsym                    // the address of a kernel function or variable, 0 until filled in
	// RefPoison marks a field, type or enum value that the target's BTF does
	// not have. The instruction is replaced by a call of a helper function
	// that cannot exist, as by libbpf, so that every verifier refuses the
	// program if it can be reached; programs guard it with a test.
	RefPoison
)

// A MapSpec describes a map.
type MapSpec struct {
	Name       string   // of the variable in C; of the section, as ".rodata", for global variables
	Kind       uint32   // enum bpf_map_type
	KeySize    uint32   // in bytes
	ValueSize  uint32   // in bytes
	MaxEntries uint32   // 0 in a perf event array: one a CPU
	Flags      uint32   // BPF_F_NO_PREALLOC and others
	Extra      uint64   // map_extra, such as the number of hash functions of a bloom filter
	Pinning    uint32   // 1 by name; in iproute2's objects its own numbers
	Frozen     bool     // constants, which user space cannot change once loaded
	Section    string   // of the file
	Tags       []string // of the declaration (btf_decl_tag)
	SpinLock   *uint32  // offset of the struct bpf_spin_lock in the value, nil if there is none

	Inner    *MapSpec // what the maps in a map of maps are like; nil for other kinds
	Contents []Entry  // initial elements

	id uint32 // by which iproute2 names the map, 0 for none
}

// An Entry is an initial element of a map: its value is either bytes or the
// name of a program (in a program array) or of a map (in a map of maps).
type Entry struct {
	Key     []byte
	Value   []byte
	Program string
	Map     string
}
