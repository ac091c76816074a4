package vm

import (
	"fmt"
	"math"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm/engine"
)

// A call is a helper call as the interpreter makes it.
type call struct {
	proto *abi.Helper
	fn    helper

	// Of the arguments, by bit, which are maps, and which is memory that the
	// helper writes to.
	maps, writes uint8
}

// sortArguments notes which arguments a call by machine code has to look at.
func (c *call) sortArguments() {
	for i, kind := range c.proto.Args {
		switch kind {
		case abi.ArgMap:
			c.maps |= 1 << i
		case abi.ArgWriteMem, abi.ArgWriteMemOrNull, abi.ArgReadWriteWord, abi.ArgWriteLong, abi.ArgMapValueOut:
			c.writes |= 1 << i
		}
	}
}

// A helper implements a helper function. The arguments are R1 to R5 and agree
// with the prototype in [abi.Helpers]: a context is the context, memory may be
// read or written as far as the size says. The result is R0.
type helper func(m *Machine, a *[5]uint64) uint64

// A Helper is a helper function given by the user of a machine ([Options]).
type Helper struct {
	// Proto says what the function takes. Its number may be one that the
	// kernel does not know; program types are checked as for the others.
	Proto abi.Helper

	// Func implements it. The arguments are R1 to R5, and agree with the
	// prototype; the result goes to R0. One that the prototype rules out is a
	// fault.
	Func func(c *Caller, args [5]uint64) uint64
}

// A Caller is the program that calls a [Helper], good during the call.
type Caller struct{ m *Machine }

// Bytes returns n bytes of the program's memory at addr, to read or to write,
// and whether the program may touch them so. The slice is good during the call.
func (c *Caller) Bytes(addr, n uint64, write bool) (b []byte, ok bool) {
	kind := read
	if write {
		kind = accessKind(1)
		c.m.mayDirty(addr)
	}
	if !c.m.reachPlain(addr, n, kind) {
		return nil, false
	}
	return c.m.bytes(addr, n), true
}

// Emit adds an event to the result of the run.
func (c *Caller) Emit(e engine.Event) { c.m.emit(e.Source, e.Index, e.Data) }

// call makes what the interpreter calls.
func (h *Helper) call(m *Machine) call {
	c := &Caller{m}
	return call{proto: &h.Proto, fn: func(_ *Machine, a *[5]uint64) uint64 {
		result := h.Func(c, *a)
		if lo, hi := h.results(a); int64(result) < lo || int64(result) > hi {
			return m.refuse(fmt.Sprintf("it returned %d, where its prototype promises %d to %d", int64(result), lo, hi))
		}
		return result
	}}
}

// results is the range of what the prototype lets the function return for
// these arguments. The verifier relies on it.
func (h *Helper) results(a *[5]uint64) (lo, hi int64) {
	switch p := &h.Proto; {
	case p.Returns == abi.ReturnsLength:
		for i, kind := range p.Args {
			if kind == abi.ArgSize || kind == abi.ArgSizeOrZero {
				hi = max(hi, int64(a[i]))
			}
		}
		return -abi.MaxErrno, hi
	case p.Returns == abi.ReturnsScalar && (p.Min != 0 || p.Max != 0):
		return p.Min, p.Max
	}
	return math.MinInt64, math.MaxInt64
}

// newCall finds the helper that a program of type t calls by a number.
func (m *Machine) newCall(id int32, t abi.ProgType) (call, error) {
	for i := range m.o.Helpers {
		if h := &m.o.Helpers[i]; h.Proto.ID == id && h.Proto.Types.Has(t) {
			return h.call(m), nil
		}
	}
	name := ebpf.HelperName(id)
	if name == "" {
		return call{}, fmt.Errorf("there is no helper function %d", id)
	}
	c := call{proto: abi.HelperByID(id), fn: helpers[id]}
	if c.proto == nil || c.fn == nil {
		return call{}, fmt.Errorf("helper %s (%d) is not supported", name, id)
	}
	if !c.proto.Types.Has(t) {
		return call{}, fmt.Errorf("%v programs cannot call helper %s (%d)", t, name, id)
	}
	return c, nil
}

