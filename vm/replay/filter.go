package replay

import (
	"errors"
	"fmt"
	"io"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/vm/capture"
	"github.com/bpflab/bpflab/vm/engine"
)

// An EngineFor gives the engine of a filter for packets of a link type; see
// [Engines].
type EngineFor func(cbpf.LinkType) (engine.Engine, error)

// Filter runs a filter over the packets of a capture, and calls visit with those
// that it matches, for which it returns anything but 0, in order and some at a
// time. It is Run for that purpose, with much less to do per packet: an
// [engine.Filter] gets the bytes where the reader has them, and only what the
// visitor asks for is decoded.
//
// Each of the workers is used by one goroutine. With one worker, that is the
// caller's. With more, they read and judge pieces of the capture (see
// [capture.Pieces]); visits are made one at a time, in order, with the same
// errors, but by any of them, and r must not be used any more. A Filter that ends
// before the capture does may then leave a worker in a read, after which nothing
// else happens.
//
// Filter calls idle, which may be nil, before it waits for packets, so that a
// visitor that gathers its output can hand it over; it may also call it at
// other times. It ends with the capture, whose error it returns, or with the
// first error of an engine, visit or idle, of which [ErrStop] is none; a fault
// of the filter is an error, too.
func Filter(r *capture.Reader, workers []EngineFor, visit func(*Matches) error, idle func() error) error {
	if idle == nil {
		idle = neverIdle
	}
	var err error
	if len(workers) <= 1 {
		err = newJudge(workers[0]).matches(r, visit, idle)
	} else {
		err = filterParallel(r, workers, visit, idle)
	}
	if errors.Is(err, ErrStop) {
		return nil
	}
	return err
}

func neverIdle() error { return nil }

// A judge is a filter on its way through a capture, or through pieces of one.
type judge struct {
	engineFor EngineFor
	engine    engine.Engine
	filter    engine.Filter // the engine, if it is one
	link      cbpf.LinkType // what the engine is for
	batch     capture.Batch
	verdicts  []uint32
	in        []engine.Packet // what takes more than verdicts
	out       []engine.Result
}

func newJudge(engineFor EngineFor) *judge { return &judge{engineFor: engineFor} }

// matches visits the matches among the packets of r.
func (j *judge) matches(r *capture.Reader, visit func(*Matches) error, idle func() error) error {
	found := Matches{reader: r}
	for {
		if !r.Buffered() {
			if err := idle(); err != nil {
				return err
			}
		}
		found.clear()
		end := j.step(r, &found)
		if found.Len() > 0 {
			if err := visit(&found); err != nil {
				return err
			}
		}
		if end == io.EOF {
			return nil
		}
		if end != nil {
			return end
		}
	}
}

// step judges the next batch of r, and adds what matches.
func (j *judge) step(r *capture.Reader, found *Matches) error {
	if err := r.NextBatch(&j.batch); err != nil {
		return err
	}
	judged, err := j.judge(r)
	found.add(&j.batch, j.verdicts[:judged])
	return err
}

// judge sets the verdicts of the batch's packets, and returns how many it came
// to and what stopped it there.
func (j *judge) judge(r *capture.Reader) (judged int, err error) {
	if err := j.use(j.batch.LinkType); err != nil {
		return 0, err
	}
	frames := j.batch.Frames
	if len(j.verdicts) < len(frames) {
		j.verdicts = make([]uint32, cap(frames))
	}
	if j.filter != nil {
		judged = j.filter.Verdicts(frames, j.verdicts)
	}
	if judged == len(frames) {
		return judged, nil
	}
	return j.run(r, judged)
}

// use makes the engine for a link type the one that judges.
func (j *judge) use(link cbpf.LinkType) (err error) {
	if j.engine != nil && link == j.link {
		return nil
	}
	j.engine, err = j.engineFor(link)
	j.link = link
	j.filter, _ = j.engine.(engine.Filter)
	return err
}

// run judges the packets of the batch from one on in the way of [Run], with
// their metadata and with a result that tells of faults.
func (j *judge) run(r *capture.Reader, from int) (judged int, err error) {
	if len(j.out) < len(j.verdicts) {
		j.out = make([]engine.Result, len(j.verdicts))
	}
	j.in = j.in[:0]
	for i := from; i < len(j.batch.Frames); i++ {
		j.in = append(j.in, r.PacketAt(j.batch.Offset+int64(j.batch.Starts[i])).Engine())
	}
	first := j.batch.First + from
	if err := j.engine.Run(j.in, j.out[:len(j.in)]); err != nil {
		return from, fmt.Errorf("engine %s, packets %d to %d: %w", j.engine.Name(), first, first+len(j.in)-1, err)
	}
	for i := range j.in {
		if fault := j.out[i].Fault; fault != nil {
			return from + i, fmt.Errorf("packet %d: %w", first+i, fault)
		}
		j.verdicts[from+i] = j.out[i].Return
	}
	return len(j.batch.Frames), nil
}
