package maps

// The LRU maps are hash maps that make room: an update that finds the map full
// deletes an element that was not used lately. The kernel promises no more than
// that; its victims depend on the CPUs. Here it is the clock algorithm: a hand
// goes round over the slots, spares the elements that were looked up by a
// program or updated since it came by last, and stops at the first other one.

// refer marks the element in a slot as used. It writes only what changes, so
// that machines which share a map do not take the cache line from each other.
func (h *hash) refer(slot uint32) {
	if h.lru && h.load(slot+slotRef) == 0 {
		h.store(slot+slotRef, 1)
	}
}

// evict deletes an element of a full map.
func (h *hash) evict() {
	for {
		slot := h.start + h.hand*h.stride
		if h.hand++; h.hand == h.used {
			h.hand = 0
		}
		switch {
		case h.load(slot+slotLive) == 0:
		case h.load(slot+slotRef) != 0:
			h.store(slot+slotRef, 0)
		default:
			link, _, _ := h.locate(h.bytes(slot+slotKey, h.spec.KeySize))
			h.unlink(link, slot)
			return
		}
	}
}
