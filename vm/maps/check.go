package maps

import "github.com/bpflab/bpflab/ebpf/abi"

// Limits of the kernel on machines with pages of 4 KiB.
const (
	kmallocMax  = 1 << 22 // KMALLOC_MAX_SIZE
	percpuMax   = 1 << 15 // PCPU_MIN_UNIT_SIZE
	elementHead = 48      // struct htab_elem
	nodeHead    = 40      // struct lpm_trie_node
	maxBuckets  = (1<<32 - 1) / 16
	maxCPUMap   = 8192 // NR_CPUS, as large as it gets
	pageSize    = 4096
)

// Check says whether the kernel would make such a map, by the rules of
// map_create in kernel/bpf/syscall.c and of the kind, for a machine with that
// many CPUs. The error is the kernel's number; a kind that does not exist here
// is EINVAL, as one that does not exist there. It does not look at the
// contents.
func Check(s *abi.MapSpec, cpus int) error { return check(s, cpus).err() }

func check(s *abi.MapSpec, cpus int) Errno {
	info := s.Kind.Info()
	switch {
	case info == nil,
		s.Extra != 0 && s.Kind != abi.BloomFilter,
		both(s.Flags, abi.MapReadOnly|abi.MapWriteOnly),
		both(s.Flags, abi.MapReadOnlyProg|abi.MapWriteOnlyProg):
		return EINVAL
	}
	if s.Kind == abi.BloomFilter && s.ValueSize > kmallocMax {
		return E2BIG // the only limit that comes before all other rules
	}
	if e := checkFlags(s, info); e != 0 {
		return e
	}
	if s.MaxEntries == 0 || !info.Key.Allows(s.KeySize) || !info.Value.Allows(s.ValueSize) {
		return EINVAL
	}
	if e := checkLock(s); e != 0 {
		return e
	}
	if e := checkLimits(s, info, cpus); e != 0 {
		return e
	}
	return checkInner(s)
}

func both(flags, mask uint32) bool { return flags&mask == mask }

func checkFlags(s *abi.MapSpec, info *abi.MapInfo) Errno {
	extra := s.Flags &^ info.Flags
	switch {
	case isLRU(s.Kind) && extra == abi.MapNoPrealloc:
		return ENOTSUPP
	case extra != 0, s.Flags&info.Needs != info.Needs,
		isLRU(s.Kind) && both(s.Flags, abi.MapNoCommonLRU|abi.MapNUMANode):
		return EINVAL
	}
	return 0
}

// checkLock is map_check_btf's share: which kinds may have a spin lock in the
// value.
func checkLock(s *abi.MapSpec) Errno {
	switch {
	case s.SpinLock == nil:
		return 0
	case *s.SpinLock%4 != 0 || uint64(*s.SpinLock)+4 > uint64(s.ValueSize):
		return EINVAL
	case s.Kind != abi.HashMap && s.Kind != abi.ArrayMap:
		return EOPNOTSUPP
	}
	return 0
}

func isLRU(k abi.MapKind) bool { return k == abi.LRUHash || k == abi.LRUPerCPUHash }

// checkLimits is about the memory that the kernel has for one map.
func checkLimits(s *abi.MapSpec, info *abi.MapInfo, cpus int) Errno {
	if info.PerCPU && round8(uint64(s.ValueSize)) > percpuMax {
		return E2BIG
	}
	size := uint64(s.ValueSize)
	switch s.Kind {
	case abi.ArrayMap, abi.PerCPUArray:
		if size > 1<<31-1 {
			return E2BIG
		}
	case abi.HashMap, abi.PerCPUHash, abi.LRUHash, abi.LRUPerCPUHash, abi.HashOfMaps:
		if uint64(s.KeySize)+size >= kmallocMax-elementHead || pow2(entries(s, cpus)) > maxBuckets {
			return E2BIG
		}
	case abi.LPMTrie:
		if size > kmallocMax-256-nodeHead {
			return EINVAL
		}
	case abi.Queue, abi.Stack:
		if size > kmallocMax {
			return E2BIG
		}
	case abi.BloomFilter:
		if s.Extra&^0xf != 0 {
			return EINVAL
		}
	case abi.RingBuf:
		if s.MaxEntries%pageSize != 0 || s.MaxEntries&(s.MaxEntries-1) != 0 {
			return EINVAL
		}
	case abi.DevMapHash:
		if s.MaxEntries > 1<<31 {
			return EINVAL
		}
	case abi.CPUMap:
		if s.MaxEntries > maxCPUMap {
			return E2BIG
		}
	}
	return 0
}

// entries is how many elements the map holds in the end: a list of the least
// recently used for each CPU makes the kernel round it up.
func entries(s *abi.MapSpec, cpus int) uint32 {
	if !isLRU(s.Kind) || s.Flags&abi.MapNoCommonLRU == 0 {
		return s.MaxEntries
	}
	n := uint32(cpus)
	if up := (uint64(s.MaxEntries) + uint64(n) - 1) / uint64(n) * uint64(n); up < 1<<32 {
		return uint32(up)
	}
	return s.MaxEntries / n * n
}

// checkInner is bpf_map_meta_alloc: a map of maps holds no maps of maps, and
// none of the kinds that the kernel cannot compare.
func checkInner(s *abi.MapSpec) Errno {
	switch {
	case s.Kind != abi.ArrayOfMaps && s.Kind != abi.HashOfMaps:
		return 0
	case s.Inner == nil:
		return EBADF
	case s.Inner.Kind == abi.ArrayOfMaps, s.Inner.Kind == abi.HashOfMaps:
		return EINVAL
	case s.Inner.Kind == abi.ProgArray:
		return ENOTSUPP
	}
	return 0
}

// sameShape is map_meta_equal: whether a map may stand where the verifier
// expects one like the template.
func sameShape(template, s *abi.MapSpec) bool {
	if template.Kind != s.Kind || template.KeySize != s.KeySize || template.ValueSize != s.ValueSize ||
		template.Flags&^(abi.MapReadOnly|abi.MapWriteOnly) != s.Flags&^(abi.MapReadOnly|abi.MapWriteOnly) {
		return false
	}
	if (template.SpinLock == nil) != (s.SpinLock == nil) || s.SpinLock != nil && *s.SpinLock != *template.SpinLock {
		return false
	}
	switch s.Kind {
	case abi.ArrayMap:
		return template.Flags&abi.MapInnerMap != 0 || template.MaxEntries == s.MaxEntries
	case abi.XSKMap:
		return template.MaxEntries == s.MaxEntries
	}
	return true
}

func round8(n uint64) uint64 { return (n + 7) &^ 7 }

// pow2 rounds up to a power of two.
func pow2(n uint32) uint64 {
	p := uint64(1)
	for p < uint64(n) {
		p <<= 1
	}
	return p
}
