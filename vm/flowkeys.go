package vm

import (
	"encoding/binary"
	"math"

	"github.com/bpflab/bpflab/ebpf/abi"
)

// A flow dissector finds the headers of a packet and what tells its flow, and
// writes that to a struct bpf_flow_keys. The keys are the event "flow_keys" of
// its run.

var (
	keysNetwork   = offset(&abi.BPFFlowKeys, "nhoff")
	keysTransport = offset(&abi.BPFFlowKeys, "thoff")
	keysProtocol  = offset(&abi.BPFFlowKeys, "n_proto")
	skbFlowKeys   = offset(&abi.SKBuff, "flow_keys")
)

// allocateFlowKeys makes room for the keys, once.
func (m *Machine) allocateFlowKeys() (err error) {
	if m.flowKeys != 0 {
		return nil
	}
	size := uint64(abi.BPFFlowKeys.Size)
	if m.flowKeys, err = m.mem.Alloc(size); err != nil {
		return err
	}
	start := uint64(m.flowKeys)
	m.own(&values{name: "the flow keys", start: start, end: start + size, stride: size, size: size, may: [2]bool{read: true, write: true}})
	return nil
}

func (m *Machine) flowKeysMemory() []byte {
	return m.bytes(uint64(m.flowKeys), uint64(abi.BPFFlowKeys.Size))
}

// startFlowKeys tells the dissector where to begin and with what, as
// bpf_flow_dissect does; its flags are 0. A VLAN tag beside the bytes is the
// protocol that the packet starts with.
func (m *Machine) startFlowKeys() {
	keys, meta := m.flowKeysMemory(), &m.in.Meta
	clear(keys)
	proto := meta.Protocol
	if meta.VLANPresent {
		proto = meta.VLANProto
	}
	binary.BigEndian.PutUint16(keys[keysProtocol:], proto)
	binary.LittleEndian.PutUint16(keys[keysNetwork:], uint16(meta.NetworkOffset))
	binary.LittleEndian.PutUint16(keys[keysTransport:], uint16(meta.NetworkOffset))
	binary.LittleEndian.PutUint64(m.context()[skbFlowKeys:], uint64(m.flowKeys))
}

// finishFlowKeys keeps the offsets that the dissector has found within the
// packet and in order, as the kernel does, and hands the keys over.
func (m *Machine) finishFlowKeys() {
	keys := m.flowKeysMemory()
	end := uint16(min(m.length(), math.MaxUint16))
	network := clamp(binary.LittleEndian.Uint16(keys[keysNetwork:]), uint16(m.in.Meta.NetworkOffset), end)
	transport := clamp(binary.LittleEndian.Uint16(keys[keysTransport:]), network, end)
	binary.LittleEndian.PutUint16(keys[keysNetwork:], network)
	binary.LittleEndian.PutUint16(keys[keysTransport:], transport)
	m.emit("flow_keys", 0, keys)
}

func clamp(v, least, most uint16) uint16 { return min(max(v, least), most) }
