package maps

import "strconv"

// An Errno is one of the kernel's error numbers, 0 for success. Operations for
// user space return it as an error; operations for programs return it plain,
// and the helper function gives it to the program negated.
type Errno uint16

// The error numbers that operations on maps give.
const (
	EPERM      Errno = 1
	ENOENT     Errno = 2
	E2BIG      Errno = 7
	EBADF      Errno = 9
	EAGAIN     Errno = 11
	ENOMEM     Errno = 12
	EBUSY      Errno = 16
	EEXIST     Errno = 17
	ENODEV     Errno = 19
	EINVAL     Errno = 22
	ENOSPC     Errno = 28
	EOVERFLOW  Errno = 75
	EOPNOTSUPP Errno = 95
	ENOTSUPP   Errno = 524 // the kernel's own, which C libraries do not know
)

// errnoTexts has the name and strerror's text of each, which bpftool prints.
var errnoTexts = map[Errno][2]string{
	EPERM:      {"EPERM", "Operation not permitted"},
	ENOENT:     {"ENOENT", "No such file or directory"},
	E2BIG:      {"E2BIG", "Argument list too long"},
	EBADF:      {"EBADF", "Bad file descriptor"},
	EAGAIN:     {"EAGAIN", "Resource temporarily unavailable"},
	ENOMEM:     {"ENOMEM", "Cannot allocate memory"},
	EBUSY:      {"EBUSY", "Device or resource busy"},
	EEXIST:     {"EEXIST", "File exists"},
	ENODEV:     {"ENODEV", "No such device"},
	EINVAL:     {"EINVAL", "Invalid argument"},
	ENOSPC:     {"ENOSPC", "No space left on device"},
	EOVERFLOW:  {"EOVERFLOW", "Value too large for defined data type"},
	EOPNOTSUPP: {"EOPNOTSUPP", "Operation not supported"},
	ENOTSUPP:   {"ENOTSUPP", "Unknown error 524"},
}

// Error returns the name of the error number, such as "ENOENT".
func (e Errno) Error() string {
	if t, ok := errnoTexts[e]; ok {
		return t[0]
	}
	return "errno " + strconv.Itoa(int(e))
}

// text is strerror's.
func (e Errno) text() string { return errnoTexts[e][1] }

// err makes an error of e, nil of 0.
func (e Errno) err() error {
	if e == 0 {
		return nil
	}
	return e
}

// Negative returns what a helper function returns for e.
func (e Errno) Negative() uint64 { return -uint64(e) }
