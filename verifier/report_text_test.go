package verifier

import (
	"bytes"
	"slices"
	"testing"

	"github.com/bpflab/bpflab/verifier/num"
)

// TestDump checks that lines which repeat are written once, but for the last,
// which tells the length.
func TestDump(t *testing.T) {
	data := make([]byte, 16*5+3)
	data[0], data[16*4] = 1, 2
	var out bytes.Buffer
	text := reportText{Buffer: &out}
	text.dump(data)
	const zeros = "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"
	want := "  0000  01 " + zeros + "\n  0010  00 " + zeros + "\n  *\n  0040  02 " + zeros + "\n  0050  00 00 00\n"
	if out.String() != want {
		t.Errorf("%s\nwant\n%s", out.String(), want)
	}
}

// TestMergeZeros checks that bytes which are 0 become one value where they lie
// side by side only.
func TestMergeZeros(t *testing.T) {
	zero := func(offset, size int) StackValue {
		return StackValue{Offset: offset, Size: size, Value: Value{Kind: Number, Num: num.Const(0)}}
	}
	got := mergeZeros([]StackValue{zero(-8, 8), zero(-16, 8), zero(-32, 8)})
	if want := []StackValue{zero(-16, 16), zero(-32, 8)}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
