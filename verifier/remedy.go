package verifier

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// remedy says what to write. Lines that start with a tab are code: C where the
// instruction comes from C, else eBPF.
func (e *explanation) remedy() string {
	if e.turned >= 0 {
		return fmt.Sprintf("The comparison at %d is right, but what follows it is not: leave the program on the other side of it, or turn it around.", e.turned)
	}
	switch e.failure.code {
	case PacketBounds:
		return e.remedyBounds()
	case StalePointer:
		return e.remedyMoved()
	case NotPointer, ArgumentKind:
		if e.takenBack {
			return "Do nothing with it behind the call that gives it back, of which there must be one."
		}
	case TooDeep:
		if name := e.recursive(); name != "" {
			return name + " calls itself, perhaps through others, and nothing ends that within the frames that there are. Make a loop of it."
		}
	case MaybeNull, NullArithmetic:
		return e.remedyNull()
	case MapBounds, RecordBounds, FlowKeysBounds, PointerRange, StackBounds:
		return e.remedyOffset()
	case ContextField, ContextStore:
		return e.remedyField()
	case HelperType:
		return e.remedyType()
	case ArgumentSize, ArgumentMemory:
		if e.sizeOf(ebpf.Register(e.failure.reg)) == 0 && e.sizeOf(ebpf.Register(e.failure.reg-1)) == 0 {
			return ""
		}
		return e.remedySize()
	case ReturnRange:
		return e.remedyReturn()
	case PointerOperation:
		if x := e.value(register(e.frame(), ebpf.Register(e.failure.reg))); x.kind == packetEnd && e.inC() {
			return "The compiler has turned p + N > data_end around, into p > data_end - N. Hide the pointer from it before the comparison:\n" +
				"\tasm volatile(\"\" : \"+r\"(p));"
		}
		if op := e.p.Insns[e.failure.pc].Op.Operation(); op != ebpf.Add && op != ebpf.Sub {
			return "An address is no number to calculate with. Keep it in a register or in 8 bytes of the stack; outside of the program it has no meaning."
		}
	case Unreleased, LegacyHeld:
		return e.remedyRelease()
	case TooComplex:
		return "Take the part where the steps went apart: a function of its own that is not inlined, fewer rounds, or bpf_loop. " +
			"Make values that keep states apart the same again where they are not needed any more, or keep them in a map."
	}
	if inC, ok := remediesInC[e.failure.code]; ok && e.inC() {
		return inC
	}
	return remedies[e.failure.code]
}

// remediesInC are those that differ for C.
var remediesInC = map[Code]string{
	StackUnset: "Initialize all of it, with the bytes between its fields: = {} sets fields only, memset sets all.",
	Pointer32:  "Let pointers not go through variables of 32 bits.",
	PointerCut: "Compile with optimization, and let pointers (data and data_end, too) not go through variables of 32 bits.",
}

// remedies are those that do not depend on more than the code.
var remedies = map[Code]string{
	Unreachable:      "Remove the instructions, or the jump that goes around them. Compilers make none; in assembly it is most often a label at the wrong place.",
	LeavesFunc:       "End each function with exit, and let no jump leave it.",
	InfiniteLoop:     "Let each round change what the loop's end depends on, and compare with a constant.",
	TooDeep:          "Inline some of the functions (in C: static __always_inline).",
	StackDepth:       "Use less stack: put large variables into the value of a per-CPU array, or let the compiler inline the functions.",
	PacketReadOnly:   "Use bpf_skb_store_bytes where the type has it, or a program of type xdp, sched_cls or sched_act.",
	NotPointer:       "Load the pointer as a pointer: 8 bytes from the stack, data and data_end as the 4 bytes that the context has. A number that was calculated from a pointer, or stored in a map, is no pointer any more.",
	Misaligned:       "Use an offset that is a multiple of the width, or smaller accesses.",
	StackUnset:       "Write all of the bytes before, with 0 if there is nothing else.",
	MapReadOnly:      "Do not write there, or create the map without BPF_F_RDONLY_PROG.",
	MapWriteOnly:     "Do not read there, or create the map without BPF_F_WRONLY_PROG.",
	LockedBytes:      "Leave out the 4 bytes of the lock: access the fields beside it.",
	AtomicMemory:     "Use atomic operations on the stack, in values of maps and in records.",
	StackVariable:    "Use a constant offset, or keep the data in a value of a map.",
	ContextModified:  "Keep the context's pointer in one register and put offsets into the loads.",
	WrongPointer:     "Only pointers into the packet, the stack, values of maps and records can be followed; data_end and maps cannot.",
	Unset:            "Give the register a value on every way here. What is needed behind a call belongs into R6 to R9 or on the stack.",
	PointerOperation: "Calculate the number first, and then add it to the pointer.",
	DivisionByZero:   "Divide by another constant.",
	ShiftRange:       "Shift by less than the width.",
	Pointer32:        "Use the 64-bit instruction.",
	PointerCut:       "Store and load the pointer in 8 bytes.",
	PointerLeak:      "Keep addresses in registers and on the stack.",
	PointerCompare:   "Compare pointers with NULL, and those into the packet with its end.",
	KernelFunction:   "Call helper functions; the kernel's own functions and variables do not exist here.",
	NotAcquired:      "Give back only what a lookup of a socket or ringbuf_reserve has returned, and once.",
	UnlockedWrong:    "Lock the same value before.",
	MixedPointers:    "Give each kind of pointer its own access, in both branches.",
	ArgumentConst:    "Pass a constant.",
	LockHeld:         "Call bpf_spin_unlock on every way out.",
	LockedCall:       "Call bpf_spin_unlock before, or make the call before bpf_spin_lock.",
	LockTwice:        "Unlock the first one before.",
	CallbackReturn:   "Let the callback return 0 to go on or 1 to stop.",
	ReturnUnset:      "Set R0 on every way to the end.",
	LegacyContext:    "Keep the context in R6.",
	HelperGPL:        `Put the program under a license compatible with the GPL: char _license[] SEC("license") = "GPL";`,
	AbsentFunction:   "Check with bpf_core_field_exists, bpf_ksym_exists or the address before the call, so that the call cannot be reached.",
	TooLarge:         "Divide the program and go from part to part by tail calls.",
}

