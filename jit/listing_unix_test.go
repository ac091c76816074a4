//go:build amd64 && unix

package jit

import (
	"bytes"
	"testing"

	"github.com/bpflab/bpflab/testdata/require"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// TestListingIsWhatRuns: the listing of an engine has the bytes that are in its
// executable memory.
func TestListingIsWhatRuns(t *testing.T) {
	if err := Supported(); err != nil {
		require.Skip(t, "%v", err)
	}
	for _, file := range []string{"testdata/listing/batch.asm", "testdata/listing/single.asm", "../testdata/programs/xdp_balancer.o"} {
		proof, report := verifier.Verify(programsIn(t, file)[0], verifier.Options{})
		if report != nil {
			t.Fatal(report)
		}
		e, err := New(vm.Options{}, proof)
		if err != nil {
			t.Fatal(err)
		}
		l, err := e.Listing()
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Run([]engine.Packet{{Data: make([]byte, 64), WireLen: 64}}, make([]engine.Result, 1)); err != nil {
			t.Fatal(err)
		}
		code := e.code
		if l.Form == Batch {
			code = e.lean
		}
		if got := l.bytes(); !bytes.Equal(got, code.mem.bytes[:l.Size]) {
			t.Errorf("%s: the listing has other bytes than the engine:\n%x\n%x", file, got, code.mem.bytes[:l.Size])
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Listing(); err == nil {
			t.Errorf("%s: a listing of a closed engine", file)
		}
	}
}

// bytes puts the code of a listing together.
func (l *Listing) bytes() []byte {
	code := make([]byte, l.Size)
	put := func(p Piece) {
		for _, line := range p.Lines {
			copy(code[line.Offset:], line.Bytes)
		}
	}
	for _, part := range l.Parts {
		put(part.Piece)
	}
	for _, insn := range l.Programs[0].Insns {
		for _, piece := range insn.Code {
			put(piece)
		}
	}
	return code
}
