// Package capture reads and writes capture files in the pcap and pcapng
// formats, plain or compressed, at the speed of read(2).
package capture
