package num

import (
	"slices"
	"testing"
)

// Words of six bits whose lower half has three: all operands that are known by
// one view, through the doors that the verifier uses. Pairs with an arc are too
// many for every run: there are those with a constant, with arcs of the sizes
// that matter most, and all pairs at five bits; -wide has all at six.

// telling are sizes next to what makes a difference: none at all, a turn of the
// lower half, half of the circle, all of it.
var telling = []big{1, 7, 8, 31, 32, 62}

func arcsOf(sizes ...big) universe {
	return combine(unknownBits(), slices.DeleteFunc(arcs[big](), func(a Arc[big]) bool {
		return !slices.Contains(sizes, a.Size)
	}), full[small]())
}

func constants() universe { return arcsOf(0) }

// halves has what can be known of a lower half, with nothing known above it.
func halves() universe {
	above := ones[big]() &^ big(ones[small]())
	known := slices.DeleteFunc(tnums[big](), func(t Tnum[big]) bool { return t.Mask&above != above })
	return combine(known, full[big](), arcs[small]())
}

func TestSixBits(t *testing.T) {
	model(t, 6, 3)
	bits, arcs, consts, some := fromTnums(), fromArcs(), constants(), arcsOf(telling...)
	var p precision
	p.pairs(t, "bits, bits", bits, bits, true)
	p.pairs(t, "arcs, constants", arcs, consts, true)
	p.pairs(t, "constants, arcs", consts, arcs, true)
	p.pairs(t, "bits, some arcs", bits, some, true)
	p.pairs(t, "some arcs, bits", some, bits, true)
	p.pairs(t, "some arcs, some arcs", some, some, true)
	p.compare(t, "six.txt")
}

// TestSixBitsNarrow tries what sees lower halves alone. A result of an
// operation comes from them, so all pairs of halves are all there is. A
// condition teaches each operand about all of itself, from the other's half.
func TestSixBitsNarrow(t *testing.T) {
	model(t, 6, 3)
	bits, arcs, halves := fromTnums(), fromArcs(), halves()
	var p precision
	p.pairs(t, "halves, halves", halves, halves, false)
	p.pairs(t, "bits, bits", bits, bits, false)
	p.pairs(t, "arcs, halves", arcs, halves, false)
	p.pairs(t, "halves, arcs", halves, arcs, false)
	p.compare(t, "sixnarrow.txt")
}

// TestFiveBits tries all pairs of arcs, and all arcs with all bits.
func TestFiveBits(t *testing.T) {
	model(t, 5, 2)
	u := united(fromTnums(), fromArcs())
	var p precision
	p.pairs(t, "bits and arcs", u, u, true)
	p.compare(t, "five.txt")
}

// TestUnary tries what has one operand: at six bits all that can be known of a
// register without its lower half, and all of the half; at eight, of one view.
func TestUnary(t *testing.T) {
	model(t, 6, 3)
	u := united(fromWide(), fromLow())
	var p precision
	p.unaries(t, u, extensions(true))
	p.unaries(t, u, extensions(false))
	p.unaries(t, u, truncations())
	p.compare(t, "unary.txt")

	model(t, 8, 4)
	all := slices.Concat(
		products(tnums[big](), full[big](), full[small]()),
		products(unknownBits(), arcs[big](), full[small]()),
		products(unknownBits(), full[big](), arcs[small]()))
	for _, f := range slices.Concat(extensions(true), extensions(false), truncations()) {
		soundUnary(t, all, f)
	}
}

// soundUnary is proveUnary without sets, for more than six bits.
func soundUnary(t *testing.T, all []prod, f unary) {
	numbers := make([]big, int(ones[big]())+1)
	for v := range numbers {
		numbers[v] = big(f.number(v))
	}
	for _, x := range all {
		r := f.f(x)
		for v, want := range numbers {
			if x.Contains(big(v)) && !r.Contains(want) {
				t.Fatalf("%s of %v: %v has not %d", f.name, x, r, want)
			}
		}
	}
}
