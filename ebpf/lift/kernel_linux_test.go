package lift_test

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/testdata/programs"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/ebpf/lift"
	"github.com/bpflab/bpflab/testdata/packets"
	"github.com/bpflab/bpflab/testdata/require"
	"github.com/bpflab/bpflab/vm/engine"
)

func needKernel(t testing.TB) {
	t.Helper()
	if err := kernel.Available(); err != nil {
		require.Skip(t, "eBPF in the kernel: %v", err)
	}
}

// TestKernelFilters loads every filter of the corpus at every hook in every
// access mode and compares the verdicts on packets.
func TestKernelFilters(t *testing.T) {
	needKernel(t)
	for _, v := range variants() {
		t.Run(v.String(), func(t *testing.T) {
			for _, f := range readFilters(t) {
				var data [][]byte
				for _, p := range packets.Generate(f.link, 1, v.thorough(40, 10)) {
					data = append(data, p.Data)
				}
				compareInKernel(t, v, f.name, f.prog, nil, data)
			}
		})
	}
}

// TestKernelCorpus does the same with our own compiler's code for the project's
// corpus of filters: all of it in the access mode to prefer at a hook, a tenth
// in the others. XDP cannot supply what live filters ask for.
func TestKernelCorpus(t *testing.T) {
	needKernel(t)
	corpus := compileFilters(t)
	for _, v := range variants() {
		t.Run(v.String(), func(t *testing.T) {
			data := map[cbpf.LinkType][][]byte{}
			for i, f := range corpus {
				if i%v.thorough(1, 10) != 0 {
					continue
				}
				if data[f.link] == nil {
					for _, p := range packets.Generate(f.link, 5, 8) {
						data[f.link] = append(data[f.link], p.Data)
					}
				}
				_, err := lift.Lift(f.prog, lift.Options{Hook: v.hook, Access: v.access})
				var refused *lift.Error
				if v.hook == abi.HookXDP && errors.As(err, &refused) && strings.Contains(refused.Msg, "cannot supply the extension") {
					continue
				}
				compareInKernel(t, v, f.name, f.prog, nil, data[f.link])
			}
		})
	}
}

// TestKernelRandom does the same for random programs, with the hook's own
// returns and with the classic return value: 2000 at each hook in the access
// mode to prefer there, fewer in the others.
func TestKernelRandom(t *testing.T) {
	needKernel(t)
	for _, v := range variants() {
		t.Run(v.String(), func(t *testing.T) {
			r := rand.New(rand.NewPCG(7, 7))
			for i, prog := range randomPrograms(1, v.thorough(2000, 400), extensionsOf(v.hook)) {
				returns := v.someReturns(i)
				data := [][]byte{programs.Packet(r), programs.Packet(r)}
				compareInKernel(t, v, "random", prog, returns, data)
			}
		})
	}
}

// TestKernelLong has the verifier walk through programs of the greatest
// length. Of legacy loads few are tried: the kernel takes seconds to replace
// thousands of them.
func TestKernelLong(t *testing.T) {
	needKernel(t)
	for name, prog := range longPrograms() {
		for _, v := range variants() {
			if v.access == lift.Abs && name != "comparisons" || name == "loads by header" && v.hook == abi.HookXDP {
				continue
			}
			compareInKernel(t, v, name, prog, nil, [][]byte{make([]byte, 60)})
		}
	}
}

// TestKernelCalls has helper calls between packet loads. What they return is
// not known and does not matter.
func TestKernelCalls(t *testing.T) {
	needKernel(t)
	prog := mustParse(t, `
		ldh [12]
		st M[0]
		ld rand
		and #0
		st M[1]
		ld cpu
		ldxb 4*([14] & 0xf)
		ldh [x + 14]
		add x
		st M[2]
		ld rand
		ld M[2]
		ldx M[1]
		add x
		ldx M[0]
		add x
		jgt #20000, t, f
		t: ret #1
		f: ret #0`)
	r := rand.New(rand.NewPCG(1, 2))
	for _, v := range variants() {
		var data [][]byte
		for range 50 {
			data = append(data, programs.Packet(r))
		}
		compareInKernel(t, v, "calls", prog, nil, data)
	}
}

