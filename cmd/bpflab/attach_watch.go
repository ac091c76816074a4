package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bpflab/bpflab/ebpf/kernel"
)

// A watch prints a map whenever it has changed.
type watch struct {
	*show
	m          *kernel.Map
	key, value kernel.Type
	before     map[string]any // values by the bytes of their keys, as printed last
	last       time.Time
}

func (s *show) newWatch(m *kernel.Map) *watch {
	w := &watch{show: s, m: m, before: map[string]any{}, last: time.Now()}
	w.key, w.value = s.types.Map(m.Spec().Name)
	return w
}

// run looks at the map at each interval, and a last time when the programs are
// detached.
func (w *watch) run(detached context.Context, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := w.look(); err != nil {
				return err
			}
		case <-detached.Done():
			return w.look()
		}
	}
}

// An entry is an element as it is printed.
type entry struct {
	Key   any `json:"key"`
	Value any `json:"value"`
	// Rate is by how much the numbers in Value have grown in a second.
	Rate any `json:"rate,omitempty"`

	bytes string // of the key
}

// look prints the map if it has changed.
func (w *watch) look() error {
	elements, err := w.m.Elements()
	if err != nil {
		return w.refused(err)
	}
	now := time.Now()
	seconds := now.Sub(w.last).Seconds()
	after := map[string]any{}
	var entries []entry
	changed := false
	for _, e := range elements {
		value := w.sum(e.Values)
		if value == nil {
			continue
		}
		before, was := w.before[string(e.Key)]
		changed = changed || !was || !equal(before, value)
		after[string(e.Key)] = value
		entries = append(entries, entry{w.key.Value(e.Key), value, rate(before, value, seconds), string(e.Key)})
	}
	changed = changed || len(after) != len(w.before)
	w.before, w.last = after, now
	if !changed {
		return nil
	}
	slices.SortFunc(entries, byValue)
	return w.print(now, entries)
}

// sum adds up the values of the CPUs; nil if they are all zeros in a map whose
// elements are there from the start.
func (w *watch) sum(values [][]byte) (total any) {
	untouched := isArray(w.m)
	for _, v := range values {
		untouched = untouched && len(bytes.Trim(v, "\x00")) == 0
		if total == nil {
			total = w.value.Value(v)
		} else {
			total = add(total, w.value.Value(v))
		}
	}
	if untouched {
		return nil
	}
	return total
}

func (w *watch) print(now time.Time, entries []entry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	name := w.m.Spec().Name
	if w.json {
		if entries == nil {
			entries = []entry{}
		}
		err := json.NewEncoder(w.out).Encode(struct {
			Map      string  `json:"map"`
			Time     string  `json:"time"`
			Elements []entry `json:"elements"`
		}{name, now.UTC().Format(time.RFC3339Nano), entries})
		if err != nil {
			return err
		}
		return w.flushOut()
	}
	fmt.Fprintf(w.out, "%s %s, %d elements\n", w.paint(styleBold, name), w.paint(styleFaint, now.UTC().Format("15:04:05")), len(entries))
	for _, e := range entries {
		fmt.Fprintf(w.out, "  %-20s %s\n", plainText(e.Key, nil), plainText(e.Value, e.Rate))
	}
	return w.flushOut()
}

// plainText writes a value for people, with the rate behind each number.
func plainText(v, rate any) string {
	switch v := v.(type) {
	case kernel.Members:
		rates, _ := rate.(kernel.Members)
		var parts []string
		for i, m := range v {
			var r any
			if i < len(rates) {
				r = rates[i].Value
			}
			parts = append(parts, m.Name+" "+plainText(m.Value, r))
		}
		return strings.Join(parts, ", ")
	case []any:
		var parts []string
		for _, e := range v {
			parts = append(parts, plainText(e, nil))
		}
		return "[" + strings.Join(parts, " ") + "]"
	}
	if r, ok := rate.(float64); ok && r != 0 {
		return fmt.Sprintf("%v (%+.10g/s)", v, r)
	}
	return fmt.Sprint(v)
}

// byValue sorts large numbers first, and otherwise by key.
func byValue(a, b entry) int {
	x, xok := number(a.Value)
	y, yok := number(b.Value)
	if xok && yok && x != y {
		return cmp.Compare(y, x)
	}
	return cmp.Compare(a.bytes, b.bytes)
}
