package filter

import (
	"slices"

	"github.com/bpflab/bpflab/cbpf/filter/ir"
)

// The middle of the compiler: passes that make the graph smaller without
// changing its meaning, faults included. Unlike libpcap's optimizer, they keep
// the verdicts on truncated packets.
//
// Every pass costs time near-linear in the graph, keeps the invariants of
// package ir, and unites the provenance of what it merges.

// A pass changes f and reports whether it did.
type pass struct {
	name string
	run  func(f *ir.Func) bool
}

var (
	foldPass   = pass{"fold", fold}
	phisPass   = pass{"phis", simplifyPhis}
	threadPass = pass{"thread", thread}
	mergePass  = pass{"merge", merge}
	groupPass  = pass{"group", group}
)

// passes is the order of the passes. Threading finds more once the dominators
// are those of the threaded graph. Merging comes after it, because a block
// that is reached by one way only is known better than one shared by several.
var passes = []pass{
	foldPass, phisPass,
	threadPass, foldPass, phisPass,
	threadPass, foldPass, phisPass,
	threadPass, foldPass, phisPass,
	mergePass, foldPass,
	groupPass,
}

// optimize runs the passes, save for those whose names are given.
func optimize(f *ir.Func, disabled ...string) {
	runPasses(f, passes, disabled, func(string) {})
}

// runPasses calls after when a pass has changed f. A pass is not run again if
// nothing has changed since.
func runPasses(f *ir.Func, passes []pass, disabled []string, after func(pass string)) {
	f.RemoveUnreachable()
	idle := make(map[string]bool) // passes that would find nothing
	for _, p := range passes {
		if idle[p.name] || slices.Contains(disabled, p.name) {
			continue
		}
		if !p.run(f) {
			idle[p.name] = true
			continue
		}
		clear(idle)
		after(p.name)
	}
}
