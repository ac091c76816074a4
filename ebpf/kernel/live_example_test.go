package kernel_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/bpflab/bpflab/cbpf/filter"
	"github.com/bpflab/bpflab/ebpf/kernel"
)

// A small tcpdump: until ^C it prints what comes to port 80 of eth0.
func ExampleOpenCapture() {
	link, err := kernel.DeviceLinkType("eth0", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := filter.Compile("tcp port 80", filter.Options{LinkType: link, Live: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := kernel.OpenCapture("eth0", kernel.CaptureOptions{Filter: p.Insns})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	context.AfterFunc(ctx, c.Stop)
	for {
		p, err := c.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%v %d bytes: %x\n", p.Timestamp(), p.WireLen, p.Data)
	}
	stats, err := c.Stats()
	fmt.Println(stats, err)
}
