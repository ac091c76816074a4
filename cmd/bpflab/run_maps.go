package main

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/bpflab/bpflab/vm/maps"
)

// fillMaps puts the elements of the --map files into the machine's maps.
func (r *runRun) fillMaps(m machine) error {
	for _, assignment := range r.maps {
		name, file, ok := strings.Cut(assignment, "=")
		if !ok {
			return usagef("--map wants NAME=FILE, not %q", assignment)
		}
		into := m.Maps().ByName(name)
		if into == nil {
			return noMap(name, mapNames(m))
		}
		data, err := r.readFile(file)
		if err != nil {
			return err
		}
		if err := into.ReadJSON(bytes.NewReader(data)); err != nil {
			return usage(inFile(file, err))
		}
	}
	return nil
}

func mapNames(m machine) (names []string) {
	for _, m := range m.Maps().All() {
		names = append(names, m.Name())
	}
	return names
}

func noMap(name string, others []string) error {
	if len(others) == 0 {
		return usagef("there is no map %q, nor any other", name)
	}
	return usagef("there is no map %q, there is %s", name, strings.Join(others, ", "))
}

// mapJSON is the line that --dump-maps prints for a map. Elements is what
// bpftool map dump -j prints.
type mapJSON struct {
	Map      string          `json:"map"`
	Type     string          `json:"type"`
	Elements json.RawMessage `json:"elements"`
}

func (r *runRun) dumpMaps(m machine) error {
	if err := fetchMaps(m); err != nil {
		return err
	}
	for _, m := range m.Maps().All() {
		if err := r.dumpMap(m); err != nil {
			return err
		}
	}
	return nil
}

// fetchMaps makes the maps of a machine be what they are where it runs.
func fetchMaps(m machine) error {
	if k, ok := m.(*kernelMachine); ok {
		return k.fetch()
	}
	return nil
}

func (r *runRun) dumpMap(m *maps.Map) error {
	var elements bytes.Buffer
	if err := m.WriteJSON(&elements); err != nil {
		return err
	}
	return json.NewEncoder(r.out).Encode(mapJSON{m.Name(), m.Spec().Kind.String(), elements.Bytes()})
}
