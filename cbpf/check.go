package cbpf

import (
	"fmt"

	"golang.org/x/net/bpf"
)

// A Rule is one of the rules that a program has to keep. They are those of
// bpf_check_classic and check_load_and_stores in the kernel's
// net/core/filter.c; the text of a rule says what is demanded.
type Rule uint8

const (
	RuleLength        Rule = iota + 1 // 1 to 4096 instructions
	RuleOpcode                        // a known opcode
	RuleDivisor                       // no division by the constant 0
	RuleShift                         // no shift by a constant above 31
	RuleMemIndex                      // scratch memory has 16 words
	RuleJump                          // jumps stay inside the program
	RuleExtension                     // a known extension
	RuleReturn                        // the last instruction is a return
	RuleUninitialized                 // scratch memory is written before it is read, on every path
)

var ruleTexts = [...]string{
	RuleLength:        "a program has 1 to 4096 instructions",
	RuleOpcode:        "unknown opcode",
	RuleDivisor:       "division by the constant 0",
	RuleShift:         "shift by a constant above 31",
	RuleMemIndex:      "scratch memory has 16 words, M[0] to M[15]",
	RuleJump:          "jump out of the program",
	RuleExtension:     "unknown extension (load from SKF_AD_OFF or above)",
	RuleReturn:        "the last instruction is not a return",
	RuleUninitialized: "scratch memory is read before it was written on every path",
}

func (r Rule) String() string {
	if int(r) < len(ruleTexts) && ruleTexts[r] != "" {
		return ruleTexts[r]
	}
	return fmt.Sprintf("Rule(%d)", uint8(r))
}

// A CheckError says why a program is not valid.
type CheckError struct {
	Index int                // of the offending instruction; -1 if the program as a whole is wrong
	Ins   bpf.RawInstruction // the instruction, zero if Index is -1
	Rule  Rule
}

func (e *CheckError) Error() string {
	if e.Index < 0 {
		return e.Rule.String()
	}
	return fmt.Sprintf("instruction %d (%s): %v", e.Index, tidy(Mnemonic(e.Ins, e.Index)), e.Rule)
}

// Check reports whether Linux takes prog as a socket filter, by the rules of
// its classic checker. The error is a [*CheckError] for the first rule broken,
// in the order in which the kernel looks.
//
// A program that passes can still be refused when it is attached, for what it
// becomes when the kernel translates it: ENOMEM if the translation is larger
// than net.core.optmem_max allows (from about 1000 packet loads on), EINVAL if
// a jump has to cross more than 32767 translated instructions.
func Check(prog []bpf.RawInstruction) error {
	if len(prog) > MaxInstructions {
		return &CheckError{Index: -1, Rule: RuleLength}
	}
	return check(prog)
}

// check applies all rules but the kernel's limit on the length, which is none
// of the machine.
func check(prog []bpf.RawInstruction) error {
	if len(prog) == 0 {
		return &CheckError{Index: -1, Rule: RuleLength}
	}
	for i, ins := range prog {
		if r := checkInstruction(ins, len(prog)-i-1); r != 0 {
			return &CheckError{i, ins, r}
		}
	}
	if last := len(prog) - 1; !isReturn(prog[last].Op) {
		return &CheckError{last, prog[last], RuleReturn}
	}
	return checkMemory(prog)
}

// checkInstruction returns the rule that an instruction breaks by itself, 0 if
// none; after is how many instructions follow it.
func checkInstruction(ins bpf.RawInstruction, after int) Rule {
	op, ok := lookup(ins.Op)
	if !ok {
		return RuleOpcode
	}
	switch ins.Op {
	case ClassALU | DIV | SrcK, ClassALU | MOD | SrcK:
		if ins.K == 0 {
			return RuleDivisor
		}
	case ClassALU | LSH | SrcK, ClassALU | RSH | SrcK:
		if ins.K > 31 {
			return RuleShift
		}
	case ClassJMP | JA:
		// Unsigned: a distance that is negative to a reader is out of
		// range, so that no program can loop.
		if uint64(ins.K) >= uint64(after) {
			return RuleJump
		}
	}
	switch {
	case op.operand == opndMem && ins.K >= MemWords:
		return RuleMemIndex
	case isConditional(ins.Op) && int(max(ins.Jt, ins.Jf)) >= after:
		return RuleJump
	case op.operand == opndAbs && ins.K >= AdOff:
		if _, ok := extension(ins); !ok {
			return RuleExtension
		}
	}
	return 0
}

// checkMemory finds reads of scratch memory that some path reaches without a
// write. One pass suffices since all jumps go forward: valid holds the words
// written on every path to the instruction at hand, and incoming what the
// jumps to each instruction met so far bring along.
//
// As in the kernel, code after an unconditional jump that nothing jumps to
// counts as if all words were written, and a return does not end a path.
func checkMemory(prog []bpf.RawInstruction) error {
	incoming := make([]uint16, len(prog))
	for i := range incoming {
		incoming[i] = ^uint16(0)
	}
	var valid uint16
	for i, ins := range prog {
		valid &= incoming[i]
		switch op := ins.Op; {
		case op == ClassST || op == ClassSTX:
			valid |= 1 << ins.K
		case op == ClassLD|ModeMEM || op == ClassLDX|ModeMEM:
			if valid>>ins.K&1 == 0 {
				return &CheckError{i, ins, RuleUninitialized}
			}
		case op == ClassJMP|JA:
			incoming[i+1+int(ins.K)] &= valid
			valid = ^uint16(0)
		case isConditional(op):
			incoming[i+1+int(ins.Jt)] &= valid
			incoming[i+1+int(ins.Jf)] &= valid
			valid = ^uint16(0)
		}
	}
	return nil
}
