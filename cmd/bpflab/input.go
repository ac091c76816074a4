package main

import (
	"io"
	"os"
	"strings"
)

// maxProgram is the size of the largest program or filter file read, in bytes.
const maxProgram = 64 << 20

// readFile reads a program or filter file; "-" is standard input.
func (a *app) readFile(name string) ([]byte, error) {
	if name == "-" {
		return readLimited(a.in, "standard input")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readLimited(f, name)
}

func readLimited(r io.Reader, name string) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxProgram+1))
	if err != nil {
		return nil, ioError(err)
	}
	if len(data) > maxProgram {
		return nil, ioError(errTooLarge(name))
	}
	return data, nil
}

type errTooLarge string

func (name errTooLarge) Error() string { return string(name) + " is larger than 64 MiB" }

// expression returns the filter: the words joined by blanks, as tcpdump does,
// or the contents of the -F file.
func (a *app) expression(file string, words []string) (string, error) {
	if file == "" {
		return strings.Join(words, " "), nil
	}
	if len(words) > 0 {
		return "", usagef("both -F %s and a filter %q given", file, strings.Join(words, " "))
	}
	data, err := a.readFile(file)
	return blankComments(string(data)), err
}

// blankComments replaces "# …" up to the end of each line by blanks, as
// tcpdump -F does, so that positions in the text stay true.
func blankComments(text string) string {
	out := []byte(text)
	inComment := false
	for i, c := range out {
		switch {
		case c == '\n':
			inComment = false
		case c == '#':
			inComment = true
		}
		if inComment {
			out[i] = ' '
		}
	}
	return string(out)
}
