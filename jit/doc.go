// Package jit compiles verified programs to amd64 machine code and runs them.
package jit
