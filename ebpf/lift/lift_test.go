package lift_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/origin"
	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/lift"
	"github.com/bpflab/bpflab/vm/engine"
)

var update = flag.Bool("update", false, "write the golden files")

func mustLift(t testing.TB, prog []bpf.RawInstruction, o lift.Options) *lift.Program {
	t.Helper()
	p, err := lift.Lift(prog, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := ebpf.Validate(p.Insns); err != nil {
		t.Fatalf("%v\n%s", err, listing(prog, p))
	}
	if len(p.Origin) != len(p.Insns) {
		t.Fatalf("%d slots, %d origins", len(p.Insns), len(p.Origin))
	}
	return p
}

func mustParse(t testing.TB, text string) []bpf.RawInstruction {
	t.Helper()
	prog, err := cbpf.Parse([]byte(text), "asm")
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return prog
}

// TestGolden shows whole translations, slot by slot with the classic
// instructions behind each.
func TestGolden(t *testing.T) {
	for _, tt := range []struct {
		file, filter string
		variant
	}{
		{"port-xdp", "tcp port 80", variant{abi.HookXDP, lift.Direct}},
		{"port-xdp-load-bytes", "tcp port 80", variant{abi.HookXDP, lift.LoadBytes}},
		{"port-tc", "tcp port 80", variant{abi.HookTC, lift.Direct}},
		{"port-tc-abs", "tcp port 80", variant{abi.HookTC, lift.Abs}},
		{"port-socket", "tcp port 80", variant{abi.HookSocket, lift.Abs}},
		{"portrange-xdp", "portrange 1000-2000", variant{abi.HookXDP, lift.Direct}},
		{"arithmetic-tc", "-O ip[0]+ip[1]+ip[2]*ip[3]==len", variant{abi.HookTC, lift.Direct}},
	} {
		prog := findFilter(t, tt.filter)
		p := mustLift(t, prog, lift.Options{Hook: tt.hook, Access: tt.access})
		golden := filepath.Join("testdata", "golden", tt.file+".txt")
		got := listing(prog, p)
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o666); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got, -update to accept):\n%s", golden, diff)
		}
	}
}

// TestSizes keeps the translations short. In the same order, the best published
// translator takes 12, 60, 36, 32, 67, 69 and 34 slots with packet pointers.
func TestSizes(t *testing.T) {
	for _, tt := range []struct {
		filter                 string
		xdp, xdpBytes, tc, abs int // slots at XDP direct and load-bytes, tc direct, socket abs
	}{
		{"ip", 11, 14, 11, 7},
		{"tcp port 80", 41, 63, 41, 27},
		{"host 10.0.0.1", 28, 46, 28, 18},
		{"tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", 26, 32, 26, 18},
		{"portrange 1000-2000", 52, 74, 52, 34},
		{"vlan 42 and tcp port 80", 48, 70, 48, 34},
		{"ip[0]+ip[1]+ip[2]*ip[3]==len", 33, 36, 32, 28},
	} {
		prog := findFilter(t, tt.filter)
		for _, c := range []struct {
			variant
			most int
		}{
			{variant{abi.HookXDP, lift.Direct}, tt.xdp},
			{variant{abi.HookXDP, lift.LoadBytes}, tt.xdpBytes},
			{variant{abi.HookTC, lift.Direct}, tt.tc},
			{variant{abi.HookSocket, lift.Abs}, tt.abs},
		} {
			p := mustLift(t, prog, lift.Options{Hook: c.hook, Access: c.access})
			if n := len(p.Insns); n > c.most {
				t.Errorf("%s, %v: %d slots, want at most %d", tt.filter, c.variant, n, c.most)
			}
		}
	}
}

