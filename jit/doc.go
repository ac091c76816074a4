// Package jit compiles verified programs to amd64 machine code and runs them: the
// engine "jit".
//
//	proof, report := verifier.Verify(&program, verifier.Options{})
//	…
//	e, err := jit.New(vm.Options{}, proof)
//	…
//	defer e.Close()
//	err = e.Run(in, out)
//
// It takes the program from a proof and from nothing else. What is proved is not
// checked again: an access is one instruction of the processor, and a program
// that no verifier has accepted cannot be compiled. Everything around the
// program is the machine's ([vm.Machine]): memory, maps, contexts, helper
// functions, results. Addresses are the same numbers as in the interpreter, and
// so is everything that a program computes.
//
// # From instructions to machine code
//
//	instructions, proof ─▶ blocks ─▶ values ─▶ liveness ─▶ code, block by block ─▶ executable memory
//
// The program is cut into basic blocks without what the proof rules out: code
// that no run reaches, ways that no branch takes (flow.go). A walk forwards finds
// what is constant, what is how large at most, and how long the packet is known to
// be (values.go). A walk backwards finds which registers are read again
// (registers.go): constants have become operands by then and count as read no
// more, so instructions that only made them are not compiled.
//
// Each register of eBPF has a register of the processor for the whole program.
// There are enough of them, and blocks meet without moves. The base of the arena
// is in r15, so a load at register plus offset is one operand: [r15+rdi+14].
// rsp and rbp stay Go's; nothing is pushed, nothing is called.
//
// One file makes the code of each family of instructions (arithmetic.go,
// divide.go, access.go, atomic.go, jump.go, packet.go, call.go). fuse.go goes
// before them and recognises several instructions that the processor has one for:
//
//	r0 = *(u16 *)skb[12]            cmp word ptr [r14+0xc], 0x8
//	if w0 != 0x800 goto …           jne …
//
// Lookups in maps that are known when compiling are code in place of the call
// (lookup.go), as package maps lays them out. Calls of the program's own functions
// are jumps, with the way back in the machine's frames (call.go).
//
// # Leaving and coming back
//
// What machine code cannot do it leaves for. It stores the registers that are needed
// in the machine's state, says why and where to go on, and returns to Go (leave.go,
// execute.go): for a helper function, which Go then calls; for what changes the
// course of the program (tail calls, callbacks), which the interpreter does for that
// one instruction, because it works on the same state; and in loops after a slice of
// instructions, so that other goroutines get the processor and a context can end the
// run. Loops count their rounds for that, and nothing else is counted: the
// instruction budget of a run is approximate, and engine.Result.Executed is 0.
//
// # Lean code
//
// Most filters and many XDP programs only look: they change neither packet nor
// context, and have no loops. Such a program is compiled another way (lean.go):
// one entry runs it over an array of packets (a batch), whose bytes it reads where
// they lie. That is what [Engine.Verdicts] needs, and Run, too. The addresses
// that the program sees are those that the packet would have in the arena. Proofs
// tell which loads are of packets, and in those the difference is part of the
// operand. What remains of the work around each packet is a load of its address
// and one of its length.
//
// # Machine code and the Go runtime
//
// Machine code lies in memory that is never writable and executable at once: on
// Linux mostly in a file without a name, which all programs share and which is
// mapped to be read and executed only, elsewhere in pages that are written first
// and made executable then. Close gives it back. The goroutine that runs a program
// jumps there from an assembly function of four instructions, on its own stack,
// and knows nothing of it: no thread is locked, no stack is switched, and nothing
// is told to the scheduler, which is why entering and leaving costs about two
// nanoseconds where a call by cgo costs 25 or more. What makes this safe is what
// machine code does not do:
//
//   - It neither writes RSP and RBP nor pushes anything: no CALL, no PUSH. Its
//     RET therefore pops the return address of the Go function that entered
//     it. Subprograms and helpers return by jumps through a stack in the
//     run's state. All other registers are free, R14 and X15 too, where Go
//     keeps the goroutine and a zero: after a call of an assembly function Go
//     restores them. The direction flag stays clear.
//   - It calls no Go function. What it cannot do it leaves for: it stores its
//     registers in the run's state, with a reason and the place to go on at,
//     and returns. Go does the work on a stack it understands, and enters
//     again.
//   - It keeps no address of a goroutine's stack: stacks move when they grow,
//     which happens between two entries at the latest. It stores no pointer
//     into Go's heap, as no write barrier would see it. Its state, the arena,
//     is memory outside of both. Addresses of packets are plain numbers to the
//     collector, so the engine holds the packets of a batch while code runs
//     over them.
//
// The runtime meets machine code in four ways:
//
//   - Signals (profiling, preemption, timers of other libraries) are handled
//     on a stack of their own and find the goroutine through the thread, not
//     through R14. The address they interrupted belongs to no Go function, so
//     a sample of the CPU profile is booked to runtime._ExternalCode.
//   - Preemption is refused there, for the same reason. The garbage collector
//     stops the world at least once in a cycle and waits for every running
//     goroutine: a loop of 20 ms in machine code delays all goroutines of the
//     process by 20 ms. Hence the budget: each round of a loop counts down, and
//     after a fraction of a millisecond the code leaves, and Go looks whether
//     the context was cancelled and lets the scheduler in.
//   - The stack is never scanned, moved or printed while code runs on it: all
//     of these need the goroutine stopped. Before and after, it shows the
//     function that entered, as for any assembly function.
//   - A hardware fault would be a bug of the compiler or the verifier. The
//     runtime, which sees a signal at an address that it does not know and the
//     return address of a Go function on top of the stack, takes it for a call
//     through a bad function pointer, and panics in the name of the function
//     that entered. With debug.SetPanicOnFault one recover gets the goroutine
//     back after any number of entries, and a fault becomes an error. Anything
//     pushed before would make it fatal ("unexpected return pc for
//     runtime.sigpanic"), as UD2 and INT3 always are: of SIGILL and SIGTRAP
//     Go makes no panic. Where code must not go there is HLT, which raises
//     SIGSEGV outside the kernel. The recovering function tells faults of
//     machine code, which it returns, from panics of Go code under the same
//     guard, which it passes on, by the frame below runtime.sigpanic.
//
// The race detector sees nothing that machine code reads and writes, and an
// atomic instruction there orders nothing for it.
//
// # Files
//
// In reading order: engine.go, execute.go, verdicts.go; compile.go, flow.go,
// values.go, bounds.go, registers.go, tuning.go (what tests can switch off);
// emit.go, arithmetic.go, divide.go, access.go, atomic.go, jump.go, call.go,
// leave.go, packet.go, lookup.go, fuse.go, lean.go, batch.go, code.go; then what
// holds and enters machine code: memory_unix.go, memory_shared_linux.go,
// enter_amd64.s, guard.go, rerun.go, cpu_amd64.go, supported.go; and what shows it
// (Listing): listing.go, listing_text.go. Package amd64 is the assembler.
package jit
