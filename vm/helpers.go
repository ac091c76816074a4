package vm

import "github.com/bpflab/bpflab/ebpf/abi"

// The helper functions, by number. What they return on failure is the
// kernel's, net/core/filter.c.
var helpers = map[int32]helper{
	abi.KtimeGetNS:           ktime,
	abi.KtimeGetBootNS:       ktime,
	abi.KtimeGetTAINS:        ktime,
	abi.KtimeGetCoarseNS:     ktime,
	abi.Jiffies64:            jiffies,
	abi.GetCurrentPIDTgid:    zero,
	abi.GetCurrentUIDGID:     zero,
	abi.GetCurrentTask:       zero,
	abi.GetCurrentCgroupID:   zero,
	abi.GetNUMANodeID:        zero,
	abi.GetRouteRealm:        zero,
	abi.GetSocketCookie:      zero,
	abi.GetSocketUID:         socketUID,
	abi.GetCurrentComm:       currentComm,
	abi.SKLookupTCP:          noSocket,
	abi.SKLookupUDP:          noSocket,
	abi.SKCLookupTCP:         noSocket,
	abi.SKRelease:            zero,
	abi.SKAssign:             zero,
	abi.ProbeRead:            probeRead,
	abi.ProbeReadUser:        probeRead,
	abi.ProbeReadKernel:      probeRead,
	abi.ProbeReadStr:         probeReadString,
	abi.ProbeReadUserStr:     probeReadString,
	abi.ProbeReadKernelStr:   probeReadString,
	abi.SpinLock:             spinLock,
	abi.SpinUnlock:           spinUnlock,
	abi.Strncmp:              strncmp,
	abi.Strtol:               strtol,
	abi.Strtoul:              strtoul,
	abi.SKBEcnSetCE:          skbEcnSetCE,
	abi.SKBSetTstamp:         skbSetTstamp,
	abi.SKBUnderCGroup:       skbUnderCGroup,
	abi.TracePrintk:          tracePrintk,
	abi.TraceVprintk:         traceVprintk,
	abi.Snprintf:             snprintf,
	abi.Redirect:             redirect,
	abi.FibLookup:            fibLookup,
	abi.CheckMTU:             checkMTU,
	abi.SKBSetTunnelKey:      skbSetTunnelKey,
	abi.SKBGetTunnelKey:      skbGetTunnelKey,
	abi.SKBSetTunnelOpt:      skbSetTunnelOpt,
	abi.SKBGetTunnelOpt:      skbGetTunnelOpt,
	abi.RedirectPeer:         redirectPeer,
	abi.RedirectNeigh:        redirectNeigh,
	abi.RedirectMap:          redirectMap,
	abi.CloneRedirect:        cloneRedirect,
	abi.MapPushElem:          mapPush,
	abi.MapPopElem:           mapPop,
	abi.MapPeekElem:          mapPeek,
	abi.RingbufReserve:       ringReserve,
	abi.RingbufSubmit:        ringSubmit,
	abi.RingbufDiscard:       ringDiscard,
	abi.RingbufOutput:        ringOutput,
	abi.RingbufQuery:         ringQuery,
	abi.PerfEventOutput:      perfEventOutput,
	abi.GetPrandomU32:        func(m *Machine, _ *[5]uint64) uint64 { return uint64(m.number()) },
	abi.GetSMPProcessorID:    func(m *Machine, _ *[5]uint64) uint64 { return uint64(m.in.Meta.CPU) },
	abi.GetHashRecalc:        getHashRecalc,
	abi.SKBLoadBytes:         skbLoadBytes,
	abi.SKBLoadBytesRelative: skbLoadBytesRelative,
	abi.SKBStoreBytes:        skbStoreBytes,
	abi.SKBPullData:          skbPullData,
	abi.XDPGetBuffLen:        xdpGetBuffLen,
	abi.XDPLoadBytes:         xdpLoadBytes,
	abi.XDPStoreBytes:        xdpStoreBytes,
	abi.XDPAdjustHead:        xdpAdjustHead,
	abi.XDPAdjustMeta:        xdpAdjustMeta,
	abi.XDPAdjustTail:        xdpAdjustTail,
	abi.Loop:                 loop,
	abi.CsumDiff:             csumDiff,
	abi.CsumUpdate:           csumUpdate,
	abi.CsumLevel:            csumLevel,
	abi.L3CsumReplace:        l3CsumReplace,
	abi.L4CsumReplace:        l4CsumReplace,
	abi.SKBChangeHead:        skbChangeHead,
	abi.SKBChangeTail:        skbChangeTail,
	abi.SKBChangeProto:       skbChangeProto,
	abi.SKBChangeType:        skbChangeType,
	abi.SKBAdjustRoom:        skbAdjustRoom,
	abi.SKBVLANPush:          skbVLANPush,
	abi.SKBVLANPop:           skbVLANPop,
	abi.SetHash:              setHash,
	abi.SetHashInvalid:       setHashInvalid,
	abi.MapLookupElem:        mapLookup,
	abi.MapUpdateElem:        mapUpdate,
	abi.MapDeleteElem:        mapDelete,
	abi.MapLookupPercpuElem:  mapLookupPerCPU,
	abi.ForEachMapElem:       forEachElement,
	abi.TailCall:             tailCall,
}

