package filter

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/origin"
)

// emitCases have a graph and the program that it becomes.
var emitCases = []struct{ name, graph, want string }{
	{"the length of an IPv4 header is loaded by its own instruction and kept in X", `
b0:
	if u16[((u8[14] & 0xf) << 0x2) + 14] == 0x50 goto b2 else b1
b1:
	if u16[((u8[14] & 0xf) << 0x2) + 16] == 0x50 goto b2 else b3
b2: accept
b3: reject
`, `
ldxb     4*([14]&0xf)
ldh      [x + 14]
jeq      #0x50            jt 5	jf 3
ldh      [x + 16]
jeq      #0x50            jt 5	jf 6
ret      #1
ret      #0
`},
	{"two operands that are not constant", `
b0:
	if (u16[16] - ((u8[14] & 0xf) << 0x2)) == (len - u8[3]) goto b1 else b2
b1: accept
b2: reject
`, `
ldb      [3]
tax
ld       #pktlen
sub      x
st       M[0]
ldh      [16]
ldxb     4*([14]&0xf)
sub      x
ldx      M[0]
jeq      x                jt 10	jf 11
ret      #1
ret      #0
`},
	{"metadata", `
b0:
	if vlan_present == 0x1 goto b1 else b4
b1:
	if (vlan_tag & 0xfff) == 0x5 goto b2 else b4
b2:
	if packet_type == 0x4 goto b3 else b4
b3:
	if ifindex == protocol goto b4 else b5
b4: accept
b5: reject
`, `
ldb      [vlanp]
jeq      #0x1             jt 2	jf 11
ldb      [vlan_tci]
and      #0xfff
jeq      #0x5             jt 5	jf 11
ld       [type]
jeq      #0x4             jt 7	jf 11
ld       [proto]
tax
ld       [ifidx]
jeq      x                jt 11	jf 12
ret      #1
ret      #0
`},
	{"phis live in scratch memory, a critical edge has its own copies", `
b0:
	if u16[12] == 0x8100 goto b1 else b2
b1:
	jump b2
b2:
	p1 = phi b0.1: 0x0, b1.0: 0x4
	if u16[p1 + 12] == 0x800 goto b3 else b4
b3: accept
b4: reject
`, `
ldh      [12]
jeq      #0x8100          jt 2	jf 5
ld       #0x4
st       M[0]
ja       7
ld       #0x0
st       M[0]
ldx      M[0]
ldh      [x + 12]
jeq      #0x800           jt 10	jf 11
ret      #1
ret      #0
`},
	{"what costs much and is wanted again is kept", `
b0:
	if ((u8[46] >> 0x4) * 0x5) == 0x1 goto b2 else b1
b1:
	if u8[0] == 0x2 goto b2 else b3
b2: accept
b3:
	if ((u8[46] >> 0x4) * 0x5) == 0x3 goto b2 else b4
b4: reject
`, `
ldb      [46]
rsh      #4
mul      #5
st       M[0]
jeq      #0x1             jt 9	jf 5
ldb      [0]
jeq      #0x2             jt 9	jf 7
ld       M[0]
jeq      #0x3             jt 9	jf 10
ret      #1
ret      #0
`},
	{"only what can fault is evaluated in vain", `
b0:
	eval ((u8[3] & 0xf) + len)
	eval (len / (u8[3] & 0xf))
	jump b1
b1: accept
b2: reject
`, `
ldb      [3]
and      #0xf
tax
ld       #pktlen
div      x
ret      #1
`},
	{"equal code at the end of two ways is shared", `
b0:
	if u16[12] == 0x800 goto b1 else b3
b1:
	if u16[34] >= 0x64 goto b2 else b5
b2:
	if u16[34] > 0xc8 goto b5 else b6
b3:
	if u16[54] >= 0x64 goto b4 else b5
b4:
	if u16[54] > 0xc8 goto b5 else b6
b5: reject
b6: accept
`, `
ldh      [12]
jeq      #0x800           jt 2	jf 4
ldh      [34]
jge      #0x64            jt 6	jf 8
ldh      [54]
jge      #0x64            jt 6	jf 8
jgt      #0xc8            jt 8	jf 7
ret      #1
ret      #0
`},
}

