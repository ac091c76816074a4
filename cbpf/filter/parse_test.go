package filter

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestScan(t *testing.T) {
	names := map[kind]string{tokNumber: "number", tokName: "name", tokIPv4: "ipv4", tokIPv6: "ipv6", tokMAC: "mac", tokMAC8: "mac8",
		tokProto: "proto", tokDir: "dir", tokType: "type", tokAnd: "and", tokOr: "or", tokGE: ">=", tokLE: "<=", tokNE: "!=",
		tokLsh: "<<", tokRsh: ">>", tokMask: "mask", tokBad: "bad", tokLen: "len"}
	for _, c := range []struct{ text, want string }{
		{"tcp port 80", "proto:tcp type:port number:80"},
		{"tcp&&udp", "proto:tcp and:&& proto:udp"},
		{"tcp||!udp", "proto:tcp or:|| !:! proto:udp"},
		{"a<=b>=c!=d==e=f<<1>>2<3>4", "name:a <=:<= name:b >=:>= name:c !=:!= name:d =:== name:e =:= name:f <<:<< number:1 >>:>> number:2 <:< number:3 >:> number:4"},
		{"10-1", "name:10-1"},
		{"10 -1", "number:10 -:- number:1"},
		{"0x1f 0X1F 017", "number:0x1f number:0X1F number:017"},
		{"0x", "name:0x"},
		{"0xg1", "name:0xg1"},
		{"10.1 10.1.2 10.1.2.3 0x1.2", "ipv4:10.1 ipv4:10.1.2 ipv4:10.1.2.3 ipv4:0x1.2"},
		{"10. 10.0.0.0. 1.2.3.4.5", "name:10. name:10.0.0.0. name:1.2.3.4.5"},
		{"10.0.0.0/8", "ipv4:10.0.0.0 /:/ number:8"},
		{"1:2:3:4:5:6", "mac:1:2:3:4:5:6"},
		{"1-2-3-4-5-6 1.2.3.4.5.6 0011.2233.4455 001122334455", "mac:1-2-3-4-5-6 mac:1.2.3.4.5.6 mac:0011.2233.4455 mac:001122334455"},
		{"1-2-3-4-5-678", "name:1-2-3-4-5-678"},
		{"0011223344556", "number:0011223344556"},
		{"aabbccddeeff aabbccddeeff0", "mac:aabbccddeeff name:aabbccddeeff0"},
		{"1:2:3:4:5:6:7:8", "ipv6:1:2:3:4:5:6:7:8"},
		{"::", "ipv6:::"}, {"::1", "ipv6:::1"}, {"1::", "ipv6:1::"}, {"1::2:3:4:5:6:7", "ipv6:1::2:3:4:5:6:7"},
		{"1:2:3:4:5:6:7::", "ipv6:1:2:3:4:5:6:7::"},
		{"::ffff:1.2.3.4", "ipv6:::ffff:1.2.3.4"},
		{"1:2:3:4:5:6:1.2.3.4", "ipv6:1:2:3:4:5:6:1.2.3.4"},
		{"1::2.3", "ipv6:1::2 bad:."},
		{"1::12345", "ipv6:1::1234 number:5"},
		{"1::2::3", "bad:1::2::"},
		{"1:2:3:4:5:6:7", "bad:1:2:3:4:5:6:"},
		{"1:2:3:4:5:6:7:8:9", "bad:1:2:3:4:5:6:7:8:"},
		{"::1.2.3.400", "bad:::1.2.3.400"},
		{"ip[0:1]", "proto:ip [:[ number:0 ::: number:1 ]:]"},
		{"$1 $12", "mac8:$1 mac8:$12"},
		{"$123", "mac8:$12 number:3"},
		{`\tcp \a]b (\c)`, "name:tcp name:a]b (:( name:c ):)"},
		{"es-is tcp-syn tcp-synx icmp6-echo", "proto:es-is number:tcp-syn name:tcp-synx number:icmp6-echo"},
		{"TCP and AND", "name:TCP and:and name:AND"},
		{"foo- foo_ ", "name:foo -:- name:foo bad:_"},
		{"foo-bar_baz", "name:foo-bar_baz"},
		{"len length", "len:len len:length"},
		{"4294967295", "number:4294967295"}, {"4294967296", "bad:4294967296"}, {"0x100000000", "bad:0x100000000"},
		{"037777777777", "mac:037777777777"}, {"0037777777777", "number:0037777777777"}, {"0040000000000", "bad:0040000000000"}, {"08", "bad:08"},
		{" \t\r\n", ""}, {"tcp\x00", "proto:tcp bad:\x00"}, {"é", "bad:é"}, {"\xff", "bad:\xff"},
	} {
		var got []string
		s := scanner{src: c.text}
		for tok := s.next(); tok.kind != tokEOF; tok = s.next() {
			name, ok := names[tok.kind]
			if !ok {
				name = string(rune(tok.kind))
			}
			got = append(got, name+":"+tok.text)
			if source := c.text[tok.at.Start:tok.at.End]; strings.TrimPrefix(source, `\`) != tok.text {
				t.Errorf("%q: token %q is at %q", c.text, tok.text, source)
			}
			if tok.kind == tokBad {
				break
			}
		}
		if got := strings.Join(got, " "); got != c.want {
			t.Errorf("%q scans as\n%s, want\n%s", c.text, got, c.want)
		}
	}
}

// sameTree compares trees without the places of their nodes and the spelling
// of numbers and addresses.
var sameTree = cmp.Options{cmpopts.IgnoreTypes(Span{}, At{})}

// checkPrinted checks that the text form of a tree is read as the same tree.
func checkPrinted(t *testing.T, expr string) {
	n, err := parse(expr)
	if err != nil || n == nil {
		return
	}
	text := format(n)
	again, err := parse(text)
	if err != nil {
		t.Fatalf("%q is written as %q: %v", expr, text, err)
	}
	if diff := cmp.Diff(n, again, sameTree); diff != "" {
		t.Fatalf("%q is written as %q, which is another tree:\n%s", expr, text, diff)
	}
	meaning, err := Expand(expr, BuiltinNames())
	if err != nil {
		return
	}
	if again, err := Expand(meaning, BuiltinNames()); err != nil || again != meaning {
		t.Fatalf("%q expands to %q, and that to %q (%v)", expr, meaning, again, err)
	}
}

func TestPrintedTreesAreReadBack(t *testing.T) {
	for _, expr := range randomExpressions(2, 5000) {
		checkPrinted(t, expr)
	}
}

// TestSpans checks the places of nodes: each is what the node was made of.
func TestSpans(t *testing.T) {
	const expr = "tcp dst port (80 or not 443) and (ip[2 : 2] & 0xf) > -len or ( vlan 5 )"
	n, err := parse(expr)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	add := func(at Span) { got = append(got, expr[at.Start:at.End]) }
	var arith func(Arith)
	arith = func(a Arith) {
		add(a.Span())
		switch a := a.(type) {
		case *Binary:
			arith(a.X)
			arith(a.Y)
		case *Index:
			arith(a.Off)
		case *Neg:
			arith(a.X)
		}
	}
	var walk func(Node)
	walk = func(n Node) {
		add(n.Span())
		switch n := n.(type) {
		case *And:
			for _, t := range n.Terms {
				walk(t)
			}
		case *Or:
			for _, t := range n.Terms {
				walk(t)
			}
		case *Not:
			walk(n.X)
		case *Relation:
			arith(n.X)
			arith(n.Y)
		case *Primitive:
			add(n.Quals.ProtoAt)
			add(n.Quals.DirAt)
			add(n.Quals.TypeAt)
			add(n.ID.At)
		}
	}
	walk(n)
	want := []string{
		expr, "tcp dst port (80 or not 443) and (ip[2 : 2] & 0xf) > -len",
		"80 or not 443", "80", "", "", "", "80", "not 443", "443", "", "", "", "443",
		"(ip[2 : 2] & 0xf) > -len", "ip[2 : 2] & 0xf", "ip[2 : 2]", "2", "0xf", "-len", "len", "vlan 5",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if n, _ = parse("ip src or dst host a"); n.(*Primitive).Quals != (Qualifiers{ProtoIP, DirOr, TypeHost, Span{Start: 0, End: 2}, Span{Start: 3, End: 13}, Span{Start: 14, End: 18}}) {
		t.Errorf("qualifiers %+v", n)
	}
}

// TestLargeExpressions has input whose size or nesting must cost neither
// stack nor much time.
func TestLargeExpressions(t *testing.T) {
	const mega = 1 << 20
	for _, c := range []struct{ name, expr, want string }{
		{"nested parentheses", strings.Repeat("(", 100000) + "tcp" + strings.Repeat(")", 100000), ""},
		{"parentheses of numbers", strings.Repeat("(", 100000) + "1" + strings.Repeat(")", 100000) + "=1", ""},
		{"open parentheses", strings.Repeat("(", mega), "unexpected end"},
		{"closing parentheses", "tcp" + strings.Repeat(")", mega), "without"},
		{"negations", strings.Repeat("!", mega) + "tcp", ""},
		{"negated parentheses", strings.Repeat("!(", mega/2), "nested more than"},
		{"list", "host 10.0.0.1" + strings.Repeat(" or 10.0.0.2", 60000), ""},
		{"list of tests", "host 10.0.0.1" + strings.Repeat(" or host 10.0.0.2", 60000), ""},
		{"list in parentheses", "port (1" + strings.Repeat(" or 2", 60000) + ")", ""},
		{"alternating operators", "tcp" + strings.Repeat(" or tcp and tcp", MaxDepth/2), ""},
		{"too many of them", "tcp" + strings.Repeat(" or tcp and tcp", MaxDepth), "nested more than"},
		{"nested to the right", strings.Repeat("tcp or (", mega/8), "nested more than"},
		{"sum", "1" + strings.Repeat("+1", MaxArithDepth) + " = 1", ""},
		{"too long a sum", "1" + strings.Repeat("+1", mega/2) + " = 1", "nested more than"},
		{"minus signs", strings.Repeat("-", mega) + "1=1", "nested more than"},
		{"indexes", strings.Repeat("ip[", mega/3), "nested more than"},
		{"partial results", strings.Repeat("1+(", 15) + "1" + strings.Repeat(")", 15) + " = 1", ""},
		{"too many partial results", strings.Repeat("1+(", 16) + "1" + strings.Repeat(")", 16) + " = 1", "partial results"},
		{"long name", "host " + strings.Repeat("a", mega), "unknown host"},
		{"long number", strings.Repeat("1", mega), "does not fit"},
		{"colons", strings.Repeat("a:", mega/2), "neither"},
		{"broken groups", strings.Repeat("1::", mega/3), "neither"},
		{"dots", strings.Repeat("1.", mega/2), "unexpected"},
		{"minus after a name", "a" + strings.Repeat("-", mega), "unexpected"},
		{"blanks", strings.Repeat(" ", mega), ""},
		{"parentheses after vlan", "vlan " + strings.Repeat("(", mega), "unexpected end"},
		{"escaped", "host " + strings.Repeat("\\", mega), "unknown host"},
	} {
		_, err := Expand(c.expr, BuiltinNames())
		switch {
		case err == nil && c.want == "":
		case err == nil:
			t.Errorf("%s: accepted, want an error about %q", c.name, c.want)
		case c.want == "" || !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		case len(err.Error()) > 300 || len(fmt.Sprintf("%+v", err)) > 1000:
			t.Errorf("%s: the error has %d bytes, %d with %%+v", c.name, len(err.Error()), len(fmt.Sprintf("%+v", err)))
		}
	}
}

func TestErrorForms(t *testing.T) {
	e := &Error{Expr: "host é and\n日本 x", At: Span{Start: 19, End: 20}, Msg: "m", Expected: []string{"a", "b", "c"}, Hint: "h"}
	if got, want := fmt.Sprintf("%v|%s|%q", e, e, e), `line 2, column 4: m|line 2, column 4: m|"line 2, column 4: m"`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	want := "line 2, column 4: m\n    host é and 日本 x\n                    ^\nexpected a, b or c\nhint: h"
	if got := fmt.Sprintf("%+v", e); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	_, err := Expand("host nosuch", BuiltinNames())
	if u := (*UnknownNameError)(nil); !errors.As(err, &u) || u.Kind != "host" || u.Name != "nosuch" {
		t.Errorf("%v does not hold the unknown name", err)
	}
	// Places outside the expression do not matter.
	if got := fmt.Sprintf("%+v", &Error{Expr: "x", At: Span{Start: 5, End: 3}, Msg: "m"}); got != "column 2: m\n    x\n     ^" {
		t.Errorf("got %q", got)
	}
}

// FuzzParse reads anything: it must not panic, its errors must have a place,
// and what it reads must be written in a form that is read as the same.
func FuzzParse(f *testing.F) {
	for _, file := range []string{"testdata/front/trees.txt", "testdata/front/errors.txt"} {
		goldenBlocks(f, file, func(expr, _, _ string) { f.Add(expr) })
	}
	f.Fuzz(func(t *testing.T, expr string) {
		_, err := Expand(expr, BuiltinNames())
		if err == nil {
			checkPrinted(t, expr)
			return
		}
		var e *Error
		if !errors.As(err, &e) || e.Expr != expr || e.Msg == "" || strings.Contains(e.Error(), "\n") {
			t.Fatalf("%q: error %#v", expr, err)
		}
		if e.At.Start < 0 || e.At.End < e.At.Start || e.At.End > len(expr) {
			t.Fatalf("%q: error at %v", expr, e.At)
		}
		if lines := strings.Count(fmt.Sprintf("%+v", e), "\n"); lines > 4 {
			t.Fatalf("%q: the error has %d lines: %+v", expr, lines+1, e)
		}
	})
}
