package cbpf_test

import (
	"errors"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/cbpf"
)

// ret is n returns, the shortest program of n instructions.
func ret(n int) []bpf.RawInstruction {
	prog := make([]bpf.RawInstruction, n)
	for i := range prog {
		prog[i].Op = cbpf.ClassRET
	}
	return prog
}

// A checkCase is a program at the edge of a rule. The rule is 0 if the program
// is valid.
type checkCase struct {
	name  string
	prog  []bpf.RawInstruction
	index int
	rule  cbpf.Rule
}

func checkCases(t *testing.T) []checkCase {
	return []checkCase{
		{"empty", nil, -1, cbpf.RuleLength},
		{"one", ret(1), 0, 0},
		{"longest", ret(4096), 0, 0},
		{"too long", ret(4097), -1, cbpf.RuleLength},
		{"opcode", []bpf.RawInstruction{{Op: 0x06}, {Op: 0x08}, {Op: 6}}, 1, cbpf.RuleOpcode},
		{"opcode above 255", []bpf.RawInstruction{{Op: 0x100}, {Op: 6}}, 0, cbpf.RuleOpcode},
		{"ret x", []bpf.RawInstruction{{Op: 0x0e}}, 0, cbpf.RuleOpcode},
		{"jneq", []bpf.RawInstruction{{Op: 0x55}, {Op: 6}}, 0, cbpf.RuleOpcode},
		{"div #0", assemble(t, "div #0\nret a"), 0, cbpf.RuleDivisor},
		{"mod #0", assemble(t, "mod #0\nret a"), 0, cbpf.RuleDivisor},
		{"mod x", assemble(t, "mod x\nret a"), 0, 0},
		{"lsh #31", assemble(t, "lsh #31\nret a"), 0, 0},
		{"lsh #32", assemble(t, "lsh #32\nret a"), 0, cbpf.RuleShift},
		{"rsh #32", assemble(t, "rsh #32\nret a"), 0, cbpf.RuleShift},
		{"st M[15]", assemble(t, "st M[15]\nret a"), 0, 0},
		{"st M[16]", assemble(t, "st M[16]\nret a"), 0, cbpf.RuleMemIndex},
		{"stx M[-1]", assemble(t, "stx M[-1]\nret a"), 0, cbpf.RuleMemIndex},
		{"ldx M[16]", assemble(t, "ldx M[16]\nret a"), 0, cbpf.RuleMemIndex},
		{"ja to the last", []bpf.RawInstruction{{Op: 5, K: 1}, {Op: 6}, {Op: 6}}, 0, 0},
		{"ja past the end", []bpf.RawInstruction{{Op: 5, K: 2}, {Op: 6}, {Op: 6}}, 0, cbpf.RuleJump},
		{"ja back", assemble(t, "a: ja a\nret a"), 0, cbpf.RuleJump},
		{"jt past the end", []bpf.RawInstruction{{Op: 0x15, Jt: 1}, {Op: 6}}, 0, cbpf.RuleJump},
		{"jf past the end", []bpf.RawInstruction{{Op: 0x1d, Jf: 1}, {Op: 6}}, 0, cbpf.RuleJump},
		{"jump at the end", []bpf.RawInstruction{{Op: 0x15}}, 0, cbpf.RuleJump},
		{"extension", assemble(t, "ldb [0xfffff03c]\nret a"), 0, 0},
		{"unknown extension", assemble(t, "ld [0xfffff040]\nret a"), 0, cbpf.RuleExtension},
		{"odd extension", assemble(t, "ld [0xfffff001]\nret a"), 0, cbpf.RuleExtension},
		{"below the extensions", assemble(t, "ld [0xffffefff]\nret a"), 0, 0},
		{"no return", assemble(t, "ret a\nld #0"), 1, cbpf.RuleReturn},
		{"read before written", assemble(t, "ld M[1]\nret a"), 0, cbpf.RuleUninitialized},
		{"written on one path", assemble(t, "jeq #0, r\nst M[1]\nr: ldx M[1]\nret a"), 2, cbpf.RuleUninitialized},
		{"written on both paths", assemble(t, "jeq #0, b\nst M[1]\nja r\nb: stx M[1]\nr: ld M[1]\nret a"), 0, 0},
		{"read after ja, where nothing leads", assemble(t, "ja r\nld M[1]\nr: ret a"), 0, 0},
		{"read after ret, where nothing leads", assemble(t, "ret a\nld M[1]\nret a"), 1, cbpf.RuleUninitialized},
	}
}

// Each rule of the checker, at its edges, and the instruction that is named.
func TestCheck(t *testing.T) {
	for _, c := range checkCases(t) {
		err := cbpf.Check(c.prog)
		var e *cbpf.CheckError
		switch {
		case c.rule == 0:
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		case !errors.As(err, &e) || e.Index != c.index || e.Rule != c.rule:
			t.Errorf("%s: %v, want instruction %d: %v", c.name, err, c.index, c.rule)
		}
		if _, err := cbpf.New(c.prog); (err == nil) != (c.rule == 0 || len(c.prog) > cbpf.MaxInstructions) {
			t.Errorf("%s: New says %v", c.name, err)
		}
	}
}

func TestCheckErrorText(t *testing.T) {
	err := cbpf.Check(assemble(t, "ld #1\njeq #1, l\ndiv #0\nl: ret a"))
	if want := "instruction 2 (div #0): division by the constant 0"; err == nil || err.Error() != want {
		t.Errorf("have %v, want %s", err, want)
	}
}