// TestText compares whole small translations.
func TestText(t *testing.T) {
	for _, tt := range []struct {
		name, classic string
		options       lift.Options
		want          string
	}{
		{"always matches", "ret #262144", lift.Options{Hook: abi.HookXDP, Access: lift.Direct},
			"w0 = 2; exit"},
		{"length", "ret #96", lift.Options{Hook: abi.HookSocket},
			"w0 = 96; exit"},
		{"never matches", "ld #3\n ldh [12]\n jeq #5, a, b\n a: ret #0\n b: ldb [7]\n ret #0",
			lift.Options{Hook: abi.HookTC, Access: lift.Direct},
			"w0 = 2; exit"},
		{"A is 0 at first", "ret a", lift.Options{Hook: abi.HookSocket},
			"w0 = 0; exit"},
		{"A decides", "ldb [0]\n ret a", lift.Options{Hook: abi.HookCGroupSKB, Access: lift.LoadBytes},
			"r6 = r1; r1 = r6; r2 = 0; r3 = r10; r3 += -138; r4 = 1; call bpf_skb_load_bytes#26; " +
				"if r0 != 0x0 goto pc+4; r0 = *(u8 *)(r10 -138); if w0 == 0x0 goto pc+2; w0 = 1; exit; w0 = 0; exit"},
		{"returns of the caller", "ldb [0]\n ret a",
			lift.Options{Hook: abi.HookXDP, Access: lift.Direct, Returns: &lift.Returns{Match: 3, NoMatch: 2}},
			"r2 = *(u32 *)(r1 +0); r3 = *(u32 *)(r1 +4); r6 = r2; r6 += 1; if r6 > r3 goto pc+4; " +
				"r0 = *(u8 *)(r2 +0); if w0 == 0x0 goto pc+2; w0 = 3; exit; w0 = 2; exit"},
		{"dead code", "ld #1\n st M[3]\n ldx #9\n txa\n add x\n ret #1", lift.Options{Hook: abi.HookTC},
			"w0 = 0; exit"},
		{"dead load still checks", "ldb [9]\n ret #1", lift.Options{Hook: abi.HookTC, Access: lift.Direct},
			"r2 = *(u32 *)(r1 +76); r3 = *(u32 *)(r1 +80); r6 = r2; r6 += 10; if r6 > r3 goto pc+2; w0 = 0; exit; w0 = 2; exit"},
		{"network order", "ld [26]\n and #0xffffff00\n jeq #0x0a000100, t, f\n t: ret #1\n f: ret #0",
			lift.Options{Hook: abi.HookXDP, Access: lift.Direct},
			"r2 = *(u32 *)(r1 +0); r3 = *(u32 *)(r1 +4); r6 = r2; r6 += 30; if r6 > r3 goto pc+5; " +
				"r0 = *(u32 *)(r2 +26); w0 &= 16777215; if w0 != 0x1000a goto pc+2; w0 = 2; exit; w0 = 1; exit"},
		{"no check above one that a match can do without", "ldb [0]\n jeq #1, t, n\n n: ldb [9]\n jeq #2, t, f\n t: ret #1\n f: ret #0",
			lift.Options{Hook: abi.HookXDP, Access: lift.Direct},
			"r2 = *(u32 *)(r1 +0); r3 = *(u32 *)(r1 +4); r6 = r2; r6 += 1; if r6 > r3 goto pc+8; " +
				"r0 = *(u8 *)(r2 +0); if w0 == 0x1 goto pc+4; r6 += 9; if r6 > r3 goto pc+4; " +
				"r0 = *(u8 *)(r2 +9); if w0 != 0x2 goto pc+2; w0 = 2; exit; w0 = 1; exit"},
		{"division", "ld len\n ldx len\n div x\n ret a", lift.Options{Hook: abi.HookSocket},
			"r0 = *(u32 *)(r1 +0); r4 = *(u32 *)(r1 +0); if w4 == 0x0 goto pc+2; w0 /= w4; exit; w0 = 0; exit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := mustLift(t, mustParse(t, tt.classic), tt.options)
			if got := strings.Join(ebpf.Disassemble(p.Insns), "; "); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestErrors checks that what cannot be done is refused by name.
func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		classic string
		options lift.Options
		want    string
	}{
		{"ld #1\n ld #nla\n ret a", lift.Options{}, "instruction 1: hook socket cannot supply the extension nlattr"},
		{"ld poff\n ret a", lift.Options{Hook: abi.HookTC}, "instruction 0: hook tc cannot supply the extension pay_offset"},
		{"ld hatype\n ret a", lift.Options{Hook: abi.HookTC}, "instruction 0: hook tc cannot supply the extension hatype"},
		{"ld proto\n ret a", lift.Options{Hook: abi.HookXDP, Access: lift.Direct}, "instruction 0: hook xdp cannot supply the extension protocol"},
		{"ld vlan_tci\n ret a", lift.Options{Hook: abi.HookXDP, Access: lift.LoadBytes}, "instruction 0: hook xdp cannot supply the extension vlan_tci"},
		{"ld [0xfff00000]\n ret a", lift.Options{Hook: abi.HookXDP, Access: lift.Direct},
			"instruction 0: hook xdp cannot supply the offset of the network header (SKF_NET_OFF)"},
		{"ret #1", lift.Options{Hook: abi.HookXDP}, "hook xdp has no access mode abs"},
		{"ret #1", lift.Options{Hook: abi.HookXDP, Access: 9}, "hook xdp has no access mode access 9"},
		{"ret #1", lift.Options{Hook: 9}, "there is no hook 9"},
		{"ret #1", lift.Options{Hook: abi.HookSocket, Access: lift.Direct}, "hook socket has no access mode direct"},
		{"ret #1", lift.Options{Hook: abi.HookCGroupSKB, Access: lift.Direct, Returns: &lift.Returns{Match: 2}},
			"hook cgroup_skb takes return values from 0 to 1 only"},
		{"ret #1", lift.Options{Hook: abi.HookCGroupSKB, Access: lift.Direct, Returns: &lift.Returns{Length: true}},
			"hook cgroup_skb takes return values from 0 to 1 only"},
	} {
		_, err := lift.Lift(mustParse(t, tt.classic), tt.options)
		if err == nil || err.Error() != tt.want {
			t.Errorf("%q, %+v: error %v, want %s", tt.classic, tt.options, err, tt.want)
		}
		if e := new(lift.Error); !errors.As(err, &e) {
			t.Errorf("%q: error of type %T", tt.classic, err)
		}
	}
	_, err := lift.Lift(nil, lift.Options{})
	if e := new(cbpf.CheckError); !errors.As(err, &e) {
		t.Errorf("empty program: %v", err)
	}
}

// TestHeaderLoads loads at SKF_NET_OFF and SKF_LL_OFF wherever that is known.
func TestHeaderLoads(t *testing.T) {
	packet := make([]byte, 64)
	for i := range packet {
		packet[i] = byte(i + 1)
	}
	load := func(k uint32) []bpf.RawInstruction {
		return mustParse(t, fmt.Sprintf("ld #7\n st M[0]\n ldxb 4*([%#x] & 0xf)\n ldh [%#x]\n add x\n ldx M[0]\n add x\n ret a", k, k+1))
	}
	for _, v := range variants() {
		for _, area := range []uint32{cbpf.NetOff, cbpf.LLOff} {
			if v.hook == abi.HookXDP && area == cbpf.NetOff {
				continue
			}
			for _, at := range []uint32{0, 20, 48, 49, 61, 62, 0xffff} {
				in := engine.Packet{Data: packet, WireLen: 64, Meta: metadata}
				returns := lengths
				if v.hook == abi.HookCGroupSKB {
					returns = nil
				}
				compareInMachine(t, v, "header load", load(area+at), returns, []engine.Packet{in})
			}
		}
	}
}

// longPrograms returns programs of 4096 instructions, of which some become so
// long that jumps do not reach.
func longPrograms() map[string][]bpf.RawInstruction {
	out := map[string][]bpf.RawInstruction{}
	fill := func(name string, ins ...bpf.RawInstruction) {
		var prog []bpf.RawInstruction
		for len(prog)+len(ins) < cbpf.MaxInstructions {
			prog = append(prog, ins...)
		}
		out[name] = append(prog, bpf.RawInstruction{Op: cbpf.ClassRET | cbpf.SrcA})
	}
	ldb := func(k uint32) bpf.RawInstruction {
		return bpf.RawInstruction{Op: cbpf.ClassLD | cbpf.SizeB | cbpf.ModeABS, K: k}
	}
	ind := bpf.RawInstruction{Op: cbpf.ClassLD | cbpf.SizeB | cbpf.ModeIND, K: 3}
	tax := bpf.RawInstruction{Op: cbpf.ClassMISC | cbpf.TAX}
	and := bpf.RawInstruction{Op: cbpf.ClassALU | cbpf.AND, K: 15}
	fill("loads", ldb(3))
	fill("chain of indirect loads", ind, and, tax)
	fill("unbounded chain", ind, tax)
	fill("far jumps", ind, tax, bpf.RawInstruction{Op: cbpf.ClassJMP | cbpf.JEQ, K: 200, Jf: 1}, bpf.RawInstruction{Op: cbpf.ClassRET})
	// A is kept across every one of these, since it is returned.
	fill("loads by header", bpf.RawInstruction{Op: cbpf.ClassLDX | cbpf.SizeB | cbpf.ModeMSH, K: cbpf.NetOff + 3})
	fill("comparisons", ldb(3), bpf.RawInstruction{Op: cbpf.ClassJMP | cbpf.JGT, K: 4, Jt: 3}, ldb(2), and, tax)
	return out
}

func TestLongPrograms(t *testing.T) {
	for name, prog := range longPrograms() {
		for _, v := range variants() {
			if name == "loads by header" && v.hook == abi.HookXDP {
				continue
			}
			in := []engine.Packet{
				{Data: make([]byte, 60), WireLen: 60, Meta: metadata},
				{Data: []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}, WireLen: 14, Meta: metadata},
			}
			compareInMachine(t, v, name, prog, nil, in)
		}
	}
}

