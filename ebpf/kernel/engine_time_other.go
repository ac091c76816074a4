//go:build !linux

package kernel

import "github.com/bpflab/bpflab/vm/engine"

// Time returns ErrNotSupported.
func (e *Engine) Time(in []engine.Packet, repeat int) (ns float64, packets int, err error) {
	return 0, 0, ErrNotSupported
}
