package cbpf_test

import (
	"bytes"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/testdata/programs"
)

var update = flag.Bool("update", false, "write the golden files")

// sample has every kind of operand.
const sample = `
	ldx #len
	ld #vlan_avail
	jneq #1, no
	ld [x + -2]
	ldxb 4*([14]&0xf)
	st M[3]
	ld M[3]
	jset #0x80000000, yes, other
other:	ja no
yes:	ldh [12]
	add #-1
	and x
	ret a
no:	ret #0`

// comments is what a test writes beside instructions, with a text that could
// end a comment in most formats.
func comments(index int) string {
	return []string{"", "first", "two\nlines", `"quoted" */ // ; # \`}[index%4]
}

// Each format looks as its golden file, with and without comments.
func TestGolden(t *testing.T) {
	prog := assemble(t, sample)
	for _, f := range cbpf.Formats() {
		for name, o := range map[string]cbpf.WriteOptions{"": {}, ".comments": {Comment: comments}} {
			var have bytes.Buffer
			if err := cbpf.Write(&have, f, prog, o); err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", "formats", string(f)+name)
			if *update {
				if err := os.WriteFile(golden, have.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), have.String()); diff != "" {
				t.Errorf("%s%s (-want +have):\n%s", f, name, diff)
			}
			again, recognized, err := cbpf.ParseAny(have.Bytes())
			if recognized != f {
				t.Errorf("%s%s is recognized as %q", f, name, recognized)
			}
			if f == cbpf.FormatDot {
				if err == nil {
					t.Error("dot is read")
				}
				continue
			}
			if diff := cmp.Diff(prog, again); err != nil || diff != "" {
				t.Errorf("%s%s: %v\n%s", f, name, err, diff)
			}
		}
	}
}

// What Write writes Parse reads, for random programs, comments and all.
func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 6))
	for range 100 {
		prog := programs.Random(r, programs.Options{Extensions: withoutDevice, Headers: true})
		for _, f := range cbpf.Formats() {
			if f == cbpf.FormatDot {
				continue
			}
			for _, o := range []cbpf.WriteOptions{{}, {Comment: comments}} {
				var b bytes.Buffer
				if err := cbpf.Write(&b, f, prog, o); err != nil {
					t.Fatal(err)
				}
				again, recognized, err := cbpf.ParseAny(b.Bytes())
				if err != nil || recognized != f || !cmp.Equal(prog, again) {
					t.Fatalf("%s, recognized as %s: %v\n%s%s", f, recognized, err, b.Bytes(), cmp.Diff(prog, again))
				}
			}
		}
	}
}

// The assembler reads every spelling as bpf_asm does.
func TestAsmLikeKernel(t *testing.T) {
	text, err := os.ReadFile("testdata/asm/all.asm")
	if err != nil {
		t.Fatal(err)
	}
	golden, err := os.ReadFile("testdata/asm/all.txt")
	if err != nil {
		t.Fatal(err)
	}
	want, err := cbpf.Parse(golden, cbpf.FormatXTBPF)
	if err != nil {
		t.Fatal(err)
	}
	have, format, err := cbpf.ParseAny(text)
	if err != nil || format != cbpf.FormatAsm {
		t.Fatal(format, err)
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("(-bpf_asm, +ours):\n%s", diff)
	}
	// And bpf_asm, where it is installed, reads what the writer writes.
	r := rand.New(rand.NewPCG(2, 7))
	bpfAsm, err := exec.LookPath("bpf_asm")
	if err != nil {
		return
	}
	for n := range 200 {
		prog := programs.Random(r, programs.Options{Extensions: withoutDevice, Headers: true})
		if n == 0 {
			prog = have
		}
		cmd := exec.Command(bpfAsm, "/dev/stdin")
		cmd.Stdin = strings.NewReader(write(t, cbpf.FormatAsm, prog))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s\n%s", err, out, write(t, cbpf.FormatAsm, prog))
		}
		again, err := cbpf.Parse(out, cbpf.FormatXTBPF)
		if err != nil || !cmp.Equal(prog, again) {
			t.Fatalf("%v: %s", err, cmp.Diff(prog, again))
		}
	}
}

// Spellings that the writers do not use but people do.
func TestParseLiberal(t *testing.T) {
	want := []bpf.RawInstruction{{Op: 0x48, K: 2}, {Op: 0x15, Jt: 1, K: 0x800}, {Op: 6}, {Op: 6, K: 0xffffffff}}
	for _, c := range []struct {
		format cbpf.Format
		text   string
	}{
		{cbpf.FormatAsm, "ldh [x+2]\njeq #0x800, ok\nret #0\nok: ret #-1"},
		{cbpf.FormatAsm, "LDH [X + 2] ; half\r\njne #2048, no, ok\nno: ret #0\nok: ret #4294967295\n"},
		{cbpf.FormatD, "(0) ldh [x + 2]\n(1) jeq #2048 jt 3 jf 2\n(2) ret #0\n(3) ret #-1"},
		{cbpf.FormatD, "; a comment\n  (000)ldh[x+2](001)jeq#0x800 jt 3 jf 2(002)ret#0(003)ret#-1"},
		{cbpf.FormatDDD, "4\n72 0 0 2\n21 1 0 2048\n6 0 0 0\n6 0 0 4294967295"},
		{cbpf.FormatDDD, " 4 72 0 0 2  21 1 0 2048  6 0 0 0  6 0 0 0xffffffff "},
		{cbpf.FormatXTBPF, "4,72 0 0 2,21 1 0 2048,6 0 0 0,6 0 0 4294967295,"},
		{cbpf.FormatDD, "{72,0,0,2},{21,1,0,2048},{6,0,0,0},{6,0,0,-1}"},
		{cbpf.FormatC, "#include <linux/filter.h>\nstatic const struct sock_filter f[4] = {{72,0,0,2},{.code=21,.jt=1,.k=2048},{6},{.k = 0xffffffff, .code = 0x06}};"},
		{cbpf.FormatGo, "// Filter\nvar f = []bpf.RawInstruction{{72, 0, 0, 2}, {Op: 21, Jt: 1, K: 2048}, {Op: 6}, {K: 0xffffffff, Op: 6}}"},
		{cbpf.FormatJSON, `[{"code":72,"k":2},{"code":21,"jt":1,"k":2048},{"code":6,"comment":"x"},{"code":6,"k":4294967295}]`},
	} {
		have, format, err := cbpf.ParseAny([]byte(c.text))
		if err != nil || format != c.format || !cmp.Equal(want, have) {
			t.Errorf("%q: recognized as %s: %v %v", c.text, format, err, have)
		}
	}
}

// Every parse error says where.
func TestSyntaxErrors(t *testing.T) {
	for _, c := range []struct {
		format cbpf.Format
		text   string
		want   string
	}{
		{cbpf.FormatD, "(000) ldh [12]\n(002) ret #0", `line 2, column 2: expected instruction 1, found "002"`},
		{cbpf.FormatD, "(000) jeq #1 jt 0 jf 1", "line 1, column 17: a conditional jump reaches 1 to 256 instructions ahead"},
		{cbpf.FormatD, "(000) jeq #1 jt 1", `line 1, column 18: expected "jf", found the end`},
		{cbpf.FormatD, "(000) bogus #1", `line 1, column 7: no instruction "bogus" with this operand`},
		{cbpf.FormatD, "(000) unimp 0x12345", "line 1, column 13: 0x12345 does not fit into 16 bits"},
		{cbpf.FormatDD, "{ 0x28, 0, 0, 0x0000000c },\n{ 0x28, 256, 0, 1 },", "line 2, column 9: 256 does not fit into 8 bits"},
		{cbpf.FormatDD, "{ 0x28, 0, 0, 12, 13 },", `line 1, column 19: expected "}" after four fields, found "13"`},
		{cbpf.FormatDD, "{ }", `line 1, column 3: expected an opcode, found "}"`},
		{cbpf.FormatC, "struct sock_filter f[] = { { 1 }", `line 1, column 33: expected "}", found the end`},
		{cbpf.FormatC, "struct sock_filter f[] = { { .op = 1 }, { .x = 1 } };", `line 1, column 44: expected a field: op, jt, jf or k, found "x"`},
		{cbpf.FormatGo, "[]bpf.RawInstruction{{Op: 1}} + 2", `line 1, column 31: expected the end, found "+"`},
		{cbpf.FormatDDD, "2\n40 0 0 12\n", "line 1, column 1: 2 instructions are announced, but 1 are there"},
		{cbpf.FormatDDD, "4294967295\n6 0 0 0\n", "line 1, column 1: 4294967295 instructions are announced, but 1 are there"},
		{cbpf.FormatDDD, "1\n40 0 0\n", "line 3, column 1: expected a number, found the end"},
		{cbpf.FormatDDD, "1\n40 0 0 99999999999999999999\n", "line 2, column 8: 99999999999999999999 does not fit into 32 bits"},
		{cbpf.FormatDDD, "1\n65536 0 0 0\n", "line 2, column 1: 65536 does not fit into 16 bits"},
		{cbpf.FormatXTBPF, "1,40 0 0 1 2", `line 1, column 12: expected ",", found "2"`},
		{cbpf.FormatAsm, "ldh [12]\n  ldq [12]", `line 2, column 3: no instruction "ldq" with this operand`},
		{cbpf.FormatAsm, "ld 5*([14]&0xf)", "line 1, column 4: expected 4*([offset]&0xf)"},
		{cbpf.FormatAsm, "ldx 4*([14]&0xff)", "line 1, column 13: expected the mask 0xf"},
		{cbpf.FormatAsm, "ld #whatever", `line 1, column 5: expected an operand, found "whatever"`},
		{cbpf.FormatAsm, "ld [12", `line 1, column 7: expected "]", found the end`},
		{cbpf.FormatAsm, "ld #1_000", `line 1, column 5: "1_000" is not a number`},
		{cbpf.FormatAsm, "ld #-2147483649", "line 1, column 5: 2147483649 does not fit into 32 bits"},
		{cbpf.FormatAsm, "jeq #1, nowhere", `line 1, column 9: label "nowhere" is not defined`},
		{cbpf.FormatAsm, "ja end\nret a\nend:", `line 3, column 1: no instruction follows the label "end"`},
		{cbpf.FormatAsm, "a: b: a: ret a", `line 1, column 7: label "a" is defined twice`},
		{cbpf.FormatAsm, "l: ld #0\njeq #1, l", `line 2, column 9: a conditional jump reaches 1 to 256 instructions ahead, "l" is at -1`},
		{cbpf.FormatAsm, "ret #0 /* without end", "line 1, column 8: comment without an end"},
		{cbpf.FormatAsm, "ret #0 \x80", `line 1, column 8: unexpected byte 0x80`},
		{cbpf.FormatRaw, "\x06\x00\x00\x00\x00\x00\x00\x00\x06", "byte 8: instruction 1 is cut short: 1 of 8 bytes"},
		{cbpf.FormatJSON, `[{"code":1},{"jt":1}]`, `line 1, column 13: instruction 1: "code" is missing`},
		{cbpf.FormatJSON, "[\n{\"code\":65536}]", `line 2, column 1: instruction 0: number 65536 does not fit into "code"`},
		{cbpf.FormatJSON, `[{"code":1,"kk":1}]`, `line 1, column 2: instruction 0: json: unknown field "kk"`},
		{cbpf.FormatJSON, `[5]`, `line 1, column 2: instruction 0: json: cannot unmarshal number into Go value of type cbpf.jsonInstruction`},
		{cbpf.FormatJSON, "[{\"code\":1},\n{]", "line 2, column 2: invalid character ']' looking for beginning of object key string"},
		{cbpf.FormatJSON, `[{"code":1}`, `line 1, column 11: unexpected end of JSON input`},
		{cbpf.FormatJSON, `[] x`, `line 1, column 4: invalid character 'x' after top-level value`},
		{cbpf.FormatJSON, `{"code":1}`, `line 1, column 1: expected an array of instructions`},
		{cbpf.FormatDot, "digraph cbpf {}", "line 1, column 1: a Graphviz drawing can't be read back as a program"},
	} {
		prog, err := cbpf.Parse([]byte(c.text), c.format)
		var e *cbpf.SyntaxError
		if !errors.As(err, &e) {
			t.Errorf("%s %q: %v, %v", c.format, c.text, prog, err)
			continue
		}
		if e.Error() != c.want {
			t.Errorf("%s %q:\nhave %v\nwant %v", c.format, c.text, e, c.want)
		}
	}
}

// Loops, which libpcap writes for "protochain", keep their shape in text.
func TestBackwardJump(t *testing.T) {
	want := []bpf.RawInstruction{{Op: 0x04, K: 1}, {Op: 0x15, Jt: 1, K: 9}, {Op: 0x05, K: ^uint32(2)}, {Op: 0x16}}
	const asm = "L0:\tadd #1\n\tjeq #0x9, L3\n\tja L0\nL3:\tret a\n"
	if have := write(t, cbpf.FormatAsm, want); have != asm {
		t.Errorf("%q", have)
	}
	for _, f := range []cbpf.Format{cbpf.FormatAsm, cbpf.FormatD} {
		if have, err := cbpf.Parse([]byte(write(t, f, want)), f); err != nil || !cmp.Equal(want, have) {
			t.Errorf("%s: %v, %v", f, have, err)
		}
	}
	if have := write(t, cbpf.FormatDot, want); !strings.Contains(have, "n2 -> n0") {
		t.Error(have)
	}
}

func TestParseAnyEmpty(t *testing.T) {
	for _, text := range []string{"", " \n", "; nothing\n", "# nothing"} {
		if prog, f, err := cbpf.ParseAny([]byte(text)); err == nil {
			t.Errorf("%q is a program as %s: %v", text, f, prog)
		}
	}
}

// What has no form in a format is refused rather than written wrong.
func TestWriteErrors(t *testing.T) {
	for _, prog := range [][]bpf.RawInstruction{
		{{Op: 0xff}},
		{{Op: cbpf.ClassJMP | cbpf.JA, K: 5}, {Op: 6}},
		{{Op: cbpf.ClassJMP | cbpf.JEQ, Jt: 5}, {Op: 6}},
		{{Op: cbpf.ClassJMP | cbpf.JEQ, Jf: 1}, {Op: 6}},
	} {
		if err := cbpf.Write(&bytes.Buffer{}, cbpf.FormatAsm, prog, cbpf.WriteOptions{}); err == nil {
			t.Errorf("%v is written as asm", prog)
		}
		write(t, cbpf.FormatDot, prog) // draws what there is
	}
	if err := cbpf.Write(&bytes.Buffer{}, "what", nil, cbpf.WriteOptions{}); err == nil {
		t.Error("unknown format is written")
	}
	if _, err := cbpf.Parse(nil, "what"); err == nil {
		t.Error("unknown format is read")
	}
}