// An errno is one of the kernel's error numbers; helpers return it negated.
type errno uint64

const (
	eNOENT       errno = 2
	e2BIG        errno = 7
	eNOMEM       errno = 12
	eACCES       errno = 13
	eFAULT       errno = 14
	eNODEV       errno = 19
	eINVAL       errno = 22
	eRANGE       errno = 34
	ePROTO       errno = 71
	eOPNOTSUPP   errno = 95
	eAFNOSUPPORT errno = 97
	eALREADY     errno = 114
	eNOTSUPP     errno = 524 // the kernel's own, which C libraries do not know
)

func (e errno) negative() uint64 { return -uint64(e) }

// packetBytes returns n bytes of the packet at off, counted from the first
// one. It says no where they are not all there.
func (m *Machine) packetBytes(off, n uint64) ([]byte, bool) {
	size := uint64(m.packet.dataEnd - m.packet.data)
	if off > size || n > size-off {
		return nil, false
	}
	return m.bytes(uint64(m.packet.data)+off, n), true
}

// getHashRecalc returns the packet's hash. The kernel computes one where there
// is none, with a secret key that changes at every boot; here it stays 0.
func getHashRecalc(m *Machine, _ *[5]uint64) uint64 {
	return uint64(m.context().get(skbHash))
}

func skbLoadBytes(m *Machine, a *[5]uint64) uint64 {
	off, to := uint64(uint32(a[1])), m.bytes(a[2], a[3])
	from, ok := m.packetBytes(off, uint64(len(to)))
	return copyOrClear(to, from, ok)
}

// copyOrClear ends the skb_load_bytes helpers: what cannot be loaded is zeroed.
func copyOrClear(to, from []byte, ok bool) uint64 {
	if !ok {
		clear(to)
		return eFAULT.negative()
	}
	copy(to, from)
	return 0
}

// skbLoadBytesRelative loads from the link or the network header on. As in the
// kernel the offset cannot exceed 0xffff.
func skbLoadBytesRelative(m *Machine, a *[5]uint64) uint64 {
	off, to := uint64(uint32(a[1])), m.bytes(a[2], a[3])
	header, ok := m.header(uint32(a[4]))
	if !ok || off > 0xffff {
		return copyOrClear(to, nil, false)
	}
	from, ok := m.packetBytes(uint64(int64(header))+off, uint64(len(to)))
	return copyOrClear(to, from, ok)
}

// header returns the offset of the link or the network header.
func (m *Machine) header(start uint32) (off int32, ok bool) {
	switch start {
	case abi.HdrStartMAC:
		return m.buffer.link, m.buffer.hasLink
	case abi.HdrStartNet:
		return m.buffer.network, true
	}
	return 0, false
}

// Flags of skb_store_bytes. The checksum that the first is about is the
// device's for the whole packet, which a capture does not have.
const (
	recomputeChecksum = 1
	invalidateHash    = 2
)

func skbStoreBytes(m *Machine, a *[5]uint64) uint64 {
	off, from, flags := uint64(uint32(a[1])), m.bytes(a[2], a[3]), a[4]
	if flags&^(recomputeChecksum|invalidateHash) != 0 {
		return eINVAL.negative()
	}
	to, ok := m.packetBytes(off, uint64(len(from)))
	if !ok {
		return eFAULT.negative()
	}
	copy(to, from)
	m.dirty = true
	if flags&invalidateHash != 0 {
		m.context().put(skbHash, 0)
	}
	return 0
}

// skbPullData would make the packet's bytes directly accessible; those that
// there are always are.
func skbPullData(m *Machine, a *[5]uint64) uint64 {
	if _, ok := m.packetBytes(0, uint64(uint32(a[1]))); !ok {
		return eNOMEM.negative()
	}
	return 0
}

func xdpGetBuffLen(m *Machine, _ *[5]uint64) uint64 {
	return uint64(m.packet.dataEnd - m.packet.data)
}

func xdpLoadBytes(m *Machine, a *[5]uint64) uint64 {
	from, failed := m.xdpBytes(a)
	if failed != 0 {
		return failed.negative()
	}
	copy(m.bytes(a[2], a[3]), from)
	return 0
}

func xdpStoreBytes(m *Machine, a *[5]uint64) uint64 {
	to, failed := m.xdpBytes(a)
	if failed != 0 {
		return failed.negative()
	}
	copy(to, m.bytes(a[2], a[3]))
	m.dirty = true
	return 0
}

// xdpBytes is bpf_xdp_pointer: the part of the packet that the arguments of
// xdp_load_bytes and xdp_store_bytes speak of.
func (m *Machine) xdpBytes(a *[5]uint64) ([]byte, errno) {
	off, n := uint64(uint32(a[1])), uint64(uint32(a[3]))
	if off > 0xffff || n > 0xffff {
		return nil, eFAULT
	}
	b, ok := m.packetBytes(off, n)
	if !ok {
		return nil, eINVAL
	}
	return b, 0
}
