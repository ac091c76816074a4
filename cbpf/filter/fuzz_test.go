package filter_test

import (
	"errors"
	"testing"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter"
	"github.com/bpflab/bpflab/testdata/filters"
	"github.com/bpflab/bpflab/testdata/packets"
)

// FuzzCompile compiles anything: it must not panic, its errors must have a
// place, and what it compiles must be valid and give the same verdicts with
// and without optimization.
func FuzzCompile(f *testing.F) {
	for i, c := range filters.Load() {
		if i%7 == 0 {
			f.Add(c.Expr, uint16(c.LinkType), false)
		}
	}
	for _, c := range filters.LoadLive() {
		f.Add(c.Expr, uint16(c.LinkType), true)
	}
	f.Fuzz(func(t *testing.T, expr string, link uint16, live bool) {
		o := filter.Options{LinkType: cbpf.LinkType(link), Live: live, Names: filter.BuiltinNames(), Netmask: netmask, NetmaskKnown: true}
		p, err := filter.Compile(expr, o)
		if err != nil {
			var e *filter.Error
			if !errors.As(err, &e) {
				t.Fatalf("%q: %T: %v", expr, err, err)
			}
			if e.At.Start < 0 || e.At.End < e.At.Start || e.At.End > len(expr) || e.Msg == "" {
				t.Fatalf("%q: error at %v: %v", expr, e.At, err)
			}
			return
		}
		o.NoOptimize = true
		plain, err := filter.Compile(expr, o)
		if err != nil {
			t.Fatalf("%q: only without optimization: %v", expr, err)
		}
		p.Stages()
		samePrograms(t, expr, p, plain, packets.Generate(o.LinkType, 1, 200))
	})
}

func samePrograms(t *testing.T, expr string, p, q *filter.Program, list []packets.Packet) {
	m1, err1 := cbpf.New(p.Insns)
	m2, err2 := cbpf.New(q.Insns)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatalf("%q: %v", expr, err)
	}
	for i, pkt := range list {
		meta := &cbpf.Metadata{HasDevice: true, VLANPresent: i%2 == 0, VLANTCI: 100, IfIndex: 1, PacketType: uint8(i % 5)}
		got1, err1 := m1.Run(pkt.Data, pkt.WireLen, meta)
		got2, err2 := m2.Run(pkt.Data, pkt.WireLen, meta)
		if got1 != got2 || err1 != nil || err2 != nil {
			t.Fatalf("%q, packet %x: optimized %d %v, plain %d %v", expr, pkt.Data, got1, err1, got2, err2)
		}
	}
}
