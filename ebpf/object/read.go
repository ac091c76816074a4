package object

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"maps"
	"slices"

	cilium "github.com/cilium/ebpf"

	"github.com/bpflab/bpflab/ebpf/abi"
)

// Options say how to read an object. The zero value is good for most.
type Options struct {
	// Types is the type information that CO-RE relocations are resolved
	// against: raw BTF as in /sys/kernel/btf/vmlinux, or an ELF file with a
	// .BTF section. nil means the running kernel's. Other than the object it is
	// trusted. The library applies relocations on Linux only; elsewhere the
	// programs that have any cannot be used.
	Types io.ReaderAt
	// DefaultType is the type of programs in sections whose name does not
	// tell one, such as the free names of iproute2's objects. Sections of the
	// form "2/7" take the type of the object's other programs, if that is one.
	DefaultType abi.ProgType
}

// Read reads an object. An error is about the file as a whole; what is wrong
// with a single program is in its Err.
func Read(r io.ReaderAt, o Options) (*Object, error) {
	data, err := readBounded(r)
	if err != nil {
		return nil, err
	}
	c, err := checkELF(data)
	if err != nil {
		return nil, err
	}
	return read(c, o)
}

// read runs the library over a file that has passed the checks. The library
// and debug/elf are written for files that a compiler made, and may trip over
// others.
func read(c *contents, o Options) (obj *Object, err error) {
	defer func() {
		if r := recover(); r != nil {
			obj, err = nil, fmt.Errorf("damaged object: %v", r)
		}
	}()
	var types []byte
	for i := range c.sections {
		if c.sectionName(i) == ".BTF" {
			types = bytes.Clone(c.bytes(i))
		}
	}
	c.adapt()
	file, err := elf.NewFile(bytes.NewReader(c.data))
	if err != nil {
		return nil, fmt.Errorf("damaged object: %w", err)
	}
	syms, err := readSymbols(file)
	if err != nil {
		return nil, fmt.Errorf("damaged object: %w", err)
	}
	spec, err := cilium.LoadCollectionSpecFromReader(bytes.NewReader(c.data))
	if err != nil {
		return nil, fmt.Errorf("object: %w", err)
	}
	if obj, err = convert(spec, syms, o); err != nil {
		return nil, err
	}
	obj.Types = types
	return obj, nil
}

// convert turns what the library made into the types of this package.
func convert(spec *cilium.CollectionSpec, syms symbols, o Options) (*Object, error) {
	obj := &Object{ByteOrder: spec.ByteOrder}
	var err error
	if obj.Maps, err = convertMaps(spec, syms); err != nil {
		return nil, err
	}
	l := linker{spec: spec, object: obj, syms: syms, options: o, maps: map[string]int{}}
	for i := range obj.Maps {
		l.maps[obj.Maps[i].Name] = i
	}
	for _, name := range inOrder(spec.Variables, syms) {
		if v, ok := convertVariable(spec.Variables[name], l.maps); ok {
			obj.Variables = append(obj.Variables, v)
		}
	}
	if err := obj.addKconfig(spec); err != nil {
		return nil, err
	}
	for _, name := range inOrder(spec.Programs, syms) {
		obj.Programs = append(obj.Programs, l.program(spec.Programs[name]))
	}
	obj.inferTypes(o.DefaultType)
	if err := obj.placeTailCalls(spec); err != nil {
		return nil, err
	}
	return obj, nil
}

// inOrder returns the names in the order of the file.
func inOrder[T any](m map[string]T, syms symbols) []string {
	names := slices.Sorted(maps.Keys(m))
	slices.SortStableFunc(names, func(a, b string) int { return syms.places[a].compare(syms.places[b]) })
	return names
}
