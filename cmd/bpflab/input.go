package main

import (
	"io"
	"os"
	"slices"
	"strings"
)

// maxProgram is the size of the largest program or filter file read, in bytes.
const maxProgram = 64 << 20

// files are the files that an invocation has opened.
type files struct {
	stdinTaken bool
	regular    []os.FileInfo
}

// open opens a file for reading; "-" is standard input, which has one reader.
func (a *app) open(name string) (io.ReadCloser, error) {
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		a.files.note(f)
		return f, nil
	}
	if a.files.stdinTaken {
		return nil, errStdinTwice
	}
	a.files.stdinTaken = true
	if f, ok := a.in.(*os.File); ok {
		a.files.note(f)
	}
	return io.NopCloser(a.in), nil
}

var errStdinTwice = usagef("standard input can be read once, but \"-\" is given twice")

func twice(names []string, name string) bool {
	first := slices.Index(names, name)
	return first >= 0 && slices.Contains(names[first+1:], name)
}

// create creates a file for writing, unless it has been opened already:
// creating it again would empty a capture that is being read.
func (a *app) create(name string) (*os.File, error) {
	if info, err := os.Stat(name); err == nil {
		for _, opened := range a.files.regular {
			if os.SameFile(opened, info) {
				return nil, usagef("%s is in use already: write to another file", name)
			}
		}
	}
	f, err := os.Create(name)
	if err == nil {
		a.files.note(f)
	}
	return f, err
}

// note remembers a regular file; a terminal or a pipe has several users.
func (o *files) note(f *os.File) {
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		o.regular = append(o.regular, info)
	}
}

// readFile reads a program or filter file; "-" is standard input.
func (a *app) readFile(name string) ([]byte, error) {
	f, err := a.open(name)
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