// inC reports whether the program comes from C: a compiler attributes some
// instructions to no line, so that not the one at fault alone counts.
func (e *explanation) inC() bool {
	if e.p.Source == nil {
		return false
	}
	for slot := range e.p.Insns {
		if e.p.Source(slot).File != "" {
			return true
		}
	}
	return false
}

// giveUp is what a program can return where a check fails. What functions and
// callbacks return has a meaning of its own.
func (e *explanation) giveUp() string {
	if e.frame() > 0 {
		return "0"
	}
	switch e.p.Type {
	case abi.XDP:
		return "XDP_PASS"
	case abi.SchedCLS, abi.SchedACT:
		return "TC_ACT_OK"
	}
	return "0"
}

// leave is code for leaving the program if a condition in C holds.
func (e *explanation) leave(condition string) string {
	return "\tif (" + condition + ")\n\t\treturn " + e.giveUp() + ";"
}

func (e *explanation) remedyBounds() string {
	f := e.failure
	p := e.value(register(e.frame(), ebpf.Register(f.reg)))
	object, end := "packet", "data_end"
	if p.kind == metaPtr {
		object, end = "metadata", "data"
	}
	need := f.end - int64(p.off)
	var b strings.Builder
	switch {
	case f.off < 0:
		return "Do not go back before the start of the " + object + ": what is added must not be negative. Use an unsigned variable, or compare it with 0 as well."
	case f.end > maxPacket:
		return fmt.Sprintf("Let the pointer end within %d bytes of the %s: bound the rounds of the loop, or what is added.", maxPacket, object)
	case p.num.UMax() > maxPacket || p.num.SMin() < 0:
		fmt.Fprintf(&b, "Bound what is added to the pointer, so that it stays within %d bytes, and then compare with %s. ", maxPacket, end)
	}
	fmt.Fprintf(&b, "Before the access, and after the last change of the pointer p, check that so much of the %s is there:\n", object)
	if e.inC() {
		b.WriteString(e.leave(fmt.Sprintf("(void *)p + %d > %s", need, end)))
		return b.String()
	}
	fmt.Fprintf(&b, "\tr0 = r%d\n\tr0 += %d\n\tif r0 > END goto OUT\nwhere END is the register with %s.", f.reg, need, end)
	return b.String()
}

// recursive returns the name of a function that has two frames where the path
// fails, "" if there is none.
func (e *explanation) recursive() string {
	seen := map[int32]bool{}
	for _, f := range e.log.old.frames {
		if seen[f.fn] {
			start := int(e.a.funcs[f.fn].start)
			if name := e.p.Functions[start]; name != "" {
				return name
			}
			return "The function at " + strconv.Itoa(start)
		}
		seen[f.fn] = true
	}
	return ""
}

// packetFields are the offsets of data and data_end in the context.
func (e *explanation) packetFields() (data, end int, ok bool) {
	ctx := abi.ContextOf(e.p.Type)
	if ctx == nil {
		return 0, 0, false
	}
	for i := range ctx.Fields {
		switch f := &ctx.Fields[i]; f.Kind {
		case abi.Packet:
			data = f.Offset
		case abi.PacketEnd:
			end, ok = f.Offset, true
		}
	}
	return data, end, ok
}

