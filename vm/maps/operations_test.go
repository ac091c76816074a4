package maps_test

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm/maps"
)

// TestOperations goes through testdata/operations.txt: maps, and operations on
// them with their results, which were compared with the kernel's by
// TestKernelRandom and TestKernelPrograms. A line is
//
//	map KIND KEYSIZE VALUESIZE MAXENTRIES [FLAGS [inner KEYSIZE VALUESIZE MAXENTRIES]]
//	lookup|update|delete|take|next KEY VALUE FLAGS = ERRNO|ok [VALUE]
//
// with keys and values in hexadecimal, - for none.
func TestOperations(t *testing.T) {
	file, err := os.Open("testdata/operations.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var set *maps.Set
	var m *maps.Map
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "map "):
			set = newSet(t, 2)
			m = parseMap(t, set, line)
		default:
			call, want, _ := strings.Cut(line, " = ")
			if got := operate(t, m, strings.Fields(call)); got != want {
				t.Errorf("line %d: %s = %s, want %s (%v)", n, call, got, want, m)
			}
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}

func parseMap(t *testing.T, set *maps.Set, line string) *maps.Map {
	t.Helper()
	var kind string
	spec := abi.MapSpec{Name: "m"}
	inner := abi.MapSpec{Name: "inner", Kind: abi.ArrayMap}
	n, err := fmt.Sscanf(line, "map %s %d %d %d %v inner %d %d %d", &kind, &spec.KeySize, &spec.ValueSize,
		&spec.MaxEntries, &spec.Flags, &inner.KeySize, &inner.ValueSize, &inner.MaxEntries)
	if n < 4 {
		t.Fatalf("%s: %v", line, err)
	}
	for _, info := range abi.MapKinds {
		if info.Kind.String() == kind {
			spec.Kind = info.Kind
		}
	}
	if n == 8 {
		spec.Inner = &inner
		newMap(t, set, inner) // has the id 1
		other := inner
		other.MaxEntries++
		newMap(t, set, other) // 2
	}
	return newMap(t, set, spec)
}

func operate(t *testing.T, m *maps.Map, call []string) string {
	t.Helper()
	if len(call) != 4 {
		t.Fatalf("%q: an operation, a key, a value and flags", call)
	}
	var key, value []byte
	for i, b := range []*[]byte{&key, &value} {
		if arg := call[1+i]; arg != "-" {
			var err error
			if *b, err = hex.DecodeString(arg); err != nil {
				t.Fatal(err)
			}
		}
	}
	var flags uint64
	if _, err := fmt.Sscanf(call[3], "%v", &flags); err != nil {
		t.Fatal(err)
	}
	out := make([]byte, m.ValueLen())
	copy(out, value)
	var err error
	switch call[0] {
	case "lookup":
		err = m.Lookup(key, out)
	case "update":
		return result(m.Update(key, value, flags), nil)
	case "delete":
		return result(m.Delete(key), nil)
	case "take":
		err = m.LookupAndDelete(key, out)
	case "next":
		out = make([]byte, m.Spec().KeySize)
		err = m.NextKey(key, out)
	default:
		t.Fatalf("no such operation: %s", call[0])
	}
	return result(err, out)
}

func result(err error, out []byte) string {
	var e maps.Errno
	switch {
	case err == nil && out == nil:
		return "ok"
	case err == nil:
		return "ok " + hex.EncodeToString(out)
	case errors.As(err, &e):
		return e.Error()
	}
	return err.Error()
}
