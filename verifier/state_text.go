package verifier

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/bpflab/bpflab/ebpf/abi"
	"github.com/bpflab/bpflab/verifier/num"
)

// Describe says in words what a value is: "packet+14, 20 bytes checked",
// "0..60 step 4", "value of counters or NULL".
func (p *Program) Describe(v Value) string { return texts{p.specs()}.value(v) }

// specs returns the descriptions of maps by the numbers that [Value.Map] has.
func (p *Program) specs() []abi.MapSpec {
	specs := p.Maps[:len(p.Maps):len(p.Maps)]
	for i := range p.Maps {
		if p.Maps[i].Inner != nil {
			specs = append(specs, *p.Maps[i].Inner)
		}
	}
	return specs
}

// texts tells what is known, in words.
type texts struct{ maps []abi.MapSpec }

// reg tells what is known of a register.
func (t texts) reg(r *reg) string {
	switch {
	case r.kind == unset && r.has(clobbered):
		return "lost in the call"
	case r.has(stale):
		return "no pointer any more"
	case r.kind == scalar && r.has(length):
		from := ""
		if r.off != 0 || r.id != 0 {
			from = fmt.Sprintf(" from byte %d on", r.off)
		}
		return "length of the packet" + from + " (" + numberText(r.num) + ")"
	}
	v := valueOf(r)
	if beyond := int(r.off) - int(r.span); v.Room == 0 && r.span > 0 && (r.kind == packetPtr || r.kind == metaPtr) {
		if beyond == 0 {
			return t.object(v) + offsetText(v.Num) + ", all before it checked"
		}
		return t.object(v) + offsetText(v.Num) + ", checked up to " + bytesText(beyond) + " before it"
	}
	return t.value(v)
}

func (t texts) value(v Value) string {
	switch v.Kind {
	case Nothing:
		return "not set"
	case Number:
		return numberText(v.Num)
	}
	text := t.object(v) + offsetText(v.Num)
	switch v.Kind {
	case PacketPointer, MetadataPointer:
		text += ", " + roomText(v.Room)
	case StackPointer:
		if v.Frame > 0 {
			text += " of frame " + strconv.Itoa(v.Frame)
		}
	}
	if v.Nullable {
		text += " or NULL"
	}
	return text
}

func (t texts) object(v Value) string {
	switch v.Kind {
	case ContextPointer:
		return "context"
	case MapPointer:
		return "map " + t.mapName(v.Map)
	case ValuePointer:
		return "value of " + t.mapName(v.Map)
	case KeyPointer:
		return "key of " + t.mapName(v.Map)
	case StackPointer:
		return "R10"
	case PacketPointer:
		return "packet"
	case MetadataPointer:
		return "metadata"
	case PacketEnd:
		return "end of the packet"
	case RecordPointer:
		return "record of " + bytesText(v.Size)
	case SocketPointer:
		return "socket"
	case FlowKeysPointer:
		return "flow keys"
	}
	return "function"
}

func (t texts) mapName(i int) string {
	if i < len(t.maps) && t.maps[i].Name != "" {
		return t.maps[i].Name
	}
	return "map " + strconv.Itoa(i)
}

// offsetText is "+14", "-8", "+(14..74 step 4)", and nothing for 0.
func offsetText(off num.Scalar) string {
	if c, ok := off.IsConst(); ok {
		if c == 0 {
			return ""
		}
		return fmt.Sprintf("%+d", int64(c))
	}
	return "+(" + numberText(off) + ")"
}

func roomText(room int) string {
	switch room {
	case 0:
		return "unchecked"
	case 1:
		return "1 byte checked"
	}
	return strconv.Itoa(room) + " bytes checked"
}

func numberText(n num.Scalar) string {
	switch {
	case n.IsUnknown():
		return "any number"
	case n.SMin() == 0 && n.SMax() == math.MaxUint32 && n.SMin32() < 0 && n.Low.Size != math.MaxUint32:
		if low := n.Low.String(); !strings.HasPrefix(low, "not") {
			return low + " as 32 bits"
		}
	}
	return n.String()
}
