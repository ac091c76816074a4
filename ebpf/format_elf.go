package ebpf

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
)

// elfLicense is the license that the object declares; the kernel offers some
// helpers only to programs under a GPL-compatible one.
const elfLicense = "Dual BSD/GPL\x00"

// elfOrder is the byte order of the objects: clang's target "bpfel".
var elfOrder = binary.LittleEndian

// An elfSection is a section to be laid out: its header without name and
// place, and its content.
type elfSection struct {
	name   string
	header elf.Section64
	data   []byte
}

// Indices of the sections that symbols and headers refer to.
const (
	elfStrtab = 1
	elfSymtab = 2
	elfCode   = 3
)

// writeELF writes the smallest object that loaders (libbpf, cilium/ebpf,
// iproute2) take: the program in a section whose name tells its type, a
// function symbol for it, and the license. There are no maps and no BTF.
func writeELF(prog []Instruction, o WriteOptions) ([]byte, error) {
	if o.Section == "" {
		return nil, errors.New("an ELF object needs the name of a section that tells the program type, such as xdp")
	}
	if err := relocatable(prog); err != nil {
		return nil, err
	}
	name := o.Name
	if name == "" {
		name = "prog"
	}
	code := Append(nil, prog, elfOrder)
	var strings elfStrings
	symbols := elfSymbols(elf.Sym64{
		Name: strings.add(name), Info: elf.ST_INFO(elf.STB_GLOBAL, elf.STT_FUNC),
		Shndx: elfCode, Size: uint64(len(code)),
	}, elf.Sym64{
		Name: strings.add("_license"), Info: elf.ST_INFO(elf.STB_GLOBAL, elf.STT_OBJECT),
		Shndx: elfCode + 1, Size: uint64(len(elfLicense)),
	})
	sections := []elfSection{
		{}, // the null section
		{name: ".strtab", header: elf.Section64{Type: uint32(elf.SHT_STRTAB), Addralign: 1}},
		{name: ".symtab", header: elf.Section64{Type: uint32(elf.SHT_SYMTAB), Addralign: 8,
			Link: elfStrtab, Info: 1, Entsize: elf.Sym64Size}, data: symbols},
		{name: o.Section, header: elf.Section64{Type: uint32(elf.SHT_PROGBITS), Addralign: 8,
			Flags: uint64(elf.SHF_ALLOC | elf.SHF_EXECINSTR)}, data: code},
		{name: "license", header: elf.Section64{Type: uint32(elf.SHT_PROGBITS), Addralign: 1,
			Flags: uint64(elf.SHF_ALLOC | elf.SHF_WRITE)}, data: []byte(elfLicense)},
	}
	for i := range sections {
		sections[i].header.Name = strings.add(sections[i].name)
	}
	sections[elfStrtab].data = strings.data
	return elfLayout(sections), nil
}

// relocatable refuses what only a loader with relocations could place: calls
// to functions that would need a section of their own, and references to maps,
// kernel variables and kernel functions by numbers that hold for one process.
func relocatable(prog []Instruction) error {
	for i, ins := range prog {
		switch {
		case forms[ins.Op] == formCall && ins.Src == CallLocal:
			return problem(i, atRegisters, "calls between functions are not supported in ELF output")
		case forms[ins.Op] == formCall && ins.Src == CallKfunc:
			return problem(i, atRegisters, "calls of kernel functions are not supported in ELF output")
		case forms[ins.Op] == formWide && ins.Src != WideValue:
			return problem(i, atRegisters, "references to maps, functions and variables are not supported in ELF output")
		}
	}
	return nil
}

// elfStrings is a string table in the making; offset 0 is the empty string.
type elfStrings struct{ data []byte }

func (s *elfStrings) add(text string) uint32 {
	if len(s.data) == 0 {
		s.data = []byte{0}
	}
	if text == "" {
		return 0
	}
	at := len(s.data)
	s.data = append(append(s.data, text...), 0)
	return uint32(at)
}

// elfSymbols encodes a symbol table, with the null symbol in front.
func elfSymbols(symbols ...elf.Sym64) []byte {
	return elfEncode(append([]elf.Sym64{{}}, symbols...))
}

// elfLayout puts the sections one after the other behind the file header, and
// their headers at the end.
func elfLayout(sections []elfSection) []byte {
	at := uint64(binary.Size(elf.Header64{}))
	var content []byte
	headers := make([]elf.Section64, len(sections))
	for i, s := range sections {
		headers[i] = s.header
		if i == 0 {
			continue
		}
		content = append(content, make([]byte, -uint64(len(content))&7)...)
		headers[i].Off, headers[i].Size = at+uint64(len(content)), uint64(len(s.data))
		content = append(content, s.data...)
	}
	content = append(content, make([]byte, -uint64(len(content))&7)...)

	header := elf.Header64{
		Type: uint16(elf.ET_REL), Machine: uint16(elf.EM_BPF), Version: uint32(elf.EV_CURRENT),
		Shoff: at + uint64(len(content)), Ehsize: uint16(at), Shentsize: uint16(binary.Size(elf.Section64{})),
		Shnum: uint16(len(sections)), Shstrndx: elfStrtab,
	}
	copy(header.Ident[:], elf.ELFMAG)
	header.Ident[elf.EI_CLASS] = byte(elf.ELFCLASS64)
	header.Ident[elf.EI_DATA] = byte(elf.ELFDATA2LSB)
	header.Ident[elf.EI_VERSION] = byte(elf.EV_CURRENT)
	return bytes.Join([][]byte{elfEncode(header), content, elfEncode(headers)}, nil)
}

// elfEncode encodes structures of fixed size.
func elfEncode(v any) []byte {
	data, err := binary.Append(nil, elfOrder, v)
	if err != nil {
		panic(fmt.Sprintf("ebpf: %v", err)) // only if v has no fixed size
	}
	return data
}
