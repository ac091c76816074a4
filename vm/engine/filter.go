package engine

// A Frame is a packet of which only the bytes and the length on the wire matter.
type Frame struct {
	Data    []byte // captured bytes from the link header on; engines do not change them
	WireLen uint32 // length on the wire, at least len(Data) in a sound capture
}

// A Filter is an engine with a shorter way for programs that only judge
// packets. Most filters look at bytes and length alone, and then everything
// else of a [Packet] and a [Result] costs several times what the filter does.
type Filter interface {
	Engine

	// Verdicts sets verdicts[i] to what the program returns for frames[i],
	// in order, and returns for how many frames it did so; verdicts is at
	// least as long as frames. The number is smaller than len(frames) if
	// the frame it stands at takes more than that: the program asks for
	// metadata there, or is stopped by a fault. Run tells of that frame. It
	// is 0, too, where the engine has no shorter way for its program. The
	// verdicts given are those of Run, whatever the metadata.
	Verdicts(frames []Frame, verdicts []uint32) (judged int)
}
