package verifier_test

import (
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/verifier"
)

// The maps of the programs below, each named by the index of its description.
const (
	mapHash = iota
	mapArray
	mapValue // an array of one element
	mapConst
	mapRing
	mapPrograms
	mapPerf
	mapQueue
	mapBloom
	mapOuter
	mapLocked
	mapDevices
	mapPerCPU
	mapReadOnly
	mapTrie
	mapCGroups
	mapOneLocked
	mapSockets
)

var testMaps = []abi.MapSpec{
	mapHash:      {Name: "hash", Kind: abi.HashMap, KeySize: 4, ValueSize: 16, MaxEntries: 8},
	mapArray:     {Name: "array", Kind: abi.ArrayMap, KeySize: 4, ValueSize: 16, MaxEntries: 4},
	mapValue:     {Name: "value", Kind: abi.ArrayMap, KeySize: 4, ValueSize: 16, MaxEntries: 1},
	mapConst:     {Name: "rodata", Kind: abi.ArrayMap, KeySize: 4, ValueSize: 16, MaxEntries: 1, Flags: abi.MapReadOnlyProg, Frozen: true, Contents: constants},
	mapRing:      {Name: "ring", Kind: abi.RingBuf, MaxEntries: 4096},
	mapPrograms:  {Name: "programs", Kind: abi.ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 4},
	mapPerf:      {Name: "perf", Kind: abi.PerfEventArray, KeySize: 4, ValueSize: 4, MaxEntries: 2},
	mapQueue:     {Name: "queue", Kind: abi.Queue, ValueSize: 8, MaxEntries: 4},
	mapBloom:     {Name: "bloom", Kind: abi.BloomFilter, ValueSize: 8, MaxEntries: 4},
	mapOuter:     {Name: "outer", Kind: abi.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 4, Inner: &abi.MapSpec{Name: "inner", Kind: abi.ArrayMap, KeySize: 4, ValueSize: 8, MaxEntries: 4}},
	mapLocked:    {Name: "locked", Kind: abi.HashMap, KeySize: 4, ValueSize: 16, MaxEntries: 4, SpinLock: new(uint32(4))},
	mapDevices:   {Name: "devices", Kind: abi.DevMap, KeySize: 4, ValueSize: 4, MaxEntries: 4},
	mapPerCPU:    {Name: "percpu", Kind: abi.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: 4},
	mapReadOnly:  {Name: "readonly", Kind: abi.HashMap, KeySize: 4, ValueSize: 8, MaxEntries: 4, Flags: abi.MapReadOnlyProg},
	mapTrie:      {Name: "trie", Kind: abi.LPMTrie, KeySize: 8, ValueSize: 8, MaxEntries: 4, Flags: abi.MapNoPrealloc},
	mapCGroups:   {Name: "cgroups", Kind: abi.CGroupArray, KeySize: 4, ValueSize: 4, MaxEntries: 4},
	mapOneLocked: {Name: "onelocked", Kind: abi.ArrayMap, KeySize: 4, ValueSize: 16, MaxEntries: 1, SpinLock: new(uint32(0))},
	mapSockets:   {Name: "sockets", Kind: abi.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: 4},
}

// constants has a format at offset 0 and the number 8 at 8.
var constants = []abi.MapElement{{Key: make([]byte, 4), Value: []byte("%d text\x00\x08\x00\x00\x00\x00\x00\x00\x00")}}

// A callCase is a program and the verdict on it.
type callCase struct {
	name string
	code verifier.Code // 0 if it is accepted
	text string

	// kernel says why Linux 6.18 comes to another verdict.
	kernel string
	typ    abi.ProgType // sched_cls if not said
}

func (c *callCase) program(t *testing.T) *verifier.Program {
	t.Helper()
	prog, err := ebpf.Assemble(strings.ReplaceAll(c.text, ";", "\n"))
	if err != nil {
		t.Fatalf("%s: %v", c.name, err)
	}
	typ := c.typ
	if typ == 0 {
		typ = abi.SchedCLS
	}
	return &verifier.Program{Name: c.name, Type: typ, Insns: prog, Maps: testMaps}
}

var callCases = [][]callCase{lockCases, referenceCases, callbackCases, tailCallCases, mapCases}

// TestCalls gives the verifier programs about what lasts longer than a call.
func TestCalls(t *testing.T) {
	for _, list := range callCases {
		for _, c := range list {
			var code verifier.Code
			if _, r := verifier.Verify(c.program(t), verifier.Options{}); r != nil {
				code = r.Code
				if code != c.code {
					t.Log(r)
				}
			}
			if code != c.code {
				t.Errorf("%s: V%03d, want V%03d", c.name, code, c.code)
			}
		}
	}
}

// find looks element 0 up in a map and leaves if it is not there.
func find(id string) string {
	return "r1 = map[fd:" + id + "]; *(u32 *)(r10 -4) = 0; r2 = r10; r2 += -4; call bpf_map_lookup_elem; if r0 != 0 goto +2; r0 = 0; exit; "
}

