package verifier

import (
	"encoding/binary"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/verifier/num"
)

// mapLoad steps the load of an address that the loader fills in: of a map, of
// a place in its value, of a function (check_ld_imm and, for what the kernel
// checks of all instructions beforehand, resolve_pseudo_ldimm64 and
// check_map_prog_compatibility).
func (v *verifier) mapLoad(ins ebpf.Instruction) *failure {
	switch ins.Src {
	case ebpf.WideFunc:
		return v.functionLoad(ins)
	case ebpf.WideBTFID:
		return v.fail(KernelFunction, int(ins.Dst), "a variable of the kernel: there are none here")
	}
	if ins.Imm < 0 || int(ins.Imm) >= len(v.p.Maps) {
		return v.fail(MapCall, int(ins.Dst), "there is no map %d: the program has %d", ins.Imm, len(v.p.Maps))
	}
	spec := &v.maps[ins.Imm]
	info := spec.Kind.Info()
	switch {
	case info == nil:
		return v.fail(MapCall, int(ins.Dst), "map %q is a %v: there are none here", spec.Name, spec.Kind)
	case spec.SpinLock != nil && (v.p.Type == abi.SocketFilter || v.p.Type.HasByteContext() && v.p.Type != abi.Tracing && v.p.Type != abi.Syscall):
		return v.fail(HelperType, int(ins.Dst), "map %q has a spin lock, which %v programs cannot use", spec.Name, v.p.Type)
	case ins.Src == ebpf.WideMapFD || ins.Src == ebpf.WideMapIndex:
		p := pointer(mapPtr)
		p.obj = ins.Imm
		*v.reg(ins.Dst) = p
		return nil
	}
	return v.valueLoad(ins, spec, info)
}

// checkMaps checks all references to maps, those too that no run comes to: they
// are resolved before programs are looked at (resolve_pseudo_ldimm64).
func (v *verifier) checkMaps() *failure {
	for pc := 0; pc < len(v.p.Insns); pc += v.p.Insns[pc].Width() {
		ins := v.p.Insns[pc]
		if ins.Op != ebpf.LoadImm64 {
			continue
		}
		switch ins.Src {
		case ebpf.WideMapFD, ebpf.WideMapValue, ebpf.WideMapIndex, ebpf.WideMapIndexValue:
			v.state, v.pc = v.start(), pc
			f := v.mapLoad(ins)
			v.release(v.state)
			if f != nil {
				return f
			}
		}
	}
	return nil
}

// valueLoad steps the load of an address in the value of a map, which must
// have only one (array_map_direct_value_addr).
func (v *verifier) valueLoad(ins ebpf.Instruction, spec *abi.MapSpec, info *abi.MapInfo) *failure {
	off := uint32(v.p.Insns[v.pc+1].Imm)
	switch {
	case !info.Direct || spec.MaxEntries != 1:
		return v.fail(MapCall, int(ins.Dst), "map %q has no address of its value: only an array of one element has", spec.Name)
	case off >= spec.ValueSize:
		return v.fail(MapBounds, int(ins.Dst), "offset %d is behind the value of map %q", off, spec.Name).miss(int64(off), int64(off), int64(spec.ValueSize))
	}
	p := pointerAt(mapValue, int64(off))
	p.obj = ins.Imm
	*v.reg(ins.Dst) = p
	return nil
}

// functionLoad steps the load of a function's address, for a callback.
func (v *verifier) functionLoad(ins ebpf.Instruction) *failure {
	target, _ := ins.Target(v.pc)
	if target == 0 {
		return v.fail(CallbackContext, int(ins.Dst), "the program itself cannot be a callback")
	}
	p := pointer(funcPtr)
	p.obj = int32(target)
	*v.reg(ins.Dst) = p
	return nil
}

// mapArgument checks a map that a helper gets, and that the helper is for such
// maps (check_map_func_compatibility).
func (v *verifier) mapArgument(c *helperCall, r ebpf.Register) *failure {
	if f := v.asItWas(c, r, mapPtr); f != nil {
		return f
	}
	c.mapArg = v.reg(r).obj
	c.spec = &v.maps[c.mapArg]
	if info := c.spec.Kind.Info(); info == nil || info.Calls&c.Calls != c.Calls {
		return v.fail(MapCall, int(r), "%s is not for maps of kind %v, such as %q", c.Name(), c.spec.Kind, c.spec.Name)
	}
	return nil
}

