package abi

import "github.com/bpflab/bpflab/ebpf"

// A Helper is the prototype of a helper function: a kernel function that a
// program calls by number, with arguments in R1 to R5 and the result in R0.
type Helper struct {
	ID          int32     // the Imm of the call
	Args        []ArgKind // R1, R2, …
	Types       TypeSet   // program types that may call it
	MovesPacket bool      // packet pointers loaded before the call are invalid after it
}

// An ArgKind says what a helper takes in a register.
type ArgKind uint8

const (
	ArgContext  ArgKind = iota // the program's context
	ArgScalar                  // any number
	ArgReadMem                 // initialised memory, as many bytes as the next argument says
	ArgWriteMem                // memory that the helper fills, as many bytes as the next argument says
	ArgSize                    // a size in bytes, at least 1
)

// The numbers of the helpers that translated programs call, and of the rest
// of the table (enum bpf_func_id).
const (
	KtimeGetNS           int32 = 5
	TracePrintk          int32 = 6
	GetPrandomU32        int32 = 7
	GetSMPProcessorID    int32 = 8
	SKBStoreBytes        int32 = 9
	SKBLoadBytes         int32 = 26
	GetHashRecalc        int32 = 34
	SKBPullData          int32 = 39
	XDPAdjustHead        int32 = 44
	XDPAdjustMeta        int32 = 54
	XDPAdjustTail        int32 = 65
	SKBLoadBytesRelative int32 = 68
	XDPGetBuffLen        int32 = 188
	XDPLoadBytes         int32 = 189
	XDPStoreBytes        int32 = 190
)

// Start headers of SKBLoadBytesRelative, its fifth argument.
const (
	HdrStartMAC = 0
	HdrStartNet = 1
)

// Helpers lists the helper functions known here in rising order of number.
// All of them return a scalar: the loads and stores 0 or a negative errno.
var Helpers = []Helper{
	{KtimeGetNS, nil, allTypes, false},
	{TracePrintk, []ArgKind{ArgReadMem, ArgSize, ArgScalar, ArgScalar, ArgScalar}, allTypes, false},
	{GetPrandomU32, nil, allTypes, false},
	{GetSMPProcessorID, nil, allTypes, false},
	{SKBStoreBytes, []ArgKind{ArgContext, ArgScalar, ArgReadMem, ArgSize, ArgScalar}, Types(SchedCLS), true},
	{SKBLoadBytes, []ArgKind{ArgContext, ArgScalar, ArgWriteMem, ArgSize}, skbTypes, false},
	{GetHashRecalc, []ArgKind{ArgContext}, Types(SchedCLS), false},
	{SKBPullData, []ArgKind{ArgContext, ArgScalar}, Types(SchedCLS), true},
	{XDPAdjustHead, []ArgKind{ArgContext, ArgScalar}, Types(XDP), true},
	{XDPAdjustMeta, []ArgKind{ArgContext, ArgScalar}, Types(XDP), true},
	{XDPAdjustTail, []ArgKind{ArgContext, ArgScalar}, Types(XDP), true},
	{SKBLoadBytesRelative, []ArgKind{ArgContext, ArgScalar, ArgWriteMem, ArgSize, ArgScalar}, skbTypes, false},
	{XDPGetBuffLen, []ArgKind{ArgContext}, Types(XDP), false},
	{XDPLoadBytes, []ArgKind{ArgContext, ArgScalar, ArgWriteMem, ArgSize}, Types(XDP), false},
	{XDPStoreBytes, []ArgKind{ArgContext, ArgScalar, ArgReadMem, ArgSize}, Types(XDP), false},
}

// Name returns the helper's name with its prefix, such as "bpf_skb_load_bytes".
func (h *Helper) Name() string { return ebpf.HelperName(h.ID) }

// HelperByID returns the helper function with the given number, or nil if it
// is not in the table.
func HelperByID(id int32) *Helper {
	for i := range Helpers {
		if Helpers[i].ID == id {
			return &Helpers[i]
		}
	}
	return nil
}
