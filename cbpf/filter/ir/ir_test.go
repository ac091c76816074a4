package ir_test

import (
	"strings"
	"testing"

	"github.com/bpflab/bpflab/cbpf/filter/ir"
	"github.com/bpflab/bpflab/cbpf/origin"
)

const sample = `b0:
	eval u8[14]
	if u16[12] == 0x800 goto b1 else b2  ; 0-2 5-9
b1:
	jump b2
b2:
	p4 = phi b0.1: len, b1.0: ((u8[14] & 0xf) << 0x2)
	if u32[p4 + 26] >= -vlan_tag goto b3 else b4
b3: accept
b4: reject
`

func TestTextRoundTrip(t *testing.T) {
	f, err := ir.Parse(sample)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Check(); err != nil {
		t.Fatal(err)
	}
	once := f.String()
	g, err := ir.Parse(once)
	if err != nil {
		t.Fatal(err)
	}
	if twice := g.String(); twice != once {
		t.Errorf("read back:\n%s\nwant:\n%s", twice, once)
	}
	if !strings.Contains(once, "; 0-2 5-9") || strings.Count(once, "\n") != strings.Count(sample, "\n") {
		t.Errorf("got:\n%s\nfrom:\n%s", once, sample)
	}
}

func TestParseErrors(t *testing.T) {
	for _, text := range []string{
		"b0:\n\tjump b1",
		"b0:\n\tif len == goto b1 else b1\nb1: accept",
		"b0:\n\teval u16[3 4]\n\tjump b1\nb1: accept",
		"b0:\n\teval (len ! 3)\n\tjump b1\nb1: accept",
		"b0:\n\teval (len + 3\n\tjump b1\nb1: accept",
		"b0:\n\teval p3\n\tjump b1\nb1: accept",
		"b0:\n\tjump b1\nb1:\n\tp3 = phi b2.0: 0x1\n\tjump b2\nb2: accept",
		"b0: accept\nb0: reject",
		"b0:\n\tjump b1  ; 3-1\nb1: accept",
	} {
		if f, err := ir.Parse(text); err == nil {
			t.Errorf("Parse accepts\n%s\nas\n%v", text, f)
		}
	}
}

// TestConstructors has the text of a value beside what the constructors make
// of it.
func TestConstructors(t *testing.T) {
	for _, c := range []struct{ from, to string }{
		{"(0x3 + 0x4)", "0x7"},
		{"(0x3 - 0x4)", "0xffffffff"},
		{"(0x3 / 0x0)", "(0x3 / 0x0)"},
		{"(0x3 % 0x2)", "0x1"},
		{"-0x1", "0xffffffff"},
		{"--len", "len"},
		{"(0x3 + len)", "(len + 0x3)"},
		{"(0x3 - len)", "(0x3 - len)"},
		{"(len * 0x4)", "(len << 0x2)"},
		{"(len / 0x8)", "(len >> 0x3)"},
		{"(len / 0x1)", "len"},
		{"(len % 0x8)", "(len & 0x7)"},
		{"(u8[3] & 0xff)", "u8[3]"},
		{"(u8[3] & 0x0)", "(u8[3] & 0x0)"}, // still faults
		{"((u8[3] & 0xf) & 0x3f)", "(u8[3] & 0xf)"},
		{"((len + 0xffffffff) + 0x2)", "(len + 0x1)"},
		{"((len & 0xf0) & 0x3c)", "(len & 0x30)"},
		{"((len - 0x1) - 0x1)", "((len - 0x1) - 0x1)"},
		{"u8[(u8[0] + 0x10) + 4]", "u8[u8[0] + 20]"},
		{"u8[(len + 0x10) + 4]", "u8[(len + 0x10) + 4]"}, // the sum may wrap
		{"u8[0x10 + 4]", "u8[20]"},
		{"u16[len + 0x80000000]", "u16[2147483647]"}, // faults in any case
		{"(u8[1] + u8[0])", "(u8[1] + u8[0])"},
	} {
		f, err := ir.Parse("b0:\n\teval " + c.from + "\n\tjump b1\nb1: accept\nb2: reject")
		if err != nil {
			t.Fatalf("%s: %v", c.from, err)
		}
		if got := f.Blocks[0].Evals[0].String(); got != c.to {
			t.Errorf("%s is made %s, want %s", c.from, got, c.to)
		}
	}
}

func TestValuesAreShared(t *testing.T) {
	f := ir.NewFunc()
	x := f.Load(2, f.Load(1, nil, 0, origin.Of(0, 2)), 4, origin.Of(0, 4))
	y := f.Load(2, f.Load(1, nil, 0, origin.Of(8, 9)), 4, origin.Of(6, 10))
	if x != y {
		t.Errorf("%v and %v are two values", x, y)
	}
	if got := x.Origin.String(); got != "0-4 6-10" {
		t.Errorf("origin %s, want both", got)
	}
	if a, b := f.Binary(ir.Add, x, f.Len(nil), nil), f.Binary(ir.Add, f.Len(nil), x, nil); a != b {
		t.Errorf("%v and %v are two values", a, b)
	}
	if n := f.Binary(ir.Add, x, f.Const(0, nil), origin.Of(20, 21)); n != x || n.Origin.String() != "0-4 6-10 20-21" {
		t.Errorf("x + 0 is %v from %v, want x with one more origin", n, n.Origin)
	}
}

