package vm_test

import (
	"fmt"
	"testing"

	"github.com/bpflab/bpflab/vm/engine"
)

// BenchmarkMapLookup reports the time of one map_lookup_elem with the load of
// the value behind it.
func BenchmarkMapLookup(b *testing.B) {
	for _, index := range []int{0, 2} {
		b.Run(testMaps[index].Name, func(b *testing.B) {
			m := load(b, fmt.Sprintf(`
				r6 = 1000
				*(u32 *)(r10 - 4) = 1
				*(u64 *)(r10 - 16) = 0
				*(u32 *)(r10 - 8) = 0
				%sloop:	r1 = map[idx:%d]
				r2 = r10
				r2 += -4
				call bpf_map_lookup_elem
				r0 = *(u32 *)(r0 + 0)
				r6 += -1
				if r6 != 0 goto loop
				exit`, call("map_update_elem", index), index))
			in, out := []engine.Packet{packetOf(make([]byte, 64))}, make([]engine.Result, 1)
			b.ReportAllocs()
			for b.Loop() {
				if err := m.Run(in, out); err != nil || out[0].Fault != nil {
					b.Fatal(err, out[0].Fault)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/lookup")
		})
	}
}
