package object_test

import (
	"fmt"
	"log"
	"os"

	"github.com/bpflab/bpflab/ebpf/object"
)

// What is in an object that clang has built.
func ExampleRead() {
	file, err := os.Open("../../testdata/programs/sampler.o")
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	obj, err := object.Read(file, object.Options{})
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range obj.Programs {
		fmt.Println("program", p.Name, p.Type, len(p.Insns), "instructions; the first is of", p.LineAt(0).Text)
	}
	for _, m := range obj.Maps {
		fmt.Println("map", m.Name, m.MaxEntries, "entries")
	}
	for _, v := range obj.Variables {
		fmt.Println("variable", v.Name, v.Type)
	}
	// Output:
	// program sample socket_filter 128 instructions; the first is of int sample(struct __sk_buff *skb)
	// map .rodata 1 entries
	// map counts 256 entries
	// variable rate const u32
	// variable snaplen const u32
	// variable salt const u32
}
