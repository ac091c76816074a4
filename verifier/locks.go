package verifier

import "github.com/bpflab/bpflab/ebpf"

// A value of a map can contain a struct bpf_spin_lock. A program may hold one
// lock at a time, not for long: while it does it may call nothing but the
// unlock, and must end no path. Nobody but spin_lock and spin_unlock may touch
// the lock's bytes.
//
// A pointer to a value with a lock has an identity of its own in reg.ref, given
// by the lookup, by which lock and unlock are known to be about the same
// value. That of an address loaded by the program itself is 0; such maps have
// only one value.

// lockSize is sizeof(struct bpf_spin_lock).
const lockSize = 4

// takeLock steps spin_lock with R1 (process_spin_lock).
func (v *verifier) takeLock() *failure {
	if f := v.pointsToLock(); f != nil {
		return f
	}
	p := v.reg(ebpf.R1)
	v.state.lock = lock{held: true, obj: p.obj, id: p.ref}
	return nil
}

// dropLock steps spin_unlock with R1.
func (v *verifier) dropLock() *failure {
	if f := v.pointsToLock(); f != nil {
		return f
	}
	p, l := v.reg(ebpf.R1), &v.state.lock
	switch {
	case !l.held:
		return v.fail(UnlockedWrong, 1, "no lock is held that could be unlocked")
	case l.obj != p.obj || l.id != p.ref:
		return v.fail(UnlockedWrong, 1, "the lock that is held is that of another value than R1 points to")
	}
	*l = lock{}
	return nil
}

func (v *verifier) pointsToLock() *failure {
	p := v.reg(ebpf.R1)
	spec := &v.maps[p.obj]
	off, constant := p.offset()
	switch {
	case spec.SpinLock == nil:
		return v.fail(ArgumentKind, 1, "the values of map %q have no spin lock", spec.Name)
	case !constant:
		return v.fail(ArgumentConst, 1, "R1 must point to the spin lock by a constant offset")
	case off != int64(*spec.SpinLock):
		return v.fail(ArgumentKind, 1, "the spin lock is at offset %d of the value, R1 points to offset %d", *spec.SpinLock, off)
	}
	return nil
}

// touchesLock reports whether the bytes [off, end) of a value of map obj have
// some of its spin lock among them.
func (v *verifier) touchesLock(obj int32, off, end int64) bool {
	at := v.maps[obj].SpinLock
	return at != nil && off < int64(*at)+lockSize && int64(*at) < end
}
