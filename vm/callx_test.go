package vm_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/vm"
)

// TestCallRegister calls functions and helpers by register, which the kernel
// has no counterpart of.
func TestCallRegister(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"a function keeps r6 to r9 and the stack of its caller", `
			r6 = 40
			*(u64 *)(r10 - 8) = 500
			r1 = 2
			r3 = subprog[f]
			callx r3
			r1 = *(u64 *)(r10 - 8)
			r0 += r6
			r0 += r1
			exit
		f:	r6 = 1
			*(u64 *)(r10 - 8) = 1
			r0 = r1
			exit`, "542"},
		{"every register can hold the address", `
			r0 = subprog[f]
			callx r0
			r9 = subprog[f]
			callx r9
			exit
		f:	r0 = 7
			exit`, "7"},
		{"a helper by number", `
			r2 = 5
			callx r2
			r0 /= 1000000
			exit`, "1000"},
		{"a helper that calls back", `
			*(u64 *)(r10 - 8) = 0
			r1 = 6
			r2 = subprog[f]
			r3 = r10
			r3 += -8
			r4 = 0
			r5 = 181
			callx r5
			r1 = *(u64 *)(r10 - 8)
			r0 += r1
			exit
		f:	r3 = *(u64 *)(r2 + 0)
			r3 += r1
			*(u64 *)(r2 + 0) = r3
			r0 = 0
			exit`, "21"},
		{"recursion", `
		f:	r1 = subprog[f]
			callx r1
			exit`, "instruction 2 (callx r1): r1 = 0x10000000000: more than 8 functions are active"},
		{"not a helper", "r3 = 12345\ncallx r3\nexit", "instruction 1 (callx r3): r3 = 0x3039: there is no helper function 12345"},
		{"not even a number of one", "r3 = -1\ncallx r3\nexit", "r3 = 0xffffffffffffffff: neither the address of a function"},
		{"null", "r3 = 0\ncallx r3\nexit", "r3 = 0x0: helper bpf_unspec (0) is not supported"},
		{"an instruction of which no address was taken", "r3 = subprog[f]\nr3 += 8\ncallx r3\nexit\nf: r0 = 0\nexit", "neither the address of a function"},
		{"a helper of other programs", "r5 = 26\ncallx r5\nexit", "xdp programs cannot call helper bpf_skb_load_bytes (26)"},
		{"arguments of a helper", "r1 = 0\nr2 = 0\nr5 = 1\ncallx r5\nexit", "map_lookup_elem: r1 = 0x0: must be a map"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res := run(t, abi.XDP, tt.text, make([]byte, 64))
			got := ""
			if res.Fault != nil {
				got = res.Fault.Error()
			}
			if want, err := parseUint32(tt.want); err == nil {
				if res.Return != want || res.Fault != nil {
					t.Errorf("%d, fault %v, want %s", res.Return, res.Fault, tt.want)
				}
			} else if !strings.Contains(got, tt.want) {
				t.Errorf("fault %q, want %q", got, tt.want)
			}
		})
	}
}

func parseUint32(s string) (uint32, error) {
	v, err := strconv.ParseUint(s, 10, 32)
	return uint32(v), err
}

// TestCallRegisterUser calls a helper of the machine's user by register, many
// times: the machine does not grow by it.
func TestCallRegisterUser(t *testing.T) {
	calls := 0
	helper := vm.Helper{
		Proto: abi.Helper{ID: 7777, Args: []abi.ArgKind{abi.ArgScalar}, Types: abi.Types(abi.XDP)},
		Func:  func(_ *vm.Caller, a [5]uint64) uint64 { calls++; return a[0] + 1 },
	}
	m := machine(t, abi.XDP, `
		r1 = 0
		r6 = 7777
	again:	callx r6
		r1 = r0
		if r1 < 100 goto again
		exit`, vm.Options{Helpers: []vm.Helper{helper}})
	for range 3 {
		if res := runMachine(t, m, make([]byte, 64)); res.Return != 100 || res.Fault != nil {
			t.Fatal(res)
		}
	}
	if calls != 300 {
		t.Error(calls)
	}
}

// TestCallRegisterInKernel checks that the kernel still refuses callx, as the
// documentation says.
func TestCallRegisterInKernel(t *testing.T) {
	needKernel(t)
	prog, err := ebpf.Assemble("r2 = 5\ncallx r2\nr0 = 0\nexit")
	if err != nil {
		t.Fatal(err)
	}
	p, err := kernel.Load("callx", abi.XDP, prog)
	if err == nil {
		p.Close()
		t.Error("the kernel takes callx")
	}
}
