package oracle_test

import (
	"slices"
	"testing"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/testdata/oracle"
	"github.com/bpflab/bpflab/testdata/packets"
)

func TestOracle(t *testing.T) {
	o := oracle.New(t)
	prog, _, err := o.Compile("ip[0] = 0x45", oracle.Options{LinkType: cbpf.LinkRaw, SnapLen: 99})
	if err != nil {
		t.Fatal(err)
	}
	o.Packets([]packets.Packet{{Data: []byte{0x45}, WireLen: 1}, {Data: []byte{0x46}, WireLen: 1}, {WireLen: 5}})
	if got, want := o.Run(prog), []uint32{99, 0, 0}; !slices.Equal(got, want) {
		t.Errorf("verdicts %v, want %v", got, want)
	}
	if _, _, err := o.Compile("nonsense (", oracle.Options{}); err == nil {
		t.Error("no error for a filter that is none")
	}
}
