package verifier_test

import (
	"fmt"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/verifier"
)

// callerTypes are the program types that call helpers below.
var callerTypes = []abi.ProgType{
	abi.SchedCLS, abi.XDP, abi.SocketFilter, abi.CGroupSKB, abi.LWTXmit, abi.LWTIn, abi.FlowDissector, abi.Kprobe,
}

// differences are the calls, by helper and argument, on which the verdict is
// not the kernel's, with the reason.
var differences = map[string]string{
	// Where NULL is allowed the kernel takes a pointer that may be NULL for
	// one that is not, and the helper would follow it.
	"bpf_csum_diff 1: a value or NULL":      "NULL",
	"bpf_csum_diff 3: a value or NULL":      "NULL",
	"bpf_redirect_neigh 2: a value or NULL": "NULL",
	"bpf_snprintf 1: a value or NULL":       "NULL",
	"bpf_snprintf 4: a value or NULL":       "NULL",
	"bpf_trace_vprintk 3: a value or NULL":  "NULL",

	// The kernel compares the format with the number of arguments
	// (check_bpf_snprintf_call); here the helper does, and returns an error.
	"bpf_snprintf 5: 0":                         "format",
	"bpf_snprintf 5: 1":                         "format",
	"bpf_snprintf 5: 9":                         "format",
	"bpf_snprintf 5: an unknown number up to 7": "format",
	"bpf_ringbuf_reserve 2: -1":                 "a size that no ring buffer has, which the kernel's helper refuses",
}

// TestHelpersAgainstKernel calls every helper function: as it wants to be
// called from each program type, and with everything that a program can have
// in place of each argument. Here and in the kernel the same must be accepted.
func TestHelpersAgainstKernel(t *testing.T) {
	k := newReferee(t)
	seen := map[string]bool{}
	for i := range abi.Helpers {
		h := &abi.Helpers[i]
		var typ abi.ProgType
		for _, one := range callerTypes {
			p, _ := calling(one, h, -1, nil)
			want := h.Types.Has(one) && !(h.Args != nil && h.Args[0] == abi.ArgSpinLock && (one == abi.SocketFilter || one == abi.Kprobe)) // check_map_prog_compatibility
			if accepted := k.compare(t, p, h.Name(), seen); accepted != want {
				t.Errorf("%v: %s is accepted: %v", one, h.Name(), accepted)
			}
			if typ == 0 && h.Types.Has(one) && !(h.Calls == abi.CallTail && one == abi.Kprobe) {
				typ = one
			}
		}
		for at := range h.Args {
			for j := range misfits {
				if p, ok := calling(typ, h, at, &misfits[j]); ok {
					k.compare(t, p, fmt.Sprintf("%s %d: %s", h.Name(), at+1, misfits[j].name), seen)
				}
			}
		}
	}
	for what, why := range differences {
		if !seen[what] {
			t.Errorf("%s: no difference any more (%s)", what, why)
		}
	}
}

// compare gives a program to both verifiers, and returns the kernel's verdict.
func (k *referee) compare(t *testing.T, p *verifier.Program, what string, seen map[string]bool) bool {
	accepted, err := k.load(p, nil)
	if err != nil {
		t.Fatalf("%v: %s: %v", p.Type, what, err)
	}
	_, r := verifier.Verify(p, verifier.Options{})
	if accepted == (r == nil) {
		return accepted
	}
	seen[what] = true
	if differences[what] == "" {
		t.Errorf("%v: %s: the kernel accepts: %v, here: %v; %s", p.Type, what, accepted, r, k.words(p))
	}
	return accepted
}

// A sequel is what a program can do after a call. It shows what the call is
// taken to have done. R7 points to 32 bytes of the packet from before the call.
type sequel struct {
	name string
	code []ebpf.Instruction
}

// ifSet is code for a result that is not 0.
func ifSet(code ...ebpf.Instruction) []ebpf.Instruction {
	return append([]ebpf.Instruction{ebpf.JumpIfImm(ebpf.Jeq, ebpf.R0, 0, int16(len(code)))}, code...)
}

