package ebpf_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf"
)

// TestUnit assembles a text with maps and functions by name, and shows the
// program with the same names.
func TestUnit(t *testing.T) {
	const text = `
.map .rodata type array key 4 value 16 entries 1 flags 0x480 ; constants
.map fd type hash value 8 entries 10 key 4
	r1 = map[fd]
	r2 = map[.rodata][0]+8
	r3 = map[.rodata] ll
	r4 = subprog[visit]
	call visit
	exit
visit:	r0 = 0
	exit`
	unit, err := ebpf.AssembleUnit(text)
	if err != nil {
		t.Fatal(err)
	}
	var maps []string
	for _, m := range unit.Maps {
		maps = append(maps, m.String())
	}
	want := ".map .rodata type array key 4 value 16 entries 1 flags 0x480\n.map fd type hash key 4 value 8 entries 10"
	if got := strings.Join(maps, "\n"); got != want || unit.Maps[1].Line != 3 {
		t.Errorf("maps, the second one from line %d:\n%s\nwant\n%s", unit.Maps[1].Line, got, want)
	}
	plain, err := ebpf.Assemble("r1 = map[fd:1]\nr2 = map[fd:0][0]+8\nr3 = map[fd:0]\nr4 = subprog[+3]\ncall +1\nexit\nr0 = 0\nexit")
	if err != nil || !equal(plain, unit.Insns) {
		t.Errorf("%v, %v, want %v", err, unit.Insns, plain)
	}
	names := ebpf.Names{
		Map:      func(i int32) string { return unit.Maps[i].Name },
		Function: func(slot int) string { return map[int]string{10: "visit"}[slot] },
	}
	lines := names.Disassemble(unit.Insns)
	if got := strings.Join(lines, "|"); got != "r1 = map[fd]||r2 = map[.rodata][0]+8||r3 = map[.rodata]||r4 = subprog[visit]||call visit|exit|r0 = 0|exit" {
		t.Error(got)
	}
}

func TestDeclarationErrors(t *testing.T) {
	const good = ".map m type array key 4 value 8 entries 1\n"
	for _, tt := range []struct {
		text         string
		line, column int
		msg          string
	}{
		{".map", 1, 5, "the name of a map"},
		{".map m", 1, 7, `"type" of the map`},
		{".map m type", 1, 12, "a type of maps"},
		{".map m type array key 4 value 8", 1, 32, `"entries" of the map`},
		{".map m type array key 4 value 8 entries 1 key 4", 1, 43, `"key" is given twice`},
		{".map m type array key -4", 1, 23, "a number from 0 to 4294967295"},
		{".map m type array key 4294967296", 1, 23, "a number from 0 to 4294967295"},
		{".map m type array size 4", 1, 19, "type, key, value, entries or flags"},
		{".map m type array + 4", 1, 19, "type, key, value, entries or flags"},
		{good + good, 2, 6, `map "m" is declared twice`},
		{"r1 = map[m]\n" + good, 1, 10, `no map "m": declare it`},
		{good + "r1 = map[n]", 2, 10, `no map "n": declare it`},
		{good + "r1 = map[]", 2, 10, "the name of a map, fd:N or idx:N"},
		{good + "w1 = map[m]", 2, 1, "an address needs a 64-bit register"},
		{good + "r1 = map[m][1]", 2, 12, "the end of the line"},
	} {
		_, err := ebpf.AssembleUnit(tt.text)
		var e *ebpf.SyntaxError
		if !errors.As(err, &e) || e.Line != tt.line || e.Column != tt.column || !strings.Contains(e.Msg, tt.msg) {
			t.Errorf("%q: %v; want line %d, column %d: …%s…", tt.text, err, tt.line, tt.column, tt.msg)
		}
	}
}

func TestIsName(t *testing.T) {
	for name, want := range map[string]bool{
		"visit": true, ".rodata": true, "a.b$c_1": true, "fd": true, "r11": true,
		"": false, ".map": false, "r1": false, "w10": false, "fp": false, "pc": false, "1a": false, "a b": false, "bpf_loop": false, "a:": false,
	} {
		if ebpf.IsName(name) != want {
			t.Errorf("IsName(%q) is %v", name, !want)
		}
	}
}
