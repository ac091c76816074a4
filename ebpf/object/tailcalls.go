package object

import (
	"fmt"
	"strconv"
	"strings"

	cilium "github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// placeTailCalls puts programs into program arrays where the object says so
// beside the maps: iproute2 by the section, "2/7" for slot 7 of the map with
// id 2, Cilium by a declaration tag of the function, "tail:MAP/SLOT". (The
// third way, initial values in the definition of the map, is in its Contents.)
func (o *Object) placeTailCalls(spec *cilium.CollectionSpec) error {
	for _, p := range o.Programs {
		if id, slot, ok := tailSection(p.Section); ok {
			if m := o.mapByID(id); m != nil {
				m.addProgram(slot, p.Name, o)
			}
		}
		if len(spec.Programs[p.Name].Instructions) == 0 {
			continue
		}
		f := btf.FuncMetadata(&spec.Programs[p.Name].Instructions[0])
		if f == nil {
			continue
		}
		for _, tag := range f.Tags {
			if err := o.placeTag(p.Name, tag); err != nil {
				return fmt.Errorf("program %q: declaration tag %q: %w", p.Name, tag, err)
			}
		}
	}
	return nil
}

// tailSection takes a section name of the form "ID/SLOT" apart. iproute2 reads
// the numbers with %i, which allows hexadecimal and octal.
func tailSection(section string) (id, slot uint32, ok bool) {
	left, right, found := strings.Cut(section, "/")
	i, err1 := strconv.ParseUint(left, 0, 32)
	s, err2 := strconv.ParseUint(right, 0, 32)
	return uint32(i), uint32(s), found && err1 == nil && err2 == nil
}

// placeTag follows a declaration tag. A map that is not in the object is not
// an error: Cilium has programs for the maps of other objects.
func (o *Object) placeTag(program, tag string) error {
	rest, ok := strings.CutPrefix(tag, "tail:")
	if !ok {
		return nil
	}
	name, number, ok := strings.Cut(rest, "/")
	slot, err := strconv.ParseUint(number, 10, 32)
	if !ok || err != nil {
		return fmt.Errorf("want tail:MAP/SLOT")
	}
	if m := o.Map(name); m != nil {
		m.addProgram(uint32(slot), program, o)
	}
	return nil
}

func (m *MapSpec) addProgram(slot uint32, program string, o *Object) {
	m.Contents = append(m.Contents, Entry{Key: key32(slot, o.ByteOrder), Program: program})
}

func (o *Object) mapByID(id uint32) *MapSpec {
	for i := range o.Maps {
		if m := &o.Maps[i]; m.id == id && cilium.MapType(m.Kind) == cilium.ProgramArray {
			return m
		}
	}
	return nil
}
