package cbpf_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/testdata/require"
)

// tcpdumpFilters make tcpdump print every instruction that it can print.
var tcpdumpFilters = []string{
	"",
	"ip",
	"tcp port 80",
	"not tcp",
	"host 10.0.0.1 and not port 22",
	"net 192.168.0.0/16",
	"portrange 1000-2000",
	"ip6 host 2001:db8::1",
	"vlan 42 and tcp port 80",
	"vlan and vlan and ip",
	"mpls 100 and host 1.2.3.4",
	"pppoes and ip",
	"geneve and tcp",
	"ether host 1:2:3:4:5:6",
	"ip broadcast or ether multicast",
	"less 100 or greater 1000",
	"len = 64",
	"len & 1 = 0",
	"tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
	"tcp port 80 and (((ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2)) != 0)",
	"ip[0]+ip[1]+ip[2]*ip[3]==len",
	"ip[2:2] > ip[4:2]",
	"ip[2:2] >= ip[4:2]",
	"ip[2:2] & ip[4:2] != 0",
	"ip[2:2] | ip[4:2] > 7",
	"ip[2:2] ^ ip[4:2] > 7",
	"ip[2:2] / ip[4] > 7",
	"ip[2:2] % ip[4] > 7",
	"ip[2:2] << ip[4] > 7",
	"ip[2:2] >> ip[4] > 7",
	"ip[2:2] - ip[4] > 7",
	"ip[2:2] + 5 > 7",
	"ip[2:2] - 5 > 7",
	"ip[2:2] * 5 > 7",
	"ip[2:2] / 5 > 7",
	"ip[2:2] % 5 > 3",
	"ip[2:2] | 5 > 7",
	"ip[2:2] ^ 5 > 7",
	"ip[2:2] << 5 > 7",
	"ip[2:2] >> 5 > 7",
	"7 < -ip[2:2]",
	"ip[4:4] > 0x7fffffff",
	"ip[4:4] = 0xffffffff",
	"ether[6:4] & 0x80000000 != 0",
	"ip[ip[0]] = 4",
	"ip[ip[2:2]:2] = 4",
	"ip[ip[2:2]:4] = 4",
	"ip[ip[ip[0]]+ip[1]] = 4",
	"ip protochain 6",
	"ip6 protochain 6",
	"icmp[icmptype] = icmp-echo or icmp6[icmp6type] = icmp6-echo",
	"arp or rarp or stp",
	"sctp port 5 or udp port 53",
	"ether[0xfffff034:4] = 1",
	"ether[0xfffff001:4] = 1",
}

// A tcpdump prints programs, nil for a filter that it refuses.
type tcpdump struct {
	path, linkType string
}

func (c tcpdump) print(form, filter string, unoptimized bool) []byte {
	args := []string{form, "-y", c.linkType}
	if unoptimized {
		args = append(args, "-O")
	}
	out, err := exec.Command(c.path, append(args, filter)...).Output()
	if err != nil {
		return nil
	}
	return out
}

// What tcpdump prints as numbers we print as tcpdump prints it, byte by byte,
// and all that it prints we read.
func TestLikeTcpdump(t *testing.T) {
	c := tcpdump{require.Command(t, "tcpdump"), "EN10MB"}
	n := 0
	for i, filter := range tcpdumpFilters {
		unoptimized := i%2 == 1
		ddd := c.print("-ddd", filter, unoptimized)
		if ddd == nil {
			t.Errorf("tcpdump refuses %q", filter)
			continue
		}
		prog, format, err := cbpf.ParseAny(ddd)
		if err != nil || format != cbpf.FormatDDD {
			t.Fatalf("%q: %v (as %s)\n%s", filter, err, format, ddd)
		}
		n += len(prog)
		if again, err := cbpf.Parse([]byte(write(t, cbpf.FormatAsm, prog)), cbpf.FormatAsm); err != nil || dump(again) != dump(prog) {
			t.Errorf("%q reads back different from asm: %v", filter, err)
		}
		sameText(t, filter, cbpf.FormatDDD, prog, ddd)
		sameText(t, filter, cbpf.FormatDD, prog, c.print("-dd", filter, unoptimized))
		sameText(t, filter, cbpf.FormatD, prog, c.print("-d", filter, unoptimized))
	}
	t.Logf("%d programs of %d instructions", len(tcpdumpFilters), n)
}

// sameText checks that a program is written as tcpdump wrote it, and that this
// is recognized and read back.
func sameText(t *testing.T, filter string, f cbpf.Format, prog []bpf.RawInstruction, want []byte) {
	t.Helper()
	if diff := cmp.Diff(string(want), write(t, f, prog)); diff != "" {
		t.Errorf("%q as %s (-tcpdump, +ours):\n%s", filter, f, diff)
	}
	again, recognized, err := cbpf.ParseAny(want)
	if err != nil || recognized != f {
		t.Errorf("%q as %s: read as %s: %v", filter, f, recognized, err)
	}
	// In -d fields that an instruction does not use are lost.
	if write(t, f, again) != string(want) || f != cbpf.FormatD && !cmp.Equal(prog, again) {
		t.Errorf("%q as %s reads back different", filter, f)
	}
}

// Mnemonic is libpcap's bpf_image, for all opcodes and more.
func TestMnemonicLikeLibpcap(t *testing.T) {
	gcc := require.Command(t, "gcc", "cc")
	image := filepath.Join(t.TempDir(), "bpf_image")
	if out, err := exec.Command(gcc, "-o", image, "testdata/bpf_image.c", "-lpcap").CombinedOutput(); err != nil {
		require.Skip(t, "needs libpcap's headers: %v\n%s", err, out)
	}
	r := rand.New(rand.NewPCG(2, 5))
	var prog []bpf.RawInstruction
	var input bytes.Buffer
	for i := range 1 << 16 {
		ins := bpf.RawInstruction{Op: uint16(i % 256), Jt: uint8(r.Uint32()), Jf: uint8(r.Uint32()), K: r.Uint32() >> r.IntN(32)}
		switch r.IntN(20) {
		case 0:
			ins.K = -ins.K
		case 1:
			ins.K = cbpf.AdOff + uint32(r.IntN(70))
		case 2:
			ins.Op = uint16(r.Uint32())
		}
		prog = append(prog, ins)
		if err := binary.Write(&input, binary.NativeEndian, ins); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(image)
	cmd.Stdin = &input
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range strings.Split(strings.TrimSuffix(string(out), "\n"), "\n") {
		if have := fmt.Sprintf("(%03d) %s", i, cbpf.Mnemonic(prog[i], i)); have != want {
			t.Fatalf("%+v is %q, in libpcap %q", prog[i], have, want)
		}
	}
}
