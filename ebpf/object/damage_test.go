package object_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/object"
)

// checkRead reads an object that may be damaged, and checks what holds for
// every object that can be read.
func checkRead(t testing.TB, data []byte) {
	t.Helper()
	o, err := object.Read(bytes.NewReader(data), object.Options{Types: strings.NewReader("")})
	if err != nil {
		if o != nil || err.Error() == "" {
			t.Fatalf("object %v with error %v", o, err)
		}
		return
	}
	for i := range o.Programs {
		p := &o.Programs[i]
		if (p.Err == nil) == (p.Insns == nil) {
			t.Fatalf("program %s: %d instructions with error %v", p.Name, len(p.Insns), p.Err)
		}
		if p.Err != nil {
			continue
		}
		if err := ebpf.Validate(p.Insns); err != nil {
			t.Fatal(err)
		}
		for _, r := range p.Refs {
			ins := p.Insns[r.Slot]
			if r.Kind <= object.RefMapValue && (ins.Imm < 0 || int(ins.Imm) >= len(o.Maps) || o.Maps[ins.Imm].Name != r.Name) {
				t.Fatalf("program %s: reference %+v to map %d", p.Name, r, ins.Imm)
			}
		}
		for slot := range p.Insns {
			p.LineAt(slot)
			if p.FunctionAt(slot) == nil {
				t.Fatalf("program %s: no function at %d", p.Name, slot)
			}
		}
	}
	for _, v := range o.Variables {
		if len(o.Bytes(&v)) != int(v.Size) {
			t.Fatalf("variable %+v", v)
		}
	}
}

// samples returns the objects to damage.
func samples(t testing.TB) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, name := range programNames(t) {
		files["../../testdata/programs/"+name+".o"] = nil
	}
	for _, name := range []string{"legacy", "iproute2", "indexed", "tags", "variables", "externs", "core"} {
		files["testdata/"+name+".o"] = nil
	}
	for _, name := range []string{"packet", "maps"} {
		files["../../testdata/verifier/reports/"+name+".o"] = nil
	}
	for path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[path] = data
	}
	return files
}

// TestDamaged reads objects with a few bytes changed or the end missing.
func TestDamaged(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for path, good := range samples(t) {
		for range 150 {
			data := bytes.Clone(good)
			for range 1 + random.IntN(4) {
				data[random.IntN(len(data))] = byte(random.Uint32())
			}
			if random.IntN(8) == 0 {
				data = data[:random.IntN(len(data))]
			}
			checkRead(t, data)
		}
		if t.Failed() {
			t.Fatal(path)
		}
	}
}

// TestByteOrder: a program for the other byte order is not run, where each number
// of the packet that it compares would be another.
func TestByteOrder(t *testing.T) {
	file, err := os.Open("testdata/core.o")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	obj, err := object.Read(file, object.Options{})
	if err != nil {
		t.Fatal(err)
	}
	orders := []binary.ByteOrder{binary.LittleEndian, binary.BigEndian}
	refused := 0
	for _, obj.ByteOrder = range orders {
		if _, err := obj.Link(); errors.Is(err, object.ErrByteOrder) {
			refused++
		} else if err != nil {
			t.Error(err)
		}
	}
	if refused != 1 {
		t.Errorf("%d of the two byte orders are refused", refused)
	}
}

// TestRefused checks the message for what is no BPF object.
func TestRefused(t *testing.T) {
	good, err := os.ReadFile("testdata/core.o")
	if err != nil {
		t.Fatal(err)
	}
	change := func(at int, b byte) []byte {
		data := bytes.Clone(good)
		data[at] = b
		return data
	}
	tests := []struct {
		data []byte
		want string
	}{
		{nil, "not an ELF file"},
		{[]byte("\x7fELF"), "damaged object: 4 bytes"},
		{good[:1000], "damaged object: "},
		{change(elf.EI_CLASS, 1), "not a BPF object: the ELF file is not a 64-bit one"},
		{change(18, byte(elf.EM_X86_64)), "not a BPF object but one for EM_X86_64"},
		{change(16, byte(elf.ET_EXEC)), "not a relocatable object but ET_EXEC"},
		{change(60, 0), "damaged object: 0 section headers"},
	}
	for _, tt := range tests {
		_, err := object.Read(bytes.NewReader(tt.data), object.Options{})
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("error %v, want %s", err, tt.want)
		}
	}
}

// A section of an object that a test makes up.
type section struct {
	name    string
	header  elf.Section64
	content []byte
}

// makeObject puts an object together: the sections, then the names of sections.
func makeObject(sections []section) []byte {
	names := []byte{0}
	at := uint64(64)
	var content []byte
	headers := []elf.Section64{{}}
	add := func(s section) {
		s.header.Name = uint32(len(names))
		names = append(append(names, s.name...), 0)
		s.header.Off = at + uint64(len(content))
		if s.header.Size == 0 {
			s.header.Size = uint64(len(s.content))
		}
		content = append(content, s.content...)
		headers = append(headers, s.header)
	}
	for _, s := range sections {
		add(s)
	}
	names = append(names, ".shstrtab\x00"...)
	headers = append(headers, elf.Section64{Name: uint32(len(names) - 10), Type: uint32(elf.SHT_STRTAB),
		Off: at + uint64(len(content)), Size: uint64(len(names))})
	content = append(content, names...)
	header := elf.Header64{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', 2, 1, 1}, Type: uint16(elf.ET_REL), Machine: uint16(elf.EM_BPF),
		Version: 1, Shoff: at + uint64(len(content)), Ehsize: 64, Shentsize: 64,
		Shnum: uint16(len(headers)), Shstrndx: uint16(len(headers) - 1),
	}
	out, _ := binary.Append(nil, binary.LittleEndian, header)
	out = append(out, content...)
	out, _ = binary.Append(out, binary.LittleEndian, headers)
	return out
}

