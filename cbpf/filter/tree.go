package filter

// Parse returns the syntax tree of an expression: what its words are, before
// names are looked up and qualifiers judged. The tree of the empty expression,
// which accepts every packet, is nil. Errors are *[Error].
func Parse(expr string) (Node, error) {
	n, err := parse(expr)
	return n, inExpr(err, expr)
}

// Resolve returns the tree of an expression with a [Test] for each [Primitive]:
// numbers for names, and nothing left that an expression may not say. It is
// still the same for every link type. Errors are *[Error].
func Resolve(expr string, names Resolver) (Node, error) {
	n, err := Parse(expr)
	if err != nil {
		return nil, err
	}
	n, err = resolve(n, names)
	return n, inExpr(err, expr)
}
