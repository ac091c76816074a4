package object

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
)

// checkNames checks what lies inside the sections: names, symbols, calls, types.
func checkNames(sections []elf.Section64, data []byte, order binary.ByteOrder) error {
	c := contents{sections: sections, data: data, order: order}
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
		if c.isCode(int(s.Shndx)) && elf.ST_TYPE(s.Info) != elf.STT_SECTION {
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
	names, at := c.bytes(table), c.sections[i].Name
	if uint64(at) >= uint64(len(names)) {
		return ""
	}
	name, _, _ := bytes.Cut(names[at:], []byte{0})
	return string(name)
}

// checkTypes bounds the type information.
func (c *contents) checkTypes() error {
	for i := range c.sections {
		switch c.sectionName(i) {
		case ".BTF":
			if err := checkBTF(c.bytes(i), c.order); err != nil {
				return err
			}
		case ".BTF.ext":
			if c.sections[i].Size > maxTypeInfo {
				return fmt.Errorf("line information of more than %d MiB", maxTypeInfo>>20)
			}
		}
	}
	return nil
}

// btfTail is the size of what follows the header of a type, fixed and for each
// of its elements, by the kind of the type (Documentation/bpf/btf.rst).
var btfTail = [...]struct{ fixed, each int }{
	1: {fixed: 4}, 3: {fixed: 12}, 4: {each: 12}, 5: {each: 12}, 6: {each: 8}, 13: {each: 8},
	14: {fixed: 4}, 15: {each: 12}, 17: {fixed: 4}, 19: {each: 12},
}

const btfVar = 14

// checkBTF walks over the types. What is damaged is left to the library.
func checkBTF(section []byte, order binary.ByteOrder) error {
	if len(section) < 24 {
		return nil
	}
	header := uint64(order.Uint32(section[4:]))
	types := cut(section, header+uint64(order.Uint32(section[8:])), order.Uint32(section[12:]))
	strings := cut(section, header+uint64(order.Uint32(section[16:])), order.Uint32(section[20:]))
	count, elements, variables := 0, 0, 0
	for len(types) >= 12 {
		info := order.Uint32(types[4:])
		kind, n := int(info>>24&0x1f), int(info&0xffff)
		size := 12
		if kind < len(btfTail) {
			size += btfTail[kind].fixed + n*btfTail[kind].each
		}
		if kind == btfVar {
			variables++
		}
		count, elements = count+1, elements+1+n
		types = types[min(size, len(types)):]
	}
	switch {
	case count > maxTypes:
		return fmt.Errorf("type information of %d types, more than %d", count, maxTypes)
	case elements*longest(strings) > maxTypeText:
		return errors.New("damaged object: type information of too long names")
	case variables*count > maxCopies:
		return fmt.Errorf("%d variables of %d types are too many", variables, count)
	}
	return nil
}

// cut returns the part of a section, as far as it is there.
func cut(section []byte, at uint64, size uint32) []byte {
	if at > uint64(len(section)) {
		return nil
	}
	return section[at:][:min(uint64(size), uint64(len(section))-at)]
}
