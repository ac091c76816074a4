package verifier

// An explanation finds out why a program was rejected.
type explanation struct {
	*task
	failure *failure
}

func (e *explanation) follow() {}

func (e *explanation) explain(r *Report) {}
