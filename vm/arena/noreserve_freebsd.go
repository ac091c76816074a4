package arena

// noReserve is nothing to ask for: FreeBSD's mmap(2) does not know MAP_NORESERVE.
const noReserve = 0
