package cbpf_test

import (
	"bytes"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
)

// withoutDevice are the extensions that mean something, and always the same,
// on a socket pair.
var withoutDevice = []uint32{
	cbpf.AdProtocol, cbpf.AdPacketType, cbpf.AdIfIndex, cbpf.AdNLAttr, cbpf.AdNLAttrNest,
	cbpf.AdMark, cbpf.AdQueue, cbpf.AdHWType, cbpf.AdRxHash, cbpf.AdXorX, cbpf.AdVLANTag,
	cbpf.AdVLANTagPresent, cbpf.AdPayOffset, cbpf.AdVLANTPID,
}

// dump shows a program in a test's message.
func dump(prog []bpf.RawInstruction) string {
	var b bytes.Buffer
	if err := cbpf.Write(&b, cbpf.FormatD, prog, cbpf.WriteOptions{}); err != nil {
		return err.Error()
	}
	return b.String()
}

// write returns a program in a format.
func write(t testing.TB, f cbpf.Format, prog []bpf.RawInstruction) string {
	t.Helper()
	var b bytes.Buffer
	if err := cbpf.Write(&b, f, prog, cbpf.WriteOptions{}); err != nil {
		t.Fatalf("write as %s: %v", f, err)
	}
	return b.String()
}

// assemble reads a program in bpf_asm's syntax.
func assemble(t testing.TB, text string) []bpf.RawInstruction {
	t.Helper()
	prog, err := cbpf.Parse([]byte(text), cbpf.FormatAsm)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return prog
}
