package filter

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/bpflab/bpflab/testdata/require"
)

var etc = fstest.MapFS{
	"hosts": {Data: []byte("# comment\n127.0.0.1\tlocalhost\n10.0.0.1 Frontdoor gw # two names\n2001:db8::1 gw\n10.0.0.2 gw\n" +
		"10.0.0.1 gw\nnot-an-address bad\n10.0.0.9\n::ffff:10.0.0.3 mapped\n")},
	"networks":  {Data: []byte("loopback 127.0.0.0\nlab 10.1 campus\nshort 10\nodd 10.x\ndefault 0.0.0.0\n")},
	"services":  {Data: []byte("http 8000/tcp\nweb 81/tcp www2\nweb 81/udp\nsplit 1/tcp\nsplit 2/udp\nonly 9/sctp\nhuge 65536/tcp\nnone 5\nweb 99/tcp\n")},
	"protocols": {Data: []byte("tcp 6 TCP\nlab 253 LAB\nbig 256\n")},
	"ethers":    {Data: []byte("0:1:2:3:4:5 printer\n00-11-22-33-44-55 router\nbad host\n")},
}

func TestFileNames(t *testing.T) {
	names := FileNames(etc, "/etc")
	for _, c := range []struct{ expr, want string }{
		{"host gw", "(src or dst host 10.0.0.1 or src or dst host 10.0.0.2 or src or dst host 2001:db8::1)"},
		{"host FRONTDOOR", "src or dst host 10.0.0.1"},
		{"ip6 host gw", "ip6 src or dst host 2001:db8::1"},
		{"host mapped", "src or dst host 10.0.0.3"},
		{"host bad", `unknown host "bad" (searched /etc/hosts, the built-in table)`},
		{"ip6 host frontdoor", `host "frontdoor" has no address that suits "ip6"`},
		{"arp host gw", `"arp" is not a valid qualifier for an IPv6 address`},
		// Networks have no mask in the file, and libpcap makes none up for them.
		{"net lab", "src or dst host 10.1.0.0"},
		{"net campus", "src or dst host 10.1.0.0"},
		{"net short", "src or dst host 10.0.0.0"},
		{"net default", "network \"default\" is 0.0.0.0"},
		{"net odd", `unknown network "odd" (searched /etc/networks)`},
		{"port http", "tcp src or dst port 8000"},
		{"port https", "src or dst port 443"},
		{"port web", "src or dst port 81"},
		{"udp port www2", `port "www2" is tcp`},
		{"port split", "tcp src or dst port 1"},
		{"portrange split-web", "src or dst portrange 1-81"},
		{"udp portrange split-81", "udp src or dst portrange 1-81"},
		{"port only", `service "only" is neither tcp nor udp`},
		{"port huge", "unknown service"},
		{"ip proto lab", "ip proto 253"},
		{"ip proto LAB", "ip proto 253"},
		{"ip proto big", "unknown protocol"},
		{"ip proto ospf", "ip proto 89"},
		{"ether host printer", "ether src or dst host 00:01:02:03:04:05"},
		{"ether dst router", "ether dst host 00:11:22:33:44:55"},
		{"ether host bad", "unknown Ethernet host"},
	} {
		got, err := Expand(c.expr, names)
		if err != nil {
			got = err.Error()
		}
		if got != c.want && (err == nil || !strings.Contains(got, c.want)) {
			t.Errorf("%q: %s, want %s", c.expr, got, c.want)
		}
	}
}

// countFS counts the files that are read.
type countFS struct {
	fs.FS
	read []string
}

func (c *countFS) ReadFile(name string) ([]byte, error) {
	c.read = append(c.read, name)
	return fs.ReadFile(c.FS, name)
}

func TestFilesAreReadWhenNeededAndOnce(t *testing.T) {
	files := &countFS{FS: etc}
	names := FileNames(files, "/etc")
	for _, expr := range []string{"tcp port 80", "port web", "port web or http", "host 10.0.0.1", "host gw"} {
		if _, err := Expand(expr, names); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"services", "hosts"}, files.read); diff != "" {
		t.Error(diff)
	}
}

