package maps

import (
	"encoding/binary"
	"testing"
	"unsafe"
)

// TestHashSpreads puts keys of regular forms into as many buckets as there are
// keys: of random ones 63 % would meet a bucket of their own or share one with
// few, and the longest chain would be about 8.
func TestHashSpreads(t *testing.T) {
	const n = 1 << 14
	forms := map[string]func(i uint64) []byte{
		"16 bits":        func(i uint64) []byte { return binary.LittleEndian.AppendUint16(nil, uint16(i)) },
		"counter":        func(i uint64) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(i)) },
		"network order":  func(i uint64) []byte { return binary.BigEndian.AppendUint32(nil, uint32(i)) },
		"by 65536":       func(i uint64) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(i<<16|i>>16)) },
		"64 bits":        func(i uint64) []byte { return binary.LittleEndian.AppendUint64(nil, i) },
		"high 64 bits":   func(i uint64) []byte { return binary.LittleEndian.AppendUint64(nil, i<<50) },
		"pages":          func(i uint64) []byte { return binary.LittleEndian.AppendUint64(nil, i<<12) },
		"flows":          func(i uint64) []byte { return []byte{10, 0, byte(i >> 8), byte(i), 10, 0, 0, 1, byte(i), 80, 0, 80, 6} },
		"16 bytes, last": func(i uint64) []byte { return binary.BigEndian.AppendUint64(make([]byte, 8), i) },
	}
	for name, form := range forms {
		var chains [n]int
		longest, used := 0, 0
		for i := range uint64(n) {
			key := form(i)
			b := hashKey(unsafe.Pointer(&key[0]), uint32(len(key)), 0) % n
			if chains[b]++; chains[b] == 1 {
				used++
			}
			longest = max(longest, chains[b])
		}
		if longest > 12 || used < n*60/100 {
			t.Errorf("%s: longest chain %d, %d of %d buckets used", name, longest, used, n)
		}
	}
}
