package lift_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/ebpf/lift"
	"github.com/bpflab/bpflab/vm/engine"
)

// FuzzLift takes raw classic programs (8 bytes an instruction). What passes the
// kernel's check must be translated in every variant to a valid program that
// agrees with the classic machine; the only excuse is something that the hook
// cannot supply.
func FuzzLift(f *testing.F) {
	add := func(text string) {
		var b strings.Builder
		if err := cbpf.Write(&b, "raw", mustParse(f, text), cbpf.WriteOptions{}); err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(b.String()), []byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x08\x00\x45\x00\x00\x14"))
	}
	add("ldh [12]\n jeq #0x800, t, f\n t: ret #96\n f: ret #0")
	add("ldxb 4*([14] & 0xf)\n ldh [x + 14]\n st M[2]\n ldx M[2]\n div x\n ret a")
	add("ld ifidx\n tax\n ldb [x - 2]\n xor x\n jset #3, t, f\n t: ld len\n ret a\n f: ret #0")
	f.Fuzz(func(t *testing.T, raw, packet []byte) {
		prog, err := cbpf.Parse(raw, "raw")
		if err != nil || cbpf.Check(prog) != nil || len(packet) > 4096 {
			return
		}
		comparable := true
		for _, in := range prog {
			// Computed addresses can count from a header, which not every
			// variant knows.
			indirect := in.Op&0xe7 == cbpf.ClassLD|cbpf.ModeIND
			comparable = comparable && !indirect && in.K != cbpf.AdOff+cbpf.AdRandom
		}
		for _, v := range variants() {
			p, err := lift.Lift(prog, lift.Options{Hook: v.hook, Access: v.access})
			var refused *lift.Error
			if errors.As(err, &refused) && strings.Contains(refused.Msg, "cannot supply") {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			in := []engine.Packet{{Data: packet, WireLen: uint32(len(packet)), Meta: metadata}}
			if comparable {
				compareInMachine(t, v, "fuzz", prog, nil, in)
			} else if fault := runInMachine(t, v, v.hook.Info().NoMatch, p, in)[0].Fault; fault != nil {
				t.Fatalf("%v: %v\n%s", v, fault, listing(prog, p))
			}
		}
	})
}
