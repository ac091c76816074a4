// Package replay runs a capture through engines.
//
//	err := replay.Run(reader, replay.Always(engine), func(n int, p *capture.Packet, results []engine.Result) error {
//		fmt.Println(n, results[0].Return)
//		return nil
//	})
//
// [Run] takes packets from any [Source], gives them to each engine in batches,
// and calls a [Visitor] once a packet, in order, with what each engine made of
// it. The engines are asked for by link type ([Engines]), because a filter is
// compiled for one and a capture may mix several. In the steady state it
// allocates nothing. [First] cuts a source off after some packets.
//
// [Compare] does that and compares the engines as it goes: it stops at the
// first packet on which two of them disagree and reports that as a
// [Disagreement]. Engines that run different programs for the same purpose do
// not return the same numbers, a classic filter a length where an XDP program
// returns XDP_PASS; a [Side] says how to read its engine's. Of programs with maps,
// [CompareMaps] compares what those hold in the end.
//
// [Filter] is for engines that only say which packets match: it visits those
// alone, for a tenth of the cost of Run, on one processor or several.
//
// [Witness] is for a program that the verifier rejects: it looks for a packet on
// which the program does what the verifier's report says that it may do.
//
// Witness needs the checked machine itself. Otherwise the package knows engines
// by their interface alone.
package replay