// writesMap refuses helpers that change a map which programs may only read
// (record_func_map). There is no such rule for reading by helpers.
func (v *verifier) writesMap(c *helperCall) *failure {
	switch c.ID {
	case abi.MapUpdateElem, abi.MapDeleteElem, abi.MapPushElem, abi.MapPopElem:
		if c.spec.Flags&abi.MapReadOnlyProg != 0 {
			return v.fail(MapReadOnly, 1, "%s changes map %q, which programs may only read", c.Name(), c.spec.Name)
		}
	}
	return nil
}

// keyArgument checks the key of a map, and notes its value if it is the
// constant index of an array.
func (v *verifier) keyArgument(c *helperCall, r ebpf.Register) *failure {
	if f := v.fixedMemory(c, r, int64(c.spec.KeySize), false); f != nil {
		return f
	}
	if c.spec.KeySize == 4 {
		c.key = v.stackWord(r)
	}
	return nil
}

// stackWord returns the number in the four bytes of stack at R2, -1 if they
// are elsewhere or not known. The kernel knows numbers other than 0 only if
// they were stored in four bytes at a multiple of 8 (get_constant_map_key of
// Linux 6.14).
func (v *verifier) stackWord(r ebpf.Register) int64 {
	p := v.reg(r)
	if off, ok := p.offset(); !ok || p.kind != stackPtr || off%4 != 0 {
		return -1
	}
	if word, f := v.loadStack(r, 0, 4); f == nil {
		if n, ok := word.constant(); ok {
			return int64(n)
		}
	}
	return -1
}

// foundValue is the result of a lookup. It may be NULL, save for arrays and an
// index that they have (can_elide_value_nullness of Linux 6.14). What is found
// in a map of maps is a map.
func (v *verifier) foundValue(c *helperCall) reg {
	if inner, ok := v.inner(c.mapArg); ok {
		r := pointer(mapPtr)
		r.obj, r.id, r.flags = inner, v.state.newID(), nullable
		return r
	}
	r := v.element(mapValue, c.mapArg)
	if c.ID != abi.MapLookupElem || c.key < 0 || c.key >= int64(v.indexes(c.mapArg)) {
		r.id, r.flags = v.state.newID(), nullable
	}
	return r
}

// indexes returns how many elements an array has for certain, 0 for other
// maps. That an inner map is as large as its description says holds for arrays
// without MapInnerMap only (array_map_meta_equal).
func (v *verifier) indexes(obj int32) uint32 {
	spec := &v.maps[obj]
	isInner := int(obj) >= len(v.p.Maps)
	switch {
	case spec.Kind == abi.ArrayMap && !(isInner && spec.Flags&abi.MapInnerMap != 0),
		spec.Kind == abi.PerCPUArray && !isInner:
		return spec.MaxEntries
	}
	return 0
}

// pointerAt is a pointer at an offset in its object.
func pointerAt(k kind, off int64) reg { return reg{kind: k, num: num.Const(uint64(off))} }

// element is a pointer to a key or a value of a map. Values with a spin lock in
// them have an identity, see locks.go.
func (v *verifier) element(k kind, obj int32) reg {
	r := pointer(k)
	r.obj = obj
	if k == mapValue && v.maps[obj].SpinLock != nil {
		r.ref = v.state.newID()
	}
	return r
}

// constants returns the value of a map of constants: an array of one element,
// which neither programs nor user space can change (bpf_map_is_rdonly).
func (v *verifier) constants(obj int32) (value []byte, ok bool) {
	m := &v.maps[obj]
	if int(obj) >= len(v.p.Maps) || !m.Frozen || m.Flags&abi.MapReadOnlyProg == 0 || m.Kind != abi.ArrayMap || m.MaxEntries != 1 {
		return nil, false
	}
	for i := range m.Contents {
		if e := &m.Contents[i]; e.Name == "" && len(e.Value) == int(m.ValueSize) {
			value = e.Value
		} else {
			return nil, false
		}
	}
	return value, value != nil
}

// frozen returns what a load of size bytes at offset off of a map's value
// gives, if that never changes (bpf_map_direct_read).
func (v *verifier) frozen(obj int32, off int64, size int) (uint64, bool) {
	value, ok := v.constants(obj)
	if !ok || off < 0 || off > int64(len(value)-size) {
		return 0, false
	}
	switch b := value[off:]; size {
	case 1:
		return uint64(b[0]), true
	case 2:
		return uint64(binary.LittleEndian.Uint16(b)), true
	case 4:
		return uint64(binary.LittleEndian.Uint32(b)), true
	}
	return binary.LittleEndian.Uint64(value[off:]), true
}
