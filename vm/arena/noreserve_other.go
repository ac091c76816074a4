//go:build unix && !freebsd && !aix

package arena

import "golang.org/x/sys/unix"

// noReserve makes a mapping without a claim on swap space.
const noReserve = unix.MAP_NORESERVE