const (
	lockedValue = "r6 = map[fd:16][0]+0; "
	lock        = "r1 = r6; call bpf_spin_lock; "
	unlock      = "r1 = r6; call bpf_spin_unlock; "
	done        = "r0 = 0; exit"
)

var lockCases = []callCase{
	{name: "lock and unlock", text: lockedValue + lock + unlock + done},
	{name: "store under a lock", text: lockedValue + lock + "r1 = 1; *(u64 *)(r6 +8) = r1; " + unlock + done},
	{name: "lock in a value found", text: find("10") + "r6 = r0; r6 += 4; " + lock + unlock + done},
	{name: "two locks", code: verifier.LockTwice, text: lockedValue + lock + lock + unlock + done},
	{name: "lock after lock", text: lockedValue + lock + unlock + lock + unlock + done},
	{name: "call under a lock", code: verifier.LockedCall, text: lockedValue + lock + "call bpf_ktime_get_ns; " + unlock + done},
	{name: "end with a lock", code: verifier.LockHeld, text: lockedValue + lock + done},
	{name: "unlock without a lock", code: verifier.UnlockedWrong, text: lockedValue + unlock + done},
	{name: "unlock in one branch", code: verifier.LockHeld, text: "r7 = *(u32 *)(r1 +0); " + lockedValue + lock + "if r7 == 0 goto +2; " + unlock + done},
	{name: "unlock of another value", code: verifier.UnlockedWrong, text: find("10") + "r6 = r0; r6 += 4; " + find("10") +
		"r7 = r0; r7 += 4; " + lock + "r1 = r7; call bpf_spin_unlock; " + done},
	{name: "unlock by a copy", text: find("10") + "r6 = r0; r6 += 4; " + lock + "*(u64 *)(r10 -16) = r6; r1 = *(u64 *)(r10 -16); call bpf_spin_unlock; " + done},
	{name: "unlock of another map", code: verifier.UnlockedWrong, text: find("10") + "r7 = r0; r7 += 4; " + lockedValue + lock + "r1 = r7; call bpf_spin_unlock; " + done},
	{name: "load of a lock", code: verifier.LockedBytes, text: lockedValue + "r0 = *(u32 *)(r6 +0); exit"},
	{name: "load that ends in a lock", code: verifier.LockedBytes, text: find("10") + "r0 = *(u64 *)(r0 +0); exit"},
	{name: "store behind a lock", text: find("10") + "r1 = 0; *(u64 *)(r0 +8) = r1; " + done},
	{name: "lock as memory", code: verifier.LockedBytes, text: lockedValue + "r1 = map[fd:0]; r2 = r6; call bpf_map_lookup_elem; " + done},
	{name: "not at the lock", code: verifier.ArgumentKind, text: lockedValue + "r6 += 4; " + lock + unlock + done},
	{name: "no lock in the value", code: verifier.ArgumentKind, text: "r6 = map[fd:2][0]+0; " + lock + unlock + done},
	{name: "socket filters have no locks", code: verifier.HelperType, typ: abi.SocketFilter, text: lockedValue + done},
	{name: "legacy load under a lock", code: verifier.LegacyHeld, text: "r6 = r1; r1 = map[fd:16][0]+0; call bpf_spin_lock; r0 = *(u8 *)skb[0]; r1 = map[fd:16][0]+0; call bpf_spin_unlock; " + done},
	{name: "function under a lock", text: lockedValue + lock + "call f; " + unlock + done + "; f: r0 = 0; exit"},
	{name: "function that calls a helper under a lock", code: verifier.LockedCall, text: lockedValue + lock + "call f; " + unlock + done + "; f: call bpf_ktime_get_ns; exit"},
	{name: "function that locks", text: "call f; r6 = map[fd:16][0]+0; " + unlock + done + "; f: " + lockedValue + lock + "r0 = 0; exit"},
	{name: "lock across an element's callback", code: verifier.LockHeld, text: "r1 = map[fd:10]; r2 = subprog[f]; r3 = 0; r4 = 0; call bpf_for_each_map_elem; " + done +
		"; f: r1 = r3; r1 += 4; call bpf_spin_lock; r0 = 0; exit"},
	{name: "lock in a callback", text: "r1 = map[fd:10]; r2 = subprog[f]; r3 = 0; r4 = 0; call bpf_for_each_map_elem; " + done +
		"; f: r6 = r3; r6 += 4; " + lock + unlock + done},
	{name: "unlock of the element before", code: verifier.UnlockedWrong,
		text: "r9 = map[fd:16][0]+0; *(u64 *)(r10 -8) = r9; r1 = map[fd:16]; r2 = subprog[f]; r3 = r10; r3 += -8; r4 = 0; call bpf_for_each_map_elem; " + done +
			"; f: r6 = r3; r7 = *(u64 *)(r4 +0); " + lock + "r1 = r7; call bpf_spin_unlock; " + done,
		kernel: "an element of a callback is any element to it"},
}

