package kernel

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/cilium/ebpf/perf"
	"github.com/cilium/ebpf/ringbuf"

	"github.com/bpflab/bpflab/ebpf/abi"
)

// perfBuffer is the size of the buffer that each CPU has for its records, in a
// perf event array.
const perfBuffer = 256 << 10

// gather is how long a reader that has emptied a ring buffer looks away. Else a
// program that adds a record every few microseconds wakes it for each of them,
// which costs more than all the rest.
const gather = time.Millisecond

// Records reads what programs put into a ring buffer or a perf event array. It
// must be closed, before the collection.
type Records struct {
	ring *ringbuf.Reader
	perf *perf.Reader
	from ringbuf.Record
	cpu  perf.Record
	more bool // there has just been a record in the ring
}

// Records begins to read a map. A perf event array takes no record before.
func (m *Map) Records() (*Records, error) {
	var r Records
	var err error
	switch m.spec.Kind {
	case abi.RingBuf:
		r.ring, err = ringbuf.NewReader(m.m)
	case abi.PerfEventArray:
		r.perf, err = perf.NewReader(m.m, perfBuffer)
	default:
		return nil, fmt.Errorf("map %q is of kind %v, which holds no records", m.spec.Name, m.spec.Kind)
	}
	if err != nil {
		return nil, m.describe(err)
	}
	return &r, nil
}

// Next waits for a record and returns it. Its bytes are overwritten by the
// following call. lost counts records that a full perf buffer had no room for
// since the last call, while data is nil; a full ring buffer tells the program,
// not the reader. The error is io.EOF when there is no more after Stop.
func (r *Records) Next() (data []byte, lost uint64, err error) {
	if r.ring != nil {
		if r.more && r.ring.AvailableBytes() == 0 {
			time.Sleep(gather)
		}
		err = r.ring.ReadInto(&r.from)
		r.more = err == nil
		data = r.from.RawSample
	} else {
		err = r.perf.ReadInto(&r.cpu)
		data, lost = r.cpu.RawSample, r.cpu.LostSamples
		if lost > 0 { // there is no record, only the library's buffer
			data = nil
		}
	}
	switch {
	case err == nil:
		return data, lost, nil
	case errors.Is(err, ringbuf.ErrFlushed), errors.Is(err, os.ErrClosed):
		return nil, 0, io.EOF
	}
	return nil, 0, err
}

// Stop lets Next return what is there and then io.EOF, instead of waiting for
// more. It may be called while Next waits. Programs that go on adding records
// can put off the end; detach them first.
func (r *Records) Stop() error {
	if r.ring != nil {
		return r.ring.Flush()
	}
	return r.perf.Flush()
}

// Close ends the reading.
func (r *Records) Close() error {
	if r.ring != nil {
		return r.ring.Close()
	}
	return r.perf.Close()
}
