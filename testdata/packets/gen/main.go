// Gen writes the capture files of package captures into a directory.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/bpflab/bpflab/testdata/captures"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gen DIRECTORY")
		os.Exit(2)
	}
	for _, f := range captures.Files() {
		if err := os.WriteFile(filepath.Join(os.Args[1], f.Name), f.Data, 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "gen:", err)
			os.Exit(3)
		}
	}
}
