package kernel

import (
	"fmt"
	"math"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A ring is memory shared with the kernel, TPACKET_V3: a circle of blocks. The
// kernel puts packets into one block, and hands it over when it is full or when
// its timer finds it waiting; the reader walks through it and hands it back. So
// the price of waiting and of synchronisation is paid once a block.
type ring struct {
	mem    []byte
	blocks int
	at     int    // the block being read, or the next one
	held   bool   // it is ours
	block  []byte // its bytes from the next packet on
	left   uint32 // packets in it
}

// blockSize is what the kernel hands over at a time. It is also the longest packet
// that a ring takes, with its header, and holds any that a capture file does.
// Waiting is the dearest thing that a reader does, so blocks are large; and each
// may be handed over for a single packet, so a ring needs many.
const blockSize = 512 << 10

// maxLatency is as long as the kernel's timer can be, 16 bits of milliseconds.
const maxLatency = math.MaxUint16 * time.Millisecond

// frameSize means nothing to TPACKET_V3 but must divide the block.
const frameSize = 2048

// Before each packet the kernel puts a struct tpacket3_hdr and at this offset,
// TPACKET_ALIGN of the header's size, a struct sockaddr_ll.
const addressOffset = (unix.SizeofTpacket3Hdr + 15) &^ 15

// newRing makes the ring of a packet socket and maps it.
func newRing(s *socket, size int, latency time.Duration) (ring, error) {
	if size <= 0 {
		size = defaultRingSize
	}
	if int64(size) > math.MaxUint32 {
		return ring{}, s.fail("making the packet ring", fmt.Errorf("it is to have %d bytes, and can have less than 4 GiB: %w", size, unix.EINVAL))
	}
	r := ring{blocks: max(2, (size+blockSize-1)/blockSize)}
	request := unix.TpacketReq3{
		Block_size: blockSize, Block_nr: uint32(r.blocks),
		Frame_size: frameSize, Frame_nr: uint32(r.blocks * (blockSize / frameSize)),
		Retire_blk_tov: uint32((latency + time.Millisecond - 1) / time.Millisecond),
	}
	for _, option := range []struct{ name, value int }{
		{unix.PACKET_VERSION, unix.TPACKET_V3},
		{unix.PACKET_RESERVE, reserve},
	} {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_PACKET, option.name, option.value); err != nil {
			return ring{}, s.fail("preparing the packet ring", err)
		}
	}
	if err := unix.SetsockoptTpacketReq3(s.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &request); err != nil {
		return ring{}, s.fail("making the packet ring", err)
	}
	p, err := unix.MmapPtr(s.fd, 0, nil, uintptr(r.blocks*blockSize), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return ring{}, s.fail("mapping the packet ring", err)
	}
	r.mem = unsafe.Slice((*byte)(p), r.blocks*blockSize)
	return r, nil
}

// descriptor returns the head of the nth block from the one being read.
func (r *ring) descriptor(n int) *unix.TpacketHdrV1 {
	block := r.mem[(r.at+n)%r.blocks*blockSize:]
	return (*unix.TpacketHdrV1)(unsafe.Pointer(&(*unix.TpacketBlockDesc)(unsafe.Pointer(&block[0])).Hdr))
}

func (r *ring) isFilled(n int) bool {
	return atomic.LoadUint32(&r.descriptor(n).Block_status)&unix.TP_STATUS_USER != 0
}

// ready reports whether there is a block to take.
func (r *ring) ready() bool { return r.isFilled(0) }

// isEmpty reports whether the block that the kernel is filling, where the reader
// has come to, has no packets yet. At times it reports false though it has none.
func (r *ring) isEmpty() bool { return atomic.LoadUint32(&r.descriptor(0).Num_pkts) == 0 }

// filled counts the blocks that the kernel has handed over.
func (r *ring) filled() int {
	n := 0
	for n < r.blocks && r.isFilled(n) {
		n++
	}
	return n
}

// take begins to read a block that is ready.
func (r *ring) take() {
	h := r.descriptor(0)
	r.held, r.left = true, h.Num_pkts
	r.block = r.mem[r.at*blockSize:][h.Offset_to_first_pkt:blockSize]
}

// next returns the next packet of the block: its header, and the bytes from
// there to the end of the block.
func (r *ring) next() ([]byte, *unix.Tpacket3Hdr) {
	frame := r.block
	h := (*unix.Tpacket3Hdr)(unsafe.Pointer(&frame[0]))
	r.block = frame[h.Next_offset:] // 0 in the last one
	r.left--
	return frame, h
}

// release gives the block back to the kernel.
func (r *ring) release() {
	if !r.held {
		return
	}
	atomic.StoreUint32(&r.descriptor(0).Block_status, unix.TP_STATUS_KERNEL)
	r.held, r.left, r.block = false, 0, nil
	r.at = (r.at + 1) % r.blocks
}

// detach takes the memory away from the socket, which would otherwise live on.
// Zero pages come in its place, because a reader in another goroutine may still
// be looking at it.
func (r *ring) detach() error {
	if r.mem == nil {
		return nil
	}
	_, err := unix.MmapPtr(-1, 0, unsafe.Pointer(&r.mem[0]), uintptr(len(r.mem)), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_FIXED|unix.MAP_NORESERVE)
	return err
}

// unmap frees the addresses. Nobody may be looking any more.
func (r ring) unmap() {
	// The range is the one that was mapped: there is nothing to go wrong.
	_ = unix.MunmapPtr(unsafe.Pointer(&r.mem[0]), uintptr(len(r.mem)))
}
