//go:build !unix

package cputime

import "time"

// Used is not known here: benchmarks report the clock's time alone.
func Used() time.Duration { return 0 }
