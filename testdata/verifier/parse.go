package programs

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
)

// Parse reads the entries of a file. The name is for messages.
func Parse(file, text string) ([]Program, error) {
	var list []Program
	var code strings.Builder
	finish := func() error {
		if len(list) == 0 {
			return nil
		}
		p := &list[len(list)-1]
		var err error
		if p.Insns, err = p.assemble(code.String()); err != nil {
			return fmt.Errorf("%s: %s: %w", p.Where, p.Name, err)
		}
		code.Reset()
		return nil
	}
	for i, line := range strings.Split(text, "\n") {
		where := fmt.Sprintf("%s:%d", file, i+1)
		switch {
		case line == "" || line[0] == '#':
			continue
		case line[0] == '\t', label.MatchString(line):
			code.WriteString(line + "\n")
			continue
		case strings.HasPrefix(line, "program "):
			if err := finish(); err != nil {
				return nil, err
			}
			list = append(list, Program{Name: line[len("program "):], Where: where, Absent: map[int]string{}})
			continue
		case len(list) == 0:
			return nil, fmt.Errorf("%s: no program yet", where)
		}
		if err := list[len(list)-1].header(line); err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
	}
	return list, finish()
}

var label = regexp.MustCompile(`^\w+:`)

func (p *Program) header(line string) error {
	key, rest, _ := strings.Cut(line, " ")
	switch key {
	case "type":
		for _, t := range types {
			if t.String() == rest {
				p.Type = t
				return nil
			}
		}
	case "map":
		return p.mapLine(strings.Fields(rest))
	case "absent":
		slot, name, _ := strings.Cut(rest, " ")
		n, err := strconv.Atoi(slot)
		p.Absent[n] = name
		return err
	case "context":
		n, err := strconv.Atoi(rest)
		p.ContextSize = n
		return err
	case "flag":
		if f := map[string]*bool{"notgpl": &p.NotGPL, "egress": &p.Egress, "strict": &p.Strict}[rest]; f != nil {
			*f = true
			return nil
		}
	case "reject":
		text, message, _ := strings.Cut(rest, " ")
		_, err := fmt.Sscanf(text, "V%d", &p.Code)
		p.Message = message
		return err
	case "kernel":
		p.Kernel = rest
		return nil
	}
	return fmt.Errorf("cannot read %q", line)
}

var types = []abi.ProgType{
	abi.SocketFilter, abi.SchedCLS, abi.SchedACT, abi.XDP, abi.CGroupSKB, abi.LWTIn, abi.LWTOut, abi.LWTXmit,
	abi.FlowDissector, abi.Kprobe, abi.Tracepoint, abi.PerfEvent, abi.RawTracepoint, abi.Tracing, abi.Syscall,
}

// mapLine reads "NAME KIND KEY VALUE ENTRIES [option…]".
func (p *Program) mapLine(words []string) error {
	if len(words) < 5 {
		return fmt.Errorf("a map needs a name, a kind and three sizes")
	}
	m := abi.MapSpec{Name: words[0]}
	for i := range abi.MapKinds {
		if info := &abi.MapKinds[i]; info.Kind.String() == words[1] {
			m.Kind, m.Flags = info.Kind, info.Needs
		}
	}
	if m.Kind == 0 {
		return fmt.Errorf("no kind of map %q", words[1])
	}
	for i, size := range []*uint32{&m.KeySize, &m.ValueSize, &m.MaxEntries} {
		n, err := strconv.ParseUint(words[2+i], 0, 32)
		if err != nil {
			return err
		}
		*size = uint32(n)
	}
	if err := p.mapOptions(&m, words[5:]); err != nil {
		return err
	}
	p.Maps = append(p.Maps, m)
	return nil
}

func (p *Program) mapOptions(m *abi.MapSpec, words []string) error {
	for len(words) > 0 {
		option, argument := words[0], ""
		words = words[1:]
		if option == "lock" || option == "inner" || option == "frozen" {
			if len(words) == 0 {
				return fmt.Errorf("%s needs an argument", option)
			}
			argument, words = words[0], words[1:]
		}
		if err := p.mapOption(m, option, argument); err != nil {
			return err
		}
	}
	return nil
}

func (p *Program) mapOption(m *abi.MapSpec, option, argument string) error {
	switch option {
	case "rdonly":
		m.Flags |= abi.MapReadOnlyProg
	case "wronly":
		m.Flags |= abi.MapWriteOnlyProg
	case "lock":
		n, err := strconv.ParseUint(argument, 0, 32)
		offset := uint32(n)
		m.SpinLock = &offset
		return err
	case "inner":
		i := p.mapIndex(argument)
		if i < 0 {
			return fmt.Errorf("no map %q", argument)
		}
		inner := p.Maps[i]
		m.Inner = &inner
	case "frozen":
		value, err := hex.DecodeString(argument)
		m.Contents = []abi.MapElement{{Key: make([]byte, m.KeySize), Value: value}}
		m.Frozen = true
		return err
	default:
		return fmt.Errorf("no option of maps %q", option)
	}
	return nil
}

func (p *Program) mapIndex(name string) int {
	for i := range p.Maps {
		if p.Maps[i].Name == name {
			return i
		}
	}
	return -1
}

var mapName = regexp.MustCompile(`map\[(\w+)\]`)

// assemble makes instructions of text with names of maps and raw lines.
func (p *Program) assemble(text string) ([]ebpf.Instruction, error) {
	for _, m := range mapName.FindAllStringSubmatch(text, -1) {
		i := p.mapIndex(m[1])
		if i < 0 {
			return nil, fmt.Errorf("no map %q", m[1])
		}
		text = strings.ReplaceAll(text, m[0], fmt.Sprintf("map[fd:%d]", i))
	}
	text, raw, err := rawLines(text)
	if err != nil {
		return nil, err
	}
	prog, err := ebpf.Assemble(text)
	if err != nil {
		return nil, err
	}
	for i := range prog {
		if n := int(prog[i].Imm) - placeholder; prog[i].Op == ebpf.ClassALU64|ebpf.Mov && n >= 0 && n < len(raw) {
			prog[i] = raw[n]
		}
	}
	return prog, nil
}

// placeholder and the numbers behind it are constants that stand for raw lines
// while the others are assembled.
const placeholder = 0x7e570000

var rawLine = regexp.MustCompile(`\braw ([0-9a-f]{2}) ([0-9a-f]{2}) ([0-9a-f]{4}) ([0-9a-f]{8})`)

func rawLines(text string) (string, []ebpf.Instruction, error) {
	var raw []ebpf.Instruction
	var failed error
	text = rawLine.ReplaceAllStringFunc(text, func(line string) string {
		m := rawLine.FindStringSubmatch(line)
		data, err := hex.DecodeString(strings.Join(m[1:], ""))
		if err != nil {
			failed = err
			return line
		}
		ins, err := ebpf.Decode(data, binary.LittleEndian)
		if err != nil {
			failed = err
			return line
		}
		raw = append(raw, ins[0])
		return fmt.Sprintf("r0 = %d", placeholder+len(raw)-1)
	})
	return text, raw, failed
}
