package jit

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
	"github.com/bpflab/bpflab/vm/maps"
)

// What leaves machine code and comes back, and what happens between: functions,
// callbacks, tail calls, helpers.

// proveText verifies a program that is written as text.
func proveText(t testing.TB, typ abi.ProgType, text string) *verifier.Proof {
	t.Helper()
	c, err := vm.Assemble(text, typ)
	if err != nil {
		t.Fatal(err)
	}
	return proofFor(t, &verifier.Program{Type: typ, Insns: c.Programs[0].Insns, Maps: c.Maps})
}

// textOf is what a map holds.
func textOf(t testing.TB, m *maps.Map) string {
	t.Helper()
	var b strings.Builder
	if err := m.WriteJSON(&b); err != nil {
		return err.Error()
	}
	return b.String()
}

// sameAsInterpreter runs programs that share their maps, in all ways to compile
// them, and in the interpreter: results and maps must be the same. Prepare
// fills the maps.
func sameAsInterpreter(t *testing.T, in []engine.Packet, prepare func(*vm.Machine), proofs ...*verifier.Proof) {
	t.Helper()
	needMachineCode(t)
	m, err := vm.LoadProved(vm.Options{CPUs: 2}, proofs...)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if prepare != nil {
		prepare(m)
	}
	want := make([]engine.Result, len(in))
	if err := m.Run(in, want); err != nil {
		t.Fatal(err)
	}
	for _, tune := range tunings() {
		e, err := New(vm.Options{CPUs: 2}, proofs...)
		if err != nil {
			t.Fatal(err)
		}
		e.tuning = tune.tuning
		if prepare != nil {
			prepare(e.Machine())
		}
		got := make([]engine.Result, len(in))
		if err := e.Run(in, got); err != nil {
			t.Fatalf("%s: %v", tune.name, err)
		}
		for i := range in {
			g, w := got[i], want[i]
			if g.Return != w.Return || g.R0 != w.R0 || g.Redirect != w.Redirect || !bytes.Equal(g.Data, w.Data) || !reflect.DeepEqual(g.Events, w.Events) || (g.Fault == nil) != (w.Fault == nil) {
				t.Errorf("%s, packet %d: %+v, want %+v", tune.name, i, g, w)
				break
			}
		}
		for i, mp := range m.Maps().All() {
			if g, w := textOf(t, e.Machine().Maps().All()[i]), textOf(t, mp); g != w {
				t.Errorf("%s: map %s: %s, want %s", tune.name, mp.Name(), g, w)
			}
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}

// callPackets are the inputs of these tests.
func callPackets(n int) []engine.Packet {
	list := cellPackets(rand.New(rand.NewPCG(2026, 11)), n)
	for i := range list {
		list[i].Data = list[i].Data[:i*len(list[i].Data)/n]
		list[i].WireLen = uint32(len(list[i].Data))
		list[i].Meta.CPU = uint32(i / 2)
		list[i].Meta.HasLink, list[i].Meta.NetworkOffset = true, 14
	}
	return list
}

// sumAll makes R0 of R6 to R9.
const sumAll = `
	r0 *= 31
	r0 ^= r6
	r0 *= 31
	r0 ^= r7
	r0 *= 31
	r0 ^= r8
	r0 *= 31
	r0 ^= r9
	exit
`

// fillSaved loads R6 to R9.
const fillSaved = `
	r6 = 0x1111111122222222 ll
	r7 = 7
	r8 = r1
	r8 = *(u32 *)(r8 + 0)
	r9 = -1
`

func TestFunctions(t *testing.T) {
	for name, text := range map[string]string{
		"one that uses all that its caller keeps": fillSaved + `
			r1 = r8
			r2 = 2
			r3 = 3
			r4 = 4
			r5 = 5
			call f
			r6 += r0` + sumAll + `
		f:	r6 = r1
			r7 = r2
			r8 = r3
			r9 = r4
			r0 = r5
			*(u64 *)(r10 - 8) = r6
			*(u64 *)(r10 - 16) = r7
			r6 = *(u64 *)(r10 - 16)` + sumAll,
		"four deep, with stacks": fillSaved + `
			*(u64 *)(r10 - 8) = 1
			r1 = r10
			r1 += -8
			call f
			r0 = *(u64 *)(r10 - 8)` + sumAll + `
		f:	r6 = r1
			*(u64 *)(r10 - 8) = 2
			r1 = r10
			r1 += -8
			call g
			r1 = *(u64 *)(r10 - 8)
			r2 = *(u64 *)(r6 + 0)
			r2 *= r1
			*(u64 *)(r6 + 0) = r2
			r0 = 0
			exit
		g:	r6 = r1
			*(u64 *)(r10 - 8) = 3
			r1 = r10
			r1 += -8
			call h
			r1 = *(u64 *)(r10 - 8)
			*(u64 *)(r6 + 0) = r1
			r0 = 0
			exit
		h:	r2 = *(u64 *)(r1 + 0)
			r2 += 40
			*(u64 *)(r1 + 0) = r2
			r0 = 0
			exit`,
		"called from a loop": fillSaved + `
			r7 = 0
			r9 = 0
		again:	r1 = r7
			r2 = r9
			call f
			r9 = r0
			r7 += 1
			if r7 < 100 goto again
			r0 = 0` + sumAll + `
		f:	r0 = r2
			r0 *= 3
			r0 += r1
			r6 = 0
		more:	r6 += 1
			r0 ^= r6
			if r6 < 10 goto more
			exit`,
		"may_goto, in a frame of its own": fillSaved + `
			r9 = 0
		again:	may_goto out
			r9 += 1
			if r9 > 20 goto out
			r1 = r9
			call f
			r7 += r0
			goto again
		out:	r0 = 0` + sumAll + `
		f:	r0 = 0
		more:	may_goto done
			r0 += r1
			if r0 > 50 goto done
			goto more
		done:	exit`,
		"helpers that leave": fillSaved + `
			call bpf_get_prandom_u32
			r7 = r0
			r1 = r8
			call f
			r9 = r0
			call bpf_ktime_get_ns
			r6 ^= r0` + sumAll + `
		f:	r6 = r1
			call bpf_get_prandom_u32
			r0 += r6
			exit`,
		"a loop around a helper": fillSaved + `
			*(u64 *)(r10 - 16) = 0
			r7 = 0
		again:	r1 = r10
			r1 += -16
			r2 = 8
			r3 = 0
			r4 = 0
			r5 = r7
			call bpf_csum_diff
			r9 += r0
			r7 += 1
			if r7 < 50 goto again` + sumAll,
	} {
		t.Run(name, func(t *testing.T) { sameAsInterpreter(t, callPackets(20), nil, proveText(t, abi.SchedCLS, text)) })
	}
}

// TestLegacyLoadsInFunctions has packet loads that end the function, not the
// program, in all the ways that the compiler has for them.
func TestLegacyLoadsInFunctions(t *testing.T) {
	for name, load := range map[string]string{
		"at a known place":               "r0 = *(u32 *)skb[40]",
		"at a place in a register":       "r7 &= 0x7f\nr0 = *(u16 *)skb[r7 + 3]",
		"anywhere":                       "r0 = *(u8 *)skb[r7 - 20]",
		"behind the network header":      "r0 = *(u16 *)skb[-1048546]",
		"far from any header":            "r0 = *(u16 *)skb[-4096]",
		"in a loop":                      "r8 = 0\nagain: r0 = *(u32 *)skb[r8 + 20]\nr9 += r0\nr8 += 7\nif r8 < 70 goto again",
		"twice":                          "r0 = *(u32 *)skb[40]\nr9 = r0\nr0 = *(u32 *)skb[-2097082]\nr0 += r9",
		"behind a callback, same frame":  "r1 = 2\nr2 = subprog[cb]\nr3 = 0\nr4 = 0\ncall bpf_loop\nr0 = *(u16 *)skb[-1048546]",
		"in a frame that a callback had": "r0 = *(u16 *)skb[-1048546]",
	} {
		t.Run(name, func(t *testing.T) {
			text := `
				r6 = r1
				r9 = 9
				r1 = 3
				r2 = subprog[cb]
				r3 = 0
				r4 = 0
				call bpf_loop
				r8 = r0
				r7 = *(u32 *)(r6 + 0)
				r1 = r6
				r2 = r7
				call f
				r7 += r0
				r1 = r6
				r2 = r8
				call f
				r6 = 6` + sumAll + `
			f:	r6 = r1
				r7 = r2
				r9 = 1
				` + load + `
				r0 += 5
				exit
			cb:	r0 = 0
				exit`
			sameAsInterpreter(t, callPackets(60), nil, proveText(t, abi.SchedCLS, text))
		})
	}
}

// TestPacketsThatShrink has helpers after which the packet is not what earlier
// checks have made sure of.
func TestPacketsThatShrink(t *testing.T) {
	for name, text := range map[string]string{
		"in the program": `
			r6 = r1
			r0 = *(u8 *)skb[50]
			r1 = r6
			r2 = 20
			r3 = 0
			call bpf_skb_change_tail
			r0 = *(u8 *)skb[40]
			r0 += 1
			exit`,
		"in a function": `
			r6 = r1
			r0 = *(u8 *)skb[50]
			r1 = r6
			call f
			r0 = *(u8 *)skb[40]
			r0 += 1
			exit
		f:	r2 = 20
			r3 = 0
			call bpf_skb_change_tail
			exit`,
		"in a callback": `
			r6 = r1
			r0 = *(u8 *)skb[50]
			*(u64 *)(r10 - 8) = r6
			r1 = 1
			r2 = subprog[f]
			r3 = r10
			r3 += -8
			r4 = 0
			call bpf_loop
			r0 = *(u8 *)skb[40]
			r0 += 1
			exit
		f:	r1 = *(u64 *)(r2 + 0)
			r2 = 20
			r3 = 0
			call bpf_skb_change_tail
			r0 = 0
			exit`,
		"and grow": `
			r6 = r1
			r1 = r6
			r2 = 70
			r3 = 0
			call bpf_skb_change_tail
			r0 = *(u8 *)skb[60]
			r0 += 1
			exit`,
	} {
		t.Run(name, func(t *testing.T) { sameAsInterpreter(t, callPackets(60), nil, proveText(t, abi.SchedCLS, text)) })
	}
}

// TestLeanCodeComesBack has lean code that leaves in the middle, and then needs
// what it had in registers: the packet, its length, the place in the batch.
func TestLeanCodeComesBack(t *testing.T) {
	sameAsInterpreter(t, callPackets(60), nil, proveText(t, abi.SchedCLS, `
		.map seen type hash key 4 value 8 entries 100
		r6 = *(u32 *)(r1 + 76)
		r7 = *(u32 *)(r1 + 80)
		r8 = r1
		r2 = r6
		r2 += 14
		r0 = 1
		if r2 > r7 goto out
		r2 = *(u32 *)(r6 + 0)
		*(u32 *)(r10 - 4) = r2
		*(u64 *)(r10 - 16) = 5
		r1 = map[seen]
		r2 = r10
		r2 += -4
		r3 = r10
		r3 += -16
		r4 = 0
		call bpf_map_update_elem
		r9 = *(u32 *)(r6 + 8)
		r1 = *(u32 *)(r8 + 80)
		r2 = *(u32 *)(r8 + 76)
		r1 -= r2
		r9 += r1
		r1 = *(u32 *)(r8 + 0)
		r9 ^= r1
		w0 = w9
	out:	exit`))
}

// TestNothingTwice has a program that counts a packet before it comes to a load
// for which lean code would have to give the packet up.
func TestNothingTwice(t *testing.T) {
	sameAsInterpreter(t, callPackets(40), nil, proveText(t, abi.SchedCLS, `
		.map count type array key 4 value 8 entries 1
		r6 = r1
		r1 = map[count][0]+0
		r2 = 1
		lock *(u64 *)(r1 + 0) += r2
		r7 = *(u32 *)(r6 + 0)
		r7 += -40
		r0 = *(u8 *)skb[r7 + 0]
		exit`))
}
