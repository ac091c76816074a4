package filter_test

import (
	"reflect"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/bpflab/bpflab/cbpf"
	"github.com/bpflab/bpflab/cbpf/filter"
)

// TestCompileConcurrently compiles in several goroutines with one resolver,
// whose files are read when first needed. It is for the race detector.
func TestCompileConcurrently(t *testing.T) {
	etc := fstest.MapFS{
		"hosts":    {Data: []byte("10.0.0.1 gate\n2001:db8::1 gate\n")},
		"services": {Data: []byte("web 80/tcp\n")},
	}
	options := filter.Options{LinkType: cbpf.LinkEthernet, Names: filter.FileNames(etc, "/etc")}
	programs := make([]*filter.Program, 8)
	var wait sync.WaitGroup
	for i := range programs {
		wait.Go(func() {
			var err error
			if programs[i], err = filter.Compile("host gate and tcp port web", options); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	for _, p := range programs[1:] {
		if !reflect.DeepEqual(p, programs[0]) {
			t.Fatalf("%v\ndiffers from\n%v", p, programs[0])
		}
	}
}
