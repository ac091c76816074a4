//go:build !amd64

package jit

// hostFeatures returns none: code made here is only looked at.
func hostFeatures() features { return features{} }
