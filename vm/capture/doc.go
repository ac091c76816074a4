// Package capture reads and writes capture files: pcap and pcapng, plain or
// compressed with gzip or zstd, from a file or a pipe.
//
//	r, err := capture.NewReader(os.Stdin)
//	...
//	for {
//		p, err := r.Next()
//		if err == io.EOF {
//			break
//		}
//		...
//		fmt.Println(p.Timestamp(), len(p.Data), p.WireLen)
//	}
//
// A packet lies in the reader's buffer until the next call of Next, so that
// reading neither copies nor allocates; use [Packet.Clone] to keep it. A
// damaged or truncated file gives all packets before the damage, and then an
// [*Error] with the offset.
//
// Who wants few of many packets reads a [Batch] at a time ([Reader.NextBatch]):
// bytes and lengths, of which [Reader.PacketAt] makes packets. And
// [Reader.Pieces] cuts a capture into pieces for several goroutines.
//
// # pcap
//
// A pcap file is a header and a row of records. The header has 24 bytes:
//
//	magic number   a1b2c3d4, times are in microseconds, or a1b23c4d, in nanoseconds
//	version        two numbers of 16 bits: 2 and 4
//	(not used)     two numbers of 32 bits
//	snapshot length  most bytes that were captured of a packet
//	link type      what the packets begin with: 1 for Ethernet (see [cbpf.LinkType])
//
// and each record one of 16 bytes before the packet's bytes:
//
//	seconds since 1970, and microseconds or nanoseconds
//	captured length  how many bytes follow
//	wire length      how many the packet had
//
// All numbers are in the byte order of the machine that wrote the file, which
// the magic number tells. There is neither an index nor an end mark nor padding: one
// wrong captured length, and everything behind it is lost. That is why lengths
// beyond 256 KiB are refused, as by libpcap, unless the header announced them.
//
// Some old files differ. With the magic number a1b2cd34 ("modified", from a
// patch of 1999) the record header has 8 more bytes for interface, EtherType and
// packet type. Versions before 2.3 have the two lengths in the other order.
//
// # pcapng
//
// A pcapng file is a row of blocks, each a type, its total length, a body, and
// the total length again; a reader skips the types that it does not know.
// Everything is padded to 4 bytes. The blocks that matter:
//
//	section header         byte order and version; begins the file, or another one that was appended
//	interface description  link type, snapshot length; the first is number 0 of its section
//	enhanced packet        interface, time, captured and wire length, the packet
//	simple packet          wire length and the packet: interface 0, no time
//	packet                 what the enhanced packet block has replaced
//
// So one file holds packets of several link types. At the end of a body there
// may be [Options], pairs of a code and a value: comments on everything;
// name and time resolution of an interface; direction, queue and hash of a
// packet. Times count in units of the interface's resolution, microseconds if
// it has none; [Packet.Time] is always in nanoseconds.
//
// # What the kernel would have known
//
// A filter on a live interface sees more than a packet's bytes: the protocol,
// the direction, the interface. [Packet.Metadata] restores of it what the
// capture tells, and [Packet.Engine] makes the input of an engine.
package capture
