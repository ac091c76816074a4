package num

import "testing"

var sink Scalar

func BenchmarkALU(b *testing.B) {
	x := Range(0, 1<<16-1)
	z := ALU(Lsh, true, ALU(And, true, Unknown(), Const(15)), Const(4))
	for _, c := range []struct {
		name string
		op   Op
		wide bool
		x, y Scalar
	}{
		{"const+const", Add, true, Const(7), Const(9)},
		{"range+const", Add, true, x, Const(14)},
		{"unknown+const", Add, true, Unknown(), Const(14)},
		{"range+range", Add, true, x, z},
		{"range+const32", Add, false, x, Const(14)},
		{"unknown&const", And, true, Unknown(), Const(0xff)},
		{"range&const", And, true, x, Const(0xff)},
		{"range|const", Or, true, x, Const(0xff)},
		{"range<<const", Lsh, true, z, Const(2)},
		{"range>>const", Rsh, true, x, Const(3)},
		{"range*const", Mul, true, z, Const(20)},
		{"range*range", Mul, true, z, x},
		{"range%const", Mod, true, x, Const(7)},
		{"unknown<<unknown", Lsh, true, z, Unknown()},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sink = ALU(c.op, c.wide, c.x, c.y)
			}
		})
	}
}

func BenchmarkBranch(b *testing.B) {
	x, u := Range(0, 1<<16-1), Unknown()
	for _, c := range []struct {
		name string
		cmp  Cmp
		wide bool
		x, y Scalar
	}{
		{"const==const", Eq, true, Const(7), Const(7)},
		{"unknown==const", Eq, true, u, Const(7)},
		{"range!=const", Ne, true, x, Const(0)},
		{"range!=inner", Ne, true, x, Const(7)},
		{"range>const", Gt, true, x, Const(54)},
		{"unknown>const", Gt, true, u, Const(54)},
		{"unknown>const32", Gt, false, u, Const(54)},
		{"unknown>unknown", Gt, true, u, u},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sink, _, _ = Branch(c.cmp, c.wide, true, c.x, c.y)
			}
		})
	}
}

func BenchmarkLattice(b *testing.B) {
	x, y := Range(0, 1<<16-1), Range(4, 99)
	b.Run("leq", func(b *testing.B) {
		for b.Loop() {
			yes = y.Leq(x)
		}
	})
	b.Run("not leq", func(b *testing.B) {
		for b.Loop() {
			yes = x.Leq(y)
		}
	})
	b.Run("join", func(b *testing.B) {
		for b.Loop() {
			sink = Join(x, y)
		}
	})
}

var yes bool
