package vm_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/testdata/require"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/engine"
)

// newNetwork makes a router in a network namespace of its own, in which the test
// stays, and tells the machine's network of it: two interfaces that forward, two
// that do not, routes of all types, neighbours.
func newNetwork(t *testing.T) vm.Network {
	t.Helper()
	require.Root(t)
	runtime.LockOSThread() // a namespace belongs to a thread; this one ends with the test
	ns, err := netns.New()
	if err != nil {
		require.Skip(t, "needs a network namespace: %v", err)
	}
	t.Cleanup(func() { ns.Close() })
	for _, name := range []string{"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"} {
		sysctl(t, name, "1")
	}
	up(t, "lo")
	for i, name := range []string{"a", "b"} {
		address := net.HardwareAddr{2, 0, 0, 0, 0, byte(0xa0 + i)}
		pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name, MTU: 1500 - 100*i, HardwareAddr: address}, PeerName: name + "_peer"}
		if err := netlink.LinkAdd(pair); err != nil {
			require.Skip(t, "needs virtual Ethernet devices: %v", err)
		}
		up(t, name)
		up(t, name+"_peer")
		sysctl(t, "net/ipv4/conf/"+name+"_peer/forwarding", "0")
		sysctl(t, "net/ipv6/conf/"+name+"_peer/forwarding", "0")
		addAddress(t, name, fmt.Sprintf("10.%d.0.2/24", i))
		addAddress(t, name, fmt.Sprintf("2001:db8:%d::2/64", i))
	}
	addRoutes(t)
	awaitAddresses(t)
	return describeNetwork(t)
}

