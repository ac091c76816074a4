package num

import (
	"flag"
	"math/bits"
	"testing"
)

// The proofs run the package's own code on words of a few bits and try all
// operands. A set of numbers is a word of bits: number v is bit v.

var wideProofs = flag.Bool("wide", false, "prove at larger widths too (minutes)")

type (
	big   = uint16
	small = uint8
	prod  = Product[big, small]
)

// model sets the widths of uint16 and uint8 for one test. Above six bits there
// are no sets.
func model(t testing.TB, wide, low uint8) {
	old := modelWidth
	modelWidth = [3]uint8{1: low, 2: wide}
	t.Cleanup(func() { modelWidth = old })
	if wide <= 6 {
		fillTables()
	}
}

// The sets of all views, so that those of products are quick to find.
const most = 64 // numbers in a model of 6 bits

var (
	tnumSets [most][most]uint64
	wideSets [most][most]uint64
	lowSets  [most][most]uint64
)

func fillTables() {
	for _, t := range tnums[big]() {
		tnumSets[t.Value][t.Mask] = setOf(t.contains)
	}
	for _, a := range arcs[big]() {
		wideSets[a.Base][a.Size] = setOf(a.contains)
	}
	for _, a := range arcs[small]() {
		lowSets[a.Base][a.Size] = setOf(func(v big) bool { return a.contains(lower[big, small](v)) })
	}
}

func set(p prod) uint64 {
	return tnumSets[p.Bits.Value][p.Bits.Mask] & wideSets[p.Wide.Base][p.Wide.Size] & lowSets[p.Low.Base][p.Low.Size]
}

func arcs[U Word]() []Arc[U] {
	all := []Arc[U]{fullArc[U]()}
	for base := range int(ones[U]()) + 1 {
		for size := range int(ones[U]()) {
			all = append(all, Arc[U]{U(base), U(size)})
		}
	}
	return all
}

func tnums[U Word]() []Tnum[U] {
	var all []Tnum[U]
	for mask := range int(ones[U]()) + 1 {
		for value := range int(ones[U]()) + 1 {
			if value&mask == 0 {
				all = append(all, Tnum[U]{U(value), U(mask)})
			}
		}
	}
	return all
}

// setOf has the numbers for which contains is true.
func setOf[U Word](contains func(U) bool) (set uint64) {
	for v := range int(ones[U]()) + 1 {
		if contains(U(v)) {
			set |= 1 << v
		}
	}
	return set
}

// members is the other way round, for range loops.
func members(set uint64) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for ; set != 0; set &= set - 1 {
			if !yield(bits.TrailingZeros64(set)) {
				return
			}
		}
	}
}

// bestArc is the size of the smallest arc around a set that is not empty: all
// but the longest row of numbers that it has not.
func bestArc(set uint64, w uint) int {
	n := 1 << w
	var rows [7]uint64 // where 1, 2, 4, ... numbers in a row are not in the set
	i := 0
	for rows[0] = ^set & (1<<n - 1); rows[i] != 0; i++ {
		rows[i+1] = rows[i] & turned(rows[i], 1<<i, n)
	}
	longest, row := 0, uint64(1<<n-1)
	for i--; i >= 0; i-- {
		if longer := rows[i] & turned(row, 1<<i, n); longer != 0 {
			row = longer
			longest += 1 << i
		}
	}
	return n - longest - 1
}

// turned adds k to all numbers of a set of n.
func turned(set uint64, k, n int) uint64 {
	k %= n
	return (set<<k | set>>(n-k)) & (1<<n - 1)
}

// withBit has the numbers in which bit i is 1.
var withBit = [...]uint64{
	0xaaaaaaaaaaaaaaaa, 0xcccccccccccccccc, 0xf0f0f0f0f0f0f0f0,
	0xff00ff00ff00ff00, 0xffff0000ffff0000, 0xffffffff00000000,
}

// bestTnum is the one with the fewest numbers around a set that is not empty.
func bestTnum(set uint64) (t Tnum[big]) {
	for i, with := range withBit {
		switch {
		case set&^with == 0:
			t.Value |= 1 << i
		case set&with != 0:
			t.Mask |= 1 << i
		}
	}
	return t
}

// universe is a set of products to try, and what each of them contains.
type universe struct {
	of   []prod
	sets []uint64
}

// everything is what becomes of each combination of a tnum, an arc and an arc
// of the lower half; those that have no number, unnoticed, among them.
func everything() universe { return combine(tnums[big](), arcs[big](), arcs[small]()) }

// Those of which less is known: bits alone, and so on.
func fromTnums() universe { return combine(tnums[big](), full[big](), full[small]()) }
func fromArcs() universe  { return combine(unknownBits(), arcs[big](), full[small]()) }
func fromWide() universe  { return combine(tnums[big](), arcs[big](), full[small]()) }
func fromLow() universe   { return combine(tnums[big](), full[big](), arcs[small]()) }

func combine(ts []Tnum[big], ws []Arc[big], ls []Arc[small]) (u universe) {
	for _, p := range products(ts, ws, ls) {
		u.of = append(u.of, p)
		u.sets = append(u.sets, set(p))
	}
	return u
}

// products has what becomes of each combination, once.
func products(ts []Tnum[big], ws []Arc[big], ls []Arc[small]) (all []prod) {
	seen := map[prod]bool{}
	for _, t := range ts {
		for _, w := range ws {
			for _, l := range ls {
				if p := (prod{t, w, l}); p.sync() && !seen[p] {
					seen[p] = true
					all = append(all, p)
				}
			}
		}
	}
	return all
}

// united has what is in any of us, once.
func united(us ...universe) (all universe) {
	seen := map[prod]bool{}
	for _, u := range us {
		for i, p := range u.of {
			if !seen[p] {
				seen[p] = true
				all.of = append(all.of, p)
				all.sets = append(all.sets, u.sets[i])
			}
		}
	}
	return all
}

func unknownBits() []Tnum[big] { return []Tnum[big]{{0, ones[big]()}} }
func full[U Word]() []Arc[U]   { return []Arc[U]{fullArc[U]()} }
