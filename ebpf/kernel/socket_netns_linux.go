package kernel

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// inNetns calls f in the network namespace that a path names, or where it is
// empty in the one of the calling thread. Sockets stay in the namespace in which
// they were opened, whoever uses them later.
func inNetns(path string, f func() error) error {
	if path == "" {
		return f()
	}
	target, err := os.Open(path)
	if err != nil {
		return err
	}
	defer target.Close()
	done := make(chan error)
	go func() {
		// The namespace belongs to the thread, which is not unlocked: it ends
		// with the goroutine, so that there is no way back to fail.
		runtime.LockOSThread()
		if err := unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err != nil {
			err = fmt.Errorf("entering the network namespace %s: %w", path, err)
			if errors.Is(err, fs.ErrPermission) {
				err = fmt.Errorf("%w; it takes CAP_SYS_ADMIN", err)
			}
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}
