package maps

// A refusal answers the operations that a kind does not have: keys, for a kind
// without keys, and lookup-and-delete for most.
type refusal struct {
	*Map
	with Errno
}

func (r refusal) layout() layout                             { return layout{} }
func (r refusal) find([]byte) uint32                         { return 0 }
func (r refusal) read([]byte, []byte) Errno                  { return r.with }
func (r refusal) write([]byte, []byte, uint64, int) Errno    { return r.with }
func (r refusal) remove([]byte) Errno                        { return r.with }
func (r refusal) take([]byte, []byte) Errno                  { return ENOTSUPP }
func (r refusal) next([]byte, []byte) Errno                  { return r.with }
func (r refusal) each(uint32, func([]byte, uint32) bool) int { return 0 }
