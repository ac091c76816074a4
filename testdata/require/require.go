// Package require lets a test say what it needs of the machine. A test whose
// need is missing is skipped with the reason, except where BPFLAB_REQUIRE=all
// is set, as in CI: there a skip is a failure, so that a missing tool cannot
// hide a broken feature.
package require

import (
	"os"
	"os/exec"
	"testing"
)

// Skip skips the test for the reason given, or fails it if BPFLAB_REQUIRE=all.
func Skip(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("BPFLAB_REQUIRE") == "all" {
		t.Fatalf("BPFLAB_REQUIRE=all, but: "+format, args...)
	}
	t.Skipf(format, args...)
}

// Root skips the test unless it runs as root.
func Root(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Skip(t, "needs root")
	}
}

// Command returns the path of the first of the named programs that is
// installed, and skips the test if none is.
func Command(t testing.TB, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	Skip(t, "needs one of the commands %q", names)
	return ""
}
