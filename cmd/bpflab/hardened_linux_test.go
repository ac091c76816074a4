package main

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// hardened is bpflab in a process that may not make memory executable, as on
// systems with a policy.
func hardened() {
	if err := forbidExecutableMemory(); err != nil {
		panic(err)
	}
	main()
}

// forbidExecutableMemory takes from the process, for good, both ways to get
// executable memory: changing that of pages, and mapping a file of its own.
func forbidExecutableMemory() error {
	if err := unix.Prctl(unix.PR_SET_MDWE, unix.PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	const retAllow, retErrno = 0x7fff0000, 0x00050000
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the number of the system call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_MEMFD_CREATE},
		{Code: unix.BPF_RET | unix.BPF_K, K: retErrno | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: retAllow},
	}
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	const setModeFilter, allThreads = 1, 1
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, setModeFilter, allThreads, uintptr(unsafe.Pointer(&filter))); errno != 0 {
		return errno
	}
	return nil
}

// canHarden reports whether the kernel has that, as Linux has from 6.3 on.
func canHarden() bool {
	_, err := unix.PrctlRetInt(unix.PR_GET_MDWE, 0, 0, 0, 0)
	return err == nil
}