func (e *explanation) remedyMoved() string {
	text := "After the call, load the pointers from the context again, and compare them again:\n"
	if e.inC() {
		return text + "\tdata = (void *)(long)ctx->data;\n\tdata_end = (void *)(long)ctx->data_end;\n" +
			e.leave("data + LENGTH > data_end")
	}
	data, end, ok := e.packetFields()
	if !ok {
		return ""
	}
	return text + fmt.Sprintf("\tr2 = *(u32 *)(r6 +%d)\n\tr3 = *(u32 *)(r6 +%d)\nwhere r6 is the context, saved before the call.", data, end)
}

func (e *explanation) remedyNull() string {
	if e.inC() {
		return "Compare the pointer p with NULL before it is used:\n" + e.leave("!p")
	}
	return fmt.Sprintf("Compare it with NULL before it is used:\n\tif r%d == 0 goto OUT", e.failure.reg)
}

// remedyOffset is for accesses outside of an object.
func (e *explanation) remedyOffset() string {
	f := e.failure
	if isCall(e.p.Insns[f.pc]) && e.sizeOf(ebpf.Register(f.reg)) != 0 {
		return e.remedySize()
	}
	n := e.culprit()
	switch {
	case n == nil && f.code == PointerRange:
		return "Use a smaller offset."
	case n == nil && f.code == StackBounds && isCall(e.p.Insns[f.pc]):
		return fmt.Sprintf("The function takes %s here%s. Between the address, R10%+d, and the end of the stack, R10, are not as many.",
			bytesText(int(f.end-f.off)), e.ofMap(), f.off)
	case n == nil && f.code == StackBounds:
		return fmt.Sprintf("The stack is the %d bytes below R10: use offsets from -%d on, and keep what is larger in a value of a map.", frameSize, frameSize)
	case n == nil:
		return fmt.Sprintf("Stay within the %s, or make the object larger.", bytesText(int(f.have)))
	case f.code == PointerRange && n.minus:
		return e.bound(n, 0, -1)
	case f.code == PointerRange:
		return e.bound(n, 0, e.room(e.pointerOperand())-1)
	}
	low, high := e.allowed(n)
	if high < low || high < 0 {
		return "No number would do: the access is larger than what it goes to."
	}
	return e.bound(n, low, high)
}

// allowed returns from where to where the culprit may be, so that the access
// stays within its object: negative numbers are left out if it is none.
func (e *explanation) allowed(n *culprit) (low, high int64) {
	first, end := int64(0), e.failure.have
	if e.failure.code == StackBounds {
		first, end = -frameSize, 0
	}
	before, behind := e.failure.off-first, end-e.failure.end // room on both sides, or what is missing
	if n.minus {
		before, behind = behind, before
	}
	low, high = n.n.num.SMin()-before, n.n.num.SMax()+behind
	if n.n.num.SMin() >= 0 {
		low = max(low, 0)
	}
	return low, high
}

// ofMap says of which map's key or value an argument has the size, "" if that
// is not where its size comes from.
func (e *explanation) ofMap() string {
	h := abi.HelperByID(e.p.Insns[e.failure.pc].Imm)
	m := e.value(register(e.frame(), ebpf.R1))
	if i := int(e.failure.reg) - 1; h != nil && m.kind == mapPtr && i >= 0 && i < len(h.Args) {
		switch h.Args[i] {
		case abi.ArgMapKey:
			return ", the size of a key of map " + e.mapNames[m.obj]
		case abi.ArgMapValue, abi.ArgMapValueOut:
			return ", the size of a value of map " + e.mapNames[m.obj]
		}
	}
	return ""
}

// pointerOperand returns the register with the pointer to which the
// instruction at fault adds a number.
func (e *explanation) pointerOperand() ebpf.Register {
	ins := e.p.Insns[e.failure.pc]
	if x := e.value(register(e.frame(), ins.Dst)); x.isPointer() {
		return ins.Dst
	}
	return ins.Src
}

// bound says how to bound the number at fault from low to high, which is -1 if
// it is not known.
func (e *explanation) bound(n *culprit, low, high int64) string {
	wanted := fmt.Sprintf("%s is %s here and must be %d..%d. ", n.name, numberText(n.n.num), low, high)
	least, greatest := strconv.FormatInt(low, 10), strconv.FormatInt(high, 10)
	if high < 0 {
		wanted, greatest = "", "MAX"
	}
	unit := int64(1) << min(bits.TrailingZeros64(n.n.num.Bits.Value|n.n.num.Bits.Mask), 30)
	if !e.inC() {
		r := strings.ToLower(n.name)
		code := fmt.Sprintf("\tif %s > %s goto OUT", r, greatest)
		if low > 0 {
			code = fmt.Sprintf("\tif %s < %s goto OUT\n", r, least) + code
		}
		return wanted + "Compare it as an unsigned number, before it is used:\n" + code
	}
	if high >= 0 && unit > 1 {
		least, greatest = strconv.FormatInt((low+unit-1)/unit, 10), strconv.FormatInt(high/unit, 10)
		wanted += fmt.Sprintf("That is %d times the index. ", unit)
	}
	condition := "i > " + greatest
	if low > 0 {
		condition = "i < " + least + " || " + condition
	}
	return wanted + "In C, make the variable (here called i) unsigned and compare it with its bounds:\n" + e.leave(condition)
}

