package cbpf

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/net/bpf"
)

// rawSize is the size of struct sock_filter: code (16 bits), jt, jf, k (32).
const rawSize = 8

// byteOrder is what encoding/binary's two orders can do.
type byteOrder interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

var (
	littleEndian byteOrder = binary.LittleEndian
	bigEndian    byteOrder = binary.BigEndian
)

func writeRaw(order byteOrder) func([]bpf.RawInstruction, WriteOptions) ([]byte, error) {
	return func(prog []bpf.RawInstruction, _ WriteOptions) ([]byte, error) {
		out := make([]byte, 0, rawSize*len(prog))
		for _, ins := range prog {
			out = order.AppendUint16(out, ins.Op)
			out = append(out, ins.Jt, ins.Jf)
			out = order.AppendUint32(out, ins.K)
		}
		return out, nil
	}
}

func parseRaw(order byteOrder) func([]byte) ([]bpf.RawInstruction, error) {
	return func(data []byte) ([]bpf.RawInstruction, error) {
		if rest := len(data) % rawSize; rest != 0 {
			return nil, &SyntaxError{
				Offset: len(data) - rest,
				Msg:    fmt.Sprintf("instruction %d is cut short: %d of %d bytes", len(data)/rawSize, rest, rawSize),
			}
		}
		prog := make([]bpf.RawInstruction, 0, len(data)/rawSize)
		for ; len(data) > 0; data = data[rawSize:] {
			prog = append(prog, bpf.RawInstruction{
				Op: order.Uint16(data),
				Jt: data[2],
				Jf: data[3],
				K:  order.Uint32(data[4:]),
			})
		}
		return prog, nil
	}
}