// TestOriginGrowth adds many places to one value, in a time that a test can
// wait for.
func TestOriginGrowth(t *testing.T) {
	f := ir.NewFunc()
	held := f.Len(origin.Of(0, 1)).Origin
	for i := range 100_000 {
		f.Len(origin.Of(3*i, 3*i+1))
		f.Len(origin.Of(3*i, 3*i+1))
	}
	if n := len(f.Len(nil).Origin); n != 100_000 {
		t.Errorf("%d spans, want 100000", n)
	}
	if held.String() != "0-1" {
		t.Errorf("a set handed out before is now %v", held)
	}
	if got := f.Len(origin.Of(1, 4)).Origin[:2].String(); got != "0-4 6-7" {
		t.Errorf("set starts %s, want 0-4 6-7", got)
	}
}

func TestCheckFinds(t *testing.T) {
	for _, c := range []struct {
		name, text, want string
		break_           func(f *ir.Func)
	}{
		{"good", sample, "", nil},
		{"a loop", "b0:\n\tjump b1\nb1:\n\tif len == 0x0 goto b1 else b2\nb2: accept\nb3: reject", "leads back", nil},
		{"unreachable", "b0:\n\tjump b2\nb1:\n\tjump b2\nb2: accept\nb3: reject", "cannot be reached", nil},
		{"two accepts", "b0:\n\tif len == 0x0 goto b1 else b2\nb1: accept\nb2: accept", "2 accepts and 0 rejects", nil},
		{"stray phi", `b0:
	if len == 0x0 goto b1 else b4
b1:
	if len == 0x1 goto b2 else b3
b2:
	jump b3
b3:
	p1 = phi b1.1: 0x0, b2.0: 0x1
	jump b4
b4:
	if p1 == 0x0 goto b5 else b6
b5: accept
b6: reject`, "does not dominate", nil},
		{"edge that leads elsewhere", sample, "does not lead here", func(f *ir.Func) {
			f.Blocks[3].Preds = append(f.Blocks[3].Preds, ir.Edge{From: f.Blocks[1]})
		}},
		{"unknown edge", sample, "does not know it", func(f *ir.Func) { f.Blocks[2].Preds = f.Blocks[2].Preds[:1] }},
		{"phi arguments", sample, "not a phi of this block", func(f *ir.Func) { f.Blocks[2].Phis[0].Args = nil }},
		{"busy return", sample, "a return neither", func(f *ir.Func) { f.Blocks[3].Evals = append(f.Blocks[3].Evals, f.Len(nil)) }},
		{"no condition", sample, "condition", func(f *ir.Func) { f.Blocks[0].Cond = ir.Cond{} }},
	} {
		f, err := ir.Parse(c.text)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if c.break_ != nil {
			c.break_(f)
		}
		err = f.Check()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: Check says %v, want %q", c.name, err, c.want)
		}
	}
}

func TestEdges(t *testing.T) {
	f, err := ir.Parse(sample)
	if err != nil {
		t.Fatal(err)
	}
	// b0 always goes to b1: b2 keeps one way in, with its argument.
	f.KeepOnly(f.Blocks[0], 0)
	f.RemoveUnreachable()
	if err := f.Check(); err != nil {
		t.Fatal(err)
	}
	want := "b0:\n\teval u8[14]\n\teval u16[12]\n\tjump b1  ; 0-2 5-9\n"
	if !strings.HasPrefix(f.String(), want) || !strings.Contains(f.String(), "phi b1.0: ((u8[14] & 0xf) << 0x2)\n") {
		t.Errorf("got\n%s", f)
	}
	b2 := f.Blocks[2]
	f.SwapSuccs(b2)
	if err := f.Check(); err != nil || b2.Succs[0].Kind != ir.Reject {
		t.Errorf("after SwapSuccs: %v\n%s", err, f)
	}
}

// TestDominators compares with the definition: a dominates b if b cannot be
// reached without a.
func TestDominators(t *testing.T) {
	for seed := range uint64(50) {
		f := ladder(seed)
		order := f.ReversePostorder()
		tree := f.Dominators()
		for _, a := range order {
			reached := reachWithout(f, a)
			for _, b := range order {
				if got, want := tree.Dominates(a, b), !reached[b]; got != want {
					t.Fatalf("seed %d: b%d dominates b%d: %v, want %v\n%s", seed, a.ID, b.ID, got, want, f)
				}
			}
		}
	}
}

func reachWithout(f *ir.Func, a *ir.Block) map[*ir.Block]bool {
	reached := make(map[*ir.Block]bool)
	var walk func(b *ir.Block)
	walk = func(b *ir.Block) {
		if b == a || reached[b] {
			return
		}
		reached[b] = true
		for _, s := range b.Succs {
			walk(s)
		}
	}
	walk(f.Blocks[0])
	return reached
}

// ladder makes a graph of forward edges by a cheap generator.
func ladder(seed uint64) *ir.Func {
	f := ir.NewFunc()
	const n = 40
	for range n - 2 {
		f.NewBlock(ir.If).Cond = ir.Cond{X: f.Len(nil), Y: f.Const(0, nil)}
	}
	f.NewBlock(ir.Accept)
	f.NewBlock(ir.Reject)
	for i, b := range f.Blocks[:n-2] {
		for j := range 2 {
			seed = seed*6364136223846793005 + 1442695040888963407
			to := min(i+1+int(seed>>33)%6, n-1)
			f.Connect(ir.Edge{From: b, Index: j}, f.Blocks[to])
		}
	}
	f.RemoveUnreachable()
	return f
}
