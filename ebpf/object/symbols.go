package object

import (
	"debug/elf"
	"strings"
)

// A place is where the file has a symbol; places order programs, maps and
// variables, which the library returns in Go maps.
type place struct {
	section elf.SectionIndex
	offset  uint64
}

func (p place) compare(q place) int {
	if p.section != q.section {
		return int(p.section) - int(q.section)
	}
	switch {
	case p.offset < q.offset:
		return -1
	case p.offset > q.offset:
		return 1
	}
	return 0
}

// symbols is what the reader needs of the symbol table beside what the library
// gives.
type symbols struct {
	places   map[string]place  // of defined symbols, and of sections by name
	sections map[string]string // symbol → name of its section
	weak     map[string]bool   // undefined symbols that may stay so
	externs  map[place]string  // where an undefined symbol is referred to
}

func readSymbols(f *elf.File) (symbols, error) {
	s := symbols{places: map[string]place{}, sections: map[string]string{}, weak: map[string]bool{}, externs: map[place]string{}}
	for i, sec := range f.Sections {
		s.places[sec.Name] = place{section: elf.SectionIndex(i)}
	}
	all, err := f.Symbols()
	if err != nil {
		return s, err
	}
	for _, sym := range all {
		switch {
		case sym.Section == elf.SHN_UNDEF:
			s.weak[sym.Name] = elf.ST_BIND(sym.Info) == elf.STB_WEAK
		case int(sym.Section) < len(f.Sections) && sym.Name != "" && !isLabel(sym):
			s.places[sym.Name] = place{sym.Section, sym.Value}
			s.sections[sym.Name] = f.Sections[sym.Section].Name
		}
	}
	return s, s.readExterns(f, all)
}

// readExterns finds the references to undefined symbols. Their relocations have
// the form that clang writes for BPF, without addends.
func (s *symbols) readExterns(f *elf.File, all []elf.Symbol) error {
	for _, sec := range f.Sections {
		if sec.Type != elf.SHT_REL {
			continue
		}
		data, err := sec.Data()
		if err != nil {
			return err
		}
		for ; len(data) >= 16; data = data[16:] {
			at := place{elf.SectionIndex(sec.Info), f.ByteOrder.Uint64(data)}
			n := int64(elf.R_SYM64(f.ByteOrder.Uint64(data[8:]))) - 1
			if n >= 0 && n < int64(len(all)) && all[n].Section == elf.SHN_UNDEF {
				s.externs[at] = all[n].Name
			}
		}
	}
	return nil
}

// isLabel reports whether a symbol is a jump label that the compiler left
// behind, such as "LBB0_3".
func isLabel(sym elf.Symbol) bool {
	return elf.ST_TYPE(sym.Info) == elf.STT_NOTYPE && elf.ST_BIND(sym.Info) == elf.STB_LOCAL && isLabelName(sym.Name)
}

func isLabelName(name string) bool { return strings.HasPrefix(strings.TrimLeft(name, "."), "L") }
