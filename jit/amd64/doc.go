// Package amd64 is an assembler for x86-64.
package amd64