// awaitAddresses waits for the routes to the host's own IPv6 addresses, which the
// kernel makes some time after it has taken the addresses.
func awaitAddresses(t *testing.T) {
	t.Helper()
	own := &netlink.Route{Type: unix.RTN_LOCAL}
	for range 500 {
		routes, err := netlink.RouteListFiltered(netlink.FAMILY_V6, own, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_TYPE)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, r := range routes {
			if r.Dst != nil && (r.Dst.String() == "2001:db8::2/128" || r.Dst.String() == "2001:db8:1::2/128") {
				found++
			}
		}
		if found == 2 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the IPv6 addresses did not come up in five seconds")
}

func sysctl(t *testing.T, name, value string) {
	t.Helper()
	if err := os.WriteFile("/proc/sys/"+name, []byte(value), 0); err != nil {
		require.Skip(t, "needs to set %s: %v", name, err)
	}
}

func link(t *testing.T, name string) netlink.Link {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func up(t *testing.T, name string) {
	t.Helper()
	if err := netlink.LinkSetUp(link(t, name)); err != nil {
		t.Fatal(err)
	}
}

func addAddress(t *testing.T, name, prefix string) {
	t.Helper()
	address, err := netlink.ParseAddr(prefix)
	if err != nil {
		t.Fatal(err)
	}
	address.Flags = unix.IFA_F_NODAD // else an IPv6 address waits for others to object
	if err := netlink.AddrAdd(link(t, name), address); err != nil {
		t.Fatal(err)
	}
}

func addRoutes(t *testing.T) {
	t.Helper()
	for _, r := range []struct {
		prefix, gateway, via string
		metric, kind         int
	}{
		{"0.0.0.0/0", "10.0.0.1", "a", 100, unix.RTN_UNICAST},
		{"10.9.0.0/16", "10.1.0.1", "b", 5, unix.RTN_UNICAST},
		{"10.9.0.0/16", "10.0.0.1", "a", 9, unix.RTN_UNICAST},
		{"10.9.1.0/24", "", "a", 0, unix.RTN_UNICAST},
		{"10.13.0.0/16", "2001:db8:1::1", "b", 0, unix.RTN_UNICAST},
		{"10.10.0.0/16", "", "", 0, unix.RTN_BLACKHOLE},
		{"10.11.0.0/16", "", "", 0, unix.RTN_UNREACHABLE},
		{"10.12.0.0/16", "", "", 0, unix.RTN_PROHIBIT},
		{"::/0", "2001:db8::1", "a", 100, unix.RTN_UNICAST},
		{"2001:db8:9::/48", "2001:db8:1::1", "b", 7, unix.RTN_UNICAST},
		{"2001:db8:10::/48", "", "", 3, unix.RTN_BLACKHOLE},
		{"2001:db8:11::/48", "", "", 3, unix.RTN_UNREACHABLE},
		{"2001:db8:12::/48", "", "", 3, unix.RTN_PROHIBIT},
	} {
		_, prefix, err := net.ParseCIDR(r.prefix)
		if err != nil {
			t.Fatal(err)
		}
		route := &netlink.Route{Dst: prefix, Priority: r.metric, Type: r.kind}
		if r.via != "" {
			route.LinkIndex = link(t, r.via).Attrs().Index
		}
		switch gateway := net.ParseIP(r.gateway); {
		case gateway == nil:
		case prefix.IP.To4() != nil && gateway.To4() == nil:
			route.Via = &netlink.Via{AddrFamily: unix.AF_INET6, Addr: gateway}
		default:
			route.Gw = gateway
		}
		if err := netlink.RouteAdd(route); err != nil {
			t.Fatalf("%s: %v", r.prefix, err)
		}
	}
	for i, n := range []struct{ ip, on string }{{"10.0.0.1", "a"}, {"10.1.0.1", "b"}, {"10.9.1.5", "a"}, {"2001:db8::1", "a"}, {"2001:db8:1::1", "b"}} {
		neighbour := &netlink.Neigh{
			LinkIndex: link(t, n.on).Attrs().Index, IP: net.ParseIP(n.ip), State: netlink.NUD_PERMANENT,
			HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 1, byte(i)},
		}
		if err := netlink.NeighAdd(neighbour); err != nil {
			t.Fatal(err)
		}
	}
}

// describeNetwork reads back what the kernel has made of it, with the routes to
// the networks and addresses of interfaces.
func describeNetwork(t *testing.T) (n vm.Network) {
	t.Helper()
	links, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	sources := map[int][]netlink.Addr{}
	for _, l := range links {
		a := l.Attrs()
		i := vm.Interface{Index: uint32(a.Index), MTU: uint32(a.MTU), NoForward: len(a.Name) > 2}
		copy(i.Address[:], a.HardwareAddr)
		n.Interfaces = append(n.Interfaces, i)
		if sources[a.Index], err = netlink.AddrList(l, netlink.FAMILY_ALL); err != nil {
			t.Fatal(err)
		}
		neighbours, err := netlink.NeighList(a.Index, netlink.FAMILY_ALL)
		if err != nil {
			t.Fatal(err)
		}
		for _, known := range neighbours {
			if known.State&netlink.NUD_PERMANENT != 0 {
				n.Neighbours = append(n.Neighbours, vm.Neighbour{Interface: i.Index, IP: address(known.IP), Address: [6]byte(known.HardwareAddr)})
			}
		}
	}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		routes, err := netlink.RouteListFiltered(family, &netlink.Route{}, netlink.RT_FILTER_TABLE)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range routes {
			n.Routes = append(n.Routes, describeRoute(&r, family, sources))
		}
	}
	return n
}

func describeRoute(r *netlink.Route, family int, sources map[int][]netlink.Addr) vm.Route {
	out := vm.Route{Interface: uint32(r.LinkIndex), Metric: uint32(r.Priority), Gateway: address(r.Gw), Source: address(r.Src)}
	bits, _ := r.Dst.Mask.Size()
	out.Prefix = netip.PrefixFrom(address(r.Dst.IP), bits)
	if via, ok := r.Via.(*netlink.Via); ok {
		out.Gateway = address(via.Addr)
	}
	for _, a := range sources[r.LinkIndex] {
		if ip := address(a.IP); !out.Source.IsValid() && ip.Is4() == (family == netlink.FAMILY_V4) && !ip.IsLinkLocalUnicast() {
			out.Source = ip
		}
	}
	types := map[int]vm.RouteType{
		unix.RTN_UNICAST: vm.Unicast, unix.RTN_BLACKHOLE: vm.Blackhole,
		unix.RTN_UNREACHABLE: vm.Unreachable, unix.RTN_PROHIBIT: vm.Prohibit,
	}
	var known bool
	if out.Type, known = types[r.Type]; !known {
		out.Type = vm.Local // or broadcast, multicast, anycast
	}
	return out
}

