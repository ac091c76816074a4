package maps

import (
	"encoding/binary"
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/bpflab/bpflab/ebpf/abi"
)

// A trie finds the longest prefix that matches. Its keys are a 32-bit length in
// bits, in the byte order of the machine, and the data, most significant bit
// first: the prefix is that many bits of the data. A lookup key has the length
// of its data, usually.
//
// It is a binary trie in which nodes with one child are left out, as in the
// kernel (lpm_trie.c), and it gives the same order of iteration. A node is
//
//	 0  left child, 0 for none
//	 4  right child
//	 8  length of the prefix in bits
//	12  1 if the node is an element, 0 if it only joins two
//	16  data, filled up to a multiple of 8
//	 …  value
//
// An update of an existing prefix puts a new node in place of the old one, and
// gives that back to the pool. Updates take a lock and make a counter odd while
// they change something; a lookup that saw the counter change starts again.
type trie struct {
	pool           // of nodes
	offset  uint32 // of the value in a node
	dataLen uint32
	root    uint32 // address of the word that holds the root
	seq     atomic.Uint32
	mu      sync.Mutex
	count   uint32
}

const (
	nodeChild = 0
	nodeBits  = 8
	nodeLive  = 12
	nodeData  = 16
)

func newTrie(m *Map) (kind, error) {
	t := &trie{pool: pool{Map: m, link: nodeChild}, dataLen: m.spec.KeySize - 4}
	t.offset = nodeData + uint32(round8(uint64(t.dataLen)))
	t.stride = t.offset + uint32(round8(uint64(m.spec.ValueSize)))
	limit := uint64(m.spec.MaxEntries)*2 + spareSlots // at most one joint fewer than elements
	var err error
	if t.root, err = m.set.mem.Alloc(4); err != nil {
		return nil, err
	}
	return t, t.reserve(limit)
}

func (t *trie) layout() layout {
	return layout{
		elements: t.start, stride: t.stride, offset: t.offset, count: 2*t.spec.MaxEntries + spareSlots,
		buckets: t.root,
	}
}

func (t *trie) bits(node uint32) uint32 { return t.load(node + nodeBits) }

func (t *trie) live(node uint32) bool { return t.load(node+nodeLive) != 0 }

func (t *trie) data(node uint32) []byte { return t.bytes(node+nodeData, t.dataLen) }

// bitAt returns a bit of the data, counted from the most significant one.
func bitAt(data []byte, i uint32) uint32 {
	return uint32(data[i/8]>>(7-i%8)) & 1
}

func child(node, side uint32) uint32 { return node + nodeChild + 4*side }

// match returns how many bits of the node's prefix the key agrees with, as far
// as both go.
func (t *trie) match(node uint32, key []byte) uint32 {
	limit := min(t.bits(node), get32(key))
	return min(commonBits(t.data(node), key[4:]), limit)
}

func commonBits(a, b []byte) uint32 {
	n := uint32(0)
	for len(a) >= 8 {
		if x := binary.BigEndian.Uint64(a) ^ binary.BigEndian.Uint64(b); x != 0 {
			return n + uint32(bits.LeadingZeros64(x))
		}
		a, b, n = a[8:], b[8:], n+64
	}
	if len(a) >= 4 {
		if x := binary.BigEndian.Uint32(a) ^ binary.BigEndian.Uint32(b); x != 0 {
			return n + uint32(bits.LeadingZeros32(x))
		}
		a, b, n = a[4:], b[4:], n+32
	}
	for i := range a {
		if x := a[i] ^ b[i]; x != 0 {
			return n + uint32(bits.LeadingZeros8(x))
		}
		n += 8
	}
	return n
}

// find returns the element with the longest prefix of the key.
func (t *trie) find(key []byte) uint32 {
	if get32(key) > 8*t.dataLen {
		return 0
	}
	for {
		seq := t.seq.Load()
		if seq&1 == 0 {
			found := t.longest(key)
			if t.seq.Load() == seq {
				return found
			}
		}
		runtime.Gosched()
	}
}

func (t *trie) longest(key []byte) uint32 {
	base := t.set.mem.Base()
	limit, data := get32(key), key[4:]
	found := uint32(0)
	depth := -1 // a node that is being changed must not lead round in a circle
	for node := t.load(t.root); node != 0; {
		p := unsafe.Add(base, uintptr(node))
		n := atomic.LoadUint32((*uint32)(unsafe.Add(p, nodeBits)))
		prefix := unsafe.Slice((*byte)(unsafe.Add(p, nodeData)), len(data))
		if n > limit || int(n) <= depth || commonBits(prefix, data) < n {
			break
		}
		if atomic.LoadUint32((*uint32)(unsafe.Add(p, nodeLive))) != 0 {
			found = node + t.offset
		}
		if n == 8*t.dataLen {
			break
		}
		depth = int(n)
		node = atomic.LoadUint32((*uint32)(unsafe.Add(p, nodeChild+4*bitAt(data, n))))
	}
	return found
}

func (t *trie) read(key, value []byte) Errno {
	addr := t.find(key)
	if addr == 0 {
		return ENOENT
	}
	t.get(addr, value)
	return 0
}

