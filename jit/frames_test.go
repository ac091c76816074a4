package jit

import (
	"testing"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm"
)

// TestFramesUnderCallbacks has functions that callbacks call, and that leave: the
// frame that memory tells then is not that of the callback.
func TestFramesUnderCallbacks(t *testing.T) {
	for name, text := range map[string]string{
		"called from the program": fillSaved + `
			*(u64 *)(r10 - 8) = 0
			r1 = 12
			r2 = subprog[cb]
			r3 = r10
			r3 += -8
			r4 = 0
			call bpf_loop
			r0 = *(u64 *)(r10 - 8)` + sumAll + `
		cb:	r6 = r2
			*(u64 *)(r10 - 8) = r1
			r1 = r10
			r1 += -8
			call g
			r1 = *(u64 *)(r10 - 8)
			r2 = *(u64 *)(r6 + 0)
			r2 *= 3
			r2 += r1
			r2 += r0
			*(u64 *)(r6 + 0) = r2
			r0 = 0
			exit
		g:	r6 = r1
			*(u64 *)(r10 - 8) = 3
			call bpf_get_prandom_u32
			r7 = r0
			call bpf_ktime_get_ns
			call bpf_jiffies64
			r1 = *(u64 *)(r6 + 0)
			r1 += 40
			*(u64 *)(r6 + 0) = r1
			r0 = *(u64 *)(r10 - 8)
			exit`,
		"called from a function": fillSaved + `
			r1 = 5
			call f
			` + sumAll + `
		f:	*(u64 *)(r10 - 8) = 0
			*(u64 *)(r10 - 16) = r1
			r2 = subprog[cb]
			r3 = r10
			r3 += -8
			r4 = 0
			call bpf_loop
			r0 = *(u64 *)(r10 - 8)
			r1 = *(u64 *)(r10 - 16)
			r0 += r1
			exit
		cb:	r6 = r2
			*(u64 *)(r10 - 8) = r1
			r1 = r10
			r1 += -8
			call g
			r1 = *(u64 *)(r10 - 8)
			r2 = *(u64 *)(r6 + 0)
			r2 *= 3
			r2 += r1
			r2 += r0
			*(u64 *)(r6 + 0) = r2
			r0 = 0
			exit
		g:	r6 = r1
			*(u64 *)(r10 - 8) = 3
			call bpf_jiffies64
			r1 = *(u64 *)(r6 + 0)
			r1 += 40
			*(u64 *)(r6 + 0) = r1
			r0 = *(u64 *)(r10 - 8)
			exit`,
	} {
		t.Run(name, func(t *testing.T) { sameAsInterpreter(t, callPackets(20), nil, proveText(t, abi.SchedCLS, text)) })
	}
}

// TestDepthOfTailCalls has a function in whose place the program runs that calls
// it, more often than there are frames.
func TestDepthOfTailCalls(t *testing.T) {
	proof := proveText(t, abi.SchedCLS, `
		.map programs type prog_array key 4 value 4 entries 1
		.map count type array key 4 value 8 entries 1
		call f
		r0 += 100
		exit
	f:	r6 = r1
		r1 = map[count][0]
		r2 = *(u64 *)(r1 + 0)
		r2 += 1
		*(u64 *)(r1 + 0) = r2
		r1 = r6
		r2 = map[programs]
		r3 = 0
		call bpf_tail_call
		r0 = 0
		exit`)
	self := func(m *vm.Machine) {
		if err := m.Maps().ByID(1).Update(make([]byte, 4), []byte{1, 0, 0, 0}, 0); err != nil {
			t.Fatal(err)
		}
	}
	sameAsInterpreter(t, callPackets(3), self, proof)
}

// TestFramePointerAsOperand reads R10 itself behind a call: as a rule its value is
// a part of an address, and no register has to hold it.
func TestFramePointerAsOperand(t *testing.T) {
	const f = `
		exit
	f:	r0 = 0
		*(u64 *)(r10 - 8) = r0
		exit`
	for name, text := range map[string]string{
		"compared": `
			r7 = r10
			call f
			r0 = 1
			if r10 == r7 goto out
			r0 = 2
		out:`,
		"stored and released": `
			call f
			store_release((u64 *)(r10 - 8), r10)
			r1 = *(u64 *)(r10 - 8)
			*(u32 *)(r1 - 16) = 7
			r0 = *(u32 *)(r10 - 16)`,
		"added": `
			*(u64 *)(r10 - 8) = 1
			call f
			lock *(u64 *)(r10 - 8) += r10
			r0 = *(u64 *)(r10 - 8)`,
		"in a function": `
			call g
			exit
		g:	r7 = r10
			call f
			r0 = 1
			if r10 == r7 goto out
			r0 = 2
		out:`,
	} {
		t.Run(name, func(t *testing.T) { sameAsInterpreter(t, callPackets(3), nil, proveText(t, abi.SchedCLS, text+f)) })
	}
}

// TestRoundsOfFrames has loops of may_goto that use up their rounds: those of a
// function are not its caller's.
func TestRoundsOfFrames(t *testing.T) {
	const spin = `
	spin:	may_goto spun
		goto spin
	spun:	r0 = 0
	`
	const count = `
		r6 = 0
	again:	may_goto out
		r6 += 1
		if r6 < 5 goto again
	out:	r0 = r6
		exit
	`
	for name, text := range map[string]string{
		"of the function": "call f\n" + count + "f:" + spin + "exit",
		"of the caller":   spin + "call f\nexit\nf:" + count,
	} {
		t.Run(name, func(t *testing.T) { sameAsInterpreter(t, smallPacket, nil, proveText(t, abi.SchedCLS, text)) })
	}
}
