package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/ebpf/object"
	"github.com/bpflab/bpflab/vm"
	"github.com/bpflab/bpflab/vm/arena"
	"github.com/bpflab/bpflab/vm/engine"
	"github.com/bpflab/bpflab/vm/maps"
)

// A kernelMachine is the running kernel in the form of a machine. Its maps are
// twins of those in the kernel: what they hold goes there before the first run,
// and comes back with fetch.
type kernelMachine struct {
	*kernel.Engine
	memory *arena.Arena
	set    *maps.Set // of the twins
	twins  []twin
	ran    bool
}

// A twin is a map and the one in the kernel that it stands for.
type twin struct {
	*maps.Map
	kernel *kernel.Map
}

// newKernelMachine loads programs and their maps into the kernel.
func newKernelMachine(r *runnable, o vm.Options) (*kernelMachine, error) {
	e, err := kernel.NewObjectEngine(r.forKernel(), r.types)
	if err != nil {
		return nil, kernelRefusal(err)
	}
	k := &kernelMachine{Engine: e}
	if err := k.makeTwins(o.CPUs); err != nil {
		return nil, errors.Join(err, k.Close())
	}
	return k, nil
}

// kernelRefusal tells a program that the kernel rejects from a kernel that cannot
// be asked.
func kernelRefusal(err error) error {
	var refused *kernel.VerifierError
	if errors.As(err, &refused) {
		return answerNo{err}
	}
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w; 'bpflab doctor' tells more", err)
	}
	return noKernel(fmt.Errorf("engine kernel: %w", err))
}

// forKernel is the programs in the form that the kernel path takes.
func (r *runnable) forKernel() *object.Linked {
	if r.linked != nil {
		return r.linked
	}
	l := &object.Linked{Maps: r.programs[0].Maps}
	for _, p := range r.programs {
		program := linkedProgram(cmp.Or(p.Name, "program"), p.Type, p.Insns)
		program.Absent = p.Absent
		l.Programs = append(l.Programs, program)
	}
	return l
}

// linkedProgram is a program that comes from no object in the form that the
// kernel path takes.
func linkedProgram(name string, t abi.ProgType, insns []ebpf.Instruction) object.LinkedProgram {
	return object.LinkedProgram{Program: &object.Program{Name: name, Type: t, License: "Dual BSD/GPL"}, Insns: insns}
}

func (k *kernelMachine) makeTwins(cpus int) (err error) {
	if k.memory, err = arena.New(); err != nil {
		return err
	}
	if k.set, err = maps.NewSet(k.memory, cpus); err != nil {
		return err
	}
	for _, m := range k.Collection().Maps() {
		if !hasTwin(m.Spec().Kind) {
			continue
		}
		made, err := k.set.New(m.Spec())
		if err != nil {
			return err
		}
		k.twins = append(k.twins, twin{made, m})
	}
	return nil
}

// hasTwin reports whether the elements of maps of a kind can go over to the
// kernel and back: the machine has such maps, and they hold neither maps nor
// programs, nor only records.
func hasTwin(kind abi.MapKind) bool {
	switch kind {
	case abi.ProgArray, abi.PerfEventArray, abi.CGroupArray, abi.ArrayOfMaps, abi.HashOfMaps, abi.XSKMap, abi.RingBuf, abi.BloomFilter:
		return false
	}
	return kind.Info() != nil
}

func isQueue(kind abi.MapKind) bool { return kind == abi.Queue || kind == abi.Stack }

// Maps returns the twins.
func (k *kernelMachine) Maps() *maps.Set { return k.set }

// Run brings the maps into the kernel first, once.
func (k *kernelMachine) Run(in []engine.Packet, out []engine.Result) error {
	if !k.ran {
		k.ran = true
		if err := k.eachTwin(sendElements); err != nil {
			return err
		}
	}
	return k.Engine.Run(in, out)
}

// fetch brings the maps of the kernel back into their twins.
func (k *kernelMachine) fetch() error {
	if !k.ran {
		return nil
	}
	return k.eachTwin(fetchElements)
}

func (k *kernelMachine) eachTwin(visit func(t twin) error) error {
	for _, t := range k.twins {
		if t.Spec().Frozen { // it holds what it held from the start
			continue
		}
		if err := visit(t); err != nil {
			return err
		}
	}
	return nil
}

