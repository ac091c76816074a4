package maps

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/bpflab/bpflab/ebpf/abi"
)

// WriteJSON writes the elements of the map as bpftool map dump -j does for a map
// without BTF: an array of objects, in the order of NextKey.
//
//	[{"key":["0x00","0x00"],"value":["0x2a"]}]                        most kinds
//	[{"key":["0x00"],"values":[{"cpu":0,"value":["0x2a"]},…]}]        per-CPU kinds
//	[{"key":["0x00"],"value":["0x05"],"inner_map_id":5}]              maps of maps
//	[{"key":["0x00"],"value":{"error":"No such file or directory"}}]  where user space cannot read
//
// Empty slots of prog_array and maps of maps are left out. For queues and
// stacks bpftool prints nothing; here it is the values without keys, in the
// order in which they would be taken. Bloom filters, ring buffers and perf
// event arrays have no elements to tell of: the array is empty. Ids of programs
// and maps are those of the set.
func (m *Map) WriteJSON(w io.Writer) error {
	b := bufio.NewWriter(w)
	b.WriteByte('[')
	first := true
	err := m.dump(func(element []byte) {
		if !first {
			b.WriteByte(',')
		}
		first = false
		b.Write(element)
	})
	b.WriteByte(']')
	return errors.Join(err, b.Flush())
}

// dump calls emit with each element as JSON.
func (m *Map) dump(emit func([]byte)) error {
	if m.closed() {
		return ErrClosed
	}
	switch k := m.kind.(type) {
	case *queue:
		for _, value := range k.values() {
			emit(append(appendHex([]byte(`{"value":`), value), '}'))
		}
		return nil
	case *bloom, *ring, *perfArray:
		return nil
	}
	var element, key []byte
	next, value := make([]byte, m.spec.KeySize), make([]byte, m.ValueLen())
	for {
		err := m.NextKey(key, next)
		if errors.Is(err, ENOENT) {
			return nil
		} else if err != nil {
			return err
		}
		key = append(key[:0], next...)
		var e Errno
		if errors.As(m.Lookup(key, value), &e) && e == ENOENT && m.holdsObjects() {
			continue
		}
		element = appendHex(append(element[:0], `{"key":`...), key)
		element = m.appendValue(element, value, e)
		emit(append(element, '}'))
	}
}

// holdsObjects reports whether bpftool passes over empty slots.
func (m *Map) holdsObjects() bool {
	return m.spec.Kind == abi.ProgArray || m.holdsMaps()
}

func (m *Map) holdsMaps() bool {
	return m.spec.Kind == abi.ArrayOfMaps || m.spec.Kind == abi.HashOfMaps
}

func (m *Map) appendValue(b, value []byte, e Errno) []byte {
	switch {
	case e != 0:
		b = append(append(b, `,"value":{"error":"`...), e.text()...)
		return append(b, `"}`...)
	case m.step == 0:
		b = appendHex(append(b, `,"value":`...), value)
		if m.holdsMaps() {
			b = strconv.AppendUint(append(b, `,"inner_map_id":`...), uint64(get32(value)), 10)
		}
		return b
	}
	b = append(b, `,"values":[`...)
	for cpu := range m.set.cpus {
		if cpu > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(append(b, `{"cpu":`...), int64(cpu), 10)
		b = appendHex(append(b, `,"value":`...), value[cpu*int(m.step):][:m.spec.ValueSize])
		b = append(b, '}')
	}
	return append(b, ']')
}

func appendHex(b, data []byte) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '[')
	for i, v := range data {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"', '0', 'x', digits[v>>4], digits[v&15], '"')
	}
	return append(b, ']')
}

// values returns copies of the values in the order in which they would be
// taken.
func (q *queue) values() [][]byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	var all [][]byte
	for i := range q.count {
		if q.stack {
			i = q.count - 1 - i
		}
		all = append(all, bytes.Clone(q.bytes(q.place(i), q.spec.ValueSize)))
	}
	return all
}

// An element as bpftool writes it.
type jsonElement struct {
	Key    jsonBytes
	Value  *jsonValue
	Values []struct {
		CPU   int
		Value jsonBytes
	}
}

