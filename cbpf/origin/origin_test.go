package origin

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestUnion(t *testing.T) {
	for _, c := range []struct{ a, b, want Set }{
		{nil, nil, nil},
		{Of(1, 3), nil, Of(1, 3)},
		{nil, Of(1, 3), Of(1, 3)},
		{Of(1, 3), Of(3, 5), Of(1, 5)},
		{Of(4, 6), Of(1, 3), Set{{1, 3}, {4, 6}}},
		{Set{{1, 3}, {8, 9}}, Of(2, 8), Of(1, 9)},
		{Of(0, 10), Of(2, 3), Of(0, 10)},
	} {
		if got := c.a.Union(c.b); !cmp.Equal(got, c.want) {
			t.Errorf("%v ∪ %v = %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

func TestUnionLeavesItsOperandsAlone(t *testing.T) {
	a, b := Of(1, 3), Of(2, 9)
	a.Union(b)
	if !cmp.Equal(a, Of(1, 3)) || !cmp.Equal(b, Of(2, 9)) {
		t.Errorf("operands became %v and %v", a, b)
	}
}

func TestThrough(t *testing.T) {
	expression := Table{Of(0, 3), Of(4, 8), nil, Of(9, 11)}
	lifted := Table{nil, Of(0, 2), Of(2, 3), Of(3, 9)}
	want := Table{nil, Set{{0, 3}, {4, 8}}, nil, Of(9, 11)}
	if got := lifted.Through(expression); !cmp.Equal(got, want) {
		t.Errorf("composition is\n%vwant\n%v", got, want)
	}
}

func TestTextRoundTrip(t *testing.T) {
	for _, table := range []Table{nil, {nil}, {nil, Of(0, 2), {{1, 2}, {5, 9}}}} {
		got, err := Parse(table.String())
		if err != nil || !cmp.Equal(got, table) {
			t.Errorf("Parse(String()) = %v, %v", got, err)
		}
	}
	for _, bad := range []string{"\n", "1: -", "0 -", "0: 3", "0: 5-2", "0: a-b"} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("Parse(%q) succeeded", bad)
		}
	}
}
