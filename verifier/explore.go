package verifier

import "github.com/bpflab/bpflab/ebpf/abi"

// A verifier is one search through the paths of a program.
type verifier struct {
	p    *Program
	o    Options
	a    *analysis
	maps []abi.MapSpec // p.Maps, and behind them the specs of the maps that maps hold

	state *state // of the path being followed
	pc    int    // of the instruction being looked at
	next  int    // where the path goes on
}