const (
	tuple   = "r6 = r1; r2 = 0; *(u64 *)(r10 -16) = r2; *(u64 *)(r10 -8) = r2; r1 = r6; r2 = r10; r2 += -16; r3 = 12; r4 = -1; r5 = 0; "
	socket  = tuple + "call bpf_sk_lookup_tcp; "
	reserve = "r1 = map[fd:4]; r2 = 16; r3 = 0; call bpf_ringbuf_reserve; "
	orLeave = "if r0 != 0 goto +2; r0 = 0; exit; "
	giveUp  = "r1 = r0; call bpf_sk_release; "
	discard = "r1 = r0; r2 = 0; call bpf_ringbuf_discard; "
)

var referenceCases = []callCase{
	{name: "socket released", text: socket + orLeave + giveUp + done},
	{name: "socket kept", code: verifier.Unreleased, text: socket + done},
	{name: "socket kept where there is one", code: verifier.Unreleased, text: socket + orLeave + done},
	{name: "socket not compared", code: verifier.MaybeNull, text: socket + giveUp + done},
	{name: "socket released twice", code: verifier.ArgumentKind, text: socket + orLeave + "r7 = r0; " + giveUp + "r1 = r7; call bpf_sk_release; " + done},
	{name: "socket released by a copy", text: socket + orLeave + "*(u64 *)(r10 -24) = r0; r0 = 0; r1 = *(u64 *)(r10 -24); call bpf_sk_release; " + done},
	{name: "copy read after the release", code: verifier.NotPointer, text: socket + orLeave + "r7 = r0; " + giveUp + "r0 = *(u32 *)(r7 +4); exit"},
	{name: "spilled copy read after the release", code: verifier.NotPointer, text: socket + orLeave + "*(u64 *)(r10 -24) = r0; " + giveUp + "r1 = *(u64 *)(r10 -24); r0 = *(u32 *)(r1 +4); exit"},
	{name: "socket moved", code: verifier.PointerOperation, text: socket + orLeave + "r0 += 4; " + giveUp + done},
	{name: "two sockets, one released", code: verifier.Unreleased, text: socket + "r7 = r0; r1 = r6; r2 = r10; r2 += -16; r3 = 12; r4 = -1; r5 = 0; call bpf_sk_lookup_udp; " +
		"if r0 == 0 goto +2; " + giveUp + done},
	{name: "socket of the context", code: verifier.NotAcquired, text: "r0 = *(u64 *)(r1 +168); " + orLeave + giveUp + done},
	{name: "record submitted", text: reserve + orLeave + "r1 = 1; *(u64 *)(r0 +8) = r1; r1 = r0; r2 = 0; call bpf_ringbuf_submit; " + done},
	{name: "record kept", code: verifier.Unreleased, text: reserve + orLeave + done},
	{name: "record moved", code: verifier.ArgumentKind, text: reserve + orLeave + "r0 += 8; " + discard + done},
	{name: "record moved there and back", text: reserve + orLeave + "r0 += 8; r0 += -8; " + discard + done},
	{name: "beyond the record", code: verifier.RecordBounds, text: reserve + orLeave + "r1 = 1; *(u64 *)(r0 +9) = r1; " + discard + done},
	{name: "written after submission", code: verifier.NotPointer, text: reserve + orLeave + "r6 = r0; " + discard + "r1 = 1; *(u64 *)(r6 +8) = r1; " + done},
	{name: "record as a socket", code: verifier.ArgumentKind, text: reserve + orLeave + giveUp + done},
	{name: "record as a key", text: reserve + orLeave + "r6 = r0; r1 = 0; *(u64 *)(r6 +0) = r1; r1 = map[fd:0]; r2 = r6; call bpf_map_delete_elem; r0 = r6; " + discard + done},
	{name: "record of any size", code: verifier.ArgumentConst, text: "r2 = *(u32 *)(r1 +0); r1 = map[fd:4]; r3 = 0; call bpf_ringbuf_reserve; " + orLeave + discard + done},
	{name: "tail call with a socket", code: verifier.Unreleased, text: socket + orLeave + "r7 = r0; r1 = r6; r2 = map[fd:5]; r3 = 0; call bpf_tail_call; r1 = r7; call bpf_sk_release; " + done},
	{name: "legacy load with a socket", code: verifier.LegacyHeld, text: socket + orLeave + "r7 = r0; r0 = *(u8 *)skb[0]; r1 = r7; call bpf_sk_release; " + done},
	{name: "socket from a function", text: "call f; " + orLeave + giveUp + done + "; f: " + socket + "exit"},
	{name: "socket lost in a function", code: verifier.Unreleased, text: "call f; " + done + "; f: " + socket + done},
	{name: "socket in a connection being made", code: verifier.SocketField, text: tuple + "call bpf_skc_lookup_tcp; " + orLeave + "r7 = *(u32 *)(r0 +12); " + giveUp + done},
	{name: "full socket", text: socket + orLeave + "r7 = *(u32 *)(r0 +12); " + giveUp + done},
}
