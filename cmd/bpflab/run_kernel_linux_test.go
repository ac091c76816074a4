package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/testdata/require"
)

// bpflab runs a command and returns the status and what it printed.
func bpflab(input string, args ...string) (status int, out, errOut string) {
	var stdout, stderr bytes.Buffer
	status = newApp(strings.NewReader(input), &stdout, &stderr).run(args)
	return status, stdout.String(), stderr.String()
}

// packetPrograms are the programs of the project's objects that see packets,
// with the captures whose packets the kernel takes.
var packetPrograms = []struct{ object, program string }{
	{"dissector.o", "dissect"}, {"ext_headers.o", "walk_headers"}, {"flow_tracker.o", "track"}, {"sampler.o", "sample"},
	{"tail_parser.o", "parse_ethernet"}, {"tc_nat.o", "nat_in"}, {"tc_nat.o", "nat_out"},
	{"xdp_balancer.o", "balance"}, {"xdp_firewall.o", "firewall"},
}

// TestRunAllEngines runs the project's programs on all engines, which must agree
// on verdicts, packets, events and maps.
func TestRunAllEngines(t *testing.T) {
	askable(t)
	for _, p := range packetPrograms {
		for _, name := range []string{"mixed.pcap", "samples.pcap", "snaplen.pcap"} {
			args := []string{"run", "--engine", "all", "--json", "-r", "../../testdata/captures/" + name, "../../testdata/programs/" + p.object}
			if p.object == "tc_nat.o" || p.object == "tail_parser.o" {
				args = slices.Insert(args, 1, "--prog", p.program)
			}
			status, out, errOut := bpflab("", args...)
			var got struct{ Packets int }
			if err := json.Unmarshal([]byte(out), &got); err != nil || status != 0 || got.Packets < 30 || strings.Contains(errOut, "engine kernel is left out") {
				t.Errorf("%s over %s: status %d\n%s%.2000s", p.program, name, status, out, errOut)
			}
		}
	}
}

// TestRunKernel compares what the kernel leaves behind with what our machine
// does: verdicts, packets and maps.
func TestRunKernel(t *testing.T) {
	askable(t)
	dir := t.TempDir()
	const capture, object = "../../testdata/captures/mixed.pcap", "../../testdata/programs/flow_tracker.o"
	run := func(engine string) (verdicts, maps, packets string) {
		v, w := filepath.Join(dir, engine+".verdicts"), filepath.Join(dir, engine+".pcap")
		args := []string{"run", "--engine", engine, "--verdicts", v, "-w", w, "--dump-maps", "-r", capture, object}
		status, out, errOut := bpflab("", args...)
		if status != 0 {
			t.Fatalf("%s: status %d\n%s", engine, status, errOut)
		}
		return readText(t, v), sortedElements(t, out), readText(t, w)
	}
	verdicts, maps, packets := run("kernel")
	ourVerdicts, ourMaps, ourPackets := run("interp")
	if verdicts != ourVerdicts || packets != ourPackets || maps != ourMaps || !strings.Contains(maps, "0x") {
		t.Errorf("verdicts the same: %v; packets: %v; maps:\n%s\n%s", verdicts == ourVerdicts, packets == ourPackets, maps, ourMaps)
	}
}

