package verifier

import "fmt"

// A failure is a rule broken on one path, in the form in which the step
// functions find it: enough for the explanation, cheap where a search with
// less precision finds failures that a more precise one does not.
type failure struct {
	code   Code
	pc     int
	reg    int8   // the register that is at fault, -1 for none
	msg    string // without register values, which the report adds
	off    int64  // memory: the lowest offset of the access and the end of the highest, from the start of the object
	end    int64
	have   int64 // memory: the bytes that are known to be there
	bounds bool  // off, end and have are set
}

func (f *failure) String() string { return fmt.Sprintf("V%03d at %d: %s", f.code, f.pc, f.msg) }

// fail makes the failure of the instruction being stepped.
func (v *verifier) fail(code Code, reg int, format string, args ...any) *failure {
	return &failure{code: code, pc: v.pc, reg: int8(reg), msg: fmt.Sprintf(format, args...)}
}

// miss adds the arithmetic of an access outside of an object.
func (f *failure) miss(off, end, have int64) *failure {
	f.off, f.end, f.have, f.bounds = off, end, have, true
	return f
}
