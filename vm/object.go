package vm

import "github.com/bpflab/bpflab/ebpf/object"

// CollectionOf makes a collection of programs of an object: those named, of
// which the first is the one that runs, the others that its program arrays
// hold from the start, and all of its maps; see [object.Object.Link].
func CollectionOf(obj *object.Object, programs ...string) (Collection, error) {
	l, err := obj.Link(programs...)
	if err != nil {
		return Collection{}, err
	}
	c := Collection{Maps: l.Maps}
	for _, p := range l.Programs {
		c.Programs = append(c.Programs, Program{Name: p.Name, Type: p.Type, Insns: p.Insns, Absent: p.Absent})
	}
	return c, nil
}
