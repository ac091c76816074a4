package replay

import (
	"io"
	"sync"

	"github.com/bpflab/bpflab/vm/capture"
)

// A piece is some packets of a capture on their way from the goroutine that
// reads to a worker, and on to the visitor.
type piece struct {
	packets capture.Reader
	matches []Match
	end     error         // what is wrong with these packets
	judged  chan struct{} // receives when a worker is done
}

// How many pieces there are: one in hand and one waiting for each worker, and
// one for the visitor. More would be more memory to touch.
func pieces(workers int) int { return 2*workers + 1 }

// A pipeline is the channels that the pieces go round in: free, work and
// ordered, free again. Each has room for all, so that nobody waits to send.
type pipeline struct {
	free    chan *piece
	work    chan *piece   // to the workers
	ordered chan *piece   // to the visitor, as they stand in the capture
	end     error         // why there are no more, once ordered is closed
	stop    chan struct{} // closed when the visitor wants no more
}

func newPipeline(workers int) *pipeline {
	n := pieces(workers)
	l := &pipeline{
		free:    make(chan *piece, n),
		work:    make(chan *piece, n),
		ordered: make(chan *piece, n),
		stop:    make(chan struct{}),
	}
	for range n {
		l.free <- &piece{judged: make(chan struct{}, 1)}
	}
	return l
}

// filterParallel is [judge.matches] with several workers.
func filterParallel(r *capture.Reader, workers []EngineFor, visit func(Match) error, idle func() error) error {
	l := newPipeline(len(workers))
	var running sync.WaitGroup
	defer running.Wait() // the caller may close the engines
	defer close(l.stop)
	for _, w := range workers {
		running.Go(func() { l.judge(newJudge(w)) })
	}
	go l.read(r) // not waited for: it may stand in a read of a live source
	return l.visit(visit, idle)
}

// read cuts the capture into pieces.
func (l *pipeline) read(r *capture.Reader) {
	defer close(l.ordered)
	for {
		select {
		case <-l.stop:
			return
		default:
		}
		select {
		case <-l.stop:
			return
		case p := <-l.free:
			if l.end = r.Detach(&p.packets); l.end != nil {
				return
			}
			l.work <- p
			l.ordered <- p
		}
	}
}

// judge takes pieces and gathers what matches in each.
func (l *pipeline) judge(j *judge) {
	for {
		select {
		case <-l.stop:
			return
		case p := <-l.work:
			p.matches = p.matches[:0]
			p.end = j.matches(&p.packets, func(m Match) error {
				p.matches = append(p.matches, m)
				return nil
			}, neverIdle)
			p.judged <- struct{}{}
		}
	}
}

// visit visits the matches of each piece.
func (l *pipeline) visit(visit func(Match) error, idle func() error) error {
	for {
		if len(l.ordered) == 0 {
			if err := idle(); err != nil {
				return err
			}
		}
		p, ok := <-l.ordered
		if !ok && l.end == io.EOF {
			return nil
		}
		if !ok {
			return l.end
		}
		<-p.judged
		for _, m := range p.matches {
			if err := visit(m); err != nil {
				return err
			}
		}
		if p.end != nil {
			return p.end
		}
		l.free <- p
	}
}
