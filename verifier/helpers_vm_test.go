package verifier_test

import (
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// TestHelpersInMachine runs the accepted ones among the calls of every helper
// with everything in place of each argument. The machine checks arguments, too:
// it must find none that does not fit. What the call returns must lie in the
// range that the prototype tells.
func TestHelpersInMachine(t *testing.T) {
	for i := range abi.Helpers {
		h := &abi.Helpers[i]
		for _, typ := range []abi.ProgType{abi.SchedCLS, abi.XDP, abi.Kprobe} {
			if !h.Types.Has(typ) {
				continue
			}
			runCall(t, typ, h, -1, nil)
			for at := range h.Args {
				for j := range misfits {
					runCall(t, typ, h, at, &misfits[j])
				}
			}
			break
		}
	}
}

func runCall(t *testing.T, typ abi.ProgType, h *abi.Helper, at int, m *misfit) {
	p, ok := calling(typ, h, at, m)
	if !ok {
		return
	}
	if _, r := verifier.Verify(p, verifier.Options{}); r != nil {
		return
	}
	name := ""
	if m != nil {
		name = m.name
	}
	call := resultOnly(p.Insns, h)
	machine, err := vm.Load(vm.Collection{Programs: []vm.Program{{Name: "p", Type: typ, Insns: p.Insns}}, Maps: testMaps}, vm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer machine.Close()
	in := []engine.Packet{{Data: make([]byte, 64), WireLen: 64}, {Data: make([]byte, 20), WireLen: 20}}
	out := make([]engine.Result, len(in))
	if err := machine.Run(in, out); err != nil {
		t.Fatal(err)
	}
	for _, r := range out {
		if r.Fault != nil {
			t.Errorf("%s, argument %d %s: %v", h.Name(), at+1, name, r.Fault)
		}
		lo, hi := h.Min, h.Max
		if h.Returns == abi.ReturnsLength {
			lo, hi = -4095, 32 // what misfits have of memory
		}
		if got := int64(r.R0); call && lo < hi && (got < lo || got > hi) {
			t.Errorf("%s returns %d, not %d to %d", h.Name(), got, lo, hi)
		}
	}
}

// resultOnly lets a program that ends behind a call of the helper, as most do,
// return what the call returns.
func resultOnly(prog []ebpf.Instruction, h *abi.Helper) bool {
	for i := len(prog) - 3; i > 0; i-- {
		if prog[i] == ebpf.CallTo(h.ID) && prog[i+1] == ebpf.Mov64Imm(ebpf.R0, 0) {
			prog[i+1] = ebpf.Mov64(ebpf.R0, ebpf.R0)
			return true
		}
	}
	return false
}
