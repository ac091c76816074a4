package jit

import (
	"bufio"
	_ "embed"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/lift"
	"github.com/bpflab/bpflab/testdata/require"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// batch is how many frames are judged in one go.
const batch = 256

// BenchmarkFilter is the filter that most published figures are about, on one
// packet of three kinds and on a mixture that no branch predictor learns.
func BenchmarkFilter(b *testing.B) {
	needMachineCode(b)
	for _, traffic := range []struct {
		name   string
		frames []engine.Frame
	}{
		{"match", slices.Repeat([]engine.Frame{tcpFrame(80)}, batch)},
		{"other-port", slices.Repeat([]engine.Frame{tcpFrame(443)}, batch)},
		{"arp", slices.Repeat([]engine.Frame{arpFrame()}, batch)},
		{"mixed", mixedFrames(1 << 16)},
	} {
		b.Run(traffic.name, func(b *testing.B) {
			f := newFilterBench(b, "tcp port 80", traffic.frames)
			list := f.peers()
			list = append(list, f.machineCode("jit-socket", abi.HookSocket, batch))
			list = append(list, f.machineCode("jit-xdp", abi.HookXDP, batch))
			list = append(list, f.machineCode("jit-socket-single", abi.HookSocket, 1))
			compete(b, "packet", append(list, f.interpreters()...)...)
		})
	}
}

// A filterBench is a filter and the frames that it judges.
type filterBench struct {
	b       *testing.B
	program []bpf.RawInstruction
	frames  []engine.Frame
	matches int // that all find, -1 for not known
}

func newFilterBench(b *testing.B, expr string, frames []engine.Frame) *filterBench {
	b.Helper()
	p, err := filter.Compile(expr, filter.Options{LinkType: cbpf.LinkEthernet})
	if err != nil {
		b.Fatal(err)
	}
	return &filterBench{b: b, program: p.Insns, frames: frames, matches: -1}
}

// repeat is how many times all frames are judged in one measurement.
func (f *filterBench) repeat() int { return max(1, 1<<14/len(f.frames)) }

// judge makes a contender of a function that judges some frames. All contenders
// must find the same number of matches.
func (f *filterBench) judge(name string, size int, judge func([]engine.Frame, []uint32)) *contender {
	verdicts := make([]uint32, len(f.frames))
	run := func() {
		for at := 0; at < len(f.frames); at += size {
			judge(f.frames[at:at+size], verdicts[at:at+size])
		}
	}
	run()
	matches := 0
	for _, v := range verdicts {
		if v != 0 {
			matches++
		}
	}
	f.agree(name, matches)
	repeat := f.repeat()
	return timed(name, len(f.frames)*repeat, func() {
		for range repeat {
			run()
		}
	})
}

func (f *filterBench) agree(name string, matches int) {
	if f.matches < 0 {
		f.matches = matches
	}
	if matches != f.matches {
		f.b.Fatalf("%s finds %d matches, others %d", name, matches, f.matches)
	}
}

func (f *filterBench) prove(hook abi.Hook) *verifier.Proof {
	l, err := lift.Lift(f.program, lift.Options{Hook: hook, Access: lift.Accesses(hook)[0], Returns: &lift.Returns{Length: true}})
	if err != nil {
		f.b.Fatal(err)
	}
	return proofFor(f.b, &verifier.Program{Type: l.Type, Insns: l.Insns})
}

func (f *filterBench) machineCode(name string, hook abi.Hook, size int) *contender {
	e := newBenchEngine(f.b, 0, vm.Options{}, f.prove(hook))
	return f.judge(name, size, func(frames []engine.Frame, verdicts []uint32) {
		if e.Verdicts(frames, verdicts) != len(frames) {
			f.b.Fatal("machine code has not judged all frames")
		}
	})
}

func (f *filterBench) interpreters() []*contender {
	trusted := newInterpreter(f.b, vm.Options{}, f.prove(abi.HookSocket))
	in, out := make([]engine.Packet, batch), make([]engine.Result, batch)
	interp := func(frames []engine.Frame, verdicts []uint32) {
		for i := range frames {
			in[i] = engine.Packet{Data: frames[i].Data, WireLen: frames[i].WireLen}
		}
		if err := trusted.Run(in, out); err != nil {
			f.b.Fatal(err)
		}
		for i := range out {
			verdicts[i] = out[i].Return
		}
	}
	classic, err := vm.NewClassic(f.program, vm.Options{})
	if err != nil {
		f.b.Fatal(err)
	}
	insns, _ := bpf.Disassemble(f.program)
	other, err := bpf.NewVM(insns)
	if err != nil {
		f.b.Fatal(err)
	}
	xnet := func(frames []engine.Frame, verdicts []uint32) {
		for i := range frames {
			v, err := other.Run(frames[i].Data)
			if err != nil {
				f.b.Fatal(err)
			}
			verdicts[i] = uint32(v)
		}
	}
	return []*contender{
		f.judge("interp", batch, interp),
		f.judge("cbpf", batch, func(frames []engine.Frame, verdicts []uint32) { classic.Verdicts(frames, verdicts) }),
		f.judge("xnet", batch, xnet),
	}
}

//go:embed testdata/peer.c
var peerSource []byte

// peers builds and starts testdata/peer.c, whose filter by hand is the first:
// "inlined" is the same without a call for each frame.
func (f *filterBench) peers() (list []*contender) {
	b := f.b
	cc := require.Command(b, "gcc", "cc", "clang")
	dir := b.TempDir()
	source, program, data := filepath.Join(dir, "peer.c"), filepath.Join(dir, "peer"), filepath.Join(dir, "frames")
	if err := os.WriteFile(source, peerSource, 0o666); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(data, f.file(), 0o666); err != nil {
		b.Fatal(err)
	}
	if out, err := exec.Command(cc, "-O2", "-o", program, source, "-lpcap").CombinedOutput(); err != nil {
		require.Skip(b, "needs libpcap and its headers: %v\n%s", err, out)
	}
	cmd := exec.Command(program, data)
	in, _ := cmd.StdinPipe()
	pipe, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	out := bufio.NewReader(pipe)
	for _, name := range []string{"native", "inlined", "libpcap"} {
		list = append(list, &contender{name: name, turn: func() float64 { return f.ask(name, in, out) }})
	}
	return list
}

// ask lets a peer do what a turn of ours is, about a millisecond.
func (f *filterBench) ask(name string, in io.Writer, out *bufio.Reader) (ns float64) {
	var matches int
	fmt.Fprintln(in, name, max(1, 1<<18/(len(f.frames)*f.repeat())))
	if _, err := fmt.Fscan(out, &ns, &matches); err != nil {
		f.b.Fatal(err)
	}
	f.agree(name, matches)
	return ns
}

func (f *filterBench) file() []byte {
	total := 0
	for _, frame := range f.frames {
		total += len(frame.Data)
	}
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(f.frames)))
	b = binary.LittleEndian.AppendUint32(b, uint32(total))
	for _, frame := range f.frames {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(frame.Data)))
		b = append(b, frame.Data...)
	}
	return b
}

