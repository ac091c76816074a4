package object

import (
	"cmp"
	"debug/elf"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Clang before version 7 gave symbols neither types nor sizes, and the first
// ones wrote relocations with addends, which are all 0. The library can read
// neither: it takes a function or map for as long as its symbol says. libbpf
// before 1.0 and iproute2 took what they needed from the sections instead, and
// the programs themselves are as good as ever.

// modernize gives the symbols of an old object types and sizes, and turns
// relocations of code into those without addends.
func (c *contents) modernize() error {
	for i := range c.sections {
		switch {
		case c.kind(i) == elf.SHT_SYMTAB && uint64(c.sections[i].Link) < uint64(len(c.sections)):
			c.sizeSymbols(c.bytes(i), c.bytes(int(c.sections[i].Link)))
		case c.kind(i) == elf.SHT_RELA && c.isCode(int(min(c.sections[i].Info, maxSections))):
			if err := c.dropAddends(i); err != nil {
				return fmt.Errorf("section %q: %w", c.sectionName(i), err)
			}
		}
	}
	return nil
}

// An oldSymbol is a function or map, and where its entry stands in the table.
type oldSymbol struct {
	elf.Sym64
	entry []byte
}

// sizeSymbols lets each function and map end where the next one of its section
// starts, or at the section's end. If one has a size, all have: the object is
// not an old one.
func (c *contents) sizeSymbols(table, names []byte) {
	var all []oldSymbol
	for ; len(table) >= elf.Sym64Size; table = table[elf.Sym64Size:] {
		s := oldSymbol{c.symbol(table), table[:elf.Sym64Size]}
		section := int(s.Shndx)
		if !c.isCode(section) && !c.isMaps(section) || s.Value >= c.sections[section].Size {
			continue
		}
		if s.Size != 0 {
			return
		}
		// Functions are global or stand at the start of a section. Other
		// local symbols are labels.
		name := stringAt(names, s.Name)
		local := elf.ST_BIND(s.Info) == elf.STB_LOCAL
		if elf.ST_TYPE(s.Info) == elf.STT_NOTYPE && name != "" && !(local && (s.Value != 0 || isLabelName(name))) {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b oldSymbol) int {
		return cmp.Or(cmp.Compare(b.Shndx, a.Shndx), cmp.Compare(b.Value, a.Value))
	})
	var end uint64
	for i, s := range all { // from the end of each section
		switch {
		case i == 0 || all[i-1].Shndx != s.Shndx:
			end = c.sections[s.Shndx].Size
		case all[i-1].Value != s.Value:
			end = all[i-1].Value
		}
		typ := elf.STT_OBJECT
		if c.isCode(int(s.Shndx)) {
			typ = elf.STT_FUNC
		}
		s.entry[4] = elf.ST_INFO(elf.ST_BIND(s.Info), typ)
		c.order.PutUint64(s.entry[16:], end-s.Value)
	}
}

// symbol decodes an entry of the symbol table.
func (c *contents) symbol(entry []byte) elf.Sym64 {
	return elf.Sym64{
		Name: c.order.Uint32(entry), Info: entry[4], Shndx: c.order.Uint16(entry[6:]),
		Value: c.order.Uint64(entry[8:]), Size: c.order.Uint64(entry[16:]),
	}
}

// isMaps reports whether a section holds maps as structures.
func (c *contents) isMaps(i int) bool {
	return i < len(c.sections) && c.kind(i) == elf.SHT_PROGBITS && strings.HasPrefix(c.sectionName(i), "maps")
}

// dropAddends rewrites a section of relocations in place.
func (c *contents) dropAddends(i int) error {
	const entrySize, oldSize = 16, 24
	table := c.bytes(i)
	n := len(table) / oldSize
	for k := range n {
		old := table[k*oldSize:][:oldSize]
		if c.order.Uint64(old[entrySize:]) != 0 {
			return errors.New("relocations with addends are not supported")
		}
		copy(table[k*entrySize:], old[:entrySize])
	}
	c.sections[i].Type, c.sections[i].Size = uint32(elf.SHT_REL), uint64(n*entrySize)
	header := c.data[c.order.Uint64(c.data[40:])+uint64(i)*64:][:64] // e_shoff
	c.order.PutUint32(header[4:], uint32(elf.SHT_REL))
	c.order.PutUint64(header[32:], uint64(n*entrySize))
	c.order.PutUint64(header[56:], entrySize)
	return nil
}
