//go:build amd64 && unix && !linux

package jit

// sharedCode exists on Linux only.
type sharedCode struct{}

func theSharedCode() *sharedCode { return nil }

func (*sharedCode) put([]byte) (piece []byte, ok bool) { return nil, false }
func (*sharedCode) free([]byte) error                  { return nil }
