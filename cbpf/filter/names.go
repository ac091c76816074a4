package filter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
)

// A Resolver looks up the names in an expression. A method that does not know
// a name returns an *[UnknownNameError].
type Resolver interface {
	// Host returns the addresses of a host, in any order.
	Host(name string) ([]netip.Addr, error)
	// Network returns the number of an IPv4 network, padded with zero bytes at
	// its end: 127.0.0.0 is 0x7f000000.
	Network(name string) (uint32, error)
	// Service returns the ports of a service.
	Service(name string) ([]Service, error)
	// Protocol returns the number of a protocol over IP.
	Protocol(name string) (uint8, error)
	// EtherHost returns the MAC address of a host.
	EtherHost(name string) ([6]byte, error)
}

// A Service is a port of a transport protocol, such as 53 of UDP (17).
type Service struct {
	Port  uint16
	Proto uint8
}

// An UnknownNameError says that no table has a name.
type UnknownNameError struct {
	Kind     string   // "host", "network", "service", "protocol" or "Ethernet host"
	Name     string   // the name looked up
	Searched []string // the tables, such as "/etc/services"
	Near     []string // names in them that look like it, the nearest first
}

// Error returns one line without Near.
func (e *UnknownNameError) Error() string {
	return fmt.Sprintf("unknown %s %q (searched %s)", e.Kind, excerptOf(e.Name), strings.Join(e.Searched, ", "))
}

// A table maps the names of one kind from one place. It is read when it is
// first needed.
type table[T any] struct {
	where string
	load  func() map[string]T
}

// tables is the Resolver of one or more places, earlier ones going first.
type tables struct {
	hosts     []table[[]netip.Addr]
	networks  []table[uint32]
	services  []table[[]Service]
	protocols []table[uint8]
	ethers    []table[[6]byte]
}

func (t *tables) Host(name string) ([]netip.Addr, error) {
	return lookup(t.hosts, "host", strings.ToLower(name))
}
func (t *tables) Network(name string) (uint32, error) {
	return lookup(t.networks, "network", name)
}
func (t *tables) Service(name string) ([]Service, error) {
	return lookup(t.services, "service", name)
}
func (t *tables) Protocol(name string) (uint8, error) {
	return lookup(t.protocols, "protocol", name)
}
func (t *tables) EtherHost(name string) ([6]byte, error) {
	return lookup(t.ethers, "Ethernet host", name)
}

// lookup returns what the first table that has the name says.
func lookup[T any](in []table[T], kind, name string) (T, error) {
	e := &UnknownNameError{Kind: kind, Name: name}
	near := map[string]int{}
	for _, t := range in {
		entries := t.load()
		if v, ok := entries[name]; ok {
			return v, nil
		}
		e.Searched = append(e.Searched, t.where)
		for other := range entries {
			if d := distance(name, other); d <= 1+min(len(name), len(other))/5 {
				near[other] = d
			}
		}
	}
	e.Near = slices.SortedFunc(maps.Keys(near), func(a, b string) int {
		return cmp.Or(cmp.Compare(near[a], near[b]), strings.Compare(a, b))
	})
	e.Near = e.Near[:min(3, len(e.Near))]
	var none T
	return none, e
}

// distance returns how many letters must be added, dropped or changed to make
// b of a, counting two neighbours that changed places as one. Names that
// cannot be near are not measured.
func distance(a, b string) int {
	const far = 100
	if max(len(a), len(b)) > 40 || len(a)-len(b) > 3 || len(b)-len(a) > 3 {
		return far
	}
	var rows [42][42]int
	for i := range len(a) + 1 {
		rows[i][0] = i
	}
	for j := range len(b) + 1 {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}

// BuiltinNames resolves the well-known services and protocols that are
// compiled in, and "localhost"; it is the same on every machine.
func BuiltinNames() Resolver { return builtin() }

var builtin = sync.OnceValue(func() *tables {
	const where = "the built-in table"
	return &tables{
		hosts: []table[[]netip.Addr]{{where, func() map[string][]netip.Addr {
			return map[string][]netip.Addr{"localhost": {netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}}
		}}},
		networks:  []table[uint32]{{where, func() map[string]uint32 { return nil }}},
		services:  []table[[]Service]{{where, sync.OnceValue(func() map[string][]Service { return parseServices(builtinServices) })}},
		protocols: []table[uint8]{{where, sync.OnceValue(func() map[string]uint8 { return parseProtocols(builtinProtocols) })}},
		ethers:    []table[[6]byte]{{where, func() map[string][6]byte { return nil }}},
	}
})

// DNSNames resolves as next does, and asks r (net.DefaultResolver if it is
// nil) for the hosts that next does not know. ctx bounds every question.
func DNSNames(ctx context.Context, r *net.Resolver, next Resolver) Resolver {
	if r == nil {
		r = net.DefaultResolver
	}
	return &dnsNames{next, ctx, r}
}

type dnsNames struct {
	Resolver
	ctx context.Context
	dns *net.Resolver
}

func (d *dnsNames) Host(name string) ([]netip.Addr, error) {
	addrs, err := d.Resolver.Host(name)
	unknown, ok := errors.AsType[*UnknownNameError](err)
	if !ok {
		return addrs, err
	}
	addrs, err = d.dns.LookupNetIP(d.ctx, "ip", name)
	if notFound, ok := errors.AsType[*net.DNSError](err); ok && notFound.IsNotFound {
		unknown.Searched = append(unknown.Searched, "DNS")
		return nil, unknown
	}
	return addrs, err
}
