package ir

import (
	"slices"

	"github.com/bpflab/bpflab/cbpf/origin"
)

// from adds o to the places that v came from. A list of addresses adds to one
// load again and again, nearly always behind what is there; the set then grows
// at its end, in an array of its own, where a union would copy it each time.
func (v *Value) from(o origin.Set) *Value {
	n := len(v.Origin)
	switch {
	case len(o) == 0 || covers(v.Origin, o):
	case n == 0:
		v.Origin, v.ownsSet = o, false
	case o[0].Start > v.Origin[n-1].End:
		if !v.ownsSet {
			v.Origin = append(make(origin.Set, 0, 2*n+len(o)), v.Origin...)
		}
		v.Origin, v.ownsSet = append(v.Origin, o...), true
	default:
		v.Origin, v.ownsSet = v.Origin.Union(o), false
	}
	return v
}

// covers reports whether every span of t lies in one of s.
func covers(s, t origin.Set) bool {
	return !slices.ContainsFunc(t, func(n origin.Span) bool {
		i, _ := slices.BinarySearchFunc(s, n.End, func(a origin.Span, end int) int { return a.End - end })
		return i == len(s) || s[i].Start > n.Start
	})
}

// Unite returns the union of many sets, in time near-linear in their lengths.
func Unite(sets []origin.Set) origin.Set {
	switch len(sets) {
	case 0:
		return nil
	case 1:
		return sets[0]
	}
	half := len(sets) / 2
	return Unite(sets[:half]).Union(Unite(sets[half:]))
}
