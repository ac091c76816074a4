package verifier_test

import (
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/verifier"
)

// loop calls f n times with a pointer to the eight bytes at R10-8, which hold
// 0 before.
func loop(n string) string {
	return "r1 = 0; *(u64 *)(r10 -8) = r1; r1 = " + n + "; r2 = subprog[f]; r3 = r10; r3 += -8; r4 = 0; call bpf_loop; "
}

// each calls f for the elements of a map.
func each(id string) string {
	return "r1 = map[fd:" + id + "]; r2 = subprog[f]; r3 = 0; r4 = 0; call bpf_for_each_map_elem; "
}

const count = "; f: r3 = *(u64 *)(r2 +0); r3 += 1; *(u64 *)(r2 +0) = r3; r0 = 0; exit"

// index reads the byte of a value of 16 bytes that is at the number in R10-8.
const index = "r1 = *(u64 *)(r10 -8); r2 = map[fd:2][0]+0; r2 += r1; r0 = *(u8 *)(r2 +0); exit"

var callbackCases = []callCase{
	{name: "loop", text: loop("10") + done + "; f: r0 = 0; exit"},
	{name: "loop without end", text: loop("-1") + done + "; f: r0 = 0; exit"},
	{name: "loop that counts", text: loop("1000000") + done + count},
	{name: "loop that counts to an index", text: loop("15") + index + count},
	{name: "loop that counts beyond", code: verifier.MapBounds, text: loop("16") + index + count},
	{name: "loop that counts far beyond", code: verifier.MapBounds, text: loop("100000") + index + count},
	{name: "no round", text: loop("0") + index + "; f: r3 = 99; *(u64 *)(r2 +0) = r3; r0 = 0; exit"},
	{name: "a round changes what is known", code: verifier.MapBounds, text: loop("1") + index + "; f: r3 = 99; *(u64 *)(r2 +0) = r3; r0 = 0; exit"},
	{name: "the second round changes it", code: verifier.MapBounds,
		text: loop("2") + index + "; f: r3 = *(u64 *)(r2 +0); if r3 == 0 goto +2; r3 = 99; goto +1; r3 = 1; *(u64 *)(r2 +0) = r3; r0 = 0; exit"},
	{name: "the callback relies on the first round", code: verifier.MapBounds,
		text: loop("2") + done + "; f: r3 = *(u64 *)(r2 +0); r4 = map[fd:2][0]+0; r4 += r3; r5 = *(u8 *)(r4 +0); r3 = 99; *(u64 *)(r2 +0) = r3; r0 = 0; exit"},
	{name: "a round that returns 1 is the last", text: loop("10") + done +
		"; f: r3 = *(u64 *)(r2 +0); r4 = map[fd:2][0]+0; r4 += r3; r5 = *(u8 *)(r4 +0); r3 = 99; *(u64 *)(r2 +0) = r3; r0 = 1; exit",
		kernel: "it expects another round all the same"},
	{name: "number of the round", text: loop("16") + done + "; f: r4 = map[fd:2][0]+0; r4 += r1; r5 = *(u8 *)(r4 +0); r0 = 0; exit", kernel: "it takes the number for any"},
	{name: "number of the round beyond", code: verifier.MapBounds, text: loop("17") + done + "; f: r4 = map[fd:2][0]+0; r4 += r1; r5 = *(u8 *)(r4 +0); r0 = 0; exit"},
	{name: "unknown number of rounds", text: "r6 = *(u32 *)(r1 +0); " + loop("r6") + done + count},
	{name: "few rounds or many", code: verifier.MapBounds, text: "r6 = *(u32 *)(r1 +0); r7 = 3; if r6 == 0 goto +1; r7 = 20; " + loop("r7") + index + count},
	{name: "many rounds or few", code: verifier.MapBounds, text: "r6 = *(u32 *)(r1 +0); r7 = 20; if r6 == 0 goto +1; r7 = 3; " + loop("r7") + index + count},
	{name: "few rounds or fewer", text: "r6 = *(u32 *)(r1 +0); r7 = 3; if r6 == 0 goto +1; r7 = 15; " + loop("r7") + index + count},
	{name: "two loops", code: verifier.MapBounds, text: loop("10") + "r1 = 10; r2 = subprog[f]; r3 = r10; r3 += -8; r4 = 0; call bpf_loop; " + index + count},
	{name: "two loops within", text: loop("7") + "r1 = 8; r2 = subprog[f]; r3 = r10; r3 += -8; r4 = 0; call bpf_loop; " + index + count},
	{name: "result 2", code: verifier.CallbackReturn, text: loop("10") + done + "; f: r0 = 2; exit"},
	{name: "result of any number", code: verifier.CallbackReturn, text: loop("10") + done + "; f: r0 = r1; exit"},
	{name: "no result", code: verifier.CallbackReturn, text: loop("10") + done + "; f: exit"},
	{name: "result a pointer", code: verifier.CallbackReturn, text: loop("10") + done + "; f: r0 = map[fd:0]; exit"},
	{name: "the stack of the caller is its caller's", code: verifier.StackBounds, text: loop("10") + done + "; f: *(u64 *)(r2 +8) = r1; r0 = 0; exit"},
	{name: "no pointer", code: verifier.NotPointer, text: "r1 = 10; r2 = subprog[f]; r3 = 0; r4 = 0; call bpf_loop; " + done + "; f: *(u64 *)(r2 +0) = r1; r0 = 0; exit"},
	{name: "a number for a pointer", code: verifier.ArgumentKind, text: "r1 = 10; r2 = subprog[f]; r3 = 8; r4 = 0; call bpf_loop; " + done + "; f: r0 = 0; exit"},
	{name: "a value for a pointer", code: verifier.ArgumentKind, text: "r1 = 10; r2 = subprog[f]; r3 = map[fd:2][0]+0; r4 = 0; call bpf_loop; " + done + "; f: r0 = 0; exit"},
	{name: "no function", code: verifier.ArgumentKind, text: "r1 = 10; r2 = 0; r3 = 0; r4 = 0; call bpf_loop; " + done},
	{name: "the program itself", code: verifier.CallbackContext, text: "r1 = 10; r2 = subprog[-2]; r3 = 0; r4 = 0; call bpf_loop; " + done},
	{name: "registers are kept", text: "r6 = r1; " + loop("10") + "r0 = *(u32 *)(r6 +0); exit; f: r6 = 0; r0 = 0; exit"},
	{name: "registers of the caller", code: verifier.Unset, text: "r6 = r1; " + loop("10") + done + "; f: r0 = *(u32 *)(r6 +0); r0 = 0; exit"},
	{name: "loop in a loop", text: loop("10") + done + "; f: r6 = r2; r1 = 10; r2 = subprog[g]; r3 = r6; r4 = 0; call bpf_loop; r0 = 0; exit; g: r3 = *(u64 *)(r2 +0); r3 += 1; *(u64 *)(r2 +0) = r3; r0 = 0; exit"},
	{name: "loop in a loop that counts", code: verifier.MapBounds,
		text: loop("4") + index + "; f: r6 = r2; r1 = 4; r2 = subprog[g]; r3 = r6; r4 = 0; call bpf_loop; r0 = 0; exit; g: r3 = *(u64 *)(r2 +0); r3 += 1; *(u64 *)(r2 +0) = r3; r0 = 0; exit"},
	{name: "loop in a loop that counts within", text: loop("3") + index +
		"; f: r6 = r2; r1 = 5; r2 = subprog[g]; r3 = r6; r4 = 0; call bpf_loop; r0 = 0; exit; g: r3 = *(u64 *)(r2 +0); r3 += 1; *(u64 *)(r2 +0) = r3; r0 = 0; exit"},
	{name: "a callback that calls itself", code: verifier.TooDeep, text: loop("10") + done + "; f: r1 = 10; r2 = subprog[f]; r3 = 0; r4 = 0; call bpf_loop; r0 = 0; exit"},
	{name: "the packet moves in the callback", code: verifier.StalePointer,
		text: "r6 = r1; r7 = *(u32 *)(r1 +76); r2 = *(u32 *)(r1 +80); r3 = r7; r3 += 4; if r3 <= r2 goto +2; r0 = 0; exit; *(u64 *)(r10 -8) = r6; r1 = 10; r2 = subprog[f]; r3 = r10; r3 += -8; r4 = 0; call bpf_loop; " +
			"r0 = *(u8 *)(r7 +0); exit; f: r1 = *(u64 *)(r2 +0); r2 = 0; call bpf_skb_pull_data; r0 = 0; exit"},
	{name: "acquired in the callback and given back", text: loop("10") + done + "; f: " + reserve + orLeave + discard + done},
	{name: "acquired in the callback", code: verifier.Unreleased, text: loop("10") + done + "; f: " + reserve + done},
	{name: "acquired in a callback of one round, kept on the stack",
		text: loop("1") + "r0 = *(u64 *)(r10 -8); " + orLeave + discard + done + "; f: r6 = r2; " + reserve + "*(u64 *)(r6 +0) = r0; r0 = 0; exit"},
	{name: "given back in the callback", code: verifier.ArgumentKind,
		text: reserve + orLeave + "r6 = r0; *(u64 *)(r10 -8) = r0; r1 = 1; r2 = subprog[f]; r3 = r10; r3 += -8; r4 = 0; call bpf_loop; r1 = r6; r2 = 0; call bpf_ringbuf_discard; " + done +
			"; f: r1 = *(u64 *)(r2 +0); r2 = 0; call bpf_ringbuf_discard; r0 = 0; exit"},
	{name: "the end of a round by a legacy load", code: verifier.MapBounds, text: "*(u64 *)(r10 -16) = r1; r1 = 0; *(u64 *)(r10 -8) = r1; r1 = 10; r2 = subprog[f]; r3 = r10; r3 += -16; r4 = 0; call bpf_loop; " + done +
		"; f: r6 = *(u64 *)(r2 +0); r7 = r2; r3 = *(u64 *)(r2 +8); r4 = map[fd:2][0]+0; r4 += r3; r5 = *(u8 *)(r4 +0); r3 = 99; *(u64 *)(r2 +8) = r3; r0 = *(u8 *)skb[0]; r3 = 0; *(u64 *)(r7 +8) = r3; r0 = 0; exit"},
	{name: "tail call in a callback", code: verifier.CallbackContext,
		text: "r6 = r1; *(u64 *)(r10 -8) = r6; r1 = 1; r2 = subprog[f]; r3 = r10; r3 += -8; r4 = 0; call bpf_loop; " + done + "; f: r1 = *(u64 *)(r2 +0); r2 = map[fd:5]; r3 = 0; call bpf_tail_call; r0 = 0; exit"},

	{name: "elements", text: each("0") + done + "; f: r5 = *(u32 *)(r2 +0); r5 = *(u64 *)(r3 +8); *(u64 *)(r3 +0) = r5; r0 = 0; exit"},
	{name: "elements of an array", text: each("1") + done + "; f: r5 = *(u32 *)(r2 +0); *(u64 *)(r3 +0) = r5; r0 = 1; exit"},
	{name: "elements of this CPU", text: each("12") + done + "; f: r5 = *(u64 *)(r3 +0); r0 = 0; exit"},
	{name: "key written", code: verifier.MapReadOnly, text: each("0") + done + "; f: r0 = 0; *(u32 *)(r2 +0) = r0; exit"},
	{name: "beyond the key", code: verifier.MapBounds, text: each("0") + done + "; f: r5 = *(u8 *)(r2 +4); r0 = 0; exit"},
	{name: "beyond the value", code: verifier.MapBounds, text: each("0") + done + "; f: r5 = *(u8 *)(r3 +16); r0 = 0; exit"},
	{name: "the element's map", text: each("0") + done + "; f: r2 = r2; call bpf_map_delete_elem; r0 = 0; exit"},
	{name: "the element's key for another map", text: each("0") + done + "; f: r1 = map[fd:1]; call bpf_map_lookup_elem; r0 = 0; exit"},
	{name: "elements of a queue", code: verifier.MapCall, text: each("7") + done + "; f: r0 = 0; exit"},
	{name: "elements of a trie", code: verifier.MapCall, text: each("14") + done + "; f: r0 = 0; exit"},
	{name: "result of an element", code: verifier.CallbackReturn, text: each("0") + done + "; f: r0 = -1; exit"},
}

