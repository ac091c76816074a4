package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bpflab/bpflab/ebpf/kernel"
)

// TestRate grows numbers within structures, and some that were not there.
func TestRate(t *testing.T) {
	counts := func(packets uint64, name string) kernel.Members {
		return kernel.Members{{Name: "packets", Value: packets}, {Name: "name", Value: name}}
	}
	for _, test := range []struct {
		before, now, want any
	}{
		{uint64(10), uint64(35), 12.5},
		{nil, uint64(3), 1.5},
		{uint64(35), uint64(10), -12.5}, // not a huge number
		{int64(-3), int64(-4), -0.5},
		{1.0, 1.5, 0.3},
		{"a", "b", nil},
		{counts(1, "a"), counts(2, "b"), kernel.Members{{Name: "packets", Value: 0.5}, {Name: "name", Value: nil}}},
		{nil, counts(2, "b"), kernel.Members{{Name: "packets", Value: 1.0}, {Name: "name", Value: nil}}},
	} {
		if diff := cmp.Diff(test.want, rate(test.before, test.now, 2)); diff != "" {
			t.Errorf("%v to %v: %s", test.before, test.now, diff)
		}
	}
	if got := rate(uint64(1), uint64(2), 0); got != nil {
		t.Errorf("in no time: %v", got)
	}
}

// TestAddCPUs adds up numbers wherever they are, and nothing else.
func TestAddCPUs(t *testing.T) {
	value := func(n uint64, cpu string) any {
		return kernel.Members{{Name: "n", Value: n}, {Name: "each", Value: []any{n, 2 * n}}, {Name: "cpu", Value: cpu}}
	}
	if diff := cmp.Diff(value(7, "0"), add(value(3, "0"), value(4, "1"))); diff != "" {
		t.Error(diff)
	}
	if got := add(int64(-2), int64(1)); got != int64(-1) {
		t.Error(got)
	}
}
