package jit

// features are the instruction sets beyond the first amd64 processors' that
// the compiler uses if they are there.
type features struct {
	BMI2  bool // SHLX, SHRX, SARX: shifts by any register, flags kept
	MOVBE bool // loads that swap bytes
}

// Features names the instruction sets of this processor that the compiler uses
// where it has them.
func Features() (names []string) {
	host := hostFeatures()
	if host.BMI2 {
		names = append(names, "BMI2")
	}
	if host.MOVBE {
		names = append(names, "MOVBE")
	}
	return names
}
