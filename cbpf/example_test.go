package cbpf_test

import (
	"fmt"
	"log"
	"os"

	"github.com/bpflab/bpflab/cbpf"
)

// A filter written by hand, run over two packets.
func ExampleMachine() {
	prog, err := cbpf.Parse([]byte(`
		ldh [12]          ; EtherType
		jneq #0x806, drop ; not ARP
		ret #262144
	drop:	ret #0`), cbpf.FormatAsm)
	if err != nil {
		log.Fatal(err)
	}
	m, err := cbpf.New(prog)
	if err != nil {
		log.Fatal(err)
	}
	for _, etherType := range []string{"\x08\x06", "\x86\xdd"} {
		packet := []byte("\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01" + etherType + "…")
		keep, err := m.Run(packet, uint32(len(packet)), nil)
		fmt.Println(keep, err, m.Executed())
	}
	// Output:
	// 262144 <nil> 3
	// 0 <nil> 3
}

// What "tcpdump -ddd ip" prints, explained.
func ExampleParseAny() {
	prog, format, err := cbpf.ParseAny([]byte("4\n40 0 0 12\n21 0 1 2048\n6 0 0 262144\n6 0 0 0\n"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("read as", format)
	comments := []string{"the EtherType", "is it IPv4?", "yes: keep the packet", "no: drop it"}
	err = cbpf.Write(os.Stdout, cbpf.FormatAsm, prog, cbpf.WriteOptions{
		Comment: func(i int) string { return comments[i] },
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// read as ddd
	// 	ldh [12]	; the EtherType
	// 	jneq #0x800, L3	; is it IPv4?
	// 	ret #262144	; yes: keep the packet
	// L3:	ret #0	; no: drop it
}

// Linux's reason to refuse a program.
func ExampleCheck() {
	prog, err := cbpf.Parse([]byte("jeq #1, yes\nst M[0]\nyes: ld M[0]\nret a"), cbpf.FormatAsm)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(cbpf.Check(prog))
	// Output:
	// instruction 2 (ld M[0]): scratch memory is read before it was written on every path
}
