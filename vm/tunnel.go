package vm

import "encoding/binary"

// A tunnel is what a program has asked a tunnel device to do with the packet.
// A capture holds nothing of the kind: it is there once the program has set it.
type tunnel struct {
	set     bool
	ipv6    bool
	flags   uint16
	key     [tunnelLen]byte // as struct bpf_tunnel_key
	options [255]byte
	length  int // of options
}

// struct bpf_tunnel_key, and the shorter forms of it that older programs have.
const (
	tunnelRemote = 4  // 4 or 16 bytes
	tunnelTOS    = 20 // u8, and u8 ttl
	tunnelExt    = 22 // u16; flags on return
	tunnelLabel  = 24 // u32
	tunnelLocal  = 28 // 4 or 16 bytes
	tunnelLen    = 44

	tunnelOldest = 8
)

// Flags of the tunnel key helpers, and those that the device sees.
const (
	tunnelIPv6       = 1 << 0
	tunnelZeroCsum   = 1 << 1
	tunnelNoFragment = 1 << 2
	tunnelSequence   = 1 << 3
	tunnelGetFlags   = 1 << 4 // of the get helper
	tunnelNoKey      = 1 << 4 // of the set helper

	deviceCsum       = 1 << 0
	deviceKey        = 1 << 2
	deviceSequence   = 1 << 3
	deviceNoFragment = 1 << 8
	deviceNoCache    = 1 << 13
)

func isOldTunnelKey(size uint64) bool {
	switch size {
	case tunnelLocal, tunnelLabel, tunnelExt, tunnelOldest:
		return true
	}
	return false
}

// skbSetTunnelKey is bpf_skb_set_tunnel_key. The key becomes an event, too.
func skbSetTunnelKey(m *Machine, a *[5]uint64) uint64 {
	from, size, flags := m.bytes(a[1], a[2]), a[2], a[3]
	const allowed = tunnelIPv6 | tunnelZeroCsum | tunnelNoFragment | tunnelSequence | tunnelNoKey
	if flags&^allowed != 0 || size != tunnelLen && !isOldTunnelKey(size) {
		return eINVAL.negative()
	}
	var key [tunnelLen]byte
	copy(key[:], from)
	label := binary.LittleEndian.Uint32(key[tunnelLabel:])
	if flags&tunnelIPv6 == 0 && label != 0 || binary.LittleEndian.Uint16(key[tunnelExt:]) != 0 {
		return eINVAL.negative()
	}
	binary.LittleEndian.PutUint32(key[tunnelLabel:], label&0xfffff)
	t := tunnel{set: true, ipv6: flags&tunnelIPv6 != 0, key: key, flags: deviceNoCache}
	for _, f := range []struct {
		on     bool
		device uint16
	}{
		{flags&tunnelZeroCsum == 0, deviceCsum},
		{flags&tunnelNoKey == 0, deviceKey},
		{flags&tunnelSequence != 0, deviceSequence},
		{flags&tunnelNoFragment != 0, deviceNoFragment},
	} {
		if f.on {
			t.flags |= f.device
		}
	}
	m.tunnel = t
	m.emit("skb_set_tunnel_key", int(flags), key[:])
	return 0
}

// skbGetTunnelKey is bpf_skb_get_tunnel_key. A key that the program itself has
// set comes back with local and remote address in each other's place: it is
// meant for packets that came out of a tunnel.
func skbGetTunnelKey(m *Machine, a *[5]uint64) uint64 {
	to, size, flags := m.bytes(a[1], a[2]), a[2], a[3]
	t := &m.tunnel
	failed := errno(0)
	switch {
	case !t.set || flags&^(tunnelIPv6|tunnelGetFlags) != 0:
		failed = eINVAL
	case t.ipv6 != (flags&tunnelIPv6 != 0):
		failed = ePROTO
	case size == tunnelLen || isOldTunnelKey(size) && !(size == tunnelOldest && t.ipv6):
	default:
		failed = eINVAL
	}
	if failed != 0 {
		clear(to)
		return failed.negative()
	}
	key := t.key
	addressLen := 4
	if t.ipv6 {
		addressLen = 16
	}
	clear(key[tunnelRemote:tunnelTOS])
	clear(key[tunnelLocal:])
	copy(key[tunnelRemote:], t.key[tunnelLocal:][:addressLen])
	copy(key[tunnelLocal:], t.key[tunnelRemote:][:addressLen])
	if flags&tunnelGetFlags != 0 {
		binary.BigEndian.PutUint16(key[tunnelExt:], t.flags)
	}
	copy(to, key[:])
	return 0
}

// skbSetTunnelOpt sets the options of a tunnel header, for a key that was set
// before.
func skbSetTunnelOpt(m *Machine, a *[5]uint64) uint64 {
	t := &m.tunnel
	switch {
	case !t.set || a[2]%4 != 0:
		return eINVAL.negative()
	case a[2] > uint64(len(t.options)):
		return eNOMEM.negative()
	}
	t.length = copy(t.options[:], m.bytes(a[1], a[2]))
	return 0
}

// skbGetTunnelOpt gives the options and returns their length.
func skbGetTunnelOpt(m *Machine, a *[5]uint64) uint64 {
	to, t := m.bytes(a[1], a[2]), &m.tunnel
	clear(to)
	switch {
	case !t.set || t.length == 0:
		return eNOENT.negative()
	case len(to) < t.length:
		return eNOMEM.negative()
	}
	copy(to, t.options[:t.length])
	return uint64(t.length)
}