// TestKernelFarOffset has an offset that made the verifier take the distance
// between two numbers for the offset of a pointer.
func TestKernelFarOffset(t *testing.T) {
	needKernel(t)
	prog := mustParse(t, "ldx len\n ldb [x + 0xba70dbae]\n ldb [x + 0xbfffffff]\n ret #1")
	for _, v := range variants() {
		compareInKernel(t, v, "far offset", prog, nil, [][]byte{make([]byte, 60)})
	}
}

// compareInKernel loads a translated program and runs it on packets.
func compareInKernel(t *testing.T, v variant, name string, prog []bpf.RawInstruction, returns *lift.Returns, data [][]byte) {
	t.Helper()
	lifted, err := lift.Lift(prog, lift.Options{Hook: v.hook, Access: v.access, Returns: returns})
	if err != nil {
		t.Fatalf("%v: %s: %v", v, name, err)
	}
	run, closer, err := loadInKernel(v, lifted)
	if err != nil {
		t.Fatalf("%v: %s: %+v\n%s", v, name, err, listing(prog, lifted))
	}
	defer closer()
	m, err := cbpf.New(prog)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range data {
		in, meta := testRunInput(v.hook, d)
		got, err := run(in, meta)
		switch {
		case errors.Is(err, engine.ErrPacket):
			continue
		case err != nil:
			t.Fatal(err)
		}
		want := classicVerdict(t, m, returnsOf(v, returns), d, uint32(len(d)), meta)
		if got != want {
			t.Fatalf("%v: %s: kernel %d, classic machine %d for\n%x\n%s", v, name, got, want, d, listing(prog, lifted))
		}
	}
}

// loadInKernel loads a program and returns functions to run and to close it.
// Where there is an engine it is used, which is faster.
func loadInKernel(v variant, p *lift.Program) (run func(in []byte, meta *cbpf.Metadata) (uint32, error), closer func() error, err error) {
	if v.hook == abi.HookXDP || v.hook == abi.HookTC {
		e, err := kernel.NewEngine("lift", p.Type, p.Insns)
		if err != nil {
			return nil, nil, err
		}
		out := make([]engine.Result, 1)
		return func(in []byte, meta *cbpf.Metadata) (uint32, error) {
			if err := e.Run([]engine.Packet{{Data: in, WireLen: uint32(len(in)), Meta: *meta}}, out); err != nil {
				return 0, err
			}
			return out[0].Return, out[0].Fault
		}, e.Close, nil
	}
	k, err := kernel.Load("lift", p.Type, p.Insns)
	if err != nil {
		return nil, nil, err
	}
	return func(in []byte, _ *cbpf.Metadata) (uint32, error) {
		ret, _, err := k.TestRun(in)
		return ret, err
	}, k.Close, nil
}

// testRunInput returns the packet to hand to BPF_PROG_TEST_RUN so that the
// program sees d, and what the kernel knows of it then. The kernel takes an
// Ethernet header off for hooks that it regards as above the link layer.
func testRunInput(h abi.Hook, d []byte) ([]byte, *cbpf.Metadata) {
	meta := &cbpf.Metadata{HasDevice: true, IfIndex: 1, HasLink: true, NetworkOffset: 14}
	if h == abi.HookSocket || h == abi.HookCGroupSKB {
		meta.NetworkOffset, meta.LinkOffset = 0, -14
		// A header that makes no demands on the length of the rest.
		d = append(make([]byte, 14), d...)
	}
	if len(d) >= 14 {
		meta.Protocol, meta.PacketType = etherProtocol(d), packetType(d)
	}
	return d, meta
}

// etherProtocol and packetType are what eth_type_trans makes of a frame that
// arrives on the loopback device, whose address is 0.
func etherProtocol(d []byte) uint16 {
	switch p := binary.BigEndian.Uint16(d[12:]); {
	case p >= 1536:
		return p
	case len(d) >= 16 && d[14] == 0xff && d[15] == 0xff:
		return 1 // ETH_P_802_3
	}
	return 4 // ETH_P_802_2
}

func packetType(d []byte) uint8 {
	switch string(d[:6]) {
	case "\xff\xff\xff\xff\xff\xff":
		return 1 // PACKET_BROADCAST
	case "\x00\x00\x00\x00\x00\x00":
		return 0 // PACKET_HOST
	}
	if d[0]&1 != 0 {
		return 2 // PACKET_MULTICAST
	}
	return 3 // PACKET_OTHERHOST
}
