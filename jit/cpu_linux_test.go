//go:build amd64

package jit

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// The kernel asks the processor as well.
func TestHostFeatures(t *testing.T) {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Fatal(err)
	}
	_, flags, found := strings.Cut(string(text), "\nflags")
	if !found {
		t.Fatal("no flags in /proc/cpuinfo")
	}
	line, _, _ := strings.Cut(flags, "\n")
	has := func(flag string) bool { return slices.Contains(strings.Fields(line), flag) }
	if got, want := hostFeatures(), (features{BMI2: has("bmi2"), MOVBE: has("movbe")}); got != want {
		t.Errorf("%+v, the kernel says %+v", got, want)
	}
}
