package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/testdata/packets"
	"github.com/bpflab/bpflab/testdata/require"
	"github.com/bpflab/bpflab/vm/capture"
)

const benchPackets = 1_000_000

// BenchmarkMatch counts the matches of a filter in a warm capture of a million
// packets of realistic traffic: this program in-process, tcpdump as a process.
func BenchmarkMatch(b *testing.B) {
	file := largeCapture(b)
	perPacket := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchPackets, "ns/packet")
	}
	for _, engine := range []string{"cbpf", "interp", "all"} {
		b.Run(engine, func(b *testing.B) {
			for b.Loop() {
				args := []string{"match", "--engine", engine, "--count", "-r", file, "tcp port 80"}
				if status := run(args, strings.NewReader(""), io.Discard, os.Stderr); status != exitDone {
					b.Fatal("exit status", status)
				}
			}
			perPacket(b)
		})
	}
	b.Run("tcpdump", func(b *testing.B) {
		tcpdump := require.Command(b, "tcpdump")
		for b.Loop() {
			if err := exec.Command(tcpdump, "--count", "-r", file, "tcp port 80").Run(); err != nil {
				b.Fatal(err)
			}
		}
		perPacket(b)
	})
}

func largeCapture(b *testing.B) (name string) {
	name = filepath.Join(b.TempDir(), "large.pcap")
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	w := capture.NewWriter(f, capture.WriterOptions{LinkType: cbpf.LinkEthernet})
	traffic := packets.Traffic(cbpf.LinkEthernet)
	for i := range benchPackets {
		p := traffic[i%len(traffic)]
		if err := w.Write(&capture.Packet{Time: int64(i) * 1000, LinkType: cbpf.LinkEthernet, Data: p.Data, WireLen: uint32(len(p.Data))}); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	return name
}
