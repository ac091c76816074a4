// Package oracle asks the installed libpcap: what a filter compiles to, and
// what a classic program answers for packets under libpcap's own interpreter.
// It is for tests, which it skips on a machine without a C compiler or without
// libpcap's headers.
//
// The program libpcap/oracle.c is built on demand and talks over
// its standard input and output, so that nothing of this repository needs cgo.
package oracle

import (
	"bufio"
	_ "embed"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/testdata/packets"
	"github.com/bpflab/bpflab/testdata/require"
)

//go:embed libpcap/oracle.c
var source []byte

// A Mode says what a filter is compiled for.
type Mode uint32

// The modes. libpcap compiles some primitives differently in each.
const (
	File Mode = iota // a capture file that is read
	Dead             // no capture, as "tcpdump -d" without a file
	Live             // the interface lo; needs root; the link type is Ethernet
)

// Options are the arguments of pcap_compile.
type Options struct {
	Mode     Mode
	LinkType cbpf.LinkType
	SnapLen  uint32 // 0 for 262144
	Optimize bool
	Netmask  uint32 // in host byte order of the address: 0xffffff00 is a /24; 0 is the mask 0.0.0.0
	NoMask   bool   // the netmask is not known
}

// An Oracle is a running libpcap. It is not safe for concurrent use.
type Oracle struct {
	t   testing.TB
	in  *bufio.Writer
	out *bufio.Reader
	n   int // packets
}

// New builds and starts the oracle, and stops it when the test ends.
func New(t testing.TB) *Oracle {
	t.Helper()
	cc := require.Command(t, "cc", "gcc", "clang")
	dir := t.TempDir()
	file, program := filepath.Join(dir, "oracle.c"), filepath.Join(dir, "oracle")
	if err := os.WriteFile(file, source, 0o666); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(cc, "-O2", "-o", program, file, "-lpcap", "-ldl").CombinedOutput(); err != nil {
		require.Skip(t, "needs libpcap and its headers: %v\n%s", err, out)
	}
	cmd := exec.Command(program)
	cmd.Stderr = os.Stderr
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("oracle: %v", err)
		}
	})
	return &Oracle{t: t, in: bufio.NewWriterSize(in, 1<<16), out: bufio.NewReaderSize(out, 1<<16)}
}

// An Error is libpcap's message about a filter.
type Error string

func (e Error) Error() string { return string(e) }

// Compile compiles a filter. It also returns the processor time that
// pcap_compile took.
func (o *Oracle) Compile(expr string, opt Options) ([]bpf.RawInstruction, time.Duration, error) {
	o.t.Helper()
	if opt.SnapLen == 0 {
		opt.SnapLen = 262144
	}
	if opt.NoMask {
		opt.Netmask = 0xffffffff
	}
	optimize := uint32(0)
	if opt.Optimize {
		optimize = 1
	}
	o.in.WriteByte('C')
	o.put(uint32(opt.Mode), uint32(opt.LinkType), opt.SnapLen, optimize, opt.Netmask, uint32(len(expr)))
	o.in.WriteString(expr)
	o.flush()
	if o.get() != 0 {
		message := make([]byte, o.get())
		o.read(message)
		return nil, 0, Error(message)
	}
	took := time.Duration(o.get()) | time.Duration(o.get())<<32
	prog := make([]bpf.RawInstruction, o.get())
	for i := range prog {
		w := o.get()
		prog[i] = bpf.RawInstruction{Op: uint16(w >> 16), Jt: uint8(w >> 8), Jf: uint8(w), K: o.get()}
	}
	return prog, took, nil
}

// Packets sets the packets that Run runs programs over.
func (o *Oracle) Packets(list []packets.Packet) {
	o.t.Helper()
	o.in.WriteByte('P')
	o.put(uint32(len(list)))
	for _, p := range list {
		o.put(uint32(len(p.Data)), p.WireLen)
		o.in.Write(p.Data)
	}
	o.flush()
	o.n = len(list)
}

// Run returns what the program answers for each of the packets under libpcap's
// interpreter. The program must be valid; libpcap does not check it.
func (o *Oracle) Run(prog []bpf.RawInstruction) []uint32 {
	o.t.Helper()
	o.in.WriteByte('R')
	o.put(uint32(len(prog)))
	for _, i := range prog {
		o.put(uint32(i.Op)<<16|uint32(i.Jt)<<8|uint32(i.Jf), i.K)
	}
	o.flush()
	verdicts := make([]uint32, o.n)
	for i := range verdicts {
		verdicts[i] = o.get()
	}
	return verdicts
}

func (o *Oracle) put(words ...uint32) {
	for _, w := range words {
		o.in.Write(binary.LittleEndian.AppendUint32(o.in.AvailableBuffer(), w))
	}
}

// flush sends a request. A broken pipe shows when the answer is read.
func (o *Oracle) flush() { o.in.Flush() }

func (o *Oracle) get() uint32 {
	var b [4]byte
	o.read(b[:])
	return binary.LittleEndian.Uint32(b[:])
}

func (o *Oracle) read(b []byte) {
	o.t.Helper()
	if _, err := io.ReadFull(o.out, b); err != nil {
		o.t.Fatalf("oracle: %v", err)
	}
}
