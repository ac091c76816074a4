package kernel_test

import (
	"testing"

	"github.com/bpflab/bpflab/ebpf/kernel"
)

// TestProbe checks what holds on every system: each line has a name and says
// something, and what is missing comes with a way out.
func TestProbe(t *testing.T) {
	checks := kernel.Probe()
	if len(checks) == 0 {
		t.Fatal("no checks")
	}
	ran := false
	for _, c := range checks {
		if c.Name == "" || c.Detail == "" || c.OK != (c.Hint == "") {
			t.Errorf("%+v", c)
		}
		ran = ran || c.Name == "bpf() and test runs" && c.OK
		t.Logf("%-28s %-5v %s  %s", c.Name, c.OK, c.Detail, c.Hint)
	}
	if got := kernel.Available() == nil; got != ran {
		t.Errorf("Available says %v, Probe %v", got, ran)
	}
}
