package filter

import (
	"encoding/hex"
	"errors"
	"io/fs"
	"iter"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// SystemNames resolves by the system's files (hosts, networks, services,
// protocols and ethers in /etc or its like, as far as they exist), then by the
// built-in tables. It does not ask DNS. A file is read when a name of its kind
// is first looked up, and not again.
func SystemNames() Resolver { return system() }

var system = sync.OnceValue(func() Resolver {
	dir := "/etc"
	if runtime.GOOS == "windows" {
		dir = filepath.Join(os.Getenv("SystemRoot"), "System32", "drivers", "etc")
	}
	return FileNames(os.DirFS(dir), dir)
})

// FileNames is SystemNames with the files in etc, which errors call dir.
func FileNames(etc fs.FS, dir string) Resolver {
	b := builtin()
	protocols := "protocols"
	if runtime.GOOS == "windows" {
		protocols = "protocol"
	}
	return &tables{
		hosts:     append([]table[[]netip.Addr]{fileTable(etc, dir, "hosts", parseHosts)}, b.hosts...),
		networks:  []table[uint32]{fileTable(etc, dir, "networks", parseNetworks)},
		services:  append([]table[[]Service]{fileTable(etc, dir, "services", parseServices)}, b.services...),
		protocols: append([]table[uint8]{fileTable(etc, dir, protocols, parseProtocols)}, b.protocols...),
		ethers:    []table[[6]byte]{fileTable(etc, dir, "ethers", parseEthers)},
	}
}

// fileTable is the table in a file. A file that does not exist, or that may not
// be read, is an empty table, as it is to the C library.
func fileTable[T any](etc fs.FS, dir, file string, parse func(string) map[string]T) table[T] {
	where := path.Join(filepath.ToSlash(dir), file)
	if _, err := fs.Stat(etc, file); errors.Is(err, fs.ErrNotExist) {
		where += ", which does not exist"
	}
	return table[T]{where, sync.OnceValue(func() map[string]T {
		text, err := fs.ReadFile(etc, file)
		if err != nil {
			return nil
		}
		return parse(string(text))
	})}
}

// The files have one entry a line, in words, and comments from "#". Lines that
// are not well-formed are skipped, as by the C library.

// entries yields the words of each line with at least two.
func entries(text string) iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		for line := range strings.Lines(text) {
			line, _, _ = strings.Cut(line, "#")
			if words := strings.Fields(line); len(words) >= 2 && !yield(words) {
				return
			}
		}
	}
}

// parseHosts reads "address name alias…".
func parseHosts(text string) map[string][]netip.Addr {
	m := map[string][]netip.Addr{}
	for words := range entries(text) {
		addr, err := netip.ParseAddr(words[0])
		if err != nil {
			continue
		}
		for _, name := range words[1:] {
			name = strings.ToLower(name)
			if !slices.Contains(m[name], addr) {
				m[name] = append(m[name], addr)
			}
		}
	}
	return m
}

// parseNetworks reads "name number alias…", the number as one to four bytes
// with dots between.
func parseNetworks(text string) map[string]uint32 {
	m := map[string]uint32{}
	for words := range entries(text) {
		n, bits, err := parseIPv4(words[1])
		if err != nil {
			continue
		}
		for _, name := range slices.Concat(words[:1], words[2:]) {
			if _, ok := m[name]; !ok {
				m[name] = n << (32 - bits)
			}
		}
	}
	return m
}

// parseServices reads "name port/protocol alias…". The built-in table has
// several protocols after the slash, with commas between.
func parseServices(text string) map[string][]Service {
	numbers := map[string]uint8{"tcp": protoTCP, "udp": protoUDP, "sctp": protoSCTP}
	m := map[string][]Service{}
	for words := range entries(text) {
		number, protos, ok := strings.Cut(words[1], "/")
		port, err := strconv.ParseUint(number, 10, 16)
		if !ok || err != nil {
			continue
		}
		for proto := range strings.SplitSeq(protos, ",") {
			p, ok := numbers[proto]
			if !ok {
				continue
			}
			for _, name := range slices.Concat(words[:1], words[2:]) {
				// The first entry of a protocol is the one that counts.
				if !slices.ContainsFunc(m[name], func(s Service) bool { return s.Proto == p }) {
					m[name] = append(m[name], Service{uint16(port), p})
				}
			}
		}
	}
	return m
}

// parseProtocols reads "name number alias…".
func parseProtocols(text string) map[string]uint8 {
	m := map[string]uint8{}
	for words := range entries(text) {
		n, err := strconv.ParseUint(words[1], 10, 8)
		if err != nil {
			continue
		}
		for _, name := range slices.Concat(words[:1], words[2:]) {
			if _, ok := m[name]; !ok {
				m[name] = uint8(n)
			}
		}
	}
	return m
}

// parseEthers reads "MAC-address name".
func parseEthers(text string) map[string][6]byte {
	m := map[string][6]byte{}
	for words := range entries(text) {
		if n := matchMAC(words[0]); n == 0 || n < len(words[0]) {
			continue
		}
		if _, ok := m[words[1]]; !ok {
			m[words[1]] = parseMAC(words[0])
		}
	}
	return m
}

// parseMAC returns the bytes of a MAC address in one of its five spellings,
// which matchMAC has found well-formed.
func parseMAC(s string) (addr [6]byte) {
	groups := strings.FieldsFunc(s, func(r rune) bool { return r == ':' || r == '-' || r == '.' })
	var digits strings.Builder
	for _, g := range groups {
		if len(g) == 1 {
			digits.WriteByte('0')
		}
		digits.WriteString(g)
	}
	if _, err := hex.Decode(addr[:], []byte(digits.String())); err != nil {
		panic("filter: MAC address " + s + ": " + err.Error())
	}
	return addr
}

// parseIPv4 returns the number that one to four decimal bytes make, and how
// many bits they are: 10.1 is 0x0a01 of 16 bits. A leading 0 is not octal.
func parseIPv4(s string) (n uint32, bits int, err error) {
	for part := range strings.SplitSeq(s, ".") {
		part = "0" + strings.TrimLeft(part, "0")
		b, err := strconv.ParseUint(part, 10, 8)
		if err != nil || bits == 32 {
			return 0, 0, errors.New("not an IPv4 address")
		}
		n = n<<8 | uint32(b)
		bits += 8
	}
	return n, bits, nil
}
