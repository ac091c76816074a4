package verifier_test

import (
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/verifier"
)

// TestGPLOnlyInKernel asks the kernel of every helper function whether programs
// under another license may call it.
func TestGPLOnlyInKernel(t *testing.T) {
	k := newReferee(t)
	for _, h := range abi.Helpers {
		typ := abi.SchedCLS
		for _, other := range []abi.ProgType{abi.XDP, abi.SocketFilter, abi.LWTXmit, abi.Kprobe} {
			if !h.Types.Has(typ) {
				typ = other
			}
		}
		p := &verifier.Program{Type: typ, NotGPL: true, Insns: []ebpf.Instruction{ebpf.CallTo(h.ID), ebpf.Return()}}
		words := k.words(p)
		if strings.Contains(words, "cannot use helper") {
			t.Errorf("%s: %v: %s", h.Name(), typ, words)
		}
		if got := strings.Contains(words, "GPL-restricted"); got != h.GPLOnly {
			t.Errorf("%s: only for programs under the GPL: %v, the kernel: %v", h.Name(), h.GPLOnly, got)
		}
	}
}
