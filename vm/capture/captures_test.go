package capture_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/bpflab/bpflab/testdata/captures"
	"github.com/bpflab/bpflab/testdata/packets"
	"github.com/bpflab/bpflab/testdata/require"
)

//go:generate go run ../../testdata/packets/gen ../../testdata/captures

const captureDir = "../../testdata/captures"

// content returns what a file holds: compressors may change their output from
// version to version. Of a compressed file that was cut only the length is compared.
func content(name string, data []byte) string {
	var plain []byte
	var err error
	switch {
	case strings.HasPrefix(name, "truncated") && strings.HasSuffix(name, ".gz"):
		return strconv.Itoa(len(data))
	case strings.HasSuffix(name, ".gz"):
		var r *gzip.Reader
		if r, err = gzip.NewReader(bytes.NewReader(data)); err == nil {
			plain, err = io.ReadAll(r)
		}
	case strings.HasSuffix(name, ".zst"):
		var r *zstd.Decoder
		if r, err = zstd.NewReader(bytes.NewReader(data)); err == nil {
			plain, err = io.ReadAll(r)
			r.Close()
		}
	default:
		plain = data
	}
	if err != nil {
		return err.Error()
	}
	return string(plain)
}

func TestCommittedCapturesAreGenerated(t *testing.T) {
	size := 0
	made := map[string]bool{}
	for _, f := range captures.Files() {
		made[f.Name] = true
		data, err := os.ReadFile(filepath.Join(captureDir, f.Name))
		if err != nil {
			t.Error(err)
			continue
		}
		size += len(data)
		if content(f.Name, data) != content(f.Name, f.Data) {
			t.Errorf("%s is not what the generator writes: run go generate ./vm/capture", f.Name)
		}
	}
	if size > 2<<20 {
		t.Errorf("the captures take %d bytes", size)
	}
	entries, err := os.ReadDir(captureDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !made[e.Name()] && filepath.Ext(e.Name()) != ".go" {
			t.Errorf("%s is not written by the generator", e.Name())
		}
	}
}

// unsound are the samples that Wireshark rightly finds fault with: a tunnel
// without the packet that it announces, and a type that stands for a protocol
// whose packet this is not.
var unsound = []string{"ipv4 geneve empty", "ipv6 geneve empty", "least type"}

// TestSamplesAreSound lets Wireshark check lengths and checksums.
func TestSamplesAreSound(t *testing.T) {
	tshark := require.Command(t, "tshark")
	out, err := exec.Command(tshark, "-r", filepath.Join(captureDir, "samples.pcap"), "-T", "fields",
		"-e", "frame.number", "-e", "_ws.expert.message", "-o", "ip.check_checksum:TRUE",
		"-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-o", "sctp.checksum:crc32c",
		"-Y", `_ws.expert.group == "Checksum" || _ws.expert.group == "Malformed"`).Output()
	if err != nil {
		t.Fatal(err)
	}
	samples := packets.Samples(1)
	for line := range strings.Lines(string(out)) {
		number, message, _ := strings.Cut(strings.TrimSpace(line), "\t")
		n, err := strconv.Atoi(number)
		if err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if name := samples[n-1].Name; !slices.Contains(unsound, name) {
			t.Errorf("%s: %s", name, message)
		}
	}
}