// TestFarJumps checks that jumps over more than 32767 slots take the long form.
func TestFarJumps(t *testing.T) {
	p := mustLift(t, longPrograms()["loads by header"], lift.Options{Hook: abi.HookTC, Access: lift.LoadBytes})
	long := 0
	for _, in := range p.Insns {
		if in.Op == ebpf.ClassJMP32|ebpf.Ja {
			long++
		}
	}
	if len(p.Insns) <= 32768 || long == 0 {
		t.Errorf("%d slots, %d long jumps", len(p.Insns), long)
	}
}

// TestOrigin checks that every slot but the prologue names the classic
// instructions that it comes from, and none outside the program.
func TestOrigin(t *testing.T) {
	for _, f := range readFilters(t) {
		for _, v := range variants() {
			p := mustLift(t, f.prog, lift.Options{Hook: v.hook, Access: v.access})
			all := origin.Of(0, len(f.prog))
			for slot, set := range p.Origin {
				if len(set) == 0 && slot > 4 {
					t.Fatalf("%s, %v: slot %d comes from nowhere\n%s", f.name, v, slot, listing(f.prog, p))
				}
				if len(set.Union(all)) != 1 || len(set) > 0 && set[len(set)-1].End > len(f.prog) {
					t.Fatalf("%s, %v: slot %d comes from %v", f.name, v, slot, set)
				}
			}
		}
	}
}

func BenchmarkLift(b *testing.B) {
	prog := findFilter(b, "tcp port 80")
	for b.Loop() {
		mustLift(b, prog, lift.Options{Hook: abi.HookXDP, Access: lift.Direct})
	}
}
