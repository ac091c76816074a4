package main

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/vm/engine"
)

// TestDisagreement checks what match makes of two engines that disagree, with
// the same engine running two different programs, since the real ones agree.
func TestDisagreement(t *testing.T) {
	engines := make([]engine.Engine, 2)
	for i, ret := range []uint32{5, 7} {
		e, err := newEngine("cbpf", []bpf.RawInstruction{{Op: 0x06, K: ret}})
		if err != nil {
			t.Fatal(err)
		}
		engines[i] = e
	}
	m := &matchRun{
		app:     newApp(nil, io.Discard, io.Discard),
		workers: []*worker{{names: []string{"a", "b"}, made: map[variant][]engine.Engine{{link: cbpf.LinkEthernet}: engines}}},
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

// TestMatchShowsPacketsAsTheyCome feeds a capture that does not end, as
// "tcpdump -w -" does, and waits for what matches.
func TestMatchShowsPacketsAsTheyCome(t *testing.T) {
	file, err := os.ReadFile("../../testdata/captures/mixed.pcap")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		want string // what the output begins with
	}{
		{[]string{"match", "-r", "-", "arp"}, "    1 2026-"},
		{[]string{"match", "-r", "-", "-w", "-", "arp"}, string(file[:24+16])},
		{[]string{"match", "-r", "-", "-j", "2", "arp"}, "    1 2026-"},
		{[]string{"match", "-r", "-", "--engine", "all", "arp"}, "    1 2026-"},
	} {
		in, feed := io.Pipe()
		shown, out := io.Pipe()
		done := make(chan int)
		go func() { done <- run(tt.args, in, out, io.Discard) }()
		fed := make(chan error)
		go func() { _, err := feed.Write(file); fed <- err }() // and no end
		got := make([]byte, len(tt.want))
		if _, err := io.ReadFull(shown, got); err != nil || string(got) != tt.want {
			t.Errorf("%q: %q, %v", tt.args, got, err)
		}
		go io.Copy(io.Discard, shown)
		if err := <-fed; err != nil {
			t.Error(err)
		}
		feed.Close()
		if status := <-done; status != 0 {
			t.Errorf("%q: exit status %d", tt.args, status)
		}
	}
}
