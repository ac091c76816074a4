package object

import "debug/elf"

// adapt changes what the library refuses but libbpf takes, in place: it would
// refuse the whole object for it. Nothing that is changed has a meaning for the
// library beyond the refusal.
//
// A variable of the kernel may have any type in libbpf ("extern const void x
// __ksym"), in the library only void, although it uses but the address. And
// configuration variables may be weak in libbpf, for options that older kernels
// do not have.
func (c *contents) adapt() {
	for i := range c.sections {
		if c.sectionName(i) != ".BTF" {
			continue
		}
		types := openBTF(c.bytes(i), c.order)
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
