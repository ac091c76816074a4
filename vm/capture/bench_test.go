package capture_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/gopacket/pcapgo"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/testdata/cputime"
	"github.com/bpflab/bpflab/testdata/packets"
	"github.com/bpflab/bpflab/testdata/require"
	"github.com/bpflab/bpflab/vm/capture"
)

// benchPackets is the size of the benchmark's capture: 1 M packets of 64 bytes.
const benchPackets = 1_000_000

// benchFile writes a capture in one go, and leaves it in the page cache: in large
// pages, as a file that was copied or read from a disk is.
func benchFile(b *testing.B, format capture.Format) string {
	b.Helper()
	var file bytes.Buffer
	w := capture.NewWriter(&file, capture.WriterOptions{Format: format, LinkType: cbpf.LinkEthernet})
	p := capture.Packet{Data: make([]byte, 64), WireLen: 64, LinkType: cbpf.LinkEthernet}
	for i := range benchPackets {
		p.Time = 1_767_605_400e9 + int64(i)*1000
		if err := w.Write(&p); err != nil {
			b.Fatal(err)
		}
	}
	name := filepath.Join(b.TempDir(), "bench")
	if err := errors.Join(w.Flush(), os.WriteFile(name, file.Bytes(), 0o600)); err != nil {
		b.Fatal(err)
	}
	return name
}

// perPacket runs one pass over the capture per iteration, and reports the time
// per packet, by the clock and of the processor.
func perPacket(b *testing.B, format capture.Format, pass func(name string) (packets int)) {
	name := benchFile(b, format)
	b.ResetTimer()
	before := cputime.Used()
	for range b.N {
		if n := pass(name); n != benchPackets {
			b.Fatalf("%d packets", n)
		}
	}
	packets := float64(b.N) * benchPackets
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/packets, "ns/packet")
	b.ReportMetric(float64((cputime.Used()-before).Nanoseconds())/packets, "cpu-ns/packet")
}

func open(b *testing.B, name string) *os.File {
	f, err := os.Open(name)
	if err != nil {
		b.Fatal(err)
	}
	return f
}

func BenchmarkReadPcap(b *testing.B)   { benchmarkRead(b, capture.Pcap) }
func BenchmarkReadPcapNG(b *testing.B) { benchmarkRead(b, capture.PcapNG) }

func benchmarkRead(b *testing.B, format capture.Format) {
	perPacket(b, format, func(name string) (n int) {
		f := open(b, name)
		defer f.Close()
		r, err := capture.NewReader(f)
		if err != nil {
			b.Fatal(err)
		}
		for {
			p, err := r.Next()
			if err == io.EOF {
				return n
			}
			if err != nil {
				b.Fatal(err)
			}
			n += int(p.WireLen / 64)
		}
	})
}

func BenchmarkReadBatchPcap(b *testing.B)   { benchmarkReadBatch(b, capture.Pcap) }
func BenchmarkReadBatchPcapNG(b *testing.B) { benchmarkReadBatch(b, capture.PcapNG) }

func benchmarkReadBatch(b *testing.B, format capture.Format) {
	var batch capture.Batch
	perPacket(b, format, func(name string) (n int) {
		f := open(b, name)
		defer f.Close()
		r, err := capture.NewReader(f)
		if err != nil {
			b.Fatal(err)
		}
		for {
			switch err := r.NextBatch(&batch); err {
			case nil:
				n += len(batch.Frames)
			case io.EOF:
				return n
			default:
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkReadSystemCalls is the floor: the system calls alone, into a buffer of the
// reader's size.
func BenchmarkReadSystemCalls(b *testing.B) {
	buf := make([]byte, 256<<10)
	perPacket(b, capture.Pcap, func(name string) (n int) {
		f := open(b, name)
		defer f.Close()
		for {
			got, err := f.Read(buf)
			if err == io.EOF {
				return (n - 24) / 80
			}
			n += got
		}
	})
}

func BenchmarkReadGopacket(b *testing.B) {
	perPacket(b, capture.Pcap, func(name string) (n int) {
		f := open(b, name)
		defer f.Close()
		r, err := pcapgo.NewReader(bufio.NewReaderSize(f, 256<<10))
		if err != nil {
			b.Fatal(err)
		}
		for {
			_, ci, err := r.ReadPacketData()
			if err == io.EOF {
				return n
			}
			n += ci.Length / 64
		}
	})
}

// BenchmarkReadTcpdump is a whole process that reads, and writes to nowhere.
func BenchmarkReadTcpdump(b *testing.B) {
	tcpdump := require.Command(b, "tcpdump")
	perPacket(b, capture.Pcap, func(name string) int {
		if out, err := exec.Command(tcpdump, "-r", name, "-w", os.DevNull).CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		return benchPackets
	})
}

// BenchmarkCopy reads and writes every packet.
func BenchmarkCopy(b *testing.B) {
	perPacket(b, capture.Pcap, func(name string) (n int) {
		f := open(b, name)
		defer f.Close()
		r, err := capture.NewReader(f)
		if err != nil {
			b.Fatal(err)
		}
		w := capture.NewWriterLike(io.Discard, r)
		for ; ; n++ {
			p, err := r.Next()
			if err == io.EOF {
				return n
			}
			if err == nil {
				err = w.Write(p)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkMetadata is what an engine's input costs beyond reading.
func BenchmarkMetadata(b *testing.B) {
	p := capture.Packet{Data: packets.Samples(cbpf.LinkEthernet)[0].Data, LinkType: cbpf.LinkEthernet}
	for b.Loop() {
		if p.Engine().Meta.Protocol == 0 {
			b.Fatal("no protocol")
		}
	}
}