func (e *explanation) remedySize() string {
	f := e.failure
	ins := e.p.Insns[f.pc]
	h := abi.HelperByID(ins.Imm)
	if h == nil || e.log == nil {
		return ""
	}
	size := ebpf.Register(f.reg)
	if f.code != ArgumentSize {
		size++
	}
	n := e.value(register(e.frame(), size))
	low, room := 0, e.room(size-1)
	if i := int(size) - 1; i < len(h.Args) && h.Args[i] == abi.ArgSize {
		low = 1
	}
	greatest := "MAX"
	if room > 0 {
		greatest = fmt.Sprint(room)
	}
	text := fmt.Sprintf("%s takes a size of %d..%s here. ", h.Name(), low, greatest)
	if room <= 0 {
		text = fmt.Sprintf("%s takes a size from %d up to that of the memory. ", h.Name(), low)
	}
	if _, constant := n.constant(); constant || n.kind != scalar {
		return strings.TrimSpace(text)
	}
	if e.inC() {
		condition := "len > " + greatest
		if low > 0 {
			condition = "len < 1 || " + condition
		}
		return text + "Compare it on both sides, as an unsigned number, right before the call:\n" + e.leave(condition)
	}
	code := fmt.Sprintf("\tif r%d > %s goto OUT", size, greatest)
	if low > 0 {
		code = fmt.Sprintf("\tif r%d == 0 goto OUT\n", size) + code
	}
	return text + "Compare it on both sides:\n" + code
}

// room returns how many bytes the memory has that register r points to, 0
// if that is not known.
func (e *explanation) room(r ebpf.Register) int64 {
	p := e.value(register(e.frame(), r))
	off, ok := p.offset()
	if !ok {
		return 0
	}
	switch p.kind {
	case stackPtr:
		return -off
	case mapValue:
		return int64(e.last.maps[p.obj].ValueSize) - off
	case recordPtr:
		return int64(p.obj) - off
	case packetPtr:
		return int64(p.span) - int64(p.off)
	}
	return 0
}

// remedyField names the fields of the context that the program may access.
func (e *explanation) remedyField() string {
	ctx := abi.ContextOf(e.p.Type)
	if ctx == nil {
		return fmt.Sprintf("The context is %s long.", bytesText(e.p.ContextSize))
	}
	class, what, names := e.p.Insns[e.failure.pc].Op.Class(), "load", []string(nil)
	if class == ebpf.ClassST || class == ebpf.ClassSTX {
		what = "store"
	}
	for i := range ctx.Fields {
		f := &ctx.Fields[i]
		set, widths := f.Readers, f.Loads
		if what == "store" {
			set, widths = f.Writers, f.Stores
		}
		if set.Has(e.p.Type) && widths != 0 {
			names = append(names, fmt.Sprintf("%s (%d)", f.Name, f.Offset))
		}
	}
	if names == nil {
		return fmt.Sprintf("There is nothing in struct %s that %v programs can %s.", ctx.Name, e.p.Type, what)
	}
	return fmt.Sprintf("%v programs can %s these fields of struct %s, at these offsets: %s.", e.p.Type, what, ctx.Name, strings.Join(names, ", "))
}

// remedyType names the types of programs that can call the function.
func (e *explanation) remedyType() string {
	ins := e.p.Insns[e.failure.pc]
	h := abi.HelperByID(ins.Imm)
	if h == nil || !isCall(ins) {
		return ""
	}
	var types []string
	for _, t := range abi.ProgTypes() {
		if h.Types.Has(t) {
			types = append(types, t.String())
		}
	}
	return fmt.Sprintf("%s is for programs of these types: %s.", h.Name(), strings.Join(types, ", "))
}

func (e *explanation) remedyReturn() string {
	if e.inC() {
		return "Return one of the values that the hook knows, on every way."
	}
	return "Set R0 to one of them before exit."
}

func (e *explanation) remedyRelease() string {
	refs := e.log.old.refs
	if len(refs) == 0 {
		return ""
	}
	if refs[0].kind == socketPtr {
		return "Call bpf_sk_release with it on every way on which it is not NULL."
	}
	return "Call bpf_ringbuf_submit or bpf_ringbuf_discard with it on every way on which it is not NULL."
}