// descend goes down to where a prefix is or would be: the word that leads to
// the node, and the node, 0 if there is none; its parent, and the word that
// leads to that, both 0 at the root.
func (t *trie) descend(key []byte) (link, node, parentLink, parent uint32) {
	for link = t.root; ; {
		if node = t.load(link); node == 0 {
			return
		}
		n := t.bits(node)
		if t.match(node, key) != n || n == get32(key) {
			return
		}
		parentLink, parent = link, node
		link = child(node, bitAt(key[4:], n))
	}
}

func (t *trie) write(key, value []byte, flags uint64, _ int) Errno {
	if flags > abi.UpdateExist || get32(key) > 8*t.dataLen {
		return EINVAL
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	link, old, _, _ := t.descend(key)
	matched := uint32(0)
	if old != 0 {
		matched = t.match(old, key)
	}
	same := old != 0 && t.bits(old) == matched // then it has the key's length
	switch {
	case same && t.live(old):
		if flags == abi.UpdateNoExist {
			return EEXIST
		}
	case flags == abi.UpdateExist:
		return ENOENT
	case t.count == t.spec.MaxEntries:
		return ENOSPC
	default:
		t.count++
	}
	t.change(func() {
		node := t.fill(key, value)
		switch {
		case old == 0:
			t.store(link, node)
		case same:
			t.store(child(node, 0), t.load(child(old, 0)))
			t.store(child(node, 1), t.load(child(old, 1)))
			t.store(link, node)
			t.free(old)
		case matched == get32(key):
			t.store(child(node, bitAt(t.data(old), matched)), old)
			t.store(link, node)
		default:
			t.join(link, old, node, key, matched)
		}
	})
	return 0
}

// join puts a node with a common prefix above two.
func (t *trie) join(link, old, node uint32, key []byte, matched uint32) {
	joint := t.allocate()
	t.store(joint+nodeBits, matched)
	t.store(joint+nodeLive, 0)
	copy(t.data(joint), t.data(old))
	side := bitAt(key[4:], matched)
	t.store(child(joint, side), node)
	t.store(child(joint, side^1), old)
	t.store(link, joint)
}

func (t *trie) remove(key []byte) Errno {
	if get32(key) > 8*t.dataLen {
		return EINVAL
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	link, node, parentLink, parent := t.descend(key)
	if node == 0 || t.bits(node) != get32(key) || t.match(node, key) != get32(key) || !t.live(node) {
		return ENOENT
	}
	t.count--
	left, right := t.load(child(node, 0)), t.load(child(node, 1))
	t.change(func() {
		switch {
		case left != 0 && right != 0:
			t.store(node+nodeLive, 0)
		case left == 0 && right == 0 && parent != 0 && !t.live(parent):
			other := t.load(child(parent, 0))
			if other == node {
				other = t.load(child(parent, 1))
			}
			t.store(parentLink, other)
			t.free(parent)
			t.free(node)
		default:
			t.store(link, left|right)
			t.free(node)
		}
	})
	return 0
}

// change calls f, which changes the trie, while lookups wait.
func (t *trie) change(f func()) {
	t.seq.Add(1)
	f()
	t.seq.Add(1)
}

// fill makes a node of a new element.
func (t *trie) fill(key, value []byte) uint32 {
	node := t.allocate()
	t.store(child(node, 0), 0)
	t.store(child(node, 1), 0)
	t.store(node+nodeBits, get32(key))
	t.store(node+nodeLive, 1)
	copy(t.data(node), key[4:])
	t.put(node+t.offset, value, userSpace)
	return node
}

func (t *trie) take([]byte, []byte) Errno { return ENOTSUPP }

// next goes through the trie in postorder: longer prefixes come before the
// shorter ones that contain them.
func (t *trie) next(key, next []byte) Errno {
	t.mu.Lock()
	defer t.mu.Unlock()
	root := t.load(t.root)
	if root == 0 {
		return ENOENT
	}
	node := uint32(0)
	if key != nil && get32(key) <= 8*t.dataLen {
		path := t.path(key)
		if len(path) == 0 {
			node = t.first(root)
		} else if node = t.after(path); node == 0 {
			return ENOENT
		}
	} else {
		node = t.first(root)
	}
	put32(next, t.bits(node))
	copy(next[4:], t.data(node))
	return 0
}

// path returns the nodes from the root to the element with that key, none if
// it is not there.
func (t *trie) path(key []byte) []uint32 {
	var path []uint32
	for node := t.load(t.root); node != 0; {
		path = append(path, node)
		n := t.bits(node)
		if t.match(node, key) != n {
			return nil
		}
		if n == get32(key) {
			if t.live(node) {
				return path
			}
			return nil
		}
		node = t.load(child(node, bitAt(key[4:], n)))
	}
	return nil
}

// after returns the element that follows the last one of the path, 0 for none.
func (t *trie) after(path []uint32) uint32 {
	for i := len(path) - 1; i > 0; i-- {
		node, parent := path[i], path[i-1]
		if right := t.load(child(parent, 1)); right != node && right != 0 {
			return t.first(right)
		}
		if t.live(parent) {
			return parent
		}
	}
	return 0
}

// first returns the first element below a node.
func (t *trie) first(node uint32) uint32 {
	for {
		below := t.load(child(node, 0))
		if below == 0 {
			below = t.load(child(node, 1))
		}
		if below == 0 {
			return node
		}
		node = below
	}
}

// each visits the elements in the order of next. Programs have no such helper
// for this kind.
func (t *trie) each(uint32, func([]byte, uint32) bool) int { return 0 }
