package main

import (
	"math"
	"reflect"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/ebpf/kernel"
)

// This file calculates with the values of kernel.Type.Value.

// add adds numbers, those in structures and arrays one by one. What is no number
// stays as it is in a.
func add(a, b any) any {
	switch x := a.(type) {
	case int64:
		if y, ok := b.(int64); ok {
			return x + y
		}
	case uint64:
		if y, ok := b.(uint64); ok {
			return x + y
		}
	case float64:
		if y, ok := b.(float64); ok {
			return x + y
		}
	case kernel.Members:
		if y, ok := b.(kernel.Members); ok && len(x) == len(y) {
			sum := make(kernel.Members, len(x))
			for i := range x {
				sum[i] = kernel.Member{Name: x[i].Name, Value: add(x[i].Value, y[i].Value)}
			}
			return sum
		}
	case []any:
		if y, ok := b.([]any); ok && len(x) == len(y) {
			sum := make([]any, len(x))
			for i := range x {
				sum[i] = add(x[i], y[i])
			}
			return sum
		}
	}
	return a
}

// number returns a number as a float64; of a structure the first one in it.
func number(v any) (float64, bool) {
	switch x := v.(type) {
	case int64:
		return float64(x), true
	case uint64:
		return float64(x), true
	case float64:
		return x, true
	case kernel.Members:
		for _, m := range x {
			if n, ok := number(m.Value); ok {
				return n, true
			}
		}
	}
	return 0, false
}

// rate tells by how much numbers have grown in a second. An element that was
// not there has grown from 0. It is nil for what is neither a number nor a
// structure, and has one decimal, because clocks give no more.
func rate(before, now any, seconds float64) any {
	if members, ok := now.(kernel.Members); ok {
		old, _ := before.(kernel.Members)
		rates := make(kernel.Members, len(members))
		for i, m := range members {
			var was any
			if i < len(old) {
				was = old[i].Value
			}
			rates[i] = kernel.Member{Name: m.Name, Value: rate(was, m.Value, seconds)}
		}
		return rates
	}
	x, ok := number(now)
	if !ok || seconds <= 0 {
		return nil
	}
	y, _ := number(before)
	return math.Round((x-y)/seconds*10) / 10
}

func equal(a, b any) bool { return reflect.DeepEqual(a, b) }

// isArray reports whether the elements of a map are there from the start.
func isArray(m *kernel.Map) bool {
	k := m.Spec().Kind
	return k == abi.ArrayMap || k == abi.PerCPUArray
}
