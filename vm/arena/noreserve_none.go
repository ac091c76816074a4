//go:build freebsd || aix

package arena

// noReserve is nothing to ask for where mmap knows no such flag.
const noReserve = 0
