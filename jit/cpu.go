package jit

// features are the instruction sets beyond the first amd64 processors' that
// the compiler uses if they are there.
type features struct {
	BMI2  bool // RORX, SHLX, SHRX, SARX, MULX: shifts by any register, flags kept
	MOVBE bool // loads and stores that swap bytes
}
