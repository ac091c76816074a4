package abi_test

import (
	"strings"
	"testing"

	cilium "github.com/cilium/ebpf"

	"github.com/bpflab/bpflab/ebpf/abi"
)

// TestMapKinds compares names and numbers with those of another library, which
// writes them in its own way.
func TestMapKinds(t *testing.T) {
	numbers := map[abi.MapKind]cilium.MapType{
		abi.HashMap: cilium.Hash, abi.ArrayMap: cilium.Array, abi.ProgArray: cilium.ProgramArray,
		abi.PerfEventArray: cilium.PerfEventArray, abi.PerCPUHash: cilium.PerCPUHash,
		abi.PerCPUArray: cilium.PerCPUArray, abi.LRUHash: cilium.LRUHash, abi.LRUPerCPUHash: cilium.LRUCPUHash,
		abi.LPMTrie: cilium.LPMTrie, abi.ArrayOfMaps: cilium.ArrayOfMaps, abi.HashOfMaps: cilium.HashOfMaps,
		abi.DevMap: cilium.DevMap, abi.CPUMap: cilium.CPUMap, abi.XSKMap: cilium.XSKMap, abi.Queue: cilium.Queue,
		abi.Stack: cilium.Stack, abi.DevMapHash: cilium.DevMapHash, abi.RingBuf: cilium.RingBuf,
		abi.BloomFilter: cilium.BloomFilter, abi.CGroupArray: cilium.CGroupArray,
	}
	for _, info := range abi.MapKinds {
		want, ok := numbers[info.Kind]
		if !ok || uint32(want) != uint32(info.Kind) || info.Kind.Info().Kind != info.Kind {
			t.Errorf("%v has the number %d, %v", info.Kind, info.Kind, want)
		}
		if strings.Contains(info.Kind.String(), " ") || info.Calls == 0 {
			t.Errorf("%q is not a name, or programs cannot use it", info.Kind)
		}
	}
	if len(numbers) != len(abi.MapKinds) {
		t.Errorf("%d kinds, want %d", len(abi.MapKinds), len(numbers))
	}
	for k, want := range map[abi.MapKind]string{1: "hash", 7: "stack_trace", 33: "arena", 34: "34"} {
		if k.String() != want {
			t.Errorf("kind %d is %v, want %s", k, k, want)
		}
	}
	for _, info := range abi.MapKinds {
		if k, ok := abi.ParseMapKind(info.Kind.String()); k != info.Kind || !ok {
			t.Errorf("%v is read as %v", info.Kind, k)
		}
	}
	for _, name := range []string{"", "unspec", "Array", "5"} {
		if k, ok := abi.ParseMapKind(name); ok {
			t.Errorf("%q is read as %v", name, k)
		}
	}
	if abi.MapKind(7).Info() != nil || abi.MapKind(0).Info() != nil {
		t.Error("there is a kind that should not be")
	}
	rule := abi.SizeRule{Min: 4, Max: 8, Step: 4}
	for n, want := range map[uint32]bool{0: false, 4: true, 6: false, 8: true, 12: false} {
		if rule.Allows(n) != want {
			t.Errorf("%v allows %d: %v", rule, n, !want)
		}
	}
}
