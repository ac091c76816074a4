// Package filters holds the corpus of filter expressions that tests run: all
// primitives and operators of the language, the filters that people write, the
// encapsulations, and odd cases, for every link type that the compiler knows.
package filters

import (
	"embed"
	"fmt"
	"strings"

	"github.com/bpflab/bpflab/cbpf"
)

// A Case is an expression and a link type for which libpcap compiles it.
type Case struct {
	LinkType cbpf.LinkType
	Expr     string
	Where    string // file:line
}

//go:embed *.txt
var files embed.FS

const liveFile = "live.txt"

// Load returns the corpus for captures. In its files a line is an expression; a line "# TYPE
// TYPE …" says for which link types those after it are; "##" starts a comment.
func Load() []Case {
	entries, err := files.ReadDir(".")
	if err != nil {
		panic(err)
	}
	var cases []Case
	for _, e := range entries {
		if e.Name() != liveFile {
			cases = append(cases, read(e.Name())...)
		}
	}
	return cases
}

// LoadLive returns the filters for live packets, some of which do not compile
// for captures.
func LoadLive() []Case { return read(liveFile) }

func read(name string) []Case {
	data, err := files.ReadFile(name)
	if err != nil {
		panic(err)
	}
	return parse(name, string(data))
}

func parse(name, text string) []Case {
	var cases []Case
	var types []cbpf.LinkType
	for i, line := range strings.Split(text, "\n") {
		where := fmt.Sprintf("%s:%d", name, i+1)
		switch {
		case line == "" || strings.HasPrefix(line, "##"):
		case strings.HasPrefix(line, "#"):
			types = nil
			for _, word := range strings.Fields(line[1:]) {
				t, err := cbpf.ParseLinkType(word)
				if err != nil {
					panic(where + ": " + err.Error())
				}
				types = append(types, t)
			}
		default:
			for _, t := range types {
				cases = append(cases, Case{t, line, where})
			}
		}
	}
	return cases
}