// jsonBytes are bytes, each a string such as "0x2a" or a number.
type jsonBytes []byte

func (b *jsonBytes) UnmarshalJSON(data []byte) error {
	var list []json.RawMessage
	if err := json.Unmarshal(data, &list); err != nil {
		return errors.New("not an array of bytes")
	}
	*b = make([]byte, len(list))
	for i, item := range list {
		v, err := strconv.ParseUint(string(bytes.Trim(item, `"`)), 0, 8)
		if err != nil {
			return fmt.Errorf("%s is not a byte", item)
		}
		(*b)[i] = byte(v)
	}
	return nil
}

// jsonValue is bytes, or says why there are none.
type jsonValue struct {
	jsonBytes
	unreadable bool
}

func (v *jsonValue) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte("{")) {
		var e struct{ Error *string }
		if err := json.Unmarshal(data, &e); err != nil || e.Error == nil {
			return errors.New("a value that is an object must have an error")
		}
		v.unreadable = true
		return nil
	}
	return v.jsonBytes.UnmarshalJSON(data)
}

// ReadJSON updates the map with elements in the form of [Map.WriteJSON]. For a
// per-CPU map a "value" is that of each CPU, as for bpftool map update, and CPUs
// that "values" leaves out get zero. Elements with an error for a value are
// passed over, and so are members that WriteJSON does not write, such as
// bpftool's "formatted". The elements before an error have been put in.
func (m *Map) ReadJSON(r io.Reader) error {
	d := json.NewDecoder(r)
	if t, err := d.Token(); err != nil {
		return m.jsonError(d, 0, fmt.Errorf("not an array of elements: %w", err))
	} else if t != json.Delim('[') {
		return m.jsonError(d, 0, errors.New("not an array of elements"))
	}
	var values [][]byte // of a queue or stack
	n := 0
	for ; d.More(); n++ {
		var e jsonElement
		if err := d.Decode(&e); err != nil {
			return m.jsonError(d, n, err)
		}
		value, err := m.jsonValue(&e)
		if err == nil && value != nil && m.spec.Kind == abi.Stack {
			values = append(values, value)
		} else if err == nil && value != nil {
			err = m.Update(e.Key, value, abi.UpdateAny)
		}
		if err != nil {
			return m.jsonError(d, n, err)
		}
	}
	if _, err := d.Token(); err != nil {
		return m.jsonError(d, n, err)
	}
	for n := len(values) - 1; n >= 0; n-- { // the last one comes out first
		if err := m.Update(nil, values[n], abi.UpdateAny); err != nil {
			return m.jsonError(d, n, err)
		}
	}
	return nil
}

func (m *Map) jsonError(d *json.Decoder, n int, err error) error {
	return fmt.Errorf("map %q: element %d, before byte %d: %w", m.spec.Name, n, d.InputOffset(), err)
}

// jsonValue returns the value of an element as user space gives it, nil for
// one that could not be read.
func (m *Map) jsonValue(e *jsonElement) ([]byte, error) {
	switch {
	case e.Value != nil && e.Value.unreadable:
		return nil, nil
	case e.Value != nil && m.step == 0:
		return e.Value.jsonBytes, nil
	case e.Value != nil:
		if len(e.Value.jsonBytes) != int(m.spec.ValueSize) {
			return nil, fmt.Errorf("a value of %d bytes, not %d: %w", len(e.Value.jsonBytes), m.spec.ValueSize, EINVAL)
		}
		return m.spread(e.Value.jsonBytes), nil
	case e.Values == nil:
		return nil, errors.New("no value")
	case m.step == 0:
		return nil, errors.New("values by CPU in a map that has one for all")
	}
	full := make([]byte, m.ValueLen())
	for _, v := range e.Values {
		if v.CPU < 0 || v.CPU >= m.set.cpus {
			return nil, fmt.Errorf("CPU %d of %d", v.CPU, m.set.cpus)
		}
		if len(v.Value) != int(m.spec.ValueSize) {
			return nil, fmt.Errorf("a value of %d bytes, not %d: %w", len(v.Value), m.spec.ValueSize, EINVAL)
		}
		copy(full[v.CPU*int(m.step):], v.Value)
	}
	return full, nil
}
