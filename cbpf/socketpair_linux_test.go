package cbpf_test

import (
	"errors"
	"math/rand/v2"
	"testing"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/testdata/programs"
	"github.com/bpflab/bpflab/testdata/require"
)

// A socketPair asks the running kernel what a program returns: a datagram
// that arrives at the filtered end was cut to the length returned. It needs no
// privilege, and its packets have no device.
type socketPair struct {
	send, receive int
	buf           []byte
}

func newSocketPair(t testing.TB) *socketPair {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		require.Skip(t, "needs a UNIX socket pair: %v", err)
	}
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	if err := attachFilter(fds[1], ret(1)); err != nil {
		require.Skip(t, "needs SO_ATTACH_FILTER: %v", err)
	}
	return &socketPair{fds[0], fds[1], make([]byte, 1<<17)}
}

// attach puts a program on the receiving end in place of the last one.
func (p *socketPair) attach(prog []bpf.RawInstruction) error {
	return attachFilter(p.receive, prog)
}

func attachFilter(fd int, prog []bpf.RawInstruction) error {
	fprog := unix.SockFprog{Len: uint16(len(prog))}
	if len(prog) > 0 {
		fprog.Filter = (*unix.SockFilter)(unsafe.Pointer(&prog[0]))
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &fprog)
}

// run sends a packet and returns how many bytes the program kept, -1 if it
// dropped the packet (which differs from keeping 0 bytes of an empty one).
func (p *socketPair) run(t testing.TB, packet []byte) int {
	if _, err := unix.Write(p.send, packet); err != nil {
		t.Fatalf("send: %v", err)
	}
	n, err := unix.Read(p.receive, p.buf)
	if errors.Is(err, unix.EAGAIN) {
		return -1
	}
	if err != nil {
		t.Fatalf("receive: %v", err)
	}
	return n
}

// kept says what of a packet a program keeps that returns ret.
func kept(ret uint32, packet []byte) int {
	if ret == 0 {
		return -1
	}
	return int(min(uint64(ret), uint64(len(packet))))
}

// The machine returns what the kernel returns: 100 000 runs of random programs
// over random packets.
func TestMachineLikeKernel(t *testing.T) {
	const nPrograms, nPackets = 5000, 20
	pair := newSocketPair(t)
	r := rand.New(rand.NewPCG(2, 1))
	packets := make([][]byte, 400)
	for i := range packets {
		packets[i] = programs.Packet(r)
	}
	var faults, executed, total int
	for n := range nPrograms {
		prog := programs.Random(r, programs.Options{Extensions: withoutDevice, Headers: true})
		if err := pair.attach(prog); err != nil {
			t.Fatalf("program %d: kernel refuses it: %v; Check says: %v\n%s", n, err, cbpf.Check(prog), dump(prog))
		}
		m, err := cbpf.New(prog)
		if err != nil {
			t.Fatalf("program %d: %v\n%s", n, err, dump(prog))
		}
		for range nPackets {
			packet := packets[r.IntN(len(packets))]
			ret, err := m.Run(packet, uint32(len(packet)), nil)
			if err != nil {
				t.Fatal(err)
			}
			if want, have := pair.run(t, packet), kept(ret, packet); have != want {
				t.Fatalf("program %d keeps %d bytes (returns %d), in the kernel %d\n%s\npacket %x", n, have, ret, want, dump(prog), packet)
			}
			executed += int(m.Executed())
			total++
			if ret == 0 {
				faults++
			}
		}
	}
	t.Logf("%d runs, %d dropped, %.1f instructions a run", total, faults, float64(executed)/float64(total))
	if faults > total/3 {
		t.Errorf("%d of %d runs end early: the generator makes dull programs", faults, total)
	}
}

// Check accepts what the kernel accepts, and nothing else.
func TestCheckLikeKernel(t *testing.T) {
	pair := newSocketPair(t)
	for _, c := range checkCases(t) {
		if err := pair.attach(c.prog); err != nil && err != unix.EINVAL || (err == nil) != (c.rule == 0) {
			t.Errorf("%s: kernel says %v", c.name, err)
		}
	}
	r := rand.New(rand.NewPCG(2, 2))
	rules := map[cbpf.Rule]int{}
	for n := range 8000 {
		prog := programs.Random(r, programs.Options{Extensions: withoutDevice, Headers: true})
		prog = prog[r.IntN(len(prog)):] // also from the middle: reads of what was never written
		for range r.IntN(4) {
			if len(prog) > 0 {
				prog = programs.Mutate(r, prog)
			}
		}
		kernel, ours := pair.attach(prog), cbpf.Check(prog)
		if kernel != nil && kernel != unix.EINVAL {
			t.Fatalf("program %d: kernel says %v\n%s", n, kernel, dump(prog))
		}
		if (kernel == nil) != (ours == nil) {
			t.Fatalf("program %d: kernel says %v, Check says %v\n%s", n, kernel, ours, dump(prog))
		}
		var e *cbpf.CheckError
		if errors.As(ours, &e) {
			rules[e.Rule]++
		} else {
			rules[0]++
		}
	}
	t.Logf("accepted %d, refused by rule: %v", rules[0], rules)
	for rule := cbpf.Rule(0); rule <= cbpf.RuleUninitialized; rule++ {
		if rules[rule] < 10 {
			t.Errorf("only %d programs for rule %d (%v)", rules[rule], rule, rule)
		}
	}
}

// Netlink attributes of all short lengths, from every offset. The packet's
// first byte says which type to look for, its second where to begin.
func TestNLAttrLikeKernel(t *testing.T) {
	pair := newSocketPair(t)
	r := rand.New(rand.NewPCG(2, 10))
	for _, extension := range []string{"nla", "nlan"} {
		prog := assemble(t, "ldb [0]\ntax\nldb [1]\nld #"+extension+"\nadd #1\nret a")
		if err := pair.attach(prog); err != nil {
			t.Fatal(err)
		}
		m, err := cbpf.New(prog)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for range 10000 {
			packet := make([]byte, 4*(1+r.IntN(16)))
			for i := 0; i < len(packet); i += 4 {
				packet[i] = byte(r.IntN(5 + r.IntN(40)))
				packet[i+2], packet[i+3] = byte(r.IntN(3)), byte(r.IntN(5)<<6)
			}
			packet = packet[:len(packet)-r.IntN(3)]
			packet[0], packet[1] = byte(r.IntN(3)), 4*byte(r.IntN(1+len(packet)/4))
			if r.IntN(8) == 0 {
				packet[1] = byte(r.IntN(len(packet) + 6))
			}
			ret, err := m.Run(packet, uint32(len(packet)), nil)
			if err != nil {
				t.Fatal(err)
			}
			if want, have := pair.run(t, packet), kept(ret, packet); have != want {
				t.Fatalf("%s: machine keeps %d bytes, kernel %d of %x", extension, have, want, packet)
			}
			if ret > 1 {
				found++
			}
		}
		t.Logf("%s: %d of 10000 found", extension, found)
		if found < 100 {
			t.Errorf("%s: only %d found", extension, found)
		}
	}
}
