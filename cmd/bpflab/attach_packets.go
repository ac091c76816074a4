package main

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/vm/capture"
)

// packetSource is where live packets come from.
type packetSource interface {
	// Next waits for a packet; io.EOF is the end.
	Next() (*capture.Packet, error)
	// Buffered reports whether Next would not wait.
	Buffered() bool
}

// readPackets prints or writes packets until the context ends, when stop makes
// the source come to an end, or until there are enough. It returns how many.
func (r *attachRun) readPackets(ctx context.Context, src packetSource, link cbpf.LinkType, stop func() error) (n uint64, err error) {
	out, err := r.newPacketOutput(link)
	if err != nil {
		return 0, err
	}
	stopped := make(chan error, 1)
	cancel := context.AfterFunc(ctx, func() { stopped <- stop() })
	for r.limit == 0 || n < r.limit {
		var p *capture.Packet
		if p, err = src.Next(); err != nil {
			break
		}
		n++
		if err = out.put(int(n), p, !src.Buffered()); err != nil {
			break
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if !cancel() { // stop has begun
		err = errors.Join(err, <-stopped)
	}
	if closeErr := out.close(); err == nil { // else it is the same once more
		err = closeErr
	}
	return n, err
}

// A packetOutput takes packets as they come.
type packetOutput struct {
	*attachRun
	file   io.Closer       // nil for standard output
	writer *capture.Writer // nil to print
}

// newPacketOutput opens the file of -w and writes the header of the capture, so
// that who reads it knows that it has begun.
func (r *attachRun) newPacketOutput(link cbpf.LinkType) (*packetOutput, error) {
	o := &packetOutput{attachRun: r}
	var dst io.Writer = r.out
	switch r.output {
	case "":
		return o, nil
	case "-":
	default:
		f, err := r.create(r.output)
		if err != nil {
			return nil, err
		}
		dst, o.file = f, f
	}
	format := capture.Pcap
	if strings.HasSuffix(r.output, ".pcapng") {
		format = capture.PcapNG
	}
	o.writer = capture.NewWriter(dst, capture.WriterOptions{Format: format, LinkType: link, Nanoseconds: true})
	return o, o.flush()
}

// put prints or writes a packet; flush hands it over.
func (o *packetOutput) put(number int, p *capture.Packet, flush bool) error {
	switch {
	case o.writer != nil:
		if err := o.writer.Write(p); err != nil {
			return ioError(err)
		}
	case o.json:
		if err := o.printPacketJSON("", number, p); err != nil {
			return err
		}
	default:
		o.printPacket(number, p)
	}
	if flush {
		return o.flush()
	}
	return nil
}

func (o *packetOutput) flush() error {
	if o.writer != nil {
		if err := o.writer.Flush(); err != nil {
			return ioError(err)
		}
	}
	if o.file != nil {
		return nil
	}
	if err := o.out.Flush(); err != nil {
		return ioError(err)
	}
	return nil
}

func (o *packetOutput) close() error {
	err := o.flush()
	if o.file != nil {
		if closeErr := o.file.Close(); closeErr != nil && err == nil {
			err = ioError(closeErr)
		}
	}
	return err
}
