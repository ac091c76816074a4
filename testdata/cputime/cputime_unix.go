//go:build unix

// Package cputime measures the processor time of benchmarks.
package cputime

import (
	"syscall"
	"time"
)

// Used returns what this process has used, and its children that have ended:
// a measure that other work on the machine disturbs less than the clock.
func Used() time.Duration {
	var sum time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return sum
}