// tail tries a tail call, with the context in R6.
const tail = "r1 = r6; r2 = map[fd:5]; r3 = 1; call bpf_tail_call; "

// packet4 leaves unless the packet has 4 bytes, to which R7 then points.
const packet4 = "r6 = r1; r7 = *(u32 *)(r1 +76); r2 = *(u32 *)(r1 +80); r3 = r7; r3 += 4; if r3 <= r2 goto +2; r0 = 0; exit; "

var tailCallCases = []callCase{
	{name: "tail call", text: "r6 = r1; " + tail + done},
	{name: "no result of a tail call", code: verifier.Unset, text: "r6 = r1; " + tail + "r1 = r0; r0 = 0; exit"},
	{name: "the end after a tail call", code: verifier.ReturnUnset, text: "r6 = r1; " + tail + "exit"},
	{name: "another map", code: verifier.MapCall, text: "r6 = r1; r1 = r6; r2 = map[fd:1]; r3 = 1; call bpf_tail_call; " + done},
	{name: "packet after a failed tail call", text: packet4 + tail + "r0 = *(u8 *)(r7 +0); exit"},
	{name: "tail call in a function", text: "call f; " + done + "; f: r6 = r1; " + tail + "r0 = 1; exit"},
	{name: "packet after a tail call in a function", code: verifier.StalePointer, text: packet4 + "r1 = r6; call f; r0 = *(u8 *)(r7 +0); exit; f: r6 = r1; " + tail + "r0 = 1; exit"},
	{name: "result of a tail call in a function", code: verifier.PointerRange, text: "call f; r1 = map[fd:2][0]+0; r1 += r0; r0 = *(u8 *)(r1 +0); exit; f: r6 = r1; " + tail + "r0 = 1; exit"},
	{name: "stored by a function that makes a tail call", code: verifier.PointerRange,
		text: "r6 = r1; r1 = *(u32 *)(r6 +0); *(u64 *)(r10 -8) = r1; r1 = r6; r2 = r10; r2 += -8; call f; " + index +
			"; f: r6 = r1; r7 = r2; " + tail + "r1 = 1; *(u64 *)(r7 +0) = r1; r0 = 0; exit"},
	{name: "tail call in a function with a record", code: verifier.Unreleased,
		text: "call f; " + done + "; f: r6 = r1; " + reserve + orLeave + "r7 = r0; " + tail + "r1 = r7; r2 = 0; call bpf_ringbuf_discard; " + done},
	{name: "tail call in a function, the caller has a record", text: "r6 = r1; " + reserve + orLeave + "r7 = r0; r1 = r6; call f; r1 = r7; r2 = 0; call bpf_ringbuf_discard; " + done +
		"; f: r6 = r1; " + tail + done},
	{name: "tail call in a function under a lock", code: verifier.LockedCall, text: "r7 = r1; " + lockedValue + lock + "r1 = r7; call f; " + unlock + done + "; f: r6 = r1; " + tail + done},
	{name: "tail call of a flow of numbers", text: "r6 = r1; r7 = *(u32 *)(r1 +0); r1 = r6; r2 = map[fd:5]; r3 = r7; call bpf_tail_call; " + done},
}

