package filter

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bpflab/bpflab/cbpf/filter/ir"
)

// passCases have a graph before and after one pass.
var passCases = []struct {
	name          string
	pass          pass
	before, after string
}{
	{"a constant condition becomes a jump, and its operand is still evaluated", foldPass, `
b0:
	if (u8[9] & 0x0) == 0x1 goto b1 else b2
b1: accept
b2:
	if u8[1] > 0xff goto b1 else b3
b3:
	if u16[4] >= 0x0 goto b1 else b4
b4: reject
`, `
b0:
	eval (u8[9] & 0x0)
	eval u8[1]
	eval u16[4]
	jump b1
b1: accept
b4: reject
`},
	{"a way that can only reject evaluates nothing", foldPass, `
b0:
	if len > 0x40 goto b1 else b4
b1:
	eval u8[99]
	if u8[23] == 0x6 goto b2 else b3
b2:
	eval u8[98]
	jump b4
b3:
	jump b4
b4: reject
b5: accept
`, `
b0:
	jump b4
b4: reject
b5: accept
`},
	{"conditions in their plainest form", foldPass, `
b0:
	if 0x6 == u8[9] goto b1 else b8  ; 0-1
b1:
	if (u8[0] & 0x2) == 0x0 goto b8 else b2  ; 1-2
b2:
	if (u8[0] & 0x4) == 0x4 goto b3 else b8  ; 2-3
b3:
	if 0x10 > len goto b4 else b8  ; 3-4
b4:
	if ((len - u16[2]) - 0x3) == 0x0 goto b5 else b8  ; 4-5
b5:
	if (u8[7] ^ 0x1) == 0x3 goto b6 else b8  ; 5-6
b6:
	if u8[8] & 0xffffffff goto b7 else b8  ; 6-7
b7: accept
b8: reject
`, `
b0:
	if u8[9] == 0x6 goto b1 else b8  ; 0-1
b1:
	if u8[0] & 0x2 goto b2 else b8  ; 1-2
b2:
	if u8[0] & 0x4 goto b3 else b8  ; 2-3
b3:
	if len >= 0x10 goto b8 else b4  ; 3-4
b4:
	if (len - u16[2]) == 0x3 goto b5 else b8  ; 4-5
b5:
	if u8[7] == 0x2 goto b6 else b8  ; 5-6
b6:
	if u8[8] == 0x0 goto b8 else b7  ; 6-7
b7: accept
b8: reject
`},
	{"blocks in a row become one, from both places", foldPass, `
b0:
	eval u8[3]
	jump b1  ; 0-4
b1:
	eval u8[5]
	jump b2  ; 8-12
b2:
	if len == 0x3 goto b3 else b4  ; 20-24
b3: accept
b4: reject
`, `
b0:
	eval u8[3]
	eval u8[5]
	if len == 0x3 goto b3 else b4  ; 0-4 8-12 20-24
b3: accept
b4: reject
`},
	{"a phi of equal arguments is the argument; one that is not used goes", phisPass, `
b0:
	eval u8[3]
	jump b1
b1:
	p1 = phi b0.0: u8[3]
	if u8[p1 + 4] == 0x3 goto b2 else b3
b2:
	jump b3
b3:
	p2 = phi b1.1: len, b2.0: u8[p1 + 2]
	p3 = phi b1.1: len, b2.0: 0x1
	jump b4
b4: accept
b5: reject
`, `
b0:
	eval u8[3]
	jump b1
b1:
	if u8[u8[3] + 4] == 0x3 goto b2 else b3
b2:
	jump b3
b3:
	p# = phi b1.1: len, b2.0: u8[u8[3] + 2]
	jump b4
b4: accept
b5: reject
`},
	{"the second test of a protocol is known", threadPass, `
b0:
	if u16[12] == 0x800 goto b1 else b2
b1:
	if u32[26] == 0x1 goto b5 else b2
b2:
	if u16[12] == 0x800 goto b3 else b4
b3:
	if u32[26] == 0x2 goto b5 else b4
b4:
	if u16[12] == 0x806 goto b5 else b6
b5: accept
b6: reject
`, `
b0:
	if u16[12] == 0x800 goto b1 else b4
b1:
	if u32[26] == 0x1 goto b5 else b3
b3:
	if u32[26] == 0x2 goto b5 else b6
b4:
	if u16[12] == 0x806 goto b5 else b6
b5: accept
b6: reject
`},
	{"no way leads past a load that can fault", threadPass, `
b0:
	if u16[12] == 0x800 goto b1 else b2
b1:
	eval u8[40]
	if u16[12] == 0x800 goto b2 else b3
b2: accept
b3: reject
`, `
b0:
	if u16[12] == 0x800 goto b1 else b2
b1:
	eval u8[40]
	jump b2
b2: accept
b3: reject
`},
	{"bytes that were read before cannot fault; behind a base only with that base", threadPass, `
b0:
	if u16[12] == 0x800 goto b1 else b3
b1:
	eval u8[3]
	eval u16[((u8[14] & 0xf) << 0x2) + 16]
	eval u8[((u8[14] & 0xf) << 0x2) + 14]
	eval u16[16]
	eval u8[((u8[14] & 0xf) << 0x2) + 20]
	eval u8[u8[14] + 2]
	jump b2
b2: accept
b3: reject
`, `
b0:
	if u16[12] == 0x800 goto b1 else b3
b1:
	eval u16[((u8[14] & 0xf) << 0x2) + 16]
	eval u8[((u8[14] & 0xf) << 0x2) + 20]
	eval u8[u8[14] + 2]
	jump b2
b2: accept
b3: reject
`},
	{"ranges decide", threadPass, `
b0:
	if u16[0] >= 0x64 goto b1 else b6
b1:
	if u16[0] > 0xc8 goto b6 else b2
b2:
	if u16[0] == 0x32 goto b5 else b3
b3:
	if u16[0] >= 0xc9 goto b5 else b4
b4:
	if (u16[0] & 0x10000) == 0x0 goto b5 else b6
b5: accept
b6: reject
`, `
b0:
	if u16[0] >= 0x64 goto b1 else b6
b1:
	if u16[0] > 0xc8 goto b6 else b4
b4:
	if (u16[0] & 0x10000) == 0x0 goto b5 else b6
b5: accept
b6: reject
`},
	{"three protocols that lead to one test do so again", threadPass, `
b0:
	if u8[23] == 0x6 goto b2 else b1
b1:
	if u8[23] == 0x11 goto b2 else b6
b2:
	if u16[36] == 0x50 goto b5 else b3
b3:
	if u8[23] == 0x6 goto b4 else b7
b7:
	if u8[23] == 0x11 goto b4 else b6
b4:
	if u16[36] == 0x51 goto b5 else b6
b5: accept
b6: reject
`, `
b0:
	if u8[23] == 0x6 goto b2 else b1
b1:
	if u8[23] == 0x11 goto b2 else b6
b2:
	if u16[36] == 0x50 goto b5 else b4
b4:
	if u16[36] == 0x51 goto b5 else b6
b5: accept
b6: reject
`},
	{"equal ways become one, from both places", mergePass, `
b0:
	if u16[12] == 0x800 goto b1 else b3
b1:
	if u32[26] == 0x1 goto b5 else b2  ; 0-4
b2:
	eval u8[50]
	jump b5  ; 4-6
b3:
	if u32[26] == 0x1 goto b5 else b4  ; 10-14
b4:
	eval u8[50]
	jump b5  ; 14-16
b5: accept
b6: reject
`, `
b0:
	if u16[12] == 0x800 goto b3 else b3
b3:
	if u32[26] == 0x1 goto b5 else b4  ; 0-4 10-14
b4:
	eval u8[50]
	jump b5  ; 4-6 14-16
b5: accept
b6: reject
`},
	{"tests of one value follow each other, where they cannot fault", groupPass, `
b0:
	if u32[26] == 0x1 goto b6 else b1  ; 0-1
b1:
	if u32[30] == 0x1 goto b6 else b2  ; 0-1
b2:
	if u32[26] == 0x2 goto b6 else b3  ; 2-3
b3:
	if u32[30] == 0x2 goto b6 else b4  ; 2-3
b4:
	if u32[26] == 0x3 goto b6 else b5  ; 4-5
b5:
	if u32[30] >= 0x3 goto b7 else b6  ; 4-5
b6: accept
b7: reject
`, `
b0:
	if u32[26] == 0x1 goto b6 else b1  ; 0-1
b1:
	if u32[30] == 0x1 goto b6 else b2  ; 0-1
b2:
	if u32[30] == 0x2 goto b6 else b3  ; 2-3
b3:
	if u32[30] >= 0x3 goto b4 else b6  ; 4-5
b4:
	if u32[26] == 0x2 goto b6 else b5  ; 2-3
b5:
	if u32[26] == 0x3 goto b6 else b7  ; 4-5
b6: accept
b7: reject
`},
	{"tests that reject are free to move", groupPass, `
b0:
	if u32[26] == 0x1 goto b5 else b1
b1:
	if u32[30] == 0x1 goto b5 else b2
b2:
	if u32[26] == 0x2 goto b5 else b3
b3:
	if u32[30] == 0x2 goto b5 else b4
b4: accept
b5: reject
`, `
b0:
	if u32[26] == 0x1 goto b5 else b1
b1:
	if u32[26] == 0x2 goto b5 else b2
b2:
	if u32[30] == 0x1 goto b5 else b3
b3:
	if u32[30] == 0x2 goto b5 else b4
b4: accept
b5: reject
`},
	{"a load whose address may wrap stays where it is", groupPass, `
b0:
	if u32[26] == 0x1 goto b6 else b1
b1:
	if u8[u32[30] + 0] == 0x1 goto b6 else b2
b2:
	if u32[26] == 0x2 goto b6 else b3
b3:
	if u8[14] == 0x9 goto b6 else b4
b4:
	if u32[26] == 0x3 goto b6 else b5
b5: accept
b6: reject
`, `
b0:
	if u32[26] == 0x1 goto b6 else b1
b1:
	if u8[u32[30] + 0] == 0x1 goto b6 else b2
b2:
	if u32[26] == 0x2 goto b6 else b3
b3:
	if u32[26] == 0x3 goto b6 else b4
b4:
	if u8[14] == 0x9 goto b6 else b5
b5: accept
b6: reject
`},
}

