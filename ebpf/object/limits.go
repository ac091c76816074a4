package object

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// What the library and debug/elf do with a file can take far more time and
// memory than its size, by design: names are copied for each symbol, functions
// for each program that calls them, types for each variable. These limits keep
// all of it to some hundred megabytes and some seconds. Objects that compilers
// make stay far below.
const (
	maxFile     = 32 << 20 // bytes
	maxSections = 8192
	maxZero     = 64 << 20  // bytes of .bss sections, which the file does not have
	maxNames    = 64 << 20  // symbols × the longest name, CO-RE relocations × the longest string
	maxLinked   = 32 << 20  // bytes of code after linking
	maxTypes    = 50_000    // each can nest in the one before: the library recurses, 2 KiB a level
	maxTypeText = 256 << 20 // types × the longest string in the BTF
	maxTypeInfo = 16 << 20  // bytes of .BTF.ext
	maxCopies   = 4 << 20   // variables × types, 1 µs each
)

// readBounded reads all of a file.
func readBounded(r io.ReaderAt) ([]byte, error) {
	data, err := io.ReadAll(io.NewSectionReader(r, 0, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("object is larger than %d MiB", maxFile>>20)
	}
	return data, nil
}

// checkELF refuses what is no BPF object, and what would exceed the limits.
func checkELF(data []byte) (*contents, error) {
	sections, order, err := readSections(data)
	if err != nil {
		return nil, err
	}
	if err := checkSections(sections, len(data)); err != nil {
		return nil, err
	}
	c := &contents{sections: sections, data: data, order: order}
	if err := c.modernize(); err != nil {
		return nil, err
	}
	return c, c.check()
}

// readSections reads the section headers without trusting them.
func readSections(data []byte) ([]elf.Section64, binary.ByteOrder, error) {
	if !bytes.HasPrefix(data, []byte(elf.ELFMAG)) {
		return nil, nil, errors.New("not an ELF file")
	}
	if len(data) < 64 {
		return nil, nil, fmt.Errorf("damaged object: %d bytes, fewer than an ELF header has", len(data))
	}
	if elf.Class(data[elf.EI_CLASS]) != elf.ELFCLASS64 {
		return nil, nil, errors.New("not a BPF object: the ELF file is not a 64-bit one")
	}
	var order binary.ByteOrder = binary.LittleEndian
	if elf.Data(data[elf.EI_DATA]) == elf.ELFDATA2MSB {
		order = binary.BigEndian
	}
	var header elf.Header64
	if _, err := binary.Decode(data, order, &header); err != nil {
		return nil, nil, fmt.Errorf("damaged object: %w", err)
	}
	if m := elf.Machine(header.Machine); m != elf.EM_BPF && m != elf.EM_NONE { // old clangs left it out
		return nil, nil, fmt.Errorf("not a BPF object but one for %v", m)
	}
	if header.Type != uint16(elf.ET_REL) && header.Type != uint16(elf.ET_NONE) {
		return nil, nil, fmt.Errorf("not a relocatable object but %v", elf.Type(header.Type))
	}
	n := uint64(header.Shnum)
	if n == 0 || n > maxSections || header.Shoff > uint64(len(data)) || uint64(len(data))-header.Shoff < n*64 {
		return nil, nil, fmt.Errorf("damaged object: %d section headers at offset %d of %d bytes", n, header.Shoff, len(data))
	}
	sections := make([]elf.Section64, n)
	if _, err := binary.Decode(data[header.Shoff:], order, sections); err != nil {
		return nil, nil, fmt.Errorf("damaged object: %w", err)
	}
	return sections, order, nil
}

// checkSections checks that the sections lie in the file and do not overlap by
// much: what is read is then no larger than the file.
func checkSections(sections []elf.Section64, size int) error {
	var sum, zero uint64
	for i, s := range sections {
		switch {
		case elf.SectionType(s.Type) == elf.SHT_NULL:
			continue
		case elf.SectionFlag(s.Flags)&elf.SHF_COMPRESSED != 0:
			return fmt.Errorf("section %d is compressed, which BPF loaders do not read", i)
		case elf.SectionType(s.Type) == elf.SHT_NOBITS:
			zero += min(s.Size, maxZero+1)
		case s.Off > uint64(size) || s.Size > uint64(size)-s.Off:
			return fmt.Errorf("damaged object: section %d lies outside the file", i)
		default:
			sum += s.Size
		}
		if zero > maxZero {
			return fmt.Errorf("more than %d MiB of zeroed variables", maxZero>>20)
		}
		if sum > uint64(size) {
			return errors.New("damaged object: sections overlap")
		}
	}
	return nil
}
