package jit

import (
	"encoding/binary"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/testdata/require"
	"github.com/bpflab/bpflab/verifier"
	"github.com/bpflab/bpflab/vm"
)

// BenchmarkCompile is the way of an everyday filter, already translated to eBPF,
// to machine code: in the kernel by one system call, here as a whole and by
// stages. "all" ends when packets can be judged.
func BenchmarkCompile(b *testing.B) {
	needMachineCode(b)
	require.Root(b)
	for _, expr := range []string{"ip", "tcp port 80", "host 10.0.0.1 and not port 22"} {
		for _, hook := range []abi.Hook{abi.HookSocket, abi.HookXDP} {
			b.Run(expr+"/"+hook.String(), func(b *testing.B) {
				p := newFilterBench(b, expr, nil).prove(hook).Program()
				c := &compilation{b: b, program: &p}
				compete(b, "program",
					timedWith("kernel", 1, func() func() { return c.inKernel }, c.closeKernel),
					timedWith("all", 1, func() func() { return c.all }, c.close),
					timedWith("verify", 1, func() func() { return c.verify }, func() {}),
					timedWith("load", 1, c.after(c.verify, c.load), c.close),
					timedWith("code", 1, c.after(c.verify, c.load, c.code), c.close),
					timedWith("close", 1, c.after(c.verify, c.load, c.code, c.close), func() {}))
			})
		}
	}
}

// A compilation is a program on its way.
type compilation struct {
	b       *testing.B
	program *verifier.Program
	proof   *verifier.Proof
	engine  *Engine
	file    uintptr // of the program in the kernel
}

// after does all steps but the last and returns that.
func (c *compilation) after(steps ...func()) func() func() {
	last := len(steps) - 1
	return func() func() {
		for _, step := range steps[:last] {
			step()
		}
		return steps[last]
	}
}

func (c *compilation) all() {
	c.verify()
	c.load()
	c.code()
}

func (c *compilation) verify() { c.proof = proofFor(c.b, c.program) }

func (c *compilation) load() {
	var err error
	if c.engine, err = New(vm.Options{}, c.proof); err != nil {
		c.b.Fatal(err)
	}
}

func (c *compilation) code() {
	if err := c.engine.prepare(); err != nil {
		c.b.Fatal(err)
	}
}

func (c *compilation) close() {
	if err := c.engine.Close(); err != nil {
		c.b.Fatal(err)
	}
}

// inKernel loads the program by the bare system call.
func (c *compilation) inKernel() {
	code, license := ebpf.Append(nil, c.program.Insns, binary.LittleEndian), []byte("GPL\x00")
	attr := struct {
		kind, count    uint32
		insns, license uint64
		_              [128]byte
	}{uint32(c.program.Type), uint32(len(code) / 8), address(code), address(license), [128]byte{}}
	var errno unix.Errno
	c.file, _, errno = unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	runtime.KeepAlive(code)
	runtime.KeepAlive(license)
	if errno != 0 {
		c.b.Fatal(errno)
	}
}

func address(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }

func (c *compilation) closeKernel() { unix.Close(int(c.file)) }
