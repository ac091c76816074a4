package verifier

import (
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/verifier/num"
)

// A use says what memory is touched for; the rules differ.
type use uint8

const (
	useLoad use = iota
	useStore
	useAtomic
	helperReads
	helperWrites
)

func (u use) writes() bool { return u == useStore || u == useAtomic || u == helperWrites }

// load steps a load: zero-extending, or sign-extending (check_mem_access).
func (v *verifier) load(ins ebpf.Instruction) *failure {
	value, f := v.loadFrom(ins.Src, int64(ins.Off), ins.Op.Bytes(), ins.Op.Mode() == ebpf.ModeMEMSX)
	if f != nil {
		return f
	}
	*v.reg(ins.Dst) = value
	return nil
}

// loadFrom returns what a load of size bytes at register r plus off gives.
func (v *verifier) loadFrom(r ebpf.Register, off int64, size int, signed bool) (value reg, f *failure) {
	if f := v.dereference(r, useLoad); f != nil {
		return reg{}, f
	}
	p := v.reg(r)
	switch p.kind {
	case contextPtr:
		value, f = v.loadContext(r, off, size, signed)
	case stackPtr:
		value, f = v.loadStack(r, off, size)
	case socketPtr:
		f = v.loadSocket(r, off, size)
		value = unsigned(size)
	default:
		f = v.reach(r, off, int64(size), useLoad)
		value = v.memoryContent(p, off, size)
	}
	if f == nil && signed {
		value = number(num.SignExtend(value.num, 8*size, true))
	}
	return value, f
}

// unsigned is any number of size bytes.
func unsigned(size int) reg {
	if size == 8 {
		return anyNumber()
	}
	return number(num.ZeroExtend(num.Unknown(), 8*size))
}

// memoryContent is what a load from memory that is neither stack nor context
// gives: constants are known.
func (v *verifier) memoryContent(p *reg, off int64, size int) reg {
	if p.kind == mapValue {
		if at, ok := p.offset(); ok {
			if c, ok := v.frozen(p.obj, at+off, size); ok {
				return known(c)
			}
		}
	}
	return unsigned(size)
}

// store steps a store of a register or a constant.
func (v *verifier) store(ins ebpf.Instruction) *failure {
	value := known(uint64(int64(ins.Imm)))
	if ins.Op.Class() == ebpf.ClassSTX {
		if f := v.readable(ins.Src); f != nil {
			return f
		}
		if v.reg(ins.Dst).kind == stackPtr {
			v.tie(v.reg(ins.Src))
		}
		value = *v.reg(ins.Src)
	}
	return v.storeTo(ins.Dst, int64(ins.Off), ins.Op.Bytes(), value, ins)
}

func (v *verifier) storeTo(r ebpf.Register, off int64, size int, value reg, ins ebpf.Instruction) *failure {
	if f := v.dereference(r, useStore); f != nil {
		return f
	}
	kind := v.reg(r).kind
	if value.isPointer() && kind != stackPtr {
		if f := v.leak(ins.Src); f != nil {
			return f
		}
	}
	switch kind {
	case contextPtr:
		return v.storeContext(r, off, size, value.isPointer())
	case stackPtr:
		return v.storeStack(r, off, size, value)
	}
	return v.reach(r, off, int64(size), useStore)
}

// dereference checks that a register holds an address that has memory.
func (v *verifier) dereference(r ebpf.Register, u use) *failure {
	if f := v.readable(r); f != nil {
		return f
	}
	p := v.reg(r)
	switch {
	case p.has(stale):
		return v.fail(StalePointer, int(r), "R%d was a packet pointer, but the packet may have moved since", r)
	case p.kind == scalar:
		return v.fail(NotPointer, int(r), "R%d is used as an address, but is %s", r, describeNumber(p))
	case p.has(nullable):
		return v.fail(MaybeNull, int(r), "R%d may be NULL: it has not been compared with 0", r)
	case u <= useAtomic && v.slots[v.pc].mixes(p.kind):
		return v.fail(MixedPointers, int(r), "R%d is %s here and another kind of pointer on another path: the context and sockets need instructions of their own", r, p.kind)
	}
	v.slots[v.pc].access(p.kind)
	return nil
}

func describeNumber(p *reg) string {
	if c, ok := p.constant(); ok && c == 0 {
		return "NULL"
	}
	return "a number"
}

// reach checks an access to memory behind a pointer that is neither to the
// stack nor to the context: that the bytes are there, and that programs of
// this type may do what they want with them. Size is that of the access, or
// the largest that it can be.
func (v *verifier) reach(r ebpf.Register, off, size int64, u use) *failure {
	p := v.reg(r)
	switch p.kind {
	case packetPtr, metaPtr:
		return v.reachPacket(r, off, size, u)
	case mapValue:
		return v.reachValue(r, off, size, u)
	case mapKey:
		if u.writes() {
			return v.fail(MapReadOnly, int(r), "a store to a key of map %s", v.mapName(p.obj))
		}
		return v.within(r, off, size, int64(v.maps[p.obj].KeySize), MapBounds, "the key of map "+v.mapName(p.obj))
	case recordPtr:
		return v.within(r, off, size, int64(p.obj), RecordBounds, "the record")
	case flowKeysPtr:
		return v.within(r, off, size, int64(abi.BPFFlowKeys.Size), FlowKeysBounds, "the flow keys")
	}
	return v.fail(WrongPointer, int(r), "R%d is %s, which has no memory for programs", r, p.kind)
}

