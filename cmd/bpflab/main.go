// Command bpflab compiles packet filters, translates classic BPF to eBPF and
// runs both over packet captures.
package main

func main() {}