func TestPasses(t *testing.T) {
	for _, c := range passCases {
		t.Run(c.pass.name+"/"+c.name, func(t *testing.T) {
			f := parseGraph(t, c.before)
			if !c.pass.run(f) {
				t.Error("the pass says that it changed nothing")
			}
			if err := f.Check(); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(c.after, "\n"+plainPhis(f.String())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestPassesLeaveAlone runs each pass on what it has made.
func TestPassesLeaveAlone(t *testing.T) {
	for _, c := range passCases {
		f := parseGraph(t, c.before)
		c.pass.run(f)
		f = parseGraph(t, f.String())
		was := f.String()
		if changed := c.pass.run(f); changed || f.String() != was {
			t.Errorf("%s: changed %v from\n%s\nto\n%s", c.name, changed, was, f)
		}
	}
}

func parseGraph(t *testing.T, text string) *ir.Func {
	t.Helper()
	f, err := ir.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Check(); err != nil {
		t.Fatal(err)
	}
	return f
}

// plainPhis takes the numbers from the names of phis.
func plainPhis(text string) string {
	words := strings.SplitAfter(text, "\tp")
	for i, w := range words[1:] {
		words[i+1] = "#" + strings.TrimLeft(w, "0123456789")
	}
	return strings.Join(words, "")
}