// within checks that an access lies in an object of have bytes.
func (v *verifier) within(r ebpf.Register, off, size, have int64, code Code, what string) *failure {
	p := v.reg(r)
	low, end := p.num.SMin()+off, p.num.SMax()+off+size
	switch {
	case low < 0:
		return v.fail(code, int(r), "the access begins %s before %s", bytesText(int(-low)), what).miss(low, end, have)
	case end > have:
		return v.fail(code, int(r), "the access ends at byte %d of %s, which has %d: %d beyond", end, what, have, end-have).miss(low, end, have)
	}
	return nil
}

// reachPacket is reach for the packet and its metadata. Only bytes that a
// comparison has shown to be there may be touched.
func (v *verifier) reachPacket(r ebpf.Register, off, size int64, u use) *failure {
	p := v.reg(r)
	what := "the packet"
	if p.kind == metaPtr {
		what = "the metadata"
	}
	if u.writes() && !v.mayWritePacket() {
		return v.fail(PacketReadOnly, int(r), "%v programs cannot change the packet directly", v.p.Type)
	}
	if u == useAtomic {
		return v.fail(AtomicMemory, int(r), "an atomic operation on %s", what)
	}
	low, end, have := int64(p.off)+off, int64(p.off)+off+size, int64(p.span)
	switch {
	case p.num.SMin()+off < 0 || low < 0:
		low = min(low, p.num.SMin()+off)
		return v.fail(PacketBounds, int(r), "the access may begin %s before %s", bytesText(int(-low)), what).miss(low, end, have)
	case end > have && have == 0:
		return v.fail(PacketBounds, int(r), "nothing is known to be there: the access needs %s of %s from %s on", bytesText(int(end)), what, place(p)).miss(low, end, have)
	case end > have:
		return v.fail(PacketBounds, int(r), "%s of %s %s shown to be there from %s on, the access ends at %d: %d short", bytesText(int(have)), what, are(have), place(p), end, end-have).miss(low, end, have)
	}
	return nil
}

// place names the place that a packet pointer comes from.
func place(p *reg) string {
	switch {
	case p.kind == metaPtr && p.id == 0:
		return "data_meta"
	case p.id == 0:
		return "data"
	}
	return "the place where a variable was added"
}

// mayWritePacket reports whether programs of this type may store to the packet
// (may_access_direct_pkt_data).
func (v *verifier) mayWritePacket() bool {
	switch v.p.Type {
	case abi.XDP, abi.SchedCLS, abi.SchedACT, abi.LWTXmit:
		return true
	}
	return false
}

// reachValue is reach for values of maps (check_map_access).
func (v *verifier) reachValue(r ebpf.Register, off, size int64, u use) *failure {
	p := v.reg(r)
	spec := &v.maps[p.obj]
	if u.writes() && !spec.ProgramsWrite() {
		return v.fail(MapReadOnly, int(r), "programs may only read map %s", v.mapName(p.obj))
	}
	if u != useStore && u != helperWrites && !spec.ProgramsRead() {
		return v.fail(MapWriteOnly, int(r), "programs may only write map %s", v.mapName(p.obj))
	}
	if f := v.within(r, off, size, int64(spec.ValueSize), MapBounds, "the value of map "+v.mapName(p.obj)); f != nil {
		return f
	}
	if v.touchesLock(p.obj, p.num.SMin()+off, p.num.SMax()+off+size) {
		return v.fail(LockedBytes, int(r), "the access touches the spin lock in the value of map %s", v.mapName(p.obj))
	}
	return nil
}

func (v *verifier) mapName(obj int32) string {
	if name := v.maps[obj].Name; name != "" {
		return name
	}
	return itoa(obj)
}

// helperMemory checks that register r points to size bytes that a helper
// function may read or, with write, fill. What it fills in the stack is then
// any number (check_helper_mem_access).
func (v *verifier) helperMemory(r ebpf.Register, size int64, write bool) *failure {
	u := helperReads
	if write {
		u = helperWrites
	}
	p := v.reg(r)
	if p.kind == contextPtr || p.kind == socketPtr {
		return v.fail(ArgumentKind, int(r), "R%d is %s, where the helper wants memory", r, p.kind)
	}
	if f := v.dereference(r, u); f != nil {
		return f
	}
	if p.kind == stackPtr {
		return v.helperStack(r, size, write)
	}
	return v.reach(r, 0, size, u)
}
