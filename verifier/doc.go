// Package verifier proves that eBPF programs are safe to run, or says why not.
//
//	proof, report := verifier.Verify(&verifier.Program{Type: abi.XDP, Insns: prog}, verifier.Options{})
//	if report != nil {
//		log.Fatalf("%+v", report) // what is wrong, where, how it came about, what to do
//	}
//	m, err := vm.LoadProved(vm.Options{}, proof)
//
// A program is safe if every run of it ends and touches only what it may: its
// stack, the bytes of the packet that it has checked to be there, values of
// its maps, fields of its context. Helper functions get what they ask for, what
// was taken is given back, and what the program returns is something that its
// hook knows. The rules are those of the Linux kernel's verifier; [Rules] lists
// them with their codes, and docs/VERIFIER.md where the two differ.
//
// # Running a program on all inputs at once
//
// Nobody can try all packets. But a program can be run on what is known in
// place of values: "r2 is the start of the packet", "r3 is a number from 0 to
// 255". That is abstract interpretation. Before each instruction there is a
// state (state.go): for each register (reg.go) what kind of thing is in it and
// a number, its value or the offset in what it points to, as package num has
// them; for each slot of the stack what was stored there. An instruction
// checks that what it is about to do is safe for all that the state stands
// for, and makes the next state. Here is a part of a listing
// ([Proof.WriteListing]), on the right what is known before the instruction:
//
//	0: r2 = *(u32 *)(r1 +0)                r1 = context
//	1: r3 = *(u32 *)(r1 +4)                r1 = context; r2 = packet
//	2: r4 = r2                             r3 = data_end
//	3: r4 += 24                            r4 = packet
//	4: if r4 > r3 goto pc+12 <17>          r4 = packet+24
//	5: r0 = *(u8 *)(r2 +14)                r2 = packet, 24 bytes known
//	6: r0 &= 15                            r0 = 0..255
//	7: r0 <<= 2                            r0 = 0..15
//	8: r2 += r0                            r0 = 0..60 step 4
//	9: r4 = r2                             r2 = packet+(0..60 step 4)
//
// Where a program branches, the state goes both ways, and each learns
// something: where "if r4 > r3" falls through, r4 is at most data_end, so the
// bytes below it are in the packet. What was learned about r4 holds for r2,
// too, since both come from the same place; such ties between registers (the
// same place in the packet, the same pointer that may be NULL, numbers that
// differ by a constant) are ids in the registers.
//
// # Paths, and how to have fewer of them
//
// A program with n branches can have 2^n paths, and loops make any number.
// Checkpoints keep them few (checkpoint.go): where paths meet, the state is
// kept, and a path whose state is covered by one that has been there before
// need not be followed. Loops are followed round by round until the state that
// they leave with is known, or until a state comes back, in which case the loop
// may never end.
//
// How often states cover each other depends on what is in them. So before they
// are compared they are made to look alike: what will not be read again is
// dropped (liveness.go), and numbers that reach no address, no size and no
// decision that matters are forgotten (relevance.go). The path goes on with
// what is left; what was explored is what is claimed, and nothing has to be
// repaired later.
//
// Forgetting can go too far: a path can then take a turn that no run takes, and
// fail behind it. So a path that fails is followed once more with everything
// remembered (refine.go). If it fails again, the failure is real. If it gets
// stuck at a branch, that branch matters from now on, and the search goes on
// with a little more precision. A rejection therefore never comes from
// forgetting.
//
// # What comes out
//
// A [Proof] owns a copy of all that it speaks of. Engines take the program from
// it and not from the caller, so that what runs is what was proved. It says which
// branches no run takes, which memory an instruction touches, and with
// [Options.Facts] what is known before each instruction.
//
// A [Report] names the rule by a [Code] that stays the same, the instruction
// and its source (a line of C or a part of a filter), by how much an access
// misses, the steps of the path that have a part in it, and a remedy.
//
// [Verify] ends: it looks at no more than [Options.Steps] instructions, and
// says so if that was not enough. It is a function of its arguments, and
// several can run at a time.
//
// # Where to read on
//
// The input: program.go, object.go. Before the search: registers.go, cfg.go
// (functions, joins, loops), blocks.go and queue.go, effects.go, contents.go and
// frameptr.go (which stack slots an instruction reaches), liveness.go,
// relevance.go. The search: verifier.go, reg.go, state.go, explore.go,
// checkpoint.go, compare.go, refine.go. The instructions: step_alu.go,
// step_jump.go, memory.go with stack.go, packet.go, context.go and maps.go,
// atomic.go, legacy.go, frames.go; call.go with helpers.go, arguments.go,
// callbacks.go, references.go and locks.go; depth.go. The proof: proof.go, facts.go,
// facts_text.go, listing.go, listing_text.go. The report: codes.go, rules.go,
// failure.go, report.go, report_text.go; explain.go with eventlog.go (what
// happened on the path), lineage.go (what of it has a part in the failure),
// state_text.go, nearest.go and nearest_number.go (the check that comes
// closest), remedy.go and effort.go (where the steps went).
package verifier
