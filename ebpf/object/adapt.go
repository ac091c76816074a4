package object

import "debug/elf"

// adapt changes what the library refuses but libbpf takes, in place: it would
// refuse the whole object for it. Nothing that is changed has a meaning for the
// library beyond the refusal.
//
// A variable of the kernel may have any type in libbpf ("extern const void x
// __ksym"), in the library only void, although it uses but the address. The
// type of the values of a map of maps may go by another name (bareValues). And
// configuration variables may be weak in libbpf, for options that older kernels
// do not have.
func (c *contents) adapt() {
	for i := range c.sections {
		if c.sectionName(i) != ".BTF" {
			continue
		}
		types := openBTF(c.bytes(i), c.order)
		types.bareValues()
		ksyms, kconfig := types.variablesOf(".ksyms"), types.variablesOf(kconfigSection)
		names := map[string]bool{}
		for id, t := range types.all() {
			if kind, _ := types.kind(t); kind != btfVar {
				continue
			}
			if ksyms[uint32(id)] {
				c.order.PutUint32(t[8:], 0) // the type, void
			}
			if kconfig[uint32(id)] {
				names[types.name(t)] = true
			}
		}
		if len(names) > 0 {
			c.strengthen(names)
		}
	}
}

// bareValues makes the "values" of maps of maps pointers to structures where
// they are pointers to other names of structures, which the library does not
// see through.
func (b rawBTF) bareValues() {
	all := []rawType{nil}
	for _, t := range b.all() {
		all = append(all, t)
	}
	at := func(id uint32, kind int) rawType {
		if id == 0 || uint64(id) >= uint64(len(all)) {
			return nil
		}
		if k, _ := b.kind(all[id]); k != kind {
			return nil
		}
		return all[id]
	}
	for _, t := range all[1:] {
		kind, n := b.kind(t)
		for m := t[12:]; kind == btfStruct && n > 0; m, n = m[12:], n-1 {
			if stringAt(b.strings, b.order.Uint32(m)) != "values" {
				continue
			}
			array := at(b.order.Uint32(m[4:]), btfArray)
			if array == nil {
				continue
			}
			if p := at(b.order.Uint32(array[12:]), btfPointer); p != nil {
				b.order.PutUint32(p[8:], b.bare(all, b.order.Uint32(p[8:])))
			}
		}
	}
}

// bare returns the id of the type behind typedefs and qualifiers.
func (b rawBTF) bare(all []rawType, id uint32) uint32 {
	for range 32 { // a longer chain is a circle, or made to take time
		if id == 0 || uint64(id) >= uint64(len(all)) {
			break
		}
		if kind, _ := b.kind(all[id]); kind < btfTypedef || kind > btfRestrict {
			break
		}
		id = b.order.Uint32(all[id][8:])
	}
	return id
}

// variablesOf returns the ids of the types that a section of variables lists.
func (b rawBTF) variablesOf(section string) map[uint32]bool {
	ids := map[uint32]bool{}
	for _, t := range b.all() {
		kind, n := b.kind(t)
		if kind != btfDatasec || b.name(t) != section {
			continue
		}
		for i := range n {
			ids[b.order.Uint32(t[12+12*i:])] = true
		}
	}
	return ids
}

// strengthen makes undefined weak symbols global.
func (c *contents) strengthen(names map[string]bool) {
	for i, s := range c.sections {
		if c.kind(i) != elf.SHT_SYMTAB || uint64(s.Link) >= uint64(len(c.sections)) {
			continue
		}
		strings := c.bytes(int(s.Link))
		for table := c.bytes(i); len(table) >= elf.Sym64Size; table = table[elf.Sym64Size:] {
			info, section := table[4], elf.SectionIndex(c.order.Uint16(table[6:]))
			weak := elf.ST_BIND(info) == elf.STB_WEAK && section == elf.SHN_UNDEF
			if weak && names[stringAt(strings, c.order.Uint32(table))] {
				table[4] = elf.ST_INFO(elf.STB_GLOBAL, elf.ST_TYPE(info))
			}
		}
	}
}