// sendElements puts what the twin holds into the kernel's map. What that holds
// from the start it has already, and arrays are full of zeros.
func sendElements(t twin) error {
	spec := t.Spec()
	value := make([]byte, t.ValueLen())
	if isQueue(spec.Kind) {
		return sendQueue(t, value)
	}
	given := len(spec.Contents) > 0
	key, next := []byte(nil), make([]byte, spec.KeySize)
	for t.NextKey(key, next) == nil {
		key = append(key[:0], next...)
		isArray := spec.Kind == abi.ArrayMap || spec.Kind == abi.PerCPUArray
		switch err := t.Lookup(key, value); {
		case errors.Is(err, maps.ENOENT): // an empty slot
		case err != nil:
			return err
		case isArray && !given && !slices.ContainsFunc(value, func(b byte) bool { return b != 0 }):
		default:
			if err := t.kernel.Update(key, valuesByCPU(spec, value)...); err != nil {
				return err
			}
		}
	}
	return nil
}

// sendQueue moves the values; in a stack the last one sent is the first one out.
func sendQueue(t twin, value []byte) error {
	var values [][]byte
	for t.LookupAndDelete(nil, value) == nil {
		values = append(values, bytes.Clone(value[:t.Spec().ValueSize]))
	}
	if t.Spec().Kind == abi.Stack {
		slices.Reverse(values)
	}
	for _, v := range values {
		if err := t.kernel.Update(nil, v); err != nil {
			return err
		}
	}
	return nil
}

// fetchElements makes the twin hold what the kernel's map holds.
func fetchElements(t twin) error {
	spec := t.Spec()
	if isQueue(spec.Kind) {
		return fetchQueue(t)
	}
	if err := empty(t); err != nil {
		return err
	}
	elements, err := t.kernel.Elements()
	if err != nil {
		return err
	}
	for _, e := range elements {
		if err := t.Update(e.Key, joinCPUs(spec, e.Values), abi.UpdateAny); err != nil {
			return fmt.Errorf("map %q: element %x of the kernel: %w", spec.Name, e.Key, err)
		}
	}
	return nil
}

// empty deletes what can be deleted: the elements of an array stay.
func empty(t twin) error {
	switch t.Spec().Kind {
	case abi.ArrayMap, abi.PerCPUArray, abi.DevMap, abi.CPUMap:
		return nil
	}
	next := make([]byte, t.Spec().KeySize)
	for t.NextKey(nil, next) == nil {
		if err := t.Delete(next); err != nil {
			return err
		}
	}
	return nil
}

func fetchQueue(t twin) error {
	for t.LookupAndDelete(nil, make([]byte, t.ValueLen())) == nil {
	}
	var values [][]byte
	for {
		v, err := t.kernel.Pop()
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return err
		}
		values = append(values, v)
	}
	if t.Spec().Kind == abi.Stack {
		slices.Reverse(values)
	}
	for _, v := range values {
		if err := t.Update(nil, v, abi.UpdateAny); err != nil {
			return err
		}
	}
	return nil
}

// valuesByCPU cuts the value of a per-CPU map into those of the CPUs, each of
// which has room of a multiple of eight bytes.
func valuesByCPU(spec *abi.MapSpec, value []byte) (values [][]byte) {
	if info := spec.Kind.Info(); info == nil || !info.PerCPU {
		return [][]byte{value}
	}
	step := (int(spec.ValueSize) + 7) &^ 7
	for ; len(value) >= step; value = value[step:] {
		values = append(values, value[:spec.ValueSize])
	}
	return values
}

func joinCPUs(spec *abi.MapSpec, values [][]byte) []byte {
	if info := spec.Kind.Info(); info == nil || !info.PerCPU {
		return values[0]
	}
	var all []byte
	for _, v := range values {
		all = append(all, v...)
		all = append(all, make([]byte, -len(v)&7)...)
	}
	return all
}

// Close removes the programs and maps from the kernel.
func (k *kernelMachine) Close() error {
	err := k.Engine.Close()
	if k.memory != nil {
		err = errors.Join(err, k.memory.Close())
	}
	return err
}