func address(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

// networkProgram calls a helper with arguments from the packet: memory of the
// given length from byte 16 on, and four numbers behind it.
func networkProgram(typ abi.ProgType, length int, call string) string {
	load, store := "bpf_xdp_load_bytes", "bpf_xdp_store_bytes"
	if typ != abi.XDP {
		load, store = "bpf_skb_load_bytes", "bpf_skb_store_bytes"
	}
	return fmt.Sprintf(`
		r6 = r1
		r2 = 16
		r3 = r10
		r3 += -128
		r4 = %d
		call %s
		r7 = 0
		if r0 != 0 goto out
		r1 = r6
		%s
		r7 = r0
		r1 = r6
		r2 = 16
		r3 = r10
		r3 += -128
		r4 = %d
		r5 = 0
		call %s
	out:	r0 = r7
		exit`, length+16, load, call, length, store)
}

// A networkCall runs a program here and in the kernel.
type networkCall struct {
	name    string
	machine *vm.Machine
	kernel  *kernel.Program
}

func newNetworkCalls(t *testing.T, n vm.Network, length int, call string) (calls []networkCall) {
	t.Helper()
	for _, typ := range []abi.ProgType{abi.XDP, abi.SchedCLS} {
		text := networkProgram(typ, length, call)
		p, err := kernel.Load("network", typ, assemble(t, text))
		if err != nil {
			t.Fatalf("%+v", err)
		}
		t.Cleanup(func() { p.Close() })
		calls = append(calls, networkCall{typ.String(), machine(t, typ, text, vm.Options{Network: n}), p})
	}
	return calls
}

// compare runs over a packet that both see as come in by the loopback device.
func (c *networkCall) compare(t *testing.T, data []byte, what string) uint32 {
	t.Helper()
	ret, out, err := c.kernel.TestRun(data)
	if err != nil {
		t.Fatal(err)
	}
	p := engine.Packet{Data: data, WireLen: uint32(len(data))}
	p.Meta.HasDevice, p.Meta.IfIndex, p.Meta.HasLink, p.Meta.NetworkOffset = true, 1, true, 14
	res := runOn(t, c.machine, p)
	if res.Return != ret || res.Fault != nil || !bytes.Equal(res.Data, out) {
		t.Errorf("%s, %s: %d, %v, in the kernel %d\nbefore %x\nafter  %x\nkernel %x", c.name, what, int32(res.Return), res.Fault, int32(ret),
			data[16:], res.Data[16:], out[16:])
	}
	return ret
}

// fibParams makes a struct bpf_fib_lookup.
func (g *generator) fibParams(n vm.Network) []byte {
	p := make([]byte, 64)
	family, pool := byte(unix.AF_INET), []string{"8.8.8.8", "10.0.0.1", "10.0.0.2", "10.0.0.9", "10.0.0.255", "10.1.0.1", "10.9.0.1", "10.9.1.5", "10.9.1.6", "10.10.0.1", "10.11.0.1", "10.12.0.1", "10.13.0.1", "127.0.0.1"}
	if g.IntN(2) == 0 {
		family = unix.AF_INET6
		pool = []string{"2001:db8::1", "2001:db8::2", "2001:db8::9", "2001:db8:1::1", "2001:db8:9::1", "2001:db8:10::1", "2001:db8:11::1", "2001:db8:12::1", "2001:4860::1", "fe80::1", "ff02::1", "::1"}
	}
	p[0] = family
	if g.IntN(50) == 0 {
		p[0] = 7
	}
	binary.LittleEndian.PutUint16(p[6:], pick[uint16](g, 0, 0, 100, 1400, 1401, 1500, 1501, 9000))
	binary.LittleEndian.PutUint32(p[8:], pick(g, 99, n.Interfaces[g.IntN(len(n.Interfaces))].Index, n.Interfaces[g.IntN(len(n.Interfaces))].Index, link32("a"), link32("b")))
	dst := netip.MustParseAddr(pool[g.IntN(len(pool))])
	copy(p[32:], dst.AsSlice())
	if family == unix.AF_INET6 {
		copy(p[16:], netip.MustParseAddr(pick(g, "2001:db8::7", "2001:db8:1::7", "fe80::7")).AsSlice())
	} else {
		copy(p[16:], []byte{10, 0, 0, 7})
	}
	binary.LittleEndian.PutUint32(p[48:], pick[uint32](g, 254, 254, 1000)) // table
	return p
}

// link32 returns the index of a device, 0 if there is none.
func link32(name string) uint32 {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return 0
	}
	return uint32(l.Attrs().Index)
}

