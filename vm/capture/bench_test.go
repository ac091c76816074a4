package capture_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/gopacket/pcapgo"

	"github.com/bpflab/bpflab/testdata/require"
	"github.com/bpflab/bpflab/vm/capture"
)

// benchPackets is the size of the benchmark's capture: 1 M packets of 64 bytes.
const benchPackets = 1_000_000

// benchFile writes a capture and reads it once, so that it is in the page cache.
func benchFile(b *testing.B) string {
	b.Helper()
	var file bytes.Buffer
	le := binary.LittleEndian
	header := make([]byte, 24)
	le.PutUint32(header, 0xa1b2c3d4)
	le.PutUint16(header[4:], 2)
	le.PutUint16(header[6:], 4)
	le.PutUint32(header[16:], 65535)
	le.PutUint32(header[20:], 1)
	file.Write(header)
	record := make([]byte, 16+64)
	le.PutUint32(record[8:], 64)
	le.PutUint32(record[12:], 64)
	for i := range benchPackets {
		le.PutUint32(record[0:], 1_700_000_000+uint32(i)/1000)
		le.PutUint32(record[4:], uint32(i)%1000*1000)
		file.Write(record)
	}
	name := filepath.Join(b.TempDir(), "bench.pcap")
	if err := os.WriteFile(name, file.Bytes(), 0o600); err != nil {
		b.Fatal(err)
	}
	return name
}

// perPacket runs one pass over the capture per iteration, and reports time per packet.
func perPacket(b *testing.B, pass func(name string) (packets int)) {
	name := benchFile(b)
	b.ResetTimer()
	for range b.N {
		if n := pass(name); n != benchPackets {
			b.Fatalf("%d packets", n)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchPackets, "ns/packet")
}

func open(b *testing.B, name string) *os.File {
	f, err := os.Open(name)
	if err != nil {
		b.Fatal(err)
	}
	return f
}

func BenchmarkRead(b *testing.B) {
	perPacket(b, func(name string) (n int) {
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

// BenchmarkRead2 is the floor: the system calls alone, into a buffer of the
// reader's size.
func BenchmarkReadSystemCalls(b *testing.B) {
	buf := make([]byte, 256<<10)
	perPacket(b, func(name string) (n int) {
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
	perPacket(b, func(name string) (n int) {
		f := open(b, name)
		defer f.Close()
		r, err := pcapgo.NewReader(f)
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

func BenchmarkReadTcpdump(b *testing.B) {
	tcpdump := require.Command(b, "tcpdump")
	perPacket(b, func(name string) int {
		if out, err := exec.Command(tcpdump, "-r", name, "-w", os.DevNull).CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		return benchPackets
	})
}
