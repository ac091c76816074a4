// Package verifier proves that eBPF programs are safe to run, or says why not.
package verifier
