package filter_test

import (
	"fmt"
	"os"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter"
)

// A filter becomes a program, whose instructions know where they come from.
func ExampleCompile() {
	const expr = "udp dst port 53"
	p, err := filter.Compile(expr, filter.Options{LinkType: cbpf.LinkIPv4})
	if err != nil {
		fmt.Printf("%+v\n", err)
		return
	}
	cbpf.Write(os.Stdout, cbpf.FormatD, p.Insns, cbpf.WriteOptions{})
	for _, part := range p.Origin[0] {
		fmt.Printf("the first comes from %q\n", expr[part.Start:part.End])
	}
	// Output:
	// (000) ldb      [9]
	// (001) jeq      #0x11            jt 2	jf 8
	// (002) ldh      [6]
	// (003) jset     #0x1fff          jt 8	jf 4
	// (004) ldxb     4*([0]&0xf)
	// (005) ldh      [x + 2]
	// (006) jeq      #0x35            jt 7	jf 8
	// (007) ret      #262144
	// (008) ret      #0
	// the first comes from "udp"
}

// The tree tells what an expression asks for, without a link type.
func ExampleResolve() {
	tree, err := filter.Resolve("tcp port http or 443", filter.BuiltinNames())
	if err != nil {
		fmt.Printf("%+v\n", err)
		return
	}
	for _, term := range tree.(*filter.Or).Terms {
		if t, ok := term.(*filter.TestPort); ok {
			fmt.Println("ports", t.Lo, "to", t.Hi, "of IP protocols", t.IPProtos)
		}
	}
	// Output:
	// ports 80 to 80 of IP protocols [6]
	// ports 443 to 443 of IP protocols [6]
}

// An error shows its place in the expression, and often a way out.
func ExampleError() {
	_, err := filter.Parse("tcp port 80 443")
	fmt.Printf("%+v\n", err)
	// Output:
	// column 13: unexpected "443"
	//     tcp port 80 443
	//                 ^^^
	// expected "and", "or" or the end
	// hint: "and" or "or" is missing: "… 80 or 443"
}
