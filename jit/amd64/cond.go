package amd64

// A Cond is a condition on the flags, as the last comparison left them.
type Cond uint8

// The conditions, numbered as in the encoding. Below and above compare unsigned
// numbers, less and greater signed ones.
const (
	CondO  Cond = iota // overflow
	CondNO             // no overflow
	CondB              // below: carry
	CondAE             // above or equal
	CondE              // equal: zero
	CondNE             // not equal
	CondBE             // below or equal
	CondA              // above
	CondS              // sign: negative
	CondNS             // no sign
	CondP              // parity even
	CondNP             // parity odd
	CondL              // less
	CondGE             // greater or equal
	CondLE             // less or equal
	CondG              // greater
)

// Not returns the opposite condition.
func (c Cond) Not() Cond { return c ^ 1 }

func (c Cond) bits() opcode {
	if c > CondG {
		panic("amd64: no such condition")
	}
	return opcode(c)
}
