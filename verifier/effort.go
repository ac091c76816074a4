package verifier

func (e *explanation) effort() *Effort { return nil }
