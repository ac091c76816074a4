package vm

import (
	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/vm/engine"
	"github.com/bpflab/bpflab/vm/maps"
)

// The redirect helpers say where a packet shall go; it goes if the program then
// returns the verdict that they have returned. The machine has no devices: it
// notes the target ([engine.Result.Redirect]).

const (
	xdpAborted    = 0
	xdpRedirect   = 4
	tcActShot     = 2
	tcActRedirect = 7

	redirectIngress = 1
	neighbourLen    = 20 // sizeof(struct bpf_redir_neigh)
)

// redirect is bpf_redirect and, for XDP programs, bpf_xdp_redirect.
func redirect(m *Machine, a *[5]uint64) uint64 {
	to, flags := uint32(a[0]), a[1]
	if m.entry.typ == abi.XDP {
		if flags != 0 {
			return xdpAborted
		}
		m.redirect = to
		return xdpRedirect
	}
	if flags&^redirectIngress != 0 {
		return tcActShot
	}
	m.redirect = to
	return tcActRedirect
}

func redirectPeer(m *Machine, a *[5]uint64) uint64 {
	if a[1] != 0 {
		return tcActShot
	}
	m.redirect = uint32(a[0])
	return tcActRedirect
}

func redirectNeigh(m *Machine, a *[5]uint64) uint64 {
	n, flags := int32(a[2]), a[3]
	if n != 0 && n < neighbourLen || flags != 0 {
		return tcActShot
	}
	m.redirect = uint32(a[0])
	return tcActRedirect
}

// cloneRedirect sends a copy of the packet, which becomes an event.
func cloneRedirect(m *Machine, a *[5]uint64) uint64 {
	if a[2]&^redirectIngress != 0 {
		return eINVAL.negative()
	}
	p := &m.packet
	m.emit("clone_redirect", int(uint32(a[1])), m.bytes(uint64(p.data), uint64(p.dataEnd-p.data)))
	return 0
}

// Flags of redirect_map: the lowest bits are what to return if the map has no
// such target.
const (
	redirectFailed    = 3
	redirectBroadcast = 1 << 3
	redirectNotBack   = 1 << 4
)

// redirectMap redirects to what a devmap, cpumap or xskmap holds. Of a broadcast
// to all that the map holds, each target becomes an event.
func redirectMap(m *Machine, a *[5]uint64) uint64 {
	key, flags := uint32(a[1]), a[2]
	allowed := uint64(redirectFailed)
	if k := m.argMap.Spec().Kind; k == abi.DevMap || k == abi.DevMapHash {
		allowed |= redirectBroadcast | redirectNotBack
	}
	if flags&^allowed != 0 {
		return xdpAborted
	}
	if flags&redirectBroadcast != 0 {
		return m.broadcast(flags)
	}
	to, ok := m.argMap.Redirect(key)
	if !ok {
		return flags & redirectFailed
	}
	m.redirect = to.ID
	return xdpRedirect
}

func (m *Machine) broadcast(flags uint64) uint64 {
	p := &m.packet
	m.argMap.Targets(func(_ uint32, to maps.Target) {
		if flags&redirectNotBack == 0 || to.ID != m.in.Meta.IfIndex {
			m.emit(m.argMap.Name(), int(to.ID), m.bytes(uint64(p.data), uint64(p.dataEnd-p.data)))
		}
	})
	m.redirect = 0
	return xdpRedirect
}

// redirected returns the target of a redirect that the verdict confirms.
func (m *Machine) redirected() int {
	verdict := uint64(tcActRedirect)
	if m.entry.typ == abi.XDP {
		verdict = xdpRedirect
	}
	if uint64(uint32(m.reg[0])) != verdict {
		return 0
	}
	return int(m.redirect)
}

// emit adds an event to the run's result.
func (m *Machine) emit(source string, index int, data []byte) {
	n := len(m.eventData)
	m.eventData = append(m.eventData, data...)
	m.events = append(m.events, engine.Event{Source: source, Index: index, Data: m.eventData[n:len(m.eventData):len(m.eventData)]})
}