var sequels = []sequel{
	{"the packet", []ebpf.Instruction{ebpf.Load(ebpf.SizeB, ebpf.R1, ebpf.R7, 0)}},
	{"a result", []ebpf.Instruction{ebpf.Mov64(ebpf.R1, ebpf.R0)}},
	{"a number", []ebpf.Instruction{ebpf.ALU64Imm(ebpf.Mul, ebpf.R0, 3)}},
	{"a pointer", []ebpf.Instruction{ebpf.Load(ebpf.SizeB, ebpf.R1, ebpf.R0, 0)}},
	{"4 bytes at 0", ifSet(ebpf.Load(ebpf.SizeW, ebpf.R1, ebpf.R0, 0))},
	{"4 bytes at 4", ifSet(ebpf.Load(ebpf.SizeW, ebpf.R1, ebpf.R0, 4))},
	{"a byte at 8", ifSet(ebpf.Load(ebpf.SizeB, ebpf.R1, ebpf.R0, 8))},
	{"4 bytes at 12", ifSet(ebpf.Load(ebpf.SizeW, ebpf.R1, ebpf.R0, 12))},
	{"a store", ifSet(ebpf.StoreImm(ebpf.SizeW, ebpf.R0, 4, 1))},
	{"an argument", []ebpf.Instruction{ebpf.Mov64(ebpf.R1, ebpf.R3)}},
	{"a saved register", []ebpf.Instruction{ebpf.Load(ebpf.SizeB, ebpf.R1, ebpf.R9, 15)}},
}

// TestResultsAgainstKernel goes on after a call of every helper.
func TestResultsAgainstKernel(t *testing.T) {
	k := newReferee(t)
	for i := range abi.Helpers {
		h := &abi.Helpers[i]
		for _, typ := range callerTypes {
			if !h.Types.Has(typ) || h.ID == abi.SpinLock || h.ID == abi.SpinUnlock || h.ID == abi.SKAssign {
				continue
			}
			for _, q := range sequels {
				p := &verifier.Program{Name: h.Name(), Type: typ, Insns: continued(typ, h, q.code), Maps: testMaps}
				k.compare(t, p, h.Name()+": "+q.name, map[string]bool{})
			}
			p, _ := calling(typ, h, -1, nil)
			p.NotGPL = true
			if accepted := k.compare(t, p, h.Name()+" without GPL", map[string]bool{}); accepted == h.GPLOnly {
				t.Errorf("%s without GPL: accepted: %v", h.Name(), accepted)
			}
			break
		}
	}
}

// continued makes a program that goes on with code after the call of a helper.
func continued(typ abi.ProgType, h *abi.Helper, code []ebpf.Instruction) []ebpf.Instruction {
	c := &caller{typ: typ}
	c.begin()
	c.stack(ebpf.R7, -8)
	if packet(c) {
		c.emit(ebpf.Mov64(ebpf.R7, ebpf.R9))
	}
	c.wide(ebpf.R9, ebpf.WideMapValue, mapValue, 0)
	for i, kind := range h.Args {
		if kind == abi.ArgSocket || kind == abi.ArgRecord {
			c.own(h.Args[i])
		}
	}
	for i := range h.Args {
		c.fitting(h, i)
	}
	c.emit(ebpf.CallTo(h.ID), ebpf.Mov64Imm(ebpf.R8, 0))
	owned := h.Returns == abi.ReturnsRecord || h.Returns == abi.ReturnsSocket || h.Returns == abi.ReturnsSockCommon
	if owned {
		c.emit(ebpf.Mov64(ebpf.R8, ebpf.R0))
	}
	c.emit(code...)
	if owned {
		c.emit(ebpf.Mov64(ebpf.R0, ebpf.R8))
		c.cleanUp(h)
	}
	return c.finish()
}

// TestMapsAgainstKernel calls the helpers that take a map with maps of all
// kinds.
func TestMapsAgainstKernel(t *testing.T) {
	k := newReferee(t)
	for i := range abi.Helpers {
		h := &abi.Helpers[i]
		if h.Calls == 0 {
			continue
		}
		typ := abi.SchedCLS
		if !h.Types.Has(typ) {
			typ = abi.XDP
		}
		for at, kind := range h.Args {
			if kind != abi.ArgMap {
				continue
			}
			for id := range testMaps {
				m := misfit{"map", nil, func(c *caller, r ebpf.Register) { c.wide(r, ebpf.WideMapFD, int32(id), 0) }}
				p, _ := calling(typ, h, at, &m)
				k.compare(t, p, h.Name()+" of "+testMaps[id].Name, map[string]bool{})
			}
		}
	}
}