func TestEmit(t *testing.T) {
	for _, c := range emitCases {
		t.Run(c.name, func(t *testing.T) {
			prog, _, err := emit(parseGraph(t, c.graph), 1)
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for i, ins := range prog {
				fmt.Fprintf(&got, "\n%s", strings.TrimRight(cbpf.Mnemonic(ins, i), " "))
			}
			if diff := cmp.Diff(c.want, got.String()+"\n"); diff != "" {
				t.Error(diff)
			}
			if err := cbpf.Check(prog); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestEmitErrors has graphs that have no classic program, with the values to
// blame at bytes 7 to 9.
func TestEmitErrors(t *testing.T) {
	many := "b0:\n\tif len == 0x0 goto b1 else b2\nb1:\n\tjump b2\nb2:\n"
	for i := range 17 {
		many += fmt.Sprintf("\tp%d = phi b0.1: len, b1.0: %#x\n", i, i)
	}
	for i := range 17 {
		many += fmt.Sprintf("\tif p%d == 0x0 goto b98 else b%d\nb%d:\n", i, i+3, i+3)
	}
	many += "\tjump b98\nb98: accept\nb99: reject"
	for _, c := range []struct{ graph, want string }{
		{many, "too many registers needed to evaluate expression"},
		{"b0:\n\tif (len << 0x20) == 0x0 goto b1 else b2\nb1: accept\nb2: reject", "shift by 32, more than 31"},
		{"b0:\n\tif (len % 0x0) == 0x0 goto b1 else b2\nb1: accept\nb2: reject", "division by zero"},
	} {
		f := parseGraph(t, c.graph)
		for _, b := range f.Blocks {
			for _, v := range append(b.Phis, b.Cond.X) {
				if v != nil {
					v.Origin = origin.Of(7, 9)
				}
			}
		}
		_, _, err := emit(f, 1)
		if e, ok := errors.AsType[*Error](err); !ok || e.Msg != c.want || e.At != (Span{Start: 7, End: 9}) {
			t.Errorf("emit says %v, want %q at bytes 7 to 9", err, c.want)
		}
	}
}

// TestSizes holds everyday filters to the length of libpcap's optimized code,
// which is the second number, of libpcap 1.10.3. It may lose an instruction
// where libpcap forgets about truncated packets.
func TestSizes(t *testing.T) {
	for _, c := range []struct {
		expr          string
		want, libpcap int
	}{
		{"ip6", 4, 4},
		{"tcp", 12, 12},
		{"tcp port 80", 20, 20},
		{"host 10.0.0.1", 14, 14},
		{"port 80 or port 443", 30, 27},
		{"port 80 or port 443 or port 8080 or port 8443", 36, 33},
		{"host 10.0.0.1 or host 10.0.0.2 or host 10.0.0.3", 23, 20},
		{"not (host 10.0.0.1 or host 10.0.0.2 or host 10.0.0.3)", 20, 20},
		{"not port 22 and not port 80", 27, 27},
		{"portrange 100-200", 27, 27},
		{"udp port 53 and host 10.0.0.1", 18, 18},
		{"src net 10.0.1.0/24 or src net 10.0.2.0/24", 13, 18},
		{"(host 1.2.3.4 and port 80) or (host 4.3.2.1 and port 443)", 34, 34},
		{"tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", 11, 11},
		{"tcp[0:2] = 80 and tcp[2:2] = 80", 13, 13},
		{"tcp port 80 and (((ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2)) != 0)", 22, 26},
		{"vlan and tcp port 80", 24, 24},
		{"geneve and tcp port 80", 81, 88},
	} {
		p, err := Compile(c.expr, Options{LinkType: cbpf.LinkEthernet, Names: BuiltinNames()})
		if err != nil {
			t.Errorf("%s: %v", c.expr, err)
			continue
		}
		if len(p.Insns) > c.want {
			t.Errorf("%s takes %d instructions, want %d (libpcap %d)", c.expr, len(p.Insns), c.want, c.libpcap)
		}
		for i, set := range p.Origin {
			if len(set) == 0 && p.Insns[i].Op&7 != cbpf.ClassRET {
				t.Errorf("%s: instruction %d comes from nowhere", c.expr, i)
			}
		}
	}
}

// TestAlwaysAndNever: what needs no packet is one instruction.
func TestAlwaysAndNever(t *testing.T) {
	for expr, want := range map[string]uint32{"": 262144, "1 = 1": 262144, "1 = 2": 0, "ip and not ip": 0, "tcp and udp": 0} {
		p, err := Compile(expr, Options{LinkType: cbpf.LinkEthernet, Names: BuiltinNames()})
		if err != nil {
			t.Errorf("%q: %v", expr, err)
			continue
		}
		if len(p.Insns) != 1 || p.Insns[0].Op != opRet || p.Insns[0].K != want {
			t.Errorf("%q is %v, want ret #%d", expr, p.Insns, want)
		}
	}
}