// btfOf makes BTF of encoded types and a string table.
func btfOf(types []uint32, strings []byte) []byte {
	raw, _ := binary.Append(nil, binary.LittleEndian, []uint32{
		0x0001eb9f, 24, 0, uint32(4 * len(types)), uint32(4 * len(types)), uint32(len(strings)),
	})
	raw, _ = binary.Append(raw, binary.LittleEndian, types)
	return append(raw, strings...)
}

// TestHostile reads objects that would ask for far more than their size, and
// checks that they are refused at little cost.
func TestHostile(t *testing.T) {
	symtab := elf.Section64{Type: uint32(elf.SHT_SYMTAB), Link: 2, Entsize: 24}
	strtab := elf.Section64{Type: uint32(elf.SHT_STRTAB)}
	code := elf.Section64{Type: uint32(elf.SHT_PROGBITS), Flags: uint64(elf.SHF_ALLOC | elf.SHF_EXECINSTR)}
	data := elf.Section64{Type: uint32(elf.SHT_PROGBITS), Flags: uint64(elf.SHF_ALLOC)}

	symbols := func(n int, s elf.Sym64) []byte {
		raw, _ := binary.Append(nil, binary.LittleEndian, make([]elf.Sym64, 1))
		for i := range n {
			one := s
			one.Value += uint64(8 * i)
			raw, _ = binary.Append(raw, binary.LittleEndian, one)
		}
		return raw
	}
	pointers := make([]uint32, 0, 3*200_000)
	for i := range 200_000 {
		pointers = append(pointers, 0, 2<<24, uint32(i+2))
	}
	tests := []struct {
		name     string
		sections []section
		want     string
	}{
		{"long names", []section{
			{".symtab", symtab, symbols(20_000, elf.Sym64{Name: 1})},
			{".strtab", strtab, append(bytes.Repeat([]byte{'a'}, 1<<20), 0)},
		}, "names of up to"},
		{"large symbols", []section{
			{".symtab", symtab, symbols(1000, elf.Sym64{Name: 1, Shndx: 3, Size: 1 << 20})},
			{".strtab", strtab, []byte("\x00a\x00")},
			{".data", data, make([]byte, 1<<20)},
		}, "symbols are larger than the file"},
		{"zeroes", []section{
			{".bss", elf.Section64{Type: uint32(elf.SHT_NOBITS), Size: 1 << 31}, nil},
		}, "zeroed variables"},
		{"compressed", []section{
			{".data", elf.Section64{Type: uint32(elf.SHT_PROGBITS), Flags: uint64(elf.SHF_COMPRESSED)}, make([]byte, 24)},
		}, "compressed"},
		{"outside", []section{
			{".data", elf.Section64{Type: uint32(elf.SHT_PROGBITS), Size: 1 << 40}, nil},
		}, "outside the file"},
		{"linking", []section{
			{".symtab", symtab, symbols(10_000, elf.Sym64{Name: 1, Shndx: 3, Size: 8, Info: 0x12})},
			{".strtab", strtab, []byte("\x00a\x00")},
			{"xdp", code, bytes.Repeat([]byte{0x85, 0x10, 0, 0, 0, 0, 0, 0}, 10_000)},
		}, "are too many"},
		{"deep types", []section{{".BTF", data, btfOf(pointers, []byte{0})}}, "200000 types"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			raw := makeObject(tt.sections)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			_, err := object.Read(bytes.NewReader(raw), object.Options{})
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %s", err, tt.want)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
				t.Errorf("reading %d bytes allocates %d", len(raw), used)
			}
			t.Log(time.Since(start))
		})
	}
}

// TestDeepTypes reads an object whose types nest as deep as is allowed. The
// library inflates them by recursion, and a stack overflow could not be caught:
// there must be room on machines where the stack can have 250 MB only.
func TestDeepTypes(t *testing.T) {
	defer debug.SetMaxStack(debug.SetMaxStack(200 << 20))
	const most = 50_000
	types := []uint32{1, 15<<24 | 1, 0, 2, 0, 0, 10, 14 << 24, 3, 0} // .kconfig, a variable in it
	for id := uint32(3); id < most; id++ {
		types = append(types, 0, 2<<24, id+1)
	}
	types = append(types, 0, 2<<24, 0)
	raw := makeObject([]section{
		{".symtab", elf.Section64{Type: uint32(elf.SHT_SYMTAB), Link: 2, Entsize: 24}, make([]byte, 48)},
		{".strtab", elf.Section64{Type: uint32(elf.SHT_STRTAB)}, []byte{0}},
		{".BTF", elf.Section64{Type: uint32(elf.SHT_PROGBITS)}, btfOf(types, []byte("\x00.kconfig\x00v\x00"))},
	})
	_, err := object.Read(bytes.NewReader(raw), object.Options{})
	if err == nil || !strings.Contains(err.Error(), "alignment of *btf.Pointer") { // the library knows no such variable
		t.Errorf("error %v", err)
	}
}

func FuzzRead(f *testing.F) {
	for _, data := range samples(f) {
		f.Add(data)
		f.Add(age(f, data, 0))
	}
	f.Fuzz(func(t *testing.T, data []byte) { checkRead(t, data) })
}
