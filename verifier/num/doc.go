// Package num has the abstract numbers of the verifier: what can be known of
// the number in a register without running the program.
//
// # Abstract numbers
//
// A verifier follows a program along its paths. Where a real machine has one
// number in a register, say a byte of a packet, the verifier has the set of
// all numbers that could be there: at first any, after "r1 &= 15" those from 0
// to 15, after "r1 <<= 2" the multiples of 4 up to 60. If every number of the
// set is a safe offset, the access is safe.
//
// Sets of 64-bit numbers are too large to be listed. So only sets of a certain
// form are kept, forms that are small, and quick to calculate with. Where the
// true set has another form, a larger one that contains it is taken. That is
// the one rule of the package: a result contains every number that a real
// machine could have (it is sound), and as few others as possible (precise).
// An unsound result lets a dangerous program through, an imprecise one refuses
// a safe one.
//
// # Three views
//
// A Tnum (tristate number, Linux's word for it) knows single bits: each is 0,
// 1 or unknown. It is the form for masks, shifts and alignment. Unknown bits
// are ones in Mask; known ones are in Value:
//
//	x & 0x3c       Value 0, Mask 0x3c       00????00
//	x | 1          Value 1, Mask ...fe      ???????1
//
// An Arc is a range of numbers, from Base upwards by at most Size. It is the
// form for comparisons and offsets. The numbers of a word lie on a circle, the
// largest being followed by 0, and an arc may be anywhere on it:
//
//	           0
//	    -1     |     1          3..6        Base 3, Size 3
//	 -2        |        2       -2..2       Base -2, Size 4
//	-3         |         3      passes 0
//	           |         4
//	  ...  max | min ...        the sign's border
//
// Adding a constant turns an arc, adding two of them adds their sizes, and
// neither has to care whether a sum overflows. There is no signed and unsigned
// kind of arc: -2..2 is one, and 3..6 is the same in either order. The older
// verifier of Linux has a range for each order, and loses both when a sum
// passes a border; the newer one has arcs as well ("cnum").
//
// A register is also used by its lower half: 32-bit operations and comparisons
// see no more. A second arc is for that, and so a Product of three views makes
// a Scalar: bits, arc of the register (Wide), arc of its lower half (Low). A
// number is meant if all three have it.
//
// # Reduction
//
// What one view learns, the others can often use:
//
//   - The ends of an arc move inwards to numbers that the bits allow, and those
//     of Wide to numbers whose lower half is in Low.
//   - The high bits that both ends of an arc share are known, unless it
//     passes 0.
//   - A Wide of less than 2^32 numbers gives its lower half an arc.
//
// This is repeated until nothing changes (sync). It makes "if w1 < 100" a
// bound of r1 where its upper half is known to be 0, and what is left of a
// range in multiples of 8 a smaller range. Where the views exclude each other
// no number is left: the path cannot be taken.
//
// Two arcs can overlap at both of their ends, "0..8" and "not 3..5" say. What
// is left is then not an arc, and the smaller of the two is kept. Apart from
// that, each step makes a view smaller.
//
// # Following a program
//
// ALU, SignExtend, ZeroExtend and ByteSwap are the instructions. Branch says
// what a conditional jump teaches about both of its operands, in either
// direction. Join is for two paths that meet, Leq for finding that a state is
// covered by an earlier one, Widen for loops, whose bounds it guesses.
//
// # Proofs
//
// Everything is written once, generic over the word. Tests run the same code
// on words of three to eight bits, where all operands can be tried and each
// result be held against the set of real ones. They prove that it is sound, and
// count how many results are the best possible: a change of precision does not
// go unseen. At 64 and 32 bits the code is tried on samples.
//
// At six bits, with a lower half of three, every run tries all operations,
// conditions and extensions on all pairs of operands known by their bits, on
// arcs with constants, and every deduction from one view to another. All three
// views of both operands at once are tried at three bits; docs/VERIFIER.md has
// the whole list. "go test -wide -timeout 0" takes minutes and has all pairs of
// arcs at six bits, and bits and constants at eight.
package num
