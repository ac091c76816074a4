package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/testdata/cputime"
	"github.com/bpflab/bpflab/testdata/packets"
	"github.com/bpflab/bpflab/testdata/require"
	"github.com/bpflab/bpflab/vm/capture"
)

const benchPackets = 1_000_000

// BenchmarkMatch counts the matches of a filter in warm captures of a million
// packets: realistic traffic, 125 bytes on average, and the same cut or padded
// to 64. This program runs in-process, tcpdump as a process; read(2) alone is
// what no reader of files can go below.
func BenchmarkMatch(b *testing.B) {
	for _, c := range []struct {
		name   string
		length int // of every packet, 0 for its own
	}{{"traffic", 0}, {"64 bytes", 64}} {
		b.Run(c.name, func(b *testing.B) { benchmarkMatch(b, largeCapture(b, c.length)) })
	}
}

func benchmarkMatch(b *testing.B, file string) {
	const expr = "tcp port 80"
	perPacket := func(b *testing.B, cpu time.Duration) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchPackets, "ns/packet")
		b.ReportMetric(float64(cpu.Nanoseconds())/float64(b.N)/benchPackets, "cpu-ns/packet")
	}
	for _, flags := range []string{"--count", "--count -j 2", "--count --engine cbpf", "--count --engine cbpf -j 2", "--count --engine interp", "-w " + os.DevNull} {
		b.Run(flags, func(b *testing.B) {
			args := append([]string{"match", "-r", file}, append(strings.Fields(flags), expr)...)
			before := cputime.Used()
			for b.Loop() {
				if status := run(args, strings.NewReader(""), io.Discard, os.Stderr); status != exitDone {
					b.Fatal("exit status", status)
				}
			}
			perPacket(b, cputime.Used()-before)
		})
	}
	b.Run("read(2) alone", func(b *testing.B) {
		buf := make([]byte, 256<<10)
		before := cputime.Used()
		for b.Loop() {
			f, err := os.Open(file)
			for err == nil {
				_, err = f.Read(buf)
			}
			if err != io.EOF {
				b.Fatal(err)
			}
			f.Close()
		}
		perPacket(b, cputime.Used()-before)
	})
	for _, flags := range []string{"--count", "-w " + os.DevNull} {
		b.Run("tcpdump "+flags, func(b *testing.B) {
			tcpdump := require.Command(b, "tcpdump")
			before := cputime.Used()
			for b.Loop() {
				args := append([]string{"-r", file}, append(strings.Fields(flags), expr)...)
				if err := exec.Command(tcpdump, args...).Run(); err != nil {
					b.Fatal(err)
				}
			}
			perPacket(b, cputime.Used()-before)
		})
	}
}

// largeCapture writes the capture, and leaves it in the page cache. It does so in
// one go, as copying does and as reading from a disk comes to: of a file written
// little by little the cache has small pages, from which read(2) takes thrice as
// long.
func largeCapture(b *testing.B, length int) (name string) {
	var file bytes.Buffer
	w := capture.NewWriter(&file, capture.WriterOptions{LinkType: cbpf.LinkEthernet})
	traffic := packets.Traffic(cbpf.LinkEthernet)
	for i := range benchPackets {
		data := traffic[i%len(traffic)].Data
		if length > 0 {
			data = append(slices.Clip(data[:min(len(data), length)]), make([]byte, max(0, length-len(data)))...)
		}
		if err := w.Write(&capture.Packet{Time: int64(i) * 1000, LinkType: cbpf.LinkEthernet, Data: data, WireLen: uint32(len(data))}); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	name = filepath.Join(b.TempDir(), "large.pcap")
	if err := os.WriteFile(name, file.Bytes(), 0o600); err != nil {
		b.Fatal(err)
	}
	return name
}
