package object

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
)

// Kinds of BTF types that are looked at here (Documentation/bpf/btf.rst).
const (
	btfPointer  = 2
	btfArray    = 3
	btfStruct   = 4
	btfTypedef  = 8
	btfRestrict = 11 // 9 is volatile, 10 is const
	btfVar      = 14
	btfDatasec  = 15
)

// btfTail is the size of what follows the header of a type, fixed and for each
// of its elements, by the kind of the type.
var btfTail = [...]struct{ fixed, each int }{
	1: {fixed: 4}, 3: {fixed: 12}, 4: {each: 12}, 5: {each: 12}, 6: {each: 8}, 13: {each: 8},
	btfVar: {fixed: 4}, btfDatasec: {each: 12}, 17: {fixed: 4}, 19: {each: 12},
}

// rawBTF is the content of a .BTF section, of which nothing is known to be true.
type rawBTF struct {
	types, strings []byte
	order          binary.ByteOrder
}

func openBTF(section []byte, order binary.ByteOrder) rawBTF {
	if len(section) < 24 {
		return rawBTF{order: order}
	}
	header := uint64(order.Uint32(section[4:]))
	return rawBTF{
		types:   cut(section, header+uint64(order.Uint32(section[8:])), order.Uint32(section[12:])),
		strings: cut(section, header+uint64(order.Uint32(section[16:])), order.Uint32(section[20:])),
		order:   order,
	}
}

// cut returns the part of a section, as far as it is there.
func cut(section []byte, at uint64, size uint32) []byte {
	if at > uint64(len(section)) {
		return nil
	}
	return section[at:][:min(uint64(size), uint64(len(section))-at)]
}

// A rawType is one encoded type: name, kind and count, size or type, the rest.
type rawType []byte

// kind returns the kind of a type and the number of its elements.
func (b rawBTF) kind(t rawType) (kind, n int) {
	info := b.order.Uint32(t[4:])
	return int(info >> 24 & 0x1f), int(info & 0xffff)
}

// all returns the types in the order of their ids, from 1, as far as they are
// whole.
func (b rawBTF) all() iter.Seq2[int, rawType] {
	return func(yield func(int, rawType) bool) {
		rest := b.types
		for id := 1; len(rest) >= 12; id++ {
			kind, n := b.kind(rest)
			size := 12
			if kind < len(btfTail) {
				size += btfTail[kind].fixed + n*btfTail[kind].each
			}
			if size > len(rest) || !yield(id, rawType(rest[:size])) {
				return
			}
			rest = rest[size:]
		}
	}
}

func (b rawBTF) name(t rawType) string { return stringAt(b.strings, b.order.Uint32(t)) }

// checkBTF bounds what the library makes of the types, and returns the length
// of the longest string.
func checkBTF(b rawBTF) (int, error) {
	count, elements, variables := 0, 0, 0
	for _, t := range b.all() {
		kind, n := b.kind(t)
		if kind == btfVar {
			variables++
		}
		count, elements = count+1, elements+1+n
	}
	text := longest(b.strings)
	switch {
	case count > maxTypes:
		return 0, fmt.Errorf("type information of %d types, more than %d", count, maxTypes)
	case elements*text > maxTypeText:
		return 0, errors.New("damaged object: type information of too long names")
	case variables*count > maxCopies:
		return 0, fmt.Errorf("%d variables of %d types are too many", variables, count)
	}
	return text, nil
}
