package vm_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	programs "github.com/bpflab/bpflab/testdata/verifier"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm/engine"
)

// FuzzProved gives anything to the verifier, and what it accepts to the
// machine, in both modes: it must run as is proved, on that packet and on
// others.
func FuzzProved(f *testing.F) {
	for i := range uint64(20) {
		p := uncertain(rand.New(rand.NewPCG(i, 3)))
		f.Add(uint8(p.Type), ebpf.Append(nil, p.Insns, binary.LittleEndian), make([]byte, 100))
	}
	for _, p := range programs.Accepts() {
		if code := ebpf.Append(nil, p.Insns, binary.LittleEndian); len(code) < 500 {
			f.Add(uint8(p.Type), code, make([]byte, 64))
		}
	}
	f.Fuzz(func(t *testing.T, typ uint8, code, data []byte) {
		prog, err := ebpf.Decode(code, binary.LittleEndian)
		if err != nil {
			return
		}
		p := &verifier.Program{Type: abi.ProgType(typ), Insns: prog, Maps: genMaps, ContextSize: len(data)}
		proof, report := verifier.Verify(p, verifier.Options{Facts: true, Steps: 5000})
		if report != nil {
			return
		}
		first := true
		next := func(rnd *rand.Rand) engine.Packet {
			in := oddPacket(rnd)
			if first || p.Type.HasByteContext() {
				in.Data, in.WireLen, first = data, uint32(len(data)), false
			}
			return in
		}
		if err := sound([]*verifier.Proof{proof}, 1, 5, next, true); err != nil && !unsupported(err) {
			t.Error(err)
		}
	})
}
