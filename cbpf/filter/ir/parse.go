package ir

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/bpflab/bpflab/cbpf/origin"
)

// Parse reads the text form, for tests. Blocks keep their numbers and values
// are made by the constructors, so phis are renumbered. A phi must be written
// before its uses. Parse does not check the invariants; see Check.
func Parse(text string) (*Func, error) {
	p := &parser{f: NewFunc(), blocks: make(map[string]*Block), phis: make(map[string]*Value)}
	lines := splitLines(text)
	for _, step := range []func(line) error{p.declare, p.connect, p.values} {
		for _, l := range lines {
			if err := step(l); err != nil {
				return nil, fmt.Errorf("line %d: %w", l.number, err)
			}
		}
	}
	return p.f, nil
}

// A line is one statement: "b1:", "eval …", "jump b3", …
type line struct {
	number int
	words  []string
	origin string
}

// splitLines cuts text into statements and their words. The label of "b1:
// accept" is a statement of its own.
func splitLines(text string) []line {
	spaced := strings.NewReplacer("(", " ( ", ")", " ) ", "[", " [ ", "]", " ] ", ",", " , ", "-", " - ")
	var lines []line
	for i, s := range strings.Split(text, "\n") {
		s, o, _ := strings.Cut(s, ";")
		words := strings.Fields(spaced.Replace(s))
		if len(words) > 1 && strings.HasSuffix(words[0], ":") {
			lines = append(lines, line{i + 1, words[:1], ""})
			words = words[1:]
		}
		if len(words) > 0 {
			lines = append(lines, line{i + 1, words, strings.TrimSpace(o)})
		}
	}
	return lines
}

type parser struct {
	f      *Func
	blocks map[string]*Block
	phis   map[string]*Value
	b      *Block
	words  []string // what is left of the line
	err    error
}

var endings = map[string]Kind{"if": If, "jump": Jump, "accept": Accept, "reject": Reject}

// declare makes the blocks.
func (p *parser) declare(l line) error {
	name, isLabel := strings.CutSuffix(l.words[0], ":")
	kind, isEnding := endings[name]
	switch {
	case isLabel:
		id, err := strconv.Atoi(strings.TrimPrefix(name, "b"))
		if err != nil || p.blocks[name] != nil {
			return fmt.Errorf("%q is not a new block", name)
		}
		p.b = p.f.NewBlock(Reject)
		p.b.ID = id
		p.blocks[name] = p.b
		p.f.nextBlock = max(p.f.nextBlock, id+1)
	case isEnding && p.b != nil:
		p.b.Kind, p.b.Succs = kind, p.b.succs[:kind.ways()]
		return p.origin(l.origin)
	}
	return nil
}

func (p *parser) origin(text string) error {
	if text == "" {
		return nil
	}
	t, err := origin.Parse("0: " + text)
	if err == nil {
		p.b.Origin = t[0]
	}
	return err
}

// connect makes the edges.
func (p *parser) connect(l line) error {
	n := len(l.words)
	switch l.words[0] {
	case "if":
		if n < 8 || l.words[n-2] != "else" || l.words[n-4] != "goto" {
			return fmt.Errorf("want \"if X op Y goto B else B\"")
		}
		return p.edges(l.words[n-3], l.words[n-1])
	case "jump":
		return p.edges(l.words[n-1])
	case "accept", "reject":
		return nil
	}
	if name, ok := strings.CutSuffix(l.words[0], ":"); ok {
		p.b = p.blocks[name]
	}
	return nil
}

func (p *parser) edges(names ...string) error {
	for i, name := range names {
		to := p.blocks[name]
		if to == nil || p.b.Succs[i] != nil {
			return fmt.Errorf("no block %q, or a second end of a block", name)
		}
		p.f.Connect(Edge{p.b, i}, to)
	}
	return nil
}

// values makes the phis, evals and conditions.
func (p *parser) values(l line) error {
	name, isLabel := strings.CutSuffix(l.words[0], ":")
	p.words = l.words[1:]
	switch {
	case isLabel:
		p.b = p.blocks[name]
	case name == "eval":
		p.b.Evals = append(p.b.Evals, p.value())
	case name == "if":
		p.b.Cond.X = p.value()
		p.b.Cond.Op = CondOp(p.oneOf(condSigns[:]))
		p.b.Cond.Y = p.value()
		return p.err
	case endings[name] != If:
		return nil
	default:
		p.phi(name)
	}
	if p.err == nil && len(p.words) > 0 {
		p.fail("%q is too much", p.words[0])
	}
	return p.err
}

// phi reads "= phi b0.1: X, b4.0: Y".
func (p *parser) phi(name string) {
	p.want("=")
	p.want("phi")
	args := make([]*Value, len(p.b.Preds))
	for i := range args {
		if i > 0 {
			p.want(",")
		}
		edge := p.word()
		v := p.value()
		for j, e := range p.b.Preds {
			if edge == fmt.Sprintf("b%d.%d:", e.From.ID, e.Index) {
				args[j] = v
			}
		}
	}
	for _, a := range args {
		if a == nil {
			p.fail("%s lacks an argument", name)
		}
	}
	if p.err == nil {
		p.phis[name] = p.f.Phi(p.b, args, nil)
	}
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

func (p *parser) word() string {
	if len(p.words) == 0 {
		p.fail("the line ends too early")
		return ""
	}
	w := p.words[0]
	p.words = p.words[1:]
	return w
}

func (p *parser) want(w string) {
	if have := p.word(); have != w {
		p.fail("have %q, want %q", have, w)
	}
}

func (p *parser) oneOf(list []string) int {
	w := p.word()
	for i, s := range list {
		if s == w && w != "" {
			return i
		}
	}
	p.fail("%q is no operator", w)
	return int(Add)
}

// value reads a value. It never returns nil.
func (p *parser) value() *Value {
	w := p.word()
	switch w {
	case "len":
		return p.f.Len(nil)
	case "-":
		return p.f.Neg(p.value(), nil)
	case "u8", "u16", "u32":
		return p.load(map[string]uint8{"u8": 1, "u16": 2, "u32": 4}[w])
	case "(":
		x := p.value()
		op := Op(p.oneOf(opSigns[:]))
		v := p.f.Binary(op, x, p.value(), nil)
		p.want(")")
		return v
	}
	for i, name := range fieldNames {
		if name == w {
			return p.f.Meta(Field(i), nil)
		}
	}
	if v := p.phis[w]; v != nil {
		return v
	}
	return p.f.Const(p.number(w), nil)
}

func (p *parser) number(w string) uint32 {
	k, err := strconv.ParseUint(w, 0, 32)
	if err != nil {
		p.fail("%q is no value", w)
	}
	return uint32(k)
}

// load reads "[ K ]" or "[ BASE + K ]".
func (p *parser) load(size uint8) *Value {
	p.want("[")
	base := p.value()
	if w := p.word(); w == "+" {
		v := p.f.Load(size, base, p.number(p.word()), nil)
		p.want("]")
		return v
	}
	return p.f.Load(size, base, 0, nil)
}
