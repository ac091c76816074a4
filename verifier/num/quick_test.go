package num

import "testing"

func TestALU(t *testing.T) {
	model(t, 4, 2)
	for _, u := range []universe{fromTnums(), fromArcs()} {
		for _, op := range allOps {
			for _, wide := range []bool{true, false} {
				t.Log(op, wide, proveALU(t, u, op, wide))
			}
		}
	}
}

func TestBranch(t *testing.T) {
	model(t, 4, 2)
	u := fromArcs()
	for _, cmp := range allCmps {
		for _, wide := range []bool{true, false} {
			for _, taken := range []bool{true, false} {
				t.Log(cmp, wide, taken, proveBranch(t, u, cmp, wide, taken))
			}
		}
	}
}

func TestLattice(t *testing.T) {
	model(t, 4, 2)
	t.Log(proveSync(t))
	u := everything()
	t.Log(proveLattice(t, u))
}
