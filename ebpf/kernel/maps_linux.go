package kernel

import (
	"errors"
	"fmt"
	"slices"

	cilium "github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/ebpf/abi"
)

// mapAt returns the map with an index, which it makes if there is none yet.
func (c *Collection) mapAt(i int) (*cilium.Map, error) {
	if i < 0 || i >= len(c.maps) {
		return nil, fmt.Errorf("there is no map %d, there are %d", i, len(c.maps))
	}
	if c.maps[i] != nil {
		return c.maps[i], nil
	}
	s := &c.specs[i]
	spec := mapSpec(s)
	if err := c.fill(spec, s); err != nil {
		return nil, err
	}
	unlimitMemory()
	m, err := cilium.NewMap(spec)
	if err != nil {
		return nil, describeMapError(s, err)
	}
	if s.Frozen {
		if err := m.Freeze(); err != nil {
			m.Close()
			return nil, fmt.Errorf("freezing map %q: %w", s.Name, err)
		}
	}
	c.maps[i] = m
	return m, nil
}

// fill adds the contents that a map has from the start: all but programs, which
// are loaded when the maps they use are there.
func (c *Collection) fill(spec *cilium.MapSpec, s *abi.MapSpec) error {
	for _, e := range s.Contents {
		switch {
		case s.Kind == abi.ProgArray:
		case e.Name != "":
			inner, err := c.mapNamed(e.Name)
			if err != nil {
				return fmt.Errorf("map %q: %w", s.Name, err)
			}
			spec.Contents = append(spec.Contents, cilium.MapKV{Key: e.Key, Value: inner})
		default:
			value := append(slices.Clone(e.Value), make([]byte, max(0, int(s.ValueSize)-len(e.Value)))...)
			kv := cilium.MapKV{Key: e.Key, Value: value}
			if info := s.Kind.Info(); info != nil && info.PerCPU {
				kv.Value = slices.Repeat([][]byte{value}, cilium.MustPossibleCPU())
			}
			spec.Contents = append(spec.Contents, kv)
		}
	}
	return nil
}

func (c *Collection) mapNamed(name string) (*cilium.Map, error) {
	for i := range c.specs {
		if c.specs[i].Name == name {
			return c.mapAt(i)
		}
	}
	return nil, fmt.Errorf("there is no map %q", name)
}

// PossibleCPUs returns how many CPUs there can be: so many values a per-CPU map
// has for a key.
func PossibleCPUs() (int, error) { return cilium.PossibleCPU() }

// mapSpec describes a map for the library, without its contents.
func mapSpec(s *abi.MapSpec) *cilium.MapSpec {
	spec := &cilium.MapSpec{
		Name: objectName(s.Name), Type: cilium.MapType(s.Kind), KeySize: s.KeySize, ValueSize: s.ValueSize,
		MaxEntries: s.MaxEntries, Flags: s.Flags, MapExtra: s.Extra,
	}
	if s.Inner != nil {
		spec.InnerMap = mapSpec(s.Inner)
	}
	if s.SpinLock != nil {
		spec.Key, spec.Value = lockedTypes(s)
	}
	return spec
}

// lockedTypes are the types of a map with a spin lock: the kernel looks for the
// lock in the types, and at nothing else in them but the sizes.
func lockedTypes(s *abi.MapSpec) (key, value btf.Type) {
	number := &btf.Int{Name: "unsigned int", Size: 4}
	lock := &btf.Struct{Name: "bpf_spin_lock", Size: 4, Members: []btf.Member{{Name: "val", Type: number}}}
	member := btf.Member{Name: "lock", Type: lock, Offset: btf.Bits(8 * *s.SpinLock)}
	return &btf.Struct{Name: "key", Size: s.KeySize}, &btf.Struct{Name: "value", Size: s.ValueSize, Members: []btf.Member{member}}
}

// describeMapError adds to an error of making a map what the kernel was asked
// for.
func describeMapError(s *abi.MapSpec, err error) error {
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("making map %q: %w; it takes root, or CAP_BPF", s.Name, unix.EPERM)
	}
	return fmt.Errorf("making map %q (%v, key %d B, value %d B, max_entries %d, flags %#x): %w",
		s.Name, s.Kind, s.KeySize, s.ValueSize, s.MaxEntries, s.Flags, err)
}
