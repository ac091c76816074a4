package kernel

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/vm/engine"
)

// Time measures how long the program takes for a packet. Each packet runs
// repeat times in one test run, so that entering the kernel does not count; the
// first result is the mean of what the kernel measured, in nanoseconds, and the
// second how many packets that is about: those that it refuses are left out.
//
// It knows whole nanoseconds for each packet, cut off. A run finds maps and packet
// as the one before left them, and no context but the packet: a program that
// changes its packet may do other things in time.
func (e *Engine) Time(in []engine.Packet, repeat int) (ns float64, packets int, err error) {
	if e.thread == nil {
		return 0, 0, errors.New("the kernel engine is closed")
	}
	var sum int64
	e.thread.do(func() {
		for i := range in {
			frame, _, refused := e.form.input(&in[i])
			if refused != nil || len(frame) == 0 {
				continue
			}
			_, took, problem := e.prog.prog.Benchmark(frame, repeat, func() {})
			if errors.Is(problem, unix.EINVAL) {
				continue
			}
			if problem != nil {
				err = fmt.Errorf("test runs of program %q on packet %d: %w", e.prog.name, i+1, problem)
				return
			}
			sum += took.Nanoseconds()
			packets++
		}
	})
	if err != nil || packets == 0 {
		return 0, 0, err
	}
	return float64(sum) / float64(packets), packets, nil
}
