package verifier

import "fmt"

// A Report says why a program could not be proved safe.
type Report struct {
	Code    Code
	Slot    int    // of the instruction at fault
	Message string // one line, without code and place
	Source  Source // of the instruction
	Stats   Stats
}

// Error returns the report in one line.
func (r *Report) Error() string { return fmt.Sprintf("V%03d at %d: %s", r.Code, r.Slot, r.Message) }

func (t *task) report(f *failure) *Report {
	r := &Report{Code: f.code, Slot: f.pc, Message: f.msg, Stats: t.stats}
	if t.p.Source != nil {
		r.Source = t.p.Source(f.pc)
	}
	return r
}
