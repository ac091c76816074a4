package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/bpflab/bpflab/vm/capture"
)

// openOutput begins the -w file, like the capture that is read.
func (m *matchRun) openOutput(like *capture.Reader) error {
	if m.output == "" {
		return nil
	}
	var dst io.Writer = m.out
	if m.output != "-" {
		f, err := m.create(m.output)
		if err != nil {
			return err
		}
		m.outputFile, dst = f, f
	}
	m.writer, m.pending = capture.NewWriterLike(dst, like), true
	return nil
}

// idle hands over what has matched before the capture is waited for, so that
// packets of a live one, on a pipe, show as they come.
func (m *matchRun) idle() error {
	if m.pending && !m.handOver() {
		return errEnough // conclude and finish tell why
	}
	return nil
}

// prompt is a capture that calls idle before it waits.
type prompt struct {
	*capture.Reader
	match *matchRun
}

func (s prompt) Next() (*capture.Packet, error) {
	if !s.Buffered() {
		if err := s.match.idle(); err != nil {
			return nil, err
		}
	}
	return s.Reader.Next()
}

// handOver reports whether the outputs took everything so far.
func (m *matchRun) handOver() bool {
	m.pending = false
	if m.writer != nil && m.writer.Flush() != nil {
		return false
	}
	return m.out.Flush() == nil
}

// conclude finishes the output and gives the answer of the whole run.
func (m *matchRun) conclude() error {
	if m.writer != nil {
		if err := m.writer.Flush(); err != nil {
			return ioError(err)
		}
	}
	if m.outputFile != nil {
		if err := m.outputFile.Close(); err != nil {
			return ioError(err)
		}
	}
	switch {
	case !m.begun:
		return nil
	case m.quiet && m.matched == 0:
		return answerNo{}
	case m.count && m.json:
		return json.NewEncoder(m.out).Encode(struct {
			Count uint64 `json:"count"`
		}{m.matched})
	case m.count:
		fmt.Fprintln(m.out, m.matched)
	}
	return nil
}

// printLine prints a packet for people.
func (m *matchRun) printLine(file string, number int, p *capture.Packet) {
	if len(m.inputs) > 1 {
		fmt.Fprintf(m.out, "%s:", file)
	}
	m.printPacket(number, p)
}

// printPacket prints a packet as one line.
func (a *app) printPacket(number int, p *capture.Packet) {
	length := fmt.Sprint(p.WireLen)
	if int(p.WireLen) != len(p.Data) {
		length = fmt.Sprintf("%d/%d", len(p.Data), p.WireLen)
	}
	fmt.Fprintf(a.out, "%s %s %s %s\n",
		a.paint(styleBold, fmt.Sprintf("%5d", number)),
		a.paint(styleFaint, p.Timestamp().Format("2006-01-02 15:04:05.000000")),
		a.paint(styleCyan, fmt.Sprintf("%5s", length)),
		summarise(p))
}

// packetJSON is the object that --json prints for a packet.
type packetJSON struct {
	File     string `json:"file,omitempty"` // "" for a live packet
	Number   int    `json:"number"`
	Time     string `json:"time"` // RFC 3339, UTC, nanoseconds
	CapLen   int    `json:"caplen"`
	WireLen  uint32 `json:"wirelen"`
	LinkType string `json:"linktype"`
	Summary  string `json:"summary"`
}

func (a *app) printPacketJSON(file string, number int, p *capture.Packet) error {
	encoder := json.NewEncoder(a.out)
	encoder.SetEscapeHTML(false) // summaries have ">" in them
	return encoder.Encode(packetJSON{
		File: file, Number: number, Time: p.Timestamp().Format(time.RFC3339Nano),
		CapLen: len(p.Data), WireLen: p.WireLen,
		LinkType: p.LinkType.String(), Summary: summarise(p),
	})
}