// key puts a number into the key at R10-8.
func key(n string) string { return "*(u32 *)(r10 -8) = " + n + "; r2 = r10; r2 += -8; " }

var mapCases = []callCase{
	{name: "element of an array", text: "r1 = map[fd:1]; " + key("3") + "call bpf_map_lookup_elem; r0 = *(u64 *)(r0 +8); exit"},
	{name: "element of an array by a register", text: "r1 = map[fd:1]; r3 = 2; *(u32 *)(r10 -8) = r3; r2 = r10; r2 += -8; call bpf_map_lookup_elem; r0 = *(u64 *)(r0 +8); exit"},
	{name: "element of an array by half a register", text: "r1 = map[fd:1]; r3 = 2; *(u64 *)(r10 -8) = r3; r2 = r10; r2 += -8; call bpf_map_lookup_elem; r0 = *(u64 *)(r0 +8); exit", kernel: "the key must be all that was stored"},
	{name: "element of an array by the other half of a slot", text: "r1 = map[fd:1]; r3 = 2; *(u32 *)(r10 -4) = r3; r2 = r10; r2 += -4; call bpf_map_lookup_elem; r0 = *(u64 *)(r0 +8); exit", kernel: "the key must be at the start of a slot"},
	{name: "element that an array has not", code: verifier.MaybeNull, text: "r1 = map[fd:1]; " + key("4") + "call bpf_map_lookup_elem; r0 = *(u64 *)(r0 +8); exit"},
	{name: "element of an array by an unknown number", code: verifier.MaybeNull,
		text: "r3 = *(u32 *)(r1 +0); r1 = map[fd:1]; *(u32 *)(r10 -4) = r3; r2 = r10; r2 += -4; call bpf_map_lookup_elem; r0 = *(u64 *)(r0 +8); exit"},
	{name: "element of an array by a checked number", code: verifier.MaybeNull,
		text: "r3 = *(u32 *)(r1 +0); r3 &= 3; r1 = map[fd:1]; *(u32 *)(r10 -4) = r3; r2 = r10; r2 += -4; call bpf_map_lookup_elem; r0 = *(u64 *)(r0 +8); exit"},
	{name: "element of an array of this CPU", text: "r1 = map[fd:12]; " + key("3") + "call bpf_map_lookup_elem; r0 = *(u64 *)(r0 +0); exit"},
	{name: "element of an array of another CPU", code: verifier.MaybeNull, text: "r1 = map[fd:12]; " + key("3") + "r3 = 0; call bpf_map_lookup_percpu_elem; r0 = *(u64 *)(r0 +0); exit"},
	{name: "element of a hash", code: verifier.MaybeNull, text: "r1 = map[fd:0]; " + key("3") + "call bpf_map_lookup_elem; r0 = *(u64 *)(r0 +8); exit"},
	{name: "device", text: find("11") + "r0 = *(u32 *)(r0 +0); exit"},
	{name: "device written", code: verifier.MapReadOnly, text: find("11") + "r1 = 1; *(u32 *)(r0 +0) = r1; " + done},
	{name: "AF_XDP socket", typ: abi.XDP, text: find("17") + "r0 = *(u32 *)(r0 +0); exit"},
	{name: "AF_XDP socket written", code: verifier.MapReadOnly, typ: abi.XDP, text: find("17") + "r1 = 1; *(u32 *)(r0 +0) = r1; " + done},
	{name: "inner map", text: find("9") + "r1 = r0; " + key("1") + "call bpf_map_lookup_elem; " + orLeave + "r0 = *(u64 *)(r0 +0); exit"},
	{name: "inner map not compared", code: verifier.MaybeNull, text: "r1 = map[fd:9]; " + key("1") + "call bpf_map_lookup_elem; r1 = r0; r2 = r10; r2 += -8; call bpf_map_lookup_elem; " + done},
	{name: "beyond the value of an inner map", code: verifier.MapBounds, text: find("9") + "r1 = r0; " + key("1") + "call bpf_map_lookup_elem; " + orLeave + "r0 = *(u64 *)(r0 +8); exit"},
	{name: "element of an inner map", text: find("9") + "r1 = r0; " + key("1") + "call bpf_map_lookup_elem; r0 = *(u64 *)(r0 +0); exit"},
	{name: "memory of an inner map", code: verifier.WrongPointer, text: find("9") + "r0 = *(u64 *)(r0 +0); exit", kernel: "privileged programs may look into the kernel's structure"},
	{name: "change of an outer map", code: verifier.MapCall, text: "r1 = map[fd:9]; " + key("1") + "call bpf_map_delete_elem; " + done},
	{name: "change of a map for reading", code: verifier.MapReadOnly, text: "r1 = map[fd:13]; " + key("1") + "call bpf_map_delete_elem; " + done},
	{name: "store to a map for reading", code: verifier.MapReadOnly, text: find("13") + "r1 = 0; *(u64 *)(r0 +0) = r1; " + done},
	{name: "constant", text: "r1 = map[fd:3][0]+8; r1 = *(u64 *)(r1 +0); r2 = map[fd:2][0]+0; r2 += r1; r0 = *(u64 *)(r2 +0); exit"},
	{name: "constant found", text: find("3") + "r1 = *(u8 *)(r0 +8); r2 = map[fd:2][0]+0; r2 += r1; r0 = *(u64 *)(r2 +0); exit"},
	{name: "constant too large", code: verifier.MapBounds, text: "r1 = map[fd:3][0]+0; r1 = *(u8 *)(r1 +0); r2 = map[fd:2][0]+0; r2 += r1; r0 = *(u64 *)(r2 +0); exit"},
	{name: "variable", code: verifier.PointerRange, text: "r1 = map[fd:2][0]+8; r1 = *(u64 *)(r1 +0); r2 = map[fd:2][0]+0; r2 += r1; r0 = *(u64 *)(r2 +0); exit"},
	{name: "value of an array of many", code: verifier.MapCall, text: "r1 = map[fd:1][0]+0; " + done},
	{name: "value of a hash", code: verifier.MapCall, text: "r1 = map[fd:0][0]+0; " + done},
	{name: "address behind the value", code: verifier.MapBounds, text: "r1 = map[fd:2][0]+16; " + done},
	{name: "no such map", code: verifier.MapCall, text: "r1 = map[fd:99]; " + done},
	{name: "map with something added", code: verifier.PointerOperation, text: "r1 = map[fd:0]; r1 += 4; " + done},
	{name: "value popped", text: "r1 = map[fd:7]; r2 = r10; r2 += -8; call bpf_map_pop_elem; r0 = *(u64 *)(r10 -8); exit"},
	{name: "value popped to too little", code: verifier.StackBounds, text: "r1 = map[fd:7]; r2 = r10; r2 += -4; call bpf_map_pop_elem; " + done},
}
