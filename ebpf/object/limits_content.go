package object

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
)

// check checks what lies inside the sections: names, symbols, calls, types.
func (c *contents) check() error {
	if err := c.checkSymbols(); err != nil {
		return err
	}
	if err := c.checkLinking(); err != nil {
		return err
	}
	return c.checkTypes()
}

// contents is a file whose sections all lie inside of it; that is checked.
type contents struct {
	sections []elf.Section64
	data     []byte
	order    binary.ByteOrder
	symbols  []elf.Sym64
}

func (c *contents) kind(i int) elf.SectionType { return elf.SectionType(c.sections[i].Type) }

// bytes returns the contents of a section, nil if the file has none.
func (c *contents) bytes(i int) []byte {
	s := c.sections[i]
	if c.kind(i) == elf.SHT_NOBITS || c.kind(i) == elf.SHT_NULL || s.Off > uint64(len(c.data)) {
		return nil
	}
	return c.data[s.Off:][:min(s.Size, uint64(len(c.data))-s.Off)]
}

// longest returns the length of the longest string in a string table.
func longest(table []byte) int {
	most := 0
	for s := range bytes.SplitSeq(table, []byte{0}) {
		most = max(most, len(s))
	}
	return most
}

// checkSymbols reads the symbol table and bounds the names and the variables
// that the library copies.
func (c *contents) checkSymbols() error {
	name, sizes, limit := 0, uint64(0), uint64(2*len(c.data)+maxZero)
	for i := range c.sections {
		switch c.kind(i) {
		case elf.SHT_STRTAB:
			name = max(name, longest(c.bytes(i)))
		case elf.SHT_SYMTAB, elf.SHT_DYNSYM:
			table := make([]elf.Sym64, len(c.bytes(i))/elf.Sym64Size)
			if _, err := binary.Decode(c.bytes(i), c.order, table); err != nil {
				return fmt.Errorf("damaged object: symbol table: %w", err)
			}
			c.symbols = append(c.symbols, table...)
		}
	}
	if name*(len(c.symbols)+len(c.sections)) > maxNames {
		return fmt.Errorf("damaged object: names of up to %d bytes for %d symbols", name, len(c.symbols))
	}
	for _, s := range c.symbols {
		if sizes += min(s.Size, limit); sizes > limit {
			return errors.New("damaged object: symbols are larger than the file")
		}
	}
	return nil
}

// isCode reports whether a section holds programs or functions.
func (c *contents) isCode(i int) bool {
	return i < len(c.sections) && c.kind(i) == elf.SHT_PROGBITS &&
		elf.SectionFlag(c.sections[i].Flags)&elf.SHF_EXECINSTR != 0
}

// checkLinking bounds the code after linking: all that can be called, once for
// each program.
func (c *contents) checkLinking() error {
	programs, code, callable := uint64(0), uint64(0), uint64(0)
	for _, s := range c.symbols {
		i := int(s.Shndx) // functions in .text are no programs
		if c.isCode(i) && elf.ST_TYPE(s.Info) != elf.STT_SECTION && c.sectionName(i) != ".text" {
			programs++
		}
	}
	called := c.calledSections()
	for i, s := range c.sections {
		if c.isCode(i) {
			code += s.Size
		}
		if called[i] {
			callable += s.Size
		}
	}
	if linked := code + programs*callable; linked > maxLinked {
		return fmt.Errorf("%d functions, each with up to %d bytes of functions that it calls, are too many", programs, callable)
	}
	return nil
}

// calledSections returns the sections whose functions other code calls: those
// that relocations of code lead to, and, as old compilers resolved calls inside
// of a section themselves, those that have calls without a relocation.
func (c *contents) calledSections() map[int]bool {
	called, relocated := map[int]bool{}, map[uint64]bool{}
	for i, s := range c.sections {
		if c.kind(i) != elf.SHT_REL || !c.isCode(int(min(s.Info, maxSections))) {
			continue
		}
		table := make([]elf.Rel64, len(c.bytes(i))/16)
		if _, err := binary.Decode(c.bytes(i), c.order, table); err != nil {
			continue // cannot be: the table has the size of the data
		}
		for _, r := range table {
			relocated[c.sections[s.Info].Off+r.Off] = true
			if n := elf.R_SYM64(r.Info); int64(n) < int64(len(c.symbols)) && c.isCode(int(c.symbols[n].Shndx)) {
				called[int(c.symbols[n].Shndx)] = true
			}
		}
	}
	for i, s := range c.sections {
		for at, code := 0, c.bytes(i); c.isCode(i) && at+8 <= len(code) && !called[i]; at += 8 {
			local := code[at] == 0x85 && (code[at+1] == 0x10 || code[at+1] == 0x01)
			called[i] = local && !relocated[s.Off+uint64(at)]
		}
	}
	return called
}

// sectionName returns the name of a section, "" if it is damaged.
func (c *contents) sectionName(i int) string {
	table := int(c.order.Uint16(c.data[62:])) // e_shstrndx
	if table >= len(c.sections) {
		return ""
	}
	return stringAt(c.bytes(table), c.sections[i].Name)
}

// stringAt returns the string at an offset of a string table, "" if there is
// none.
func stringAt(table []byte, at uint32) string {
	if uint64(at) >= uint64(len(table)) {
		return ""
	}
	name, _, _ := bytes.Cut(table[at:], []byte{0})
	return string(name)
}

// checkTypes bounds the type information and what goes with it.
func (c *contents) checkTypes() error {
	text, relocations := 0, 0
	for i := range c.sections {
		switch c.sectionName(i) {
		case ".BTF":
			n, err := checkBTF(openBTF(c.bytes(i), c.order))
			if err != nil {
				return err
			}
			text = max(text, n)
		case ".BTF.ext":
			if c.sections[i].Size > maxTypeInfo {
				return fmt.Errorf("line information of more than %d MiB", maxTypeInfo>>20)
			}
			relocations += countCORE(c.bytes(i), c.order)
		}
	}
	if relocations*text > maxNames { // each has a path through a type, as a string
		return errors.New("damaged object: CO-RE relocations of too long names")
	}
	return nil
}

// countCORE returns an upper bound of the number of CO-RE relocations, from
// the length of their part of a .BTF.ext section: 16 bytes each.
func countCORE(section []byte, order binary.ByteOrder) int {
	if len(section) < 32 || order.Uint32(section[4:]) < 32 {
		return 0
	}
	return int(min(uint64(order.Uint32(section[28:])), uint64(len(section)))) / 16
}
