package vm_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// counting counts a packet four times: with an atomic instruction, under a spin
// lock, in the value of its processor, and by a record of a ring buffer.
const counting = `
.map locked type array key 4 value 16 entries 1
.map percpu type percpu_array key 4 value 8 entries 1
.map ring type ringbuf key 0 value 0 entries 65536

	r6 = map[locked][0]+8
	r1 = 1
	lock *(u32 *)(r6 + 0) += r1
	r1 = map[locked][0]+0
	call bpf_spin_lock
	r1 = *(u32 *)(r6 + 4)
	r1 += 1
	*(u32 *)(r6 + 4) = r1
	r1 = map[locked][0]+0
	call bpf_spin_unlock
	*(u32 *)(r10 - 4) = 0
	r1 = map[percpu]
	r2 = r10
	r2 += -4
	call bpf_map_lookup_elem
	if r0 == 0 goto out
	r1 = *(u64 *)(r0 + 0)
	r1 += 1
	*(u64 *)(r0 + 0) = r1
	r1 = map[ring]
	r2 = r10
	r2 += -4
	r3 = 4
	r4 = 0
	call bpf_ringbuf_output
out:	r0 = 2
	exit
`

// TestShare lets machines on several processors count in the same maps.
func TestShare(t *testing.T) {
	const machines, batches, batch = 3, 100, 20
	c, err := vm.Assemble(counting, abi.XDP)
	if err != nil {
		t.Fatal(err)
	}
	c.Maps[0].SpinLock = new(uint32)
	first, err := vm.Load(c, vm.Options{CPUs: machines})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	all := []*vm.Machine{first}
	for len(all) < machines {
		m, err := first.Share(vm.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		all = append(all, m)
	}
	events := make([]int, machines)
	var running sync.WaitGroup
	for cpu, m := range all {
		running.Go(func() { events[cpu] = countPackets(t, m, uint32(cpu), batches, batch) })
	}
	running.Wait()

	const total = machines * batches * batch
	sent := 0
	for _, n := range events {
		sent += n
	}
	locked, percpu := make([]byte, 16), make([]byte, 8*machines)
	if err := errors.Join(first.Maps().ByName("locked").Lookup(le32(0), locked), first.Maps().ByName("percpu").Lookup(le32(0), percpu)); err != nil {
		t.Fatal(err)
	}
	if string(locked[8:]) != string(le32(total, total)) || sent != total {
		t.Errorf("of %d packets were counted: %x (twice), and %d events", total, locked[8:], sent)
	}
	for cpu := range machines {
		if n := binary.LittleEndian.Uint64(percpu[8*cpu:]); n != batches*batch {
			t.Errorf("processor %d has counted %d packets, not %d", cpu, n, batches*batch)
		}
	}
}

// countPackets runs a machine over packets of a processor and returns how many
// events there were.
func countPackets(t *testing.T, m *vm.Machine, cpu uint32, batches, batch int) (events int) {
	in, out := make([]engine.Packet, batch), make([]engine.Result, batch)
	for i := range in {
		in[i] = packetOf(make([]byte, 64))
		in[i].Meta.CPU = cpu
	}
	for range batches {
		if err := m.Run(in, out); err != nil {
			t.Error(err)
		}
		for i := range out {
			if out[i].Fault != nil {
				t.Error(out[i].Fault)
			}
			events += len(out[i].Events)
		}
	}
	return events
}

// TestShareLimits has what machines that share maps cannot do.
func TestShareLimits(t *testing.T) {
	first := load(t, "r0 = 2\nexit")
	if _, err := first.Share(vm.Options{CPUs: 3}); fmt.Sprint(err) != "the maps have values for 2 CPUs, not 3" {
		t.Error(err)
	}
	other, err := first.Share(vm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*vm.Machine{first, other} {
		out := make([]engine.Result, 1)
		if err := m.Run([]engine.Packet{packetOf(make([]byte, 1<<20))}, out); err != nil || !errors.Is(out[0].Fault, engine.ErrPacket) {
			t.Errorf("a packet of 1 MiB: %v, %v", err, out[0].Fault)
		}
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	runMachine(t, first, make([]byte, 64))
	second, err := first.Share(vm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	if err := second.Run(make([]engine.Packet, 1), make([]engine.Result, 1)); err == nil {
		t.Error("a machine runs on the closed memory of another")
	}
}
