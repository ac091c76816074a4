package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/ebpf/object"
)

// A show is attached programs and what is shown of them: records, maps,
// packets.
type show struct {
	*attachRun
	types    *kernel.Types
	records  []*recordReader
	watches  []*watch
	capture  *kernel.Capture // nil if no socket is captured from
	socket   kernel.Hook     // of capture
	attached []*kernel.Attachment

	mu    sync.Mutex // guards what follows and the output
	count uint64     // of records
}

// newShow begins to read the records and finds the maps to watch. Perf event
// arrays take no records before somebody reads them.
func (r *attachRun) newShow(c *kernel.Collection, l *object.Linked, types []byte) (*show, error) {
	s := &show{attachRun: r}
	var err error
	if s.types, err = kernel.NewTypes(types); err != nil {
		return nil, err
	}
	if r.options.Pin != "" {
		return s, nil
	}
	for i := range l.Maps {
		if spec := &l.Maps[i]; spec.Kind == abi.RingBuf || spec.Kind == abi.PerfEventArray {
			if err := s.addRecords(c, spec.Name); err != nil {
				return nil, errors.Join(err, s.close())
			}
		}
	}
	for _, name := range r.watch {
		if _, err := linkedMap(l, name); err != nil {
			return nil, errors.Join(err, s.close())
		}
		m, err := c.Map(name)
		if err != nil {
			return nil, errors.Join(r.refused(err), s.close())
		}
		if _, err := m.Elements(); err != nil { // a ring buffer or queue, say
			return nil, errors.Join(usagef("--watch %s: a map of kind %v does not show its elements", name, m.Spec().Kind), s.close())
		}
		s.watches = append(s.watches, s.newWatch(m))
	}
	return s, nil
}

// close detaches the programs and ends the reading.
func (s *show) close() error {
	err := s.detach()
	for _, r := range s.records {
		err = errors.Join(err, r.Close())
	}
	if s.capture != nil {
		err = errors.Join(err, s.capture.Close())
	}
	s.records, s.capture = nil, nil
	return err
}

func (s *show) detach() error {
	var errs []error
	for _, a := range s.attached {
		errs = append(errs, a.Close())
	}
	s.attached = nil
	return errors.Join(errs...)
}

// run shows things until the context ends or there are enough records. Then the
// programs are detached, and what they have left is shown.
func (s *show) run(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	detached, drain := context.WithCancel(context.Background())
	defer drain()
	errs := make(chan error)
	running := 0
	begin := func(f func() error) {
		running++
		go func() { errs <- f() }()
	}
	for _, r := range s.records {
		begin(func() error { return s.readRecords(r, detached, end) })
	}
	for _, w := range s.watches {
		begin(func() error { return w.run(detached, s.every) })
	}
	if s.capture != nil {
		begin(func() error { return s.readCapture(ctx, s.capture, s.socket) })
	}
	begin(func() error {
		<-ctx.Done()
		err := s.detach()
		drain()
		return err
	})
	var all []error
	for range running {
		if err := <-errs; err != nil {
			all = append(all, err)
			end()
		} else if s.capture != nil && running == 2 {
			end() // the capture was all there is, and has enough
		}
	}
	return errors.Join(all...)
}

// A recordReader reads the records of a map.
type recordReader struct {
	*kernel.Records
	name  string
	typ   kernel.Type
	known bool // that typ is what the records are, or that nothing is
	// padding is how many bytes may stand behind a record: in a perf event
	// array the kernel fills up to a multiple of eight.
	padding int
}

func (s *show) addRecords(c *kernel.Collection, name string) error {
	m, err := c.Map(name)
	if err != nil {
		return s.refused(err)
	}
	r := &recordReader{name: name}
	if m.Spec().Kind == abi.PerfEventArray {
		r.padding = 7
	}
	for _, assignment := range s.recordTypes {
		of, typ, named := strings.Cut(assignment, "=")
		if !named {
			of, typ = name, assignment
		}
		if of != name {
			continue
		}
		if r.typ, err = s.types.Struct(typ); err != nil {
			return usage(err)
		}
		r.known = true
	}
	if r.Records, err = m.Records(); err != nil {
		return s.refused(err)
	}
	s.records = append(s.records, r)
	return nil
}

// readRecords prints records until the programs are detached and no more are
// left.
func (s *show) readRecords(r *recordReader, detached context.Context, enough func()) error {
	stopped := make(chan error, 1)
	cancel := context.AfterFunc(detached, func() { stopped <- r.Stop() })
	var missing uint64
	err := error(nil)
	for err == nil {
		var data []byte
		var lost uint64
		if data, lost, err = r.Next(); err == nil {
			missing += lost
			if data != nil {
				err = s.printRecord(r, data, enough)
			}
		}
	}
	if missing > 0 {
		s.say("%s: %d records lost for want of room", r.name, missing)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if !cancel() {
		err = errors.Join(err, <-stopped)
	}
	return err
}

// printRecord prints a record, unless there are enough already.
func (s *show) printRecord(r *recordReader, data []byte, enough func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.limit > 0 && s.count == s.limit {
		return nil
	}
	if !r.known {
		r.guess(s, len(data))
	}
	value, err := json.Marshal(r.typ.Value(data))
	if err != nil {
		return err
	}
	if s.json {
		fmt.Fprintf(s.out, "{\"map\":%q,\"record\":%s}\n", r.name, value)
	} else {
		fmt.Fprintf(s.out, "%s %s\n", s.paint(styleBold, r.name), value)
	}
	if s.count++; s.count == s.limit {
		enough()
	}
	return s.flushOut()
}

// guess takes the records for the only structure of their size, if the object
// has such a one, and says so.
func (r *recordReader) guess(s *show, size int) {
	r.known = true
	found := 0
	for n := max(size-r.padding, 1); n <= size; n++ {
		if typ, ok := s.types.OfSize(n); ok {
			r.typ = typ
			found++
		}
	}
	if found == 1 {
		s.say("the records of %s are shown as struct %s, which has their size (--record says otherwise)", r.name, r.typ.Name())
		return
	}
	r.typ = kernel.Type{}
	s.say("no one structure has the size of the records of %s, %d bytes: --record says which it is", r.name, size)
}

func (s *show) flushOut() error {
	if err := s.out.Flush(); err != nil {
		return ioError(err)
	}
	return nil
}
