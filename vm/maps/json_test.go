package maps_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm/maps"
)

func dump(t testing.TB, m *maps.Map) string {
	t.Helper()
	var b bytes.Buffer
	if err := m.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestJSONRoundTrip reads JSON into a map and wants the same back.
func TestJSONRoundTrip(t *testing.T) {
	tests := []struct {
		spec abi.MapSpec
		json string
	}{
		{abi.MapSpec{Kind: abi.ArrayMap, KeySize: 4, ValueSize: 2, MaxEntries: 2},
			`[{"key":["0x00","0x00","0x00","0x00"],"value":["0x2a","0xff"]},{"key":["0x01","0x00","0x00","0x00"],"value":["0x00","0x00"]}]`},
		{abi.MapSpec{Kind: abi.HashMap, KeySize: 1, ValueSize: 1, MaxEntries: 2}, `[{"key":["0x07"],"value":["0x01"]}]`},
		{abi.MapSpec{Kind: abi.HashMap, KeySize: 1, ValueSize: 1, MaxEntries: 2}, `[]`},
		{abi.MapSpec{Kind: abi.PerCPUHash, KeySize: 1, ValueSize: 2, MaxEntries: 2},
			`[{"key":["0x07"],"values":[{"cpu":0,"value":["0x01","0x02"]},{"cpu":1,"value":["0x03","0x04"]}]}]`},
		{abi.MapSpec{Kind: abi.Queue, ValueSize: 1, MaxEntries: 3}, `[{"value":["0x01"]},{"value":["0x02"]}]`},
		{abi.MapSpec{Kind: abi.Stack, ValueSize: 1, MaxEntries: 3}, `[{"value":["0x01"]},{"value":["0x02"]}]`},
		{abi.MapSpec{Kind: abi.ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 3},
			`[{"key":["0x01","0x00","0x00","0x00"],"value":["0x09","0x00","0x00","0x00"]}]`},
		{abi.MapSpec{Kind: abi.DevMap, KeySize: 4, ValueSize: 4, MaxEntries: 1},
			`[{"key":["0x00","0x00","0x00","0x00"],"value":{"error":"No such file or directory"}}]`},
		{abi.MapSpec{Kind: abi.RingBuf, MaxEntries: 4096}, `[]`},
	}
	for _, tt := range tests {
		m := newMap(t, newSet(t, 2), tt.spec)
		if err := m.ReadJSON(strings.NewReader(tt.json)); err != nil {
			t.Errorf("%v: %v", tt.spec.Kind, err)
		}
		if got := dump(t, m); got != tt.json {
			t.Errorf("%v:\n%s\nwant\n%s", tt.spec.Kind, got, tt.json)
		}
	}
}

func TestJSONInnerMap(t *testing.T) {
	set := newSet(t, 1)
	inner := abi.MapSpec{Name: "inner", Kind: abi.ArrayMap, KeySize: 4, ValueSize: 4, MaxEntries: 3}
	newMap(t, set, inner)
	m := newMap(t, set, abi.MapSpec{Kind: abi.HashOfMaps, KeySize: 1, ValueSize: 4, MaxEntries: 3, Inner: &inner,
		Contents: []abi.MapElement{{Key: []byte{5}, Name: "inner"}}})
	want := `[{"key":["0x05"],"value":["0x01","0x00","0x00","0x00"],"inner_map_id":1}]`
	if got := dump(t, m); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestJSONErrors(t *testing.T) {
	spec := abi.MapSpec{Name: "m", Kind: abi.HashMap, KeySize: 1, ValueSize: 2, MaxEntries: 1}
	perCPU := spec
	perCPU.Kind = abi.PerCPUHash
	tests := []struct {
		spec abi.MapSpec
		json string
		want string
	}{
		{spec, ``, `map "m": element 0, before byte 0: not an array of elements: EOF`},
		{spec, `{}`, `map "m": element 0, before byte 1: not an array of elements`},
		{spec, `[{"key":["0x100"],"value":["0","0"]}]`, `map "m": element 0, before byte 36: "0x100" is not a byte`},
		{spec, `[{"key":[1],"value":[1]}]`, `map "m": element 0, before byte 24: a value of 1 bytes, not 2: EINVAL`},
		{spec, `[{"key":[1,2],"value":[1,2]}]`, `map "m": element 0, before byte 28: a key of 2 bytes, not 1: EINVAL`},
		{spec, `[{"key":[1]}]`, `map "m": element 0, before byte 12: no value`},
		{spec, `[{"key":[1],"value":{"x":1}}]`, `map "m": element 0, before byte 28: a value that is an object must have an error`},
		{spec, `[{"key":[1],"value":[1,2]},{"key":[2],"value":[1,2]}]`, `map "m": element 1, before byte 52: E2BIG`},
		{spec, `[{"key":[1],"values":[]}]`, `map "m": element 0, before byte 24: values by CPU in a map that has one for all`},
		{perCPU, `[{"key":[1],"values":[{"cpu":2,"value":[1,2]}]}]`, `map "m": element 0, before byte 47: CPU 2 of 2`},
		{perCPU, `[{"key":[1],"value":[1]}]`, `map "m": element 0, before byte 24: a value of 1 bytes, not 2: EINVAL`},
		{spec, `[{"key":[1],"value":[1,2]}`, `map "m": element 1, before byte 26: EOF`},
	}
	for _, tt := range tests {
		err := newMap(t, newSet(t, 2), tt.spec).ReadJSON(strings.NewReader(tt.json))
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s:\n%v\nwant\n%s", tt.json, err, tt.want)
		}
	}
}
