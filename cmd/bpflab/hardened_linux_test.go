package main

import "golang.org/x/sys/unix"

// hardened is bpflab in a process that may not make memory executable, as on
// systems with a policy.
func hardened() {
	if err := unix.Prctl(unix.PR_SET_MDWE, unix.PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0); err != nil {
		panic(err)
	}
	main()
}

// canHarden reports whether the kernel has that, as Linux has from 6.3 on.
func canHarden() bool { return unix.Prctl(unix.PR_GET_MDWE, 0, 0, 0, 0) == nil }