// packetLen is that of all frames: the shortest that Ethernet has.
const packetLen = 64

func frameOf(header ...byte) engine.Frame {
	data := make([]byte, packetLen)
	copy(data[copy(data, "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02"):], header)
	return engine.Frame{Data: data, WireLen: packetLen}
}

func ipFrame(protocol byte, from, to uint16) engine.Frame {
	f := frameOf(0x08, 0, 0x45, 0, 0, 50, 0, 1, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2)
	binary.BigEndian.PutUint16(f.Data[34:], from)
	binary.BigEndian.PutUint16(f.Data[36:], to)
	return f
}

func tcpFrame(port uint16) engine.Frame { return ipFrame(6, 40000, port) }

func arpFrame() engine.Frame { return frameOf(0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1) }

// mixedFrames returns frames in a random order, side by side in memory: 35 in
// 100 match "tcp port 80", half of them by the port that they come from.
func mixedFrames(n int) []engine.Frame {
	rnd := rand.New(rand.NewPCG(80, 0))
	memory := make([]byte, 0, n*packetLen)
	frames := make([]engine.Frame, n)
	for i := range frames {
		other := uint16(1024 + rnd.IntN(60000))
		var f engine.Frame
		switch k := rnd.IntN(100); {
		case k < 16:
			f = ipFrame(6, other, 80)
		case k < 32:
			f = ipFrame(6, 80, other)
		case k < 35:
			f = frameOf(0x86, 0xdd, 0x60, 0, 0, 0, 0, 10, 6, 64)
			binary.BigEndian.PutUint16(f.Data[56:], 80)
		case k < 70:
			f = ipFrame(6, other, 443)
		case k < 85:
			f = ipFrame(17, other, 53)
		case k < 90:
			f = frameOf(0x86, 0xdd, 0x60, 0, 0, 0, 0, 10, 17, 64)
		case k < 95:
			f = ipFrame(1, 0x0800, other)
		default:
			f = arpFrame()
		}
		memory = append(memory, f.Data...)
		frames[i] = engine.Frame{Data: memory[i*packetLen:][:packetLen:packetLen], WireLen: packetLen}
	}
	return frames
}
