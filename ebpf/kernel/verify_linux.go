package kernel

import (
	"bytes"
	"fmt"

	cilium "github.com/cilium/ebpf"

	"github.com/bpflab/bpflab/ebpf"
)

// Code asks the kernel what it has made of the program.
func (p *Program) Code() (*Code, error) {
	info, err := p.prog.Info()
	if err != nil {
		return nil, fmt.Errorf("asking for program %q: %w", p.name, err)
	}
	code := &Code{Maps: mapNames(info)}
	if code.Translated, err = translated(info); err != nil {
		return nil, fmt.Errorf("the translated code of program %q: %w", p.name, err)
	}
	code.Functions = nativeFunctions(info)
	return code, nil
}

func translated(info *cilium.ProgramInfo) ([]ebpf.Instruction, error) {
	listed, err := info.Instructions()
	if err != nil {
		return nil, err
	}
	var raw bytes.Buffer
	for i := listed.Iterate(); i.Next(); {
		if i.Ins.IsBuiltinCall() { // to the library, a distance is a function that does not exist
			raw.Write(ebpf.Append(nil, []ebpf.Instruction{ebpf.CallTo(int32(i.Ins.Constant))}, nativeEndian))
		} else if _, err := i.Ins.Marshal(&raw, nativeEndian); err != nil {
			return nil, err
		}
	}
	insns, err := ebpf.Decode(raw.Bytes(), nativeEndian)
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(insns); i += insns[i].Width() {
		undoSubprograms(insns, i)
	}
	return insns, nil
}

// undoSubprograms undoes what jit_subprogs leaves in references to functions:
// the number of the function, where the instruction set has the distance or 0.
func undoSubprograms(insns []ebpf.Instruction, i int) {
	switch ins := &insns[i]; {
	case ins.Op == ebpf.ClassJMP|ebpf.Call && ins.Src == ebpf.CallLocal && ins.Off != 0:
		ins.Imm, ins.Off = int32(ins.Off), 0
	case ins.Op == ebpf.LoadImm64 && ins.Src == ebpf.WideFunc && i+1 < len(insns):
		insns[i+1].Imm = 0
	}
}

// mapNames asks for the maps that a program uses. A map without a name, or one
// that is gone, is left out.
func mapNames(info *cilium.ProgramInfo) map[int32]string {
	names := map[int32]string{}
	ids, _ := info.MapIDs()
	for _, id := range ids {
		m, err := cilium.NewMapFromID(id)
		if err != nil {
			continue
		}
		if of, err := m.Info(); err == nil && of.Name != "" {
			names[int32(id)] = of.Name
		}
		m.Close()
	}
	return names
}

func nativeFunctions(info *cilium.ProgramInfo) (functions []NativeFunction) {
	native, ok := info.JitedInsns()
	if !ok {
		return nil
	}
	lengths, _ := info.JitedFuncLens()
	if len(lengths) == 0 {
		lengths = []uint32{uint32(len(native))}
	}
	addresses, _ := info.JitedKsymAddrs()
	for i, n := range lengths {
		f := NativeFunction{Code: native[:min(int(n), len(native))]}
		native = native[len(f.Code):]
		if i < len(addresses) {
			f.Address = uint64(addresses[i])
		}
		functions = append(functions, f)
	}
	return functions
}
