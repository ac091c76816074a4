package verifier

import (
	"slices"

	"github.com/bpflab/bpflab/ebpf"
)

// A pointer to a socket or to a record of a ring buffer stands for something
// that the program has to give back: with sk_release, with ringbuf_submit or
// ringbuf_discard, on all paths and once. Copies of the pointer carry the same
// reference, and are useless when one of them has been given back.

// sockCommon as the object of a socket pointer says that the socket may be in
// any state, so that only the fields of struct sock_common are there.
const sockCommon = 1

// maxHeld is how many references registers and the stack have room for. A
// program that holds more has lost one, which it will not be able to give back.
const maxHeld = maxFrames*10 + frameSize/8

// acquire makes a pointer to something that must be given back, unless it
// turns out to be NULL (acquire_reference_state).
func (v *verifier) acquire(k kind) reg {
	r := pointer(k)
	r.id, r.flags = v.state.newID(), nullable
	r.ref = r.id
	v.state.refs = append(v.state.refs, reference{id: r.ref, slot: int32(v.pc), kind: k})
	return r
}

// dropRef forgets a reference: it was given back, or the pointer is NULL, so
// that there is nothing to give back.
func (s *state) dropRef(ref uint32) {
	s.refs = slices.DeleteFunc(s.refs, func(r reference) bool { return r.id == ref })
}

// ownedArgument checks a socket or a record that a helper gets. If the helper
// takes it back, the program must own it (check_func_arg for OBJ_RELEASE): a
// socket from the context is not its own.
func (v *verifier) ownedArgument(c *helperCall, r ebpf.Register, want kind) *failure {
	if f := v.asItWas(c, r, want); f != nil {
		return f
	}
	ref := v.reg(r).ref
	owned := slices.ContainsFunc(v.state.refs, func(x reference) bool { return x.id == ref })
	if c.Releases && !owned {
		return v.fail(NotAcquired, int(r), "%s takes back what the program has acquired; it does not own %s in R%d", c.Name(), want, r)
	}
	c.owned = ref
	return nil
}

// giveBack ends a reference. As in the kernel all copies of the pointer become
// plain numbers (release_reference).
func (v *verifier) giveBack(ref uint32) {
	v.state.dropRef(ref)
	v.state.each(func(r *reg) {
		if r.ref == ref {
			*r = anyNumber()
		}
	})
}

// held checks that nothing is held where the program ends
// (check_reference_leak, and do_check for locks).
func (v *verifier) held() *failure {
	if v.state.lock.held {
		return v.fail(LockHeld, -1, "the program ends while it holds a spin lock")
	}
	if len(v.state.refs) > 0 {
		return v.unreleased(v.state.refs[0])
	}
	return nil
}

func (v *verifier) unreleased(r reference) *failure {
	return v.fail(Unreleased, -1, "%s, acquired at %d, is not given back", r.kind, r.slot)
}
