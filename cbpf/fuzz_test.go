package cbpf_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
)

// addSeeds adds the golden files, so that each parser sees what the others are
// for, too.
func addSeeds(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		if filepath.Ext(name) == ".go" {
			continue
		}
		if data, err := os.ReadFile(name); err == nil {
			f.Add(data)
		}
	}
}

// fuzzFormat reads anything in one format: it gives a program that reads back
// the same when it is written, or an error that says where.
func fuzzFormat(f *testing.F, format cbpf.Format) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		prog, err := cbpf.Parse(data, format)
		if err != nil {
			checkPosition(t, data, err)
			return
		}
		checkRewrite(t, prog, format)
	})
}

func checkPosition(t *testing.T, data []byte, err error) {
	var e *cbpf.SyntaxError
	if !errors.As(err, &e) {
		t.Fatalf("error without a position: %v", err)
	}
	if e.Offset < 0 || e.Offset > len(data) {
		t.Fatalf("offset %d in %d bytes: %v", e.Offset, len(data), err)
	}
	if e.Line != 0 {
		before := data[:e.Offset]
		if e.Line != 1+bytes.Count(before, []byte("\n")) || e.Column != e.Offset-bytes.LastIndexByte(before, '\n') {
			t.Fatalf("line %d and column %d for offset %d", e.Line, e.Column, e.Offset)
		}
	}
}

// checkRewrite writes what was read and reads it again. The forms for people
// keep only what instructions use, so there the second text is compared.
func checkRewrite(t *testing.T, prog []bpf.RawInstruction, format cbpf.Format) {
	var text, again bytes.Buffer
	if err := cbpf.Write(&text, format, prog, cbpf.WriteOptions{Comment: comments}); err != nil {
		if format == cbpf.FormatAsm {
			return // such as a jump to behind the end, by a label there
		}
		t.Fatal(err)
	}
	prog2, err := cbpf.Parse(text.Bytes(), format)
	if err != nil {
		t.Fatalf("%v\n%s", err, text.Bytes())
	}
	if err := cbpf.Write(&again, format, prog2, cbpf.WriteOptions{Comment: comments}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text.Bytes(), again.Bytes()) {
		t.Fatal(cmp.Diff(text.String(), again.String()))
	}
	if format != cbpf.FormatD && len(prog)+len(prog2) > 0 && !cmp.Equal(prog, prog2) {
		t.Fatal(cmp.Diff(prog, prog2))
	}
}

func FuzzParseD(f *testing.F)     { fuzzFormat(f, cbpf.FormatD) }
func FuzzParseDD(f *testing.F)    { fuzzFormat(f, cbpf.FormatDD) }
func FuzzParseDDD(f *testing.F)   { fuzzFormat(f, cbpf.FormatDDD) }
func FuzzParseAsm(f *testing.F)   { fuzzFormat(f, cbpf.FormatAsm) }
func FuzzParseXTBPF(f *testing.F) { fuzzFormat(f, cbpf.FormatXTBPF) }
func FuzzParseRaw(f *testing.F)   { fuzzFormat(f, cbpf.FormatRaw) }
func FuzzParseRawBE(f *testing.F) { fuzzFormat(f, cbpf.FormatRawBE) }
func FuzzParseGo(f *testing.F)    { fuzzFormat(f, cbpf.FormatGo) }
func FuzzParseC(f *testing.F)     { fuzzFormat(f, cbpf.FormatC) }
func FuzzParseJSON(f *testing.F)  { fuzzFormat(f, cbpf.FormatJSON) }

// What is recognized is never in two minds: what ParseAny reads, Parse reads in
// the format that it names.
func FuzzParseAny(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		prog, format, err := cbpf.ParseAny(data)
		if err != nil {
			checkPosition(t, data, err)
			return
		}
		if again, err := cbpf.Parse(data, format); err != nil || !cmp.Equal(prog, again) {
			t.Fatalf("as %s: %v", format, err)
		}
		for _, f := range cbpf.Formats() { // nothing that can be read panics a writer
			_ = cbpf.Write(&bytes.Buffer{}, f, prog, cbpf.WriteOptions{})
		}
	})
}

// Any bytes are a program that Check refuses or the machine runs, within its
// bounds: after at most as many instructions as there are.
func FuzzRun(f *testing.F) {
	f.Add([]byte("\x06\x00\x00\x00\x01\x00\x00\x00"), []byte("packet"))
	f.Fuzz(func(t *testing.T, program, packet []byte) {
		prog, err := cbpf.Parse(program, cbpf.FormatRaw)
		if err != nil {
			return
		}
		m, err := cbpf.New(prog)
		if err != nil {
			var e *cbpf.CheckError
			if !errors.As(err, &e) || e.Rule == 0 || e.Error() == "" {
				t.Fatalf("%v", err)
			}
			return
		}
		meta := &cbpf.Metadata{HasDevice: true, HasLink: true, NetworkOffset: 14, Protocol: 0x0800}
		if _, err := m.Run(packet, uint32(len(packet)), meta); err != nil || m.Executed() > uint64(len(prog)) {
			t.Fatalf("%v after %d of %d instructions", err, m.Executed(), len(prog))
		}
	})
}
