package vm_test

import (
	"math/rand/v2"
	"testing"
)

func proveFirewall(t *testing.T) {
	p := newProof(t, "xdp_firewall", nil, "firewall")
	firewallRules(p.put)
	p.run("firewall", traffic(1, 3000))
	p.finish(xdpDrop, xdpPass, xdpTX)
}

// proveStrictFirewall lets through what rules name only.
func proveStrictFirewall(t *testing.T) {
	variables := map[string]string{"default_action": "1", "drop_fragments": "true"}
	p := newProof(t, "xdp_firewall", variables, "firewall")
	firewallRules(p.put)
	p.run("firewall", traffic(2, 3000))
	p.finish(xdpDrop, xdpPass, xdpTX)
}

// proveBalancer balances over eight backends, one of which is down; one ring
// has places of backends that do not exist, one service has no ring, and two
// remember flows.
func proveBalancer(t *testing.T) {
	variables := map[string]string{"seed": "12345", "local_mac": "{2, 0, 0, 0, 0, 99}"}
	p := newProof(t, "xdp_balancer", variables, "balance")
	for i := range uint32(8) {
		up := byte(1)
		if i == 3 {
			up = 0
		}
		p.put("backends", le32(i), []byte{10, 9, 0, byte(i), 2, 0, 0, 0, 1, byte(i), up, 0})
	}
	for i := range uint32(251) {
		p.put("ring_a", le32(i), le32(i*7%8))
		p.put("ring_b", le32(i), le32(i%10))
	}
	services := []endpoint{
		newEndpoint("192.168.1.1", 80, 6), newEndpoint("192.168.1.1", 443, 6),
		newEndpoint("10.0.0.1", 53, 17), newEndpoint("10.0.0.2", 80, 6),
	}
	for i, ring := range []uint32{0, 9, 1, 0} {
		p.put("services", services[i][:], le32(ring, uint32(i/2)))
	}
	in := sendTo(traffic(3, 3000), rand.New(rand.NewPCG(3, 0)), services)
	p.run("balance", in)
	p.put("backends", le32(0), make([]byte, 12)) // goes down: its flows move
	p.run("balance", in)
	p.finish(xdpDrop, xdpPass, xdpTX)
}

// proveNAT translates what comes in, and then the answers to that.
func proveNAT(t *testing.T) {
	p := newProof(t, "tc_nat", nil, "nat_in", "nat_out")
	var published []endpoint
	for i := range byte(6) {
		protocol := []byte{6, 17}[i%2]
		from := newEndpoint("203.0.113.7", 80+uint16(i), protocol)
		to := newEndpoint("10.77.0.1", 8080-uint16(i/3), protocol)
		to[3] += i
		published = append(published, from)
		p.put("published", from[:], to[:])
	}
	in := sendTo(traffic(4, 3000), rand.New(rand.NewPCG(4, 0)), published)
	out := p.run("nat_in", in)
	p.run("nat_out", answers(out))
	p.finish(tcOK)
	p.counted("translated", 300, 300)
	p.counted("failed", 0)
}

// proveFlowTracker sees packets in both directions. The times are off, as each
// side has its own.
func proveFlowTracker(t *testing.T) {
	p := newProof(t, "flow_tracker", nil, "track")
	in := traffic(5, 2500)
	p.run("track", in)
	p.run("track", answers(in))
	p.finish(tcOK)
	p.counted("lost", 0)
}

func proveTailParser(t *testing.T) {
	p := newProof(t, "tail_parser", nil, "parse_ethernet")
	p.run("parse_ethernet", traffic(6, 3000))
	p.finish(xdpDrop, xdpPass)
}

func proveExtHeaders(t *testing.T) {
	p := newProof(t, "ext_headers", map[string]string{"max_chain": "6"}, "walk_headers")
	p.run("walk_headers", traffic(7, 1500))
	p.run("walk_headers", chains(rand.New(rand.NewPCG(7, 0)), 2500))
	p.finish(tcOK, tcShot)
}

func proveSampler(t *testing.T) {
	p := newProof(t, "sampler", map[string]string{"rate": "3", "snaplen": "100"}, "sample")
	p.run("sample", traffic(8, 3000))
	p.finish(0, 100)
}
