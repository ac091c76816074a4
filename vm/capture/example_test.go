package capture_test

import (
	"fmt"
	"io"
	"log"
	"os"

	"github.com/bpflab/bpflab/vm/capture"
)

// The first packets of a file; whether it is pcap or pcapng, and compressed, shows
// in its bytes.
func ExampleNewReader() {
	file, err := os.Open("../../testdata/captures/mixed.pcapng.gz")
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	r, err := capture.NewReader(file)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Format())
	for range 3 {
		p, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			log.Fatal(err) // the packets before were good
		}
		fmt.Println(p.Timestamp(), p.LinkType, len(p.Data), "bytes of", p.WireLen)
	}
	// Output:
	// pcapng
	// 2026-01-05 09:30:00 +0000 UTC EN10MB 42 bytes of 42
	// 2026-01-05 09:30:00.000299001 +0000 UTC EN10MB 60 bytes of 60
	// 2026-01-05 09:30:00.517002 +0000 UTC LINUX_SLL 73 bytes of 73
}

// Every other packet of a file, written to another one.
func ExampleNewWriterLike() {
	file, err := os.Open("../../testdata/captures/mixed.pcap")
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	r, err := capture.NewReader(file)
	if err != nil {
		log.Fatal(err)
	}
	var out countingWriter
	w := capture.NewWriterLike(&out, r)
	for n := 0; ; n++ {
		p, err := r.Next()
		if err == io.EOF {
			break
		}
		if err == nil && n%2 == 0 {
			err = w.Write(p)
		}
		if err != nil {
			log.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(out, "bytes")
	// Output:
	// 19275 bytes
}

type countingWriter int

func (c *countingWriter) Write(b []byte) (int, error) {
	*c += countingWriter(len(b))
	return len(b), nil
}
