package verifier_test

import "testing"

// TestCallsInKernel has the kernel's word on the same programs. A difference
// must be one that the table explains.
func TestCallsInKernel(t *testing.T) {
	k := newReferee(t)
	for _, list := range callCases {
		for _, c := range list {
			p := c.program(t)
			accepted, err := k.load(p, nil)
			switch same := accepted == (c.code == 0); {
			case err != nil:
				t.Errorf("%s: %v", c.name, err)
			case same != (c.kernel == ""):
				t.Errorf("%s: the kernel accepts: %v, explained by %q: %s", c.name, accepted, c.kernel, k.words(p))
			}
		}
	}
}
