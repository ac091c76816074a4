package verifier

// Options say how to verify. The zero value is good.
type Options struct {
	// Steps is how many instructions may be looked at, over all paths; 0
	// stands for [DefaultSteps], the kernel's limit.
	Steps int

	// Strict refuses what the kernel allows programs of privileged users
	// only: reading stack bytes that were never written, and letting the
	// value of a pointer out of the program.
	Strict bool

	// Facts keeps what is known before each instruction, for
	// [Proof.Facts]. It costs time and memory.
	Facts bool
}

// DefaultSteps is the number of steps after which the kernel gives up.
const DefaultSteps = 1_000_000

// Stats say what a verdict took.
type Stats struct {
	Steps    int `json:"steps"`    // instructions looked at, in all searches
	States   int `json:"states"`   // checkpoints kept at the end
	Peak     int `json:"peak"`     // and at most
	Searches int `json:"searches"` // 1, or more if the first ones lacked precision
}
