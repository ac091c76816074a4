package verifier

import (
	"strconv"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// loadContext returns what a load from the context gives. Which fields there
// are, and what they hold, is in [abi.Context].
func (v *verifier) loadContext(r ebpf.Register, off int64, size int, signed bool) (reg, *failure) {
	if v.ctx == nil {
		return v.loadBytes(r, off, size)
	}
	if f := v.unmoved(r); f != nil {
		return reg{}, f
	}
	field, ok := v.ctx.Access(v.p.Type, int(off), size, false)
	if field != nil && field.Name == "egress_ifindex" && v.p.DevMap && int(off) == field.Offset {
		ok = size == field.Size
	}
	if !ok {
		return reg{}, v.fail(ContextField, int(r), "%s", v.noField(field, off, size, "load"))
	}
	if field.Kind != abi.Scalar && signed {
		return reg{}, v.fail(ContextField, int(r), "%s is a pointer, which a sign-extending load would spoil", field.Name)
	}
	switch field.Kind {
	case abi.Packet:
		return pointer(packetPtr), nil
	case abi.PacketEnd:
		return pointer(packetEnd), nil
	case abi.PacketMeta:
		return pointer(metaPtr), nil
	case abi.FlowKeys:
		return pointer(flowKeysPtr), nil
	case abi.Socket:
		p := pointer(socketPtr)
		p.flags, p.id, p.obj = nullable, v.state.newID(), sockCommon
		return p, nil
	}
	return unsigned(size), nil
}

// storeContext checks a store to the context.
func (v *verifier) storeContext(r ebpf.Register, off int64, size int, pointer bool) *failure {
	if v.ctx == nil {
		return v.fail(ContextStore, int(r), "%v programs cannot change their context", v.p.Type)
	}
	if f := v.unmoved(r); f != nil {
		return f
	}
	if field, ok := v.ctx.Access(v.p.Type, int(off), size, true); !ok {
		code := ContextField
		if field != nil && !field.Writers.Has(v.p.Type) {
			code = ContextStore
		}
		return v.fail(code, int(r), "%s", v.noField(field, off, size, "store"))
	}
	if pointer {
		return v.leak(r)
	}
	return nil
}

// unmoved checks that a pointer to the context is as the program got it: the
// kernel rewrites each access, and must know the field (check_ptr_off_reg).
func (v *verifier) unmoved(r ebpf.Register) *failure {
	if off, ok := v.reg(r).offset(); !ok || off != 0 {
		return v.fail(ContextModified, int(r), "R%d is the context moved by %v: use the pointer as it was, and put the offset into the instruction", r, v.reg(r).num)
	}
	return nil
}

// noField says why the context has no such access.
func (v *verifier) noField(field *abi.Field, off int64, size int, what string) string {
	name := "struct " + v.ctx.Name
	set, widths := abi.TypeSet(0), abi.Sizes(0)
	if field != nil {
		set, widths = field.Readers, field.Loads
		if what == "store" {
			set, widths = field.Writers, field.Stores
		}
	}
	switch {
	case field == nil:
		return "a " + what + " of " + bytesText(size) + " at offset " + itoa(int32(off)) + " of " + name + ", where no field is"
	case !set.Has(v.p.Type):
		return v.p.Type.String() + " programs cannot " + what + " the field " + field.Name + " of " + name
	case !widths.Has(size):
		return "the field " + field.Name + " of " + name + " cannot be accessed in a width of " + bytesText(size)
	}
	return "a " + what + " of " + bytesText(size) + " at offset " + itoa(int32(off)) + " of " + name + " is not within " + field.Name + " or not aligned"
}

func bytesText(n int) string {
	if n == 1 {
		return "1 byte"
	}
	return strconv.Itoa(n) + " bytes"
}

// are is the verb for n things.
func are(n int64) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// loadBytes is loadContext for a context of bytes.
func (v *verifier) loadBytes(r ebpf.Register, off int64, size int) (reg, *failure) {
	return unsigned(size), v.within(r, off, int64(size), int64(v.p.ContextSize), ContextField, "the context")
}

// loadSocket checks a load from a socket (bpf_sock_is_valid_access).
func (v *verifier) loadSocket(r ebpf.Register, off int64, size int) *failure {
	p := v.reg(r)
	at, ok := p.offset()
	if ok {
		var field *abi.Field
		field, ok = abi.Sock.Access(v.p.Type, int(at+off), size, false)
		ok = ok && (p.obj != sockCommon || !abi.FullSockOnly(field))
	}
	if !ok {
		return v.fail(SocketField, int(r), "struct bpf_sock has no field for a load of %s at offset %d", bytesText(size), off)
	}
	return nil
}