// networkPacket puts arguments into a frame.
func networkPacket(params []byte, numbers ...uint32) []byte {
	data := make([]byte, 16, 128)
	data[12], data[13] = 0x88, 0xb5
	data = append(data, params...)
	data = append(data, le32(numbers...)...)
	return append(data, make([]byte, 128-len(data))...)
}

// TestFibLookupAgainstKernel looks up routes of a namespace there and in a
// Network that says the same.
func TestFibLookupAgainstKernel(t *testing.T) {
	n := newNetwork(t)
	calls := newNetworkCalls(t, n, 64, "r2 = r10\nr2 += -128\nr3 = 64\nr4 = *(u32 *)(r10 - 64)\ncall bpf_fib_lookup")
	g := &generator{Rand: rand.New(rand.NewPCG(2026, 69))}
	seen := map[uint32]int{}
	for range 3000 {
		params, flags := g.fibParams(n), uint32(g.IntN(64))
		if g.IntN(4) == 0 {
			flags = pick[uint32](g, 0, 0, 4, 64, 1<<31)
		}
		for _, c := range calls {
			seen[c.compare(t, networkPacket(params, flags), fmt.Sprintf("flags %#x", flags))]++
		}
		if t.Failed() {
			t.Fatal(n.Routes)
		}
	}
	for _, ret := range []int32{0, 1, 2, 3, 4, 5, 7, 8, -19, -22, -97} {
		if seen[uint32(ret)] == 0 {
			t.Errorf("no lookup returned %d", ret)
		}
	}
}

// TestCheckMTUAgainstKernel asks whether packets fit the devices of a namespace.
func TestCheckMTUAgainstKernel(t *testing.T) {
	n := newNetwork(t)
	calls := newNetworkCalls(t, n, 4, "r2 = *(u32 *)(r10 - 124)\nr3 = r10\nr3 += -128\nr4 = *(s32 *)(r10 - 120)\nr5 = *(u32 *)(r10 - 116)\ncall bpf_check_mtu")
	g := &generator{Rand: rand.New(rand.NewPCG(2026, 163))}
	for range 1500 {
		device := pick(g, 0, 99, n.Interfaces[g.IntN(len(n.Interfaces))].Index, n.Interfaces[g.IntN(len(n.Interfaces))].Index)
		length, diff := pick(g, 0, 0, 100, 1399, 1400, 1401, 1500, 1501, 65536, 65537), pick(g, 0, 0, 1, -1, 1300, 1400, 1500, -2000, 70000)
		flags := pick[uint32](g, 0, 0, 0, 1, 2)
		what := fmt.Sprintf("device %d, length %d, more %d, flags %d", device, length, diff, flags)
		for _, c := range calls {
			c.compare(t, networkPacket(le32(uint32(length)), device, uint32(int32(diff)), flags), what)
		}
	}
}

// TestRedirectsAgainstKernel compares what the redirect helpers return, and
// with it the verdicts, for devices of a namespace and flags.
func TestRedirectsAgainstKernel(t *testing.T) {
	n := newNetwork(t)
	device := link32("a")
	for _, text := range []string{
		"r1 = %d\nr2 = %d\ncall bpf_redirect\nexit",
		"r1 = %d\nr2 = %d\ncall bpf_redirect_peer\nexit",
		"r1 = %d\nr2 = 0\nr3 = 0\nr4 = %d\ncall bpf_redirect_neigh\nexit",
		"r2 = %d\nr3 = %d\ncall bpf_clone_redirect\nexit",
	} {
		for _, flags := range []int{0, 1, 2, 3, 8, -1} {
			for _, typ := range []abi.ProgType{abi.XDP, abi.SchedCLS} {
				if typ == abi.XDP && text[len("r1 = %d\nr2 = %d\ncall "):] != "bpf_redirect\nexit" {
					continue
				}
				prog := fmt.Sprintf(text, device, flags)
				data := networkPacket(nil)
				want, _ := inKernel(t, typ, assemble(t, prog), data)
				if res := runPacket(t, typ, prog, packetOf(data), vm.Options{Network: n}); res.Return != want || res.Fault != nil {
					t.Errorf("%v: %d, %v, in the kernel %d\n%s", typ, int32(res.Return), res.Fault, int32(want), prog)
				}
			}
		}
	}
}