func readText(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// sortedElements brings the elements of the hash maps of --dump-maps into an
// order, and leaves out other lines.
func sortedElements(t *testing.T, out string) string {
	t.Helper()
	var all []string
	for line := range strings.Lines(out) {
		var m struct {
			Map, Type string
			Elements  []json.RawMessage
		}
		if !strings.HasPrefix(line, "{") {
			continue
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		for _, e := range m.Elements {
			if !strings.Contains(m.Type, "percpu") { // as many values as CPUs
				all = append(all, m.Map+" "+string(e))
			}
		}
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// TestRunKernelMaps fills maps of all kinds that go over to the kernel, and gets
// them back.
func TestRunKernelMaps(t *testing.T) {
	askable(t)
	const program = `
		.map counts type array key 4 value 8 entries 4
		.map seen type hash key 4 value 4 entries 16
		.map last type lpm_trie key 8 value 4 entries 4 flags 1
		.map jobs type queue key 0 value 4 entries 4
		.map done type stack key 0 value 4 entries 4
		r1 = map[last]
		r1 = map[jobs]
		r2 = r10
		r2 += -4
		call bpf_map_pop_elem
		r1 = map[done]
		r2 = r10
		r2 += -4
		r3 = 0
		call bpf_map_push_elem
		*(u32 *)(r10 -8) = 2
		r1 = map[seen]
		r2 = r10
		r2 += -8
		r3 = r10
		r3 += -8
		r4 = 0
		call bpf_map_update_elem
		r1 = map[counts]
		r2 = r10
		r2 += -8
		call bpf_map_lookup_elem
		if r0 == 0 goto out
		r1 = *(u64 *)(r0 +0)
		r1 += 1
		*(u64 *)(r0 +0) = r1
	out:	r0 = 2
		exit`
	dir := t.TempDir()
	args := []string{"run", "--dump-maps", "-r", "../../testdata/captures/ipv4.pcap"}
	for name, elements := range map[string]string{
		"counts": `[{"key":[2,0,0,0],"value":[5,1,0,0,0,0,0,0]},{"key":[3,0,0,0],"value":[7,0,0,0,0,0,0,0]}]`,
		"seen":   `[{"key":[1,0,0,0],"value":[1,2,3,4]}]`,
		"last":   `[{"key":[8,0,0,0,10,0,0,0],"value":[1,2,3,4]}]`,
		"jobs":   `[{"value":[1,0,0,0]},{"value":[2,0,0,0]},{"value":[3,0,0,0]}]`,
		"done":   `[{"value":[9,0,0,0]}]`,
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(elements), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--map", name+"="+file)
	}
	file := filepath.Join(dir, "program.asm")
	if err := os.WriteFile(file, []byte(program), 0o644); err != nil {
		t.Fatal(err)
	}
	var outputs []string
	for _, engine := range []string{"kernel", "checked", "all"} {
		status, out, errOut := bpflab("", append(slices.Clone(args), "--engine", engine, file)...)
		if status != 0 || !strings.Contains(out, `"map":"jobs"`) {
			t.Errorf("%s: status %d\n%s%s", engine, status, out, errOut)
		}
		outputs = append(outputs, out)
	}
	if outputs[0] != outputs[1] {
		t.Errorf("in the kernel\n%son the machine\n%s", outputs[0], outputs[1])
	}
}

// TestRunDisagreement has programs that cannot do the same twice.
func TestRunDisagreement(t *testing.T) {
	askable(t)
	for name, tt := range map[string]struct{ program, want string }{
		"verdict": {"call bpf_get_prandom_u32\nexit", "packet 1: engines interp and kernel disagree about the verdict: "},
		"map": {`.map m type array key 4 value 8 entries 1
			call bpf_ktime_get_ns
			*(u64 *)(r10 -16) = r0
			*(u32 *)(r10 -4) = 0
			r1 = map[m]
			r2 = r10
			r2 += -4
			r3 = r10
			r3 += -16
			r4 = 0
			call bpf_map_update_elem
			r0 = 2
			exit`, `after the last packet, engines interp and kernel disagree about map "m", key 00000000: `},
		"events": {`.map ring type ringbuf key 0 value 0 entries 4096
			call bpf_ktime_get_ns
			*(u64 *)(r10 -8) = r0
			r1 = map[ring]
			r2 = r10
			r2 += -8
			r3 = 8
			r4 = 0
			call bpf_ringbuf_output
			r0 = 2
			exit`, "packet 1: engines interp and kernel disagree about the events: interp sent 1, kernel sent 1"},
	} {
		status, out, errOut := bpflab(tt.program, "run", "--engine", "all", "-r", "../../testdata/captures/ipv4.pcap", "-")
		if status != exitNo || !strings.Contains(errOut, tt.want) {
			t.Errorf("%s: status %d\n%s%s", name, status, out, errOut)
		}
	}
}

// TestRunKernelLimits runs into what test runs do not have.
func TestRunKernelLimits(t *testing.T) {
	askable(t)
	const readsLen = "r0 = *(u32 *)(r1 +0)\nexit"
	status, out, errOut := bpflab(readsLen, "run", "--engine", "kernel", "--type", "tc", "-r", "../../testdata/captures/snaplen.pcap", "-")
	if status != exitUnsupported || !strings.Contains(out, " not taken by the engine") || !strings.Contains(errOut, "the program may read len") {
		t.Errorf("len: status %d\n%s%s", status, out, errOut)
	}
	const readsInterface = "r0 = *(u32 *)(r1 +12)\nexit"
	status, _, errOut = bpflab(readsInterface, "run", "--engine", "kernel", "-r", "../../testdata/captures/ipv4.pcap", "-")
	if status != exitUnsupported || !strings.Contains(errOut, "may read ingress_ifindex, which is 0x1 there and cannot be set, not 0x0") {
		t.Errorf("ingress_ifindex: status %d\n%s", status, errOut)
	}
	status, out, errOut = bpflab(readsInterface, "run", "--engine", "kernel", "--ctx", "ingress_ifindex=1", "-r", "../../testdata/captures/ipv4.pcap", "-")
	if status != exitDone || !strings.Contains(out, "XDP_DROP") {
		t.Errorf("ingress_ifindex set: status %d\n%s%s", status, out, errOut)
	}
	for _, args := range [][]string{
		{"--engine", "kernel", "--mem", "00"}, {"--engine", "kernel", "--seed", "1", "-r", "x"}, {"--engine", "all", "--trace", "-r", "x"},
		{"--engine", "kernel", "--cpus", "4097", "-r", "x"},
	} {
		if status, _, errOut := bpflab("exit", append(append([]string{"run"}, args...), "-")...); status != exitUsage {
			t.Errorf("%q: status %d\n%s", args, status, errOut)
		}
	}
	status, _, errOut = bpflab("r0 = *(u64 *)(r1 +0)\nexit", "run", "--engine", "kernel", "-r", "../../testdata/captures/ipv4.pcap", "-")
	if status != exitNo || !strings.Contains(errOut, "invalid bpf_context access") {
		t.Errorf("a program that the kernel rejects: status %d\n%s", status, errOut)
	}
}

// TestRunKernelNotPermitted asks as a user who may not: the engines that are
// left are compared.
func TestRunKernelNotPermitted(t *testing.T) {
	require.Root(t)
	run := asNobody(t)
	out, status := run("r0 = 2\nexit", "run", "--engine", "kernel", "-r", "ipv4.pcap", "-")
	if status != exitUnsupported || !strings.Contains(out, "it takes root") || !strings.Contains(out, "bpflab doctor") {
		t.Errorf("status %d\n%s", status, out)
	}
	out, status = run("r0 = 2\nexit", "run", "--engine", "all", "-r", "ipv4.pcap", "-")
	if status != exitDone || !strings.Contains(out, "engine kernel is left out: ") || !strings.Contains(out, "XDP_PASS") {
		t.Errorf("status %d\n%s", status, out)
	}
	out, status = run("", "match", "--engine", "kernel", "--count", "-r", "ipv4.pcap", "tcp")
	if status != exitDone || strings.TrimSpace(out) == "0" {
		t.Errorf("status %d\n%s", status, out)
	}
}

// asNobody builds the command and returns a function that runs it as a user
// without rights, in a directory with a capture.
func asNobody(t *testing.T) func(input string, args ...string) (out string, status int) {
	t.Helper()
	dir := buildBinary(t)
	data := readText(t, "../../testdata/captures/ipv4.pcap")
	if err := os.WriteFile(filepath.Join(dir, "ipv4.pcap"), []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
	// Directories of tests are for their user only.
	for at := dir; at != filepath.Clean(os.TempDir()) && at != "/"; at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return func(input string, args ...string) (string, int) {
		c := exec.Command(filepath.Join(dir, "bpflab"), args...)
		c.Stdin = strings.NewReader(input)
		c.Dir = dir
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, _ := c.CombinedOutput()
		return string(out), c.ProcessState.ExitCode()
	}
}

// TestMatchKernel matches in the kernel, on all captures as the others do.
func TestMatchKernel(t *testing.T) {
	classic, err := kernel.NewClassic([]bpf.RawInstruction{{Op: 6, K: 1}})
	if err != nil {
		require.Skip(t, "needs SO_ATTACH_FILTER: %v", err)
	}
	classic.Close()
	captures, err := filepath.Glob("../../testdata/captures/*.pcap*")
	if err != nil || len(captures) == 0 {
		t.Fatal("no captures", err)
	}
	for _, name := range captures {
		for _, filter := range []string{"tcp port 80 or udp", "ip6 and not icmp6", "ether[0] & 1 != 0"} {
			status, out, errOut := bpflab("", "match", "--engine", "cbpf", "--count", "-r", name, filter)
			for _, engine := range []string{"kernel", "all"} {
				inKernel, theirs, theirErr := bpflab("", "match", "--engine", engine, "--count", "-r", name, filter)
				if inKernel != status || out != theirs || errOut != theirErr {
					t.Errorf("%s, %s: %s says %d %s%s, cbpf %d %s%s", name, filter, engine, inKernel, theirs, theirErr, status, out, errOut)
				}
			}
		}
	}
	const snaplen = "../../testdata/captures/snaplen.pcap"
	status, _, errOut := bpflab("", "match", "--engine", "kernel", "--count", "-r", snaplen, "greater 100")
	if status != exitUnsupported || !strings.Contains(errOut, "the program uses the length on the wire") {
		t.Errorf("the length on the wire: status %d\n%s", status, errOut)
	}
	status, _, errOut = bpflab("", "match", "--engine", "all", "--count", "-r", snaplen, "greater 100")
	if status != exitDone || !strings.Contains(errOut, "engine kernel was left out on ") {
		t.Errorf("with all: status %d\n%s", status, errOut)
	}
	status, _, errOut = bpflab("ld #cpu\nret a", "match", "--engine", "all", "--count", "-r", snaplen, "-p", "-")
	if status != exitDone || !strings.Contains(errOut, "it is left out") {
		t.Errorf("the processor's number: status %d\n%s", status, errOut)
	}
}
