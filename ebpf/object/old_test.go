package object_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"strings"
	"testing"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/object"
)

// TestOldObjects reads objects as the first clangs with BPF would have written
// them: the result is the same.
func TestOldObjects(t *testing.T) {
	for _, name := range []string{"legacy", "iproute2", "indexed"} {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile("testdata/" + name + ".o")
			if err != nil {
				t.Fatal(err)
			}
			o, err := object.Read(bytes.NewReader(age(t, data, 0)), object.Options{DefaultType: abi.SchedCLS})
			if err != nil {
				t.Fatal(err)
			}
			want := readFile(t, "testdata/"+name+".o", object.Options{DefaultType: abi.SchedCLS})
			if got, want := describe(o), describe(want); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			_, err = object.Read(bytes.NewReader(age(t, data, 8)), object.Options{})
			if err == nil || !strings.Contains(err.Error(), "relocations with addends are not supported") {
				t.Errorf("addends: %v", err)
			}
		})
	}
}

// age takes from an object what old clangs did not write: the machine, types
// and sizes of symbols. Functions that start a section become local, as static
// ones were, and relocations of code get the given addend.
func age(t testing.TB, data []byte, addend uint64) []byte {
	t.Helper()
	data = bytes.Clone(data)
	file, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	le.PutUint16(data[18:], uint16(elf.EM_NONE))
	code := func(i int) bool { return i < len(file.Sections) && file.Sections[i].Flags&elf.SHF_EXECINSTR != 0 }
	for i, s := range file.Sections {
		switch {
		case s.Type == elf.SHT_SYMTAB:
			for at := s.Offset; at < s.Offset+s.FileSize; at += elf.Sym64Size {
				entry := data[at:][:elf.Sym64Size]
				section := int(le.Uint16(entry[6:]))
				if bind := elf.ST_BIND(entry[4]); bind == elf.STB_GLOBAL && section != 0 {
					if code(section) && le.Uint64(entry[8:]) == 0 {
						bind = elf.STB_LOCAL
					}
					entry[4] = elf.ST_INFO(bind, elf.STT_NOTYPE)
					clear(entry[16:])
				}
			}
		case s.Type == elf.SHT_REL && code(int(s.Info)):
			header := data[le.Uint64(data[40:])+64*uint64(i):][:64]
			le.PutUint32(header[4:], uint32(elf.SHT_RELA))
			le.PutUint64(header[24:], uint64(len(data)))
			le.PutUint64(header[32:], s.FileSize/16*24)
			le.PutUint64(header[56:], 24)
			for at := s.Offset; at < s.Offset+s.FileSize; at += 16 {
				data = append(data, data[at:at+16]...)
				data = le.AppendUint64(data, addend)
			}
		}
	}
	return data
}
