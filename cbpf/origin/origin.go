// Package origin holds provenance: the table that every stage of the pipeline
// keeps beside what it makes, saying which piece of its input each piece of
// its output came from.
//
// A piece is named by a number in its own stage: a byte offset into a filter
// expression, the index of a classic instruction, the index of an eBPF
// instruction. A piece may come from several places at once, because stages
// share work (one packet load serves two ports), so an entry is a [Set] of
// ranges. Tables compose: with the table of the filter compiler (classic
// instruction to expression) and that of the translator (eBPF instruction to
// classic instruction), [Table.Through] gives eBPF instruction to expression.
package origin

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Span is the half-open range [Start, End) of positions in a stage's input.
type Span struct{ Start, End int }

// A Set is a list of spans in rising order that neither overlap nor touch.
// The empty set stands for a piece that comes from nothing in the input, such
// as the prologue that a translator adds.
type Set []Span

// Of returns the set that holds just the range [start, end), or the empty
// set if the range is empty.
func Of(start, end int) Set {
	if start >= end {
		return nil
	}
	return Set{{start, end}}
}

// Union returns the positions that are in s or in t. It may return s or t
// itself, so sets are not to be changed in place.
func (s Set) Union(t Set) Set {
	switch {
	case len(t) == 0 || slices.Equal(s, t):
		return s
	case len(s) == 0:
		return t
	}
	out := make(Set, 0, len(s)+len(t))
	for len(s) > 0 || len(t) > 0 {
		if len(t) == 0 || len(s) > 0 && s[0].Start <= t[0].Start {
			out, s = out.append(s[0]), s[1:]
		} else {
			out, t = out.append(t[0]), t[1:]
		}
	}
	return out
}

// append adds a span that starts no earlier than the last one of s.
func (s Set) append(n Span) Set {
	if k := len(s) - 1; k >= 0 && n.Start <= s[k].End {
		s[k].End = max(s[k].End, n.End)
		return s
	}
	return append(s, n)
}

// Contains reports whether position p is in s.
func (s Set) Contains(p int) bool {
	for _, n := range s {
		if n.Start <= p && p < n.End {
			return true
		}
	}
	return false
}

// String gives the text form: ranges as "start-end" with the end exclusive,
// separated by blanks, and "-" for the empty set.
func (s Set) String() string {
	if len(s) == 0 {
		return "-"
	}
	parts := make([]string, len(s))
	for i, n := range s {
		parts[i] = fmt.Sprintf("%d-%d", n.Start, n.End)
	}
	return strings.Join(parts, " ")
}

// A Table says, for each piece of a stage's output, where it came from:
// Table[i] is the set of input positions behind output piece i.
type Table []Set

// Through composes two stages: t maps the pieces of a later stage to those of
// an earlier one, and earlier maps those on to its own input. Positions
// outside earlier are dropped.
func (t Table) Through(earlier Table) Table {
	out := make(Table, len(t))
	for i, set := range t {
		for _, n := range set {
			for p := max(n.Start, 0); p < min(n.End, len(earlier)); p++ {
				out[i] = out[i].Union(earlier[p])
			}
		}
	}
	return out
}

// String gives the text form of a table, one line "index: set" a piece.
func (t Table) String() string {
	var b strings.Builder
	for i, s := range t {
		fmt.Fprintf(&b, "%d: %v\n", i, s)
	}
	return b.String()
}

// Parse reads what [Table.String] writes.
func Parse(text string) (Table, error) {
	var t Table
	if text == "" {
		return t, nil
	}
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		index, sets, ok := strings.Cut(line, ": ")
		if n, err := strconv.Atoi(index); !ok || err != nil || n != i {
			return nil, fmt.Errorf("origin table line %d: want \"%d: ranges\", have %q", i+1, i, line)
		}
		s, err := parseSet(sets)
		if err != nil {
			return nil, fmt.Errorf("origin table line %d: %w", i+1, err)
		}
		t = append(t, s)
	}
	return t, nil
}

func parseSet(text string) (Set, error) {
	if text == "-" {
		return nil, nil
	}
	var s Set
	for f := range strings.FieldsSeq(text) {
		from, to, ok := strings.Cut(f, "-")
		start, err1 := strconv.Atoi(from)
		end, err2 := strconv.Atoi(to)
		if !ok || err1 != nil || err2 != nil || start >= end {
			return nil, fmt.Errorf("range %q is not start-end with start before end", f)
		}
		s = s.Union(Of(start, end))
	}
	return s, nil
}