// A resolver's answer may be shared with other compilations that run at once.
func TestResolverAnswersStayAsTheyAre(t *testing.T) {
	names := FileNames(etc, "/etc")
	want := netip.MustParseAddr("::ffff:10.0.0.3")
	if _, err := Expand("host mapped", names); err != nil {
		t.Fatal(err)
	}
	if got, err := names.Host("mapped"); err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("the resolver now says %v, %v; want %v", got, err, want)
	}
}

func TestMissingFilesAreSaidToBeMissing(t *testing.T) {
	_, err := Expand("ether host printer", FileNames(fstest.MapFS{}, "/etc"))
	if want := "/etc/ethers, which does not exist"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v does not say %q", err, want)
	}
}

func TestNearNames(t *testing.T) {
	for name, want := range map[string][]string{"htpt": {"http"}, "smpt": {"smtp"}, "domian": {"domain"}, "zzzzzz": nil} {
		_, err := BuiltinNames().Service(name)
		var u *UnknownNameError
		if !errors.As(err, &u) {
			t.Fatalf("%s: %v", name, err)
		}
		if len(u.Near) > 3 || len(want) > 0 && (len(u.Near) == 0 || u.Near[0] != want[0]) || want == nil && u.Near != nil && len(u.Near) > 0 {
			t.Errorf("%s: near names %q, want %q first", name, u.Near, want)
		}
	}
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"ab", "ba", 1}, {"kitten", "sitting", 3}, {strings.Repeat("x", 50), "x", 100}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

// dnsServer answers for "known.test" and nothing else, on a local port.
func dnsServer(t *testing.T) *net.Resolver {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		require.Skip(t, "needs a local UDP port: %v", err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			m = dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RCode: dnsmessage.RCodeNameError}, Questions: m.Questions}
			head := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 1}
			if q.Name.String() == "known.test." {
				m.RCode = dnsmessage.RCodeSuccess
				switch q.Type {
				case dnsmessage.TypeA:
					m.Answers = []dnsmessage.Resource{{Header: head, Body: &dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}}}}
				case dnsmessage.TypeAAAA:
					m.Answers = []dnsmessage.Resource{{Header: head, Body: &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr("2001:db8::2").As16()}}}
				}
			}
			if out, err := m.Pack(); err == nil {
				conn.WriteTo(out, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func TestDNSNames(t *testing.T) {
	names := DNSNames(t.Context(), dnsServer(t), FileNames(etc, "/etc"))
	for _, c := range []struct{ expr, want string }{
		{"host known.test.", "(src or dst host 192.0.2.1 or src or dst host 2001:db8::2)"},
		{"ip host known.test.", "ip src or dst host 192.0.2.1"},
		{"ip host frontdoor", "ip src or dst host 10.0.0.1"},
		{"host unknown.test.", "column 6: unknown host \"unknown.test.\" (searched /etc/hosts, the built-in table, DNS)"},
		{"port web", "src or dst port 81"},
	} {
		got, err := Expand(c.expr, names)
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%q: %s, want %s", c.expr, got, c.want)
		}
	}
	// A question that cannot be asked is no answer.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := DNSNames(ctx, nil, BuiltinNames()).Host("known.test.")
	if u := (*UnknownNameError)(nil); err == nil || errors.As(err, &u) {
		t.Errorf("with a cancelled context: %v", err)
	}
}

// TestBuiltinNames checks that every line of the built-in tables is understood.
func TestBuiltinNames(t *testing.T) {
	services, protocols := parseServices(builtinServices), parseProtocols(builtinProtocols)
	for line := range strings.Lines(builtinServices + builtinProtocols) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		for _, name := range append(words[2:], words[0]) {
			_, service := services[name]
			if _, protocol := protocols[name]; !service && !protocol {
				t.Errorf("%q is not understood", line)
			}
		}
	}
	if len(services) < 250 {
		t.Errorf("only %d services", len(services))
	}
}
