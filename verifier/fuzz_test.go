package verifier_test

import (
	"encoding/binary"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	programs "github.com/bpflab/bpflab/testdata/verifier"
	"github.com/bpflab/bpflab/verifier"
)

// FuzzVerify gives anything to the verifier: bytes as programs of any type,
// first those of the tables, which the fuzzer changes. There must be a verdict,
// one alone, without a panic and within the steps; the same one twice.
func FuzzVerify(f *testing.F) {
	for _, list := range [][]programs.Program{programs.Accepts(), programs.Rejects(), programs.Bugs()} {
		for i := range list {
			if code := ebpf.Append(nil, list[i].Insns, binary.LittleEndian); len(code) < 1000 {
				f.Add(uint8(list[i].Type), i%2 == 0, code)
			}
		}
	}
	f.Fuzz(func(t *testing.T, typ uint8, strict bool, code []byte) {
		prog, err := ebpf.Decode(code, binary.LittleEndian)
		if err != nil {
			return
		}
		const steps = 5000
		p := &verifier.Program{Type: abi.ProgType(typ), Insns: prog, Maps: fuzzMaps, ContextSize: 64, Absent: map[int]string{3: "absent"}}
		var verdicts [2]string
		for i := range verdicts {
			proof, report := verifier.Verify(p, verifier.Options{Steps: steps, Strict: strict, Facts: i == 1})
			var stats verifier.Stats
			switch {
			case (proof == nil) == (report == nil):
				t.Fatalf("proof %v and report %v", proof, report)
			case report != nil:
				verdicts[i], stats = report.Error(), report.Stats
			default:
				stats = proof.Stats()
			}
			// A search, the replays of its failing paths, and a search with
			// everything exact.
			if stats.Steps > 4*steps {
				t.Errorf("%+v", stats)
			}
		}
		if verdicts[0] != verdicts[1] {
			t.Errorf("first %q, then %q", verdicts[0], verdicts[1])
		}
	})
}

// fuzzMaps are maps of the kinds about which there are the most rules.
var fuzzMaps = func() []abi.MapSpec {
	lock := uint32(4)
	inner := abi.MapSpec{Name: "inner", Kind: abi.ArrayMap, KeySize: 4, ValueSize: 16, MaxEntries: 2}
	return []abi.MapSpec{
		{Name: "hash", Kind: abi.HashMap, KeySize: 4, ValueSize: 16, MaxEntries: 4},
		{Name: "array", Kind: abi.ArrayMap, KeySize: 4, ValueSize: 16, MaxEntries: 1, SpinLock: &lock},
		{Name: "outer", Kind: abi.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 2, Inner: &inner},
		{Name: "ring", Kind: abi.RingBuf, MaxEntries: 4096},
		{Name: "programs", Kind: abi.ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 2},
		{Name: "constants", Kind: abi.ArrayMap, KeySize: 4, ValueSize: 8, MaxEntries: 1, Flags: abi.MapReadOnlyProg, Frozen: true,
			Contents: []abi.MapElement{{Key: make([]byte, 4), Value: []byte("constant")}}},
	}
}()
