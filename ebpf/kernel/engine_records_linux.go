package kernel

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm/engine"
)

// A source is a map whose records become events.
type source struct {
	name    string
	records *Records
}

// openSources begins to read all ring buffers and perf event arrays that a
// program names.
func openSources(c *Collection) (sources []source, err error) {
	for i := range c.specs {
		s := &c.specs[i]
		if s.Kind != abi.RingBuf && s.Kind != abi.PerfEventArray || c.maps[i] == nil {
			continue
		}
		m := &Map{s, c.maps[i]}
		r, err := m.Records()
		if err != nil {
			return sources, err
		}
		sources = append(sources, source{s.Name, r})
	}
	return sources, nil
}

// takeEvents appends what has been put into the maps and not been taken yet.
func (s *source) takeEvents(events []engine.Event) ([]engine.Event, error) {
	for !s.records.empty() {
		data, cpu, lost, err := s.records.take()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return events, nil
		case err != nil:
			return events, fmt.Errorf("map %q: %w", s.name, err)
		case lost > 0:
			return events, fmt.Errorf("map %q: %d records did not fit in the buffer", s.name, lost)
		}
		events = append(events, engine.Event{Source: s.name, Index: cpu, Data: data})
	}
	return events, nil
}

// empty reports, without asking the kernel, whether a ring buffer is.
func (r *Records) empty() bool { return r.ring != nil && r.ring.AvailableBytes() == 0 }

// take returns a record that is there, with the CPU of a perf event, or
// os.ErrDeadlineExceeded.
func (r *Records) take() (data []byte, cpu int, lost uint64, err error) {
	now := time.Unix(0, 1)
	if r.ring != nil {
		r.ring.SetDeadline(now)
		record, err := r.ring.Read()
		return record.RawSample, 0, 0, err
	}
	r.perf.SetDeadline(now)
	record, err := r.perf.Read()
	return record.RawSample, record.CPU, record.LostSamples, err
}
