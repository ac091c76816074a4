package cbpf

import (
	"fmt"
	"strings"

	"golang.org/x/net/bpf"
)

// Mnemonic describes an instruction in one line as tcpdump -d does, without
// the number in front: index is that number, from which jump targets count.
// Instructions that libpcap does not know are "unimp" with the opcode, which
// strikes "ldx len" although the kernel knows it.
func Mnemonic(ins bpf.RawInstruction, index int) string {
	op, ok := lookup(ins.Op)
	if !ok || op.operand == opndLen && op.name == "ldx" {
		op = opcode{"unimp", opndNone}
	}
	operand := ""
	switch {
	case op.name == "unimp":
		operand = fmt.Sprintf("0x%x", ins.Op)
	case op.operand == opndLabel:
		operand = fmt.Sprint(int32(uint32(index+1) + ins.K)) // back, if it wraps
	case op.operand == opndLen:
		operand = "#pktlen"
	case op.operand == opndAbs:
		operand = absOperandD(ins)
	case op.operand != opndA: // "ret" alone returns A
		operand = operandText(op.operand, ins.K)
	}
	if isConditional(ins.Op) {
		next := index + 1
		return fmt.Sprintf("%-8s %-16s jt %d\tjf %d", op.name, operand, next+int(ins.Jt), next+int(ins.Jf))
	}
	return fmt.Sprintf("%-8s %s", op.name, operand)
}

// operandText writes the operands that -d and asm write alike.
func operandText(kind operand, k uint32) string {
	switch kind {
	case opndX:
		return "x"
	case opndDec:
		return fmt.Sprintf("#%d", int32(k))
	case opndHex:
		return fmt.Sprintf("#0x%x", k)
	case opndAbs:
		return fmt.Sprintf("[%d]", int32(k))
	case opndInd:
		return fmt.Sprintf("[x + %d]", int32(k))
	case opndMem:
		return fmt.Sprintf("M[%d]", int32(k))
	case opndMsh:
		return fmt.Sprintf("4*([%d]&0xf)", int32(k))
	}
	return ""
}

// absOperandD names an extension in brackets, as libpcap does.
func absOperandD(ins bpf.RawInstruction) string {
	if ad, ok := extension(ins); ok {
		return "[" + extensionNames[ad/4].libpcap + "]"
	}
	return operandText(opndAbs, ins.K)
}

// extensionNames has the names of the extensions in the order of their offsets
// after AdOff. The two families of tools differ; both names are read.
var extensionNames = [adMax / 4]struct{ libpcap, asm string }{
	AdProtocol / 4:       {"proto", "proto"},
	AdPacketType / 4:     {"type", "type"},
	AdIfIndex / 4:        {"ifidx", "ifidx"},
	AdNLAttr / 4:         {"nla", "nla"},
	AdNLAttrNest / 4:     {"nlan", "nlan"},
	AdMark / 4:           {"mark", "mark"},
	AdQueue / 4:          {"queue", "queue"},
	AdHWType / 4:         {"hatype", "hatype"},
	AdRxHash / 4:         {"rxhash", "rxhash"},
	AdCPU / 4:            {"cpu", "cpu"},
	AdXorX / 4:           {"xor_x", ""}, // bpf_asm has no name for it
	AdVLANTag / 4:        {"vlan_tci", "vlan_tci"},
	AdVLANTagPresent / 4: {"vlanp", "vlan_avail"},
	AdPayOffset / 4:      {"poff", "poff"},
	AdRandom / 4:         {"random", "rand"},
	AdVLANTPID / 4:       {"vlan_tpid", "vlan_tpid"},
}

// extensionByName returns the K of the absolute load of an extension.
func extensionByName(name string) (uint32, bool) {
	if name == "vlan_pr" { // an older name of bpf_asm's
		return AdOff + AdVLANTagPresent, true
	}
	for i, n := range extensionNames {
		if name == n.libpcap || name == n.asm && name != "" {
			return AdOff + 4*uint32(i), true
		}
	}
	return 0, false
}

// tidy squeezes the blanks out of a mnemonic, for use inside a sentence.
func tidy(mnemonic string) string { return strings.Join(strings.Fields(mnemonic), " ") }

// beside returns the comment for an instruction after an opening and before a
// closing mark, "" if there is none.
func (o WriteOptions) beside(index int, open, end string) string {
	if o.Comment == nil {
		return ""
	}
	text := strings.ReplaceAll(tidy(o.Comment(index)), "*/", "* /")
	if text == "" {
		return ""
	}
	return open + text + end
}

// jumpTarget returns the index that a jump over a distance leads to, false if
// it is not one of the n instructions. Distances wrap, so that a "ja" can go
// back: Linux takes none that does, but libpcap writes such loops.
func jumpTarget(from int, distance uint32, n int) (int, bool) {
	to := uint32(from+1) + distance
	return int(to), uint64(to) < uint64(n)
}
