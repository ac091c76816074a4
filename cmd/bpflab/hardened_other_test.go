//go:build !linux

package main

func hardened() { panic("not on this system") }

func canHarden() bool { return false }
