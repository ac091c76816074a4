package kernel

import (
	"errors"
	"fmt"
	"io/fs"

	cilium "github.com/cilium/ebpf"

	"github.com/bpflab/bpflab/ebpf/abi"
)

// A Map is a map of a [Collection] as user space sees it. It lives as long as
// the collection.
type Map struct {
	spec *abi.MapSpec
	m    *cilium.Map
}

// Map returns the map with a name; it makes it if no program has named it yet.
func (c *Collection) Map(name string) (*Map, error) {
	for i := range c.specs {
		if c.specs[i].Name == name {
			m, err := c.mapAt(i)
			return &Map{&c.specs[i], m}, err
		}
	}
	return nil, fmt.Errorf("there is no map %q", name)
}

// Spec describes the map.
func (m *Map) Spec() *abi.MapSpec { return m.spec }

// perCPU reports whether each CPU has a value for each key.
func (m *Map) perCPU() bool {
	info := m.spec.Kind.Info()
	return info != nil && info.PerCPU
}

// Lookup returns the value for a key; in a per-CPU map those of all CPUs that
// there can be. It is an error if there is none.
func (m *Map) Lookup(key []byte) ([][]byte, error) {
	if m.perCPU() {
		var values [][]byte
		err := m.m.Lookup(key, &values)
		return values, m.describe(err)
	}
	value := make([]byte, m.spec.ValueSize)
	err := m.m.Lookup(key, value)
	return [][]byte{value}, m.describe(err)
}

// Elements returns what is in the map. A map that programs change meanwhile may
// give an element twice or leave one out, but none that was never there.
func (m *Map) Elements() ([]Element, error) {
	var all []Element
	var key, value []byte
	var values [][]byte
	into := any(&value)
	if m.perCPU() {
		into = &values
	}
	elements := m.m.Iterate()
	for elements.Next(&key, into) {
		if !m.perCPU() {
			values = [][]byte{value}
		}
		all = append(all, Element{Key: key, Values: values})
		key, value, values = nil, nil, nil
	}
	if err := elements.Err(); err != nil && !errors.Is(err, cilium.ErrIterationAborted) {
		return nil, m.describe(err)
	}
	return all, nil
}

// Update puts an element into the map: one value, or in a per-CPU map one for
// each CPU that there can be. The key of a queue or stack is empty.
func (m *Map) Update(key []byte, values ...[]byte) error {
	switch {
	case m.perCPU():
		return m.describe(m.m.Put(key, values))
	case len(values) != 1:
		return fmt.Errorf("map %q takes one value for a key, not %d", m.spec.Name, len(values))
	case m.spec.KeySize == 0:
		return m.describe(m.m.Put(nil, values[0]))
	}
	return m.describe(m.m.Put(key, values[0]))
}

// Pop takes a value out of a queue or stack. The error is fs.ErrNotExist if it is
// empty.
func (m *Map) Pop() ([]byte, error) {
	value := make([]byte, m.spec.ValueSize)
	err := m.m.LookupAndDelete(nil, value)
	if errors.Is(err, cilium.ErrKeyNotExist) {
		return nil, m.describe(fs.ErrNotExist)
	}
	return value, m.describe(err)
}

func (m *Map) describe(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("map %q: %w", m.spec.Name, err)
}