// call calls a helper. It says no if an argument breaks the prototype. R1 to
// R5 keep their values, as in the kernel's interpreter, although programs may
// not rely on it.
func (m *Machine) call(o *op) bool {
	c := &m.calls[o.imm]
	for i := range c.proto.Args {
		if !m.argumentFits(c, i) {
			return false
		}
	}
	m.refusal = ""
	m.reg[0] = c.fn(m, (*[5]uint64)(m.reg[1:6]))
	return m.refusal == ""
}

// callRegister is callx: a call of the function whose address is the target, or
// of the helper whose number it is, as in machines that know no addresses of
// functions; addresses are far above all numbers. The index to return to is in
// m.pc, and afterwards the one to go on at.
func (m *Machine) callRegister(target uint64) bool {
	m.indirect = call{}
	if index, ok := m.functionAt(target); ok {
		m.refusal = tooDeep
		if m.enter(m.pc) {
			m.pc = index
			return true
		}
		return false
	}
	if target > math.MaxInt32 {
		m.refusal = "neither the address of a function, taken by the program, nor the number of a helper"
		return false
	}
	c, err := m.newCall(int32(target), m.programAt(m.pc-1).typ)
	if err != nil {
		m.refusal = err.Error()
		return false
	}
	m.indirect, m.calls = c, append(m.calls, c)
	last := len(m.calls) - 1
	ok := m.call(&op{imm: uint64(last)})
	m.calls = m.calls[:last]
	return ok
}

// refuse is what a helper returns instead of a result if the machine must not
// go on, because of something that the kinds of its arguments do not tell.
func (m *Machine) refuse(why string) uint64 {
	m.refusal = why
	return m.reg[0]
}

// argumentFits checks the argument with index i of a call. A map is kept in
// m.argMap for the arguments behind it and for the helper.
func (m *Machine) argumentFits(c *call, i int) bool {
	v := m.reg[1+i]
	switch c.proto.Args[i] {
	case abi.ArgContext:
		return v == uint64(m.ctx)
	case abi.ArgSize:
		return v > 0
	case abi.ArgReadMemOrNull:
		return v == 0 && m.reg[2+i] == 0 || m.reachPlain(v, m.reg[2+i], read)
	case abi.ArgReadMem:
		return m.reachPlain(v, m.reg[2+i], read)
	case abi.ArgWriteMemOrNull:
		m.mayDirty(v)
		return v == 0 && m.reg[2+i] == 0 || m.reachPlain(v, m.reg[2+i], write)
	case abi.ArgWriteMem:
		m.mayDirty(v)
		return m.reachPlain(v, m.reg[2+i], write)
	case abi.ArgMap:
		m.argMap = m.mapAt(v)
		return m.argMap != nil && m.argMap.Spec().Kind.Info().Calls&c.proto.Calls == c.proto.Calls
	case abi.ArgReadWriteWord:
		m.mayDirty(v)
		return m.reachPlain(v, 4, write)
	case abi.ArgWriteLong:
		m.mayDirty(v)
		return m.reachPlain(v, 8, write)
	case abi.ArgSocket:
		return false // there are none
	case abi.ArgMapKey:
		return m.reachPlain(v, uint64(m.argMap.Spec().KeySize), read)
	case abi.ArgMapValue:
		return m.reachPlain(v, uint64(m.argMap.Spec().ValueSize), read)
	case abi.ArgMapValueOut:
		m.mayDirty(v)
		return m.reachPlain(v, uint64(m.argMap.Spec().ValueSize), write)
	}
	return true
}

// mayDirty notes that memory at addr is about to be written.
func (m *Machine) mayDirty(addr uint64) {
	if addr-m.window[write].lo < m.window[write].span() {
		m.dirty = true
	}
}
