package vm_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// strtoProgram parses the bytes of a packet from its 23rd on, with the flags in
// the eight before, and puts the number in the place of the flags.
func strtoProgram(helper string, length int) string {
	return fmt.Sprintf(`
		r6 = r1
		r2 = 14
		r3 = r10
		r3 += -96
		r4 = %d
		call bpf_skb_load_bytes
		r7 = 0
		if r0 != 0 goto out
		r1 = r10
		r1 += -88
		r2 = %d
		r3 = *(u64 *)(r10 - 96)
		r4 = r10
		r4 += -96
		call %s
		r7 = r0
		r1 = r6
		r2 = 14
		r3 = r10
		r3 += -96
		r4 = 8
		r5 = 0
		call bpf_skb_store_bytes
	out:	r0 = r7
		exit`, 8+length, length, helper)
}

var strtoTexts = []string{
	"0", "7", "42", "-1", "-0", "+5", "- 5", "--5", "", " ", "\t\n\v\f\r 12", "\xa0 12", "\x85 12", "12 34", "12x", "x12",
	"0x", "0x1f", "0X1F", "0xg", "-0x10", "0x0x1", "00x1", "017", "08", "0o7", "ff", "fF", "FG", "9a",
	"9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
	"18446744073709551615", "18446744073709551616", "-18446744073709551615", "99999999999999999999", "99999999999999999999x",
	"0xffffffffffffffff", "0x10000000000000000", "0x7fffffffffffffff", "0x8000000000000000", "01777777777777777777777", "02000000000000000000000",
	"000000000000000000000000000000000000000000000000000000000000001", "0000000000000000000000000000000000000000000000000000000000000012",
	"                                                              7", "1\x002", "\x001",
}

// TestStrtoAgainstKernel parses texts here and in the kernel, with good and bad
// flags, in buffers that they fill and in longer ones.
func TestStrtoAgainstKernel(t *testing.T) {
	needKernel(t)
	g := &generator{Rand: rand.New(rand.NewPCG(2026, 105))}
	for _, helper := range []string{"bpf_strtol", "bpf_strtoul"} {
		for _, length := range []int{1, 2, 3, 6, 20, 21, 24, 63, 64, 70} {
			text := strtoProgram(helper, length)
			prog, err := ebpf.Assemble(text)
			if err != nil {
				t.Fatal(err)
			}
			p, err := kernel.Load("strto", abi.SchedCLS, prog)
			if err != nil {
				t.Fatalf("%+v", err)
			}
			m := machine(t, abi.SchedCLS, text, vm.Options{})
			for _, packet := range g.strtoPackets(length) {
				ret, data, err := p.TestRun(packet.Data)
				if err != nil {
					t.Fatal(err)
				}
				res := runOn(t, m, packet)
				if res.Fault != nil || res.Return != ret || !bytes.Equal(res.Data, data) {
					t.Errorf("%s of %q with flags %x: %d, %x, fault %v; in the kernel %d, %x", helper,
						packet.Data[22:22+length], packet.Data[14:22], int32(res.Return), res.Data[14:22], res.Fault, int32(ret), data[14:22])
				}
			}
			p.Close()
		}
	}
}

// strtoPackets makes packets with texts, cut or filled to a length.
func (g *generator) strtoPackets(length int) (list []engine.Packet) {
	add := func(text string, flags uint64) {
		p := g.packet()
		clear(p.Data[14:])
		binary.LittleEndian.PutUint64(p.Data[14:], flags)
		copy(p.Data[22:22+length], text)
		list = append(list, p)
	}
	for _, text := range strtoTexts {
		if len(text) > length {
			continue
		}
		for _, flags := range []uint64{0, 8, 10, 16} {
			add(text, flags)
		}
		add(text, pick[uint64](g, 1, 2, 7, 9, 17, 31, 32, 42, 1<<32, 1<<63|10))
	}
	const alphabet = "0000011234567789abcdefABFxX -- \t\x00g"
	for range 60 {
		text := make([]byte, length)
		for i := range text {
			text[i] = alphabet[g.IntN(len(alphabet))]
		}
		add(string(text), pick[uint64](g, 0, 0, 8, 10, 16))
	}
	return list
}
