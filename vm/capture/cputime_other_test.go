//go:build !unix

package capture_test

import "time"

// cpuTime is not known here: benchmarks report the clock's time alone.
func cpuTime() time.Duration { return 0 }
