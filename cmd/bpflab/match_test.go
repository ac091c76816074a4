package main

import (
	"errors"
	"io"
	"strings"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/vm/replay"
)

// TestDisagreement checks what match makes of two engines that disagree, with
// the same engine running two different programs, since the real ones agree.
func TestDisagreement(t *testing.T) {
	sides := make([]replay.Side, 2)
	for i, ret := range []uint32{5, 7} {
		e, err := newEngine("cbpf", []bpf.RawInstruction{{Op: 0x06, K: ret}})
		if err != nil {
			t.Fatal(err)
		}
		sides[i].Engine = e
	}
	m := &matchRun{
		app:     newApp(nil, io.Discard, io.Discard),
		filters: &linkFilters{made: map[variant][]replay.Side{{link: cbpf.LinkEthernet}: sides}},
	}
	err := m.readCapture("../../testdata/captures/mixed.pcap")
	if !errors.As(err, new(answerNo)) || statusOf(err) != exitNo {
		t.Fatalf("error %v", err)
	}
	for _, want := range []string{"packet 1:", "returned 5", "returned 7"} {
		if !strings.Contains(describe(err), want) {
			t.Errorf("%q is missing in:\n%s", want, describe(err))
		}
	}
}
