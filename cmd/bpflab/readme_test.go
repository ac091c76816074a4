package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/jit"
	"github.com/bpflab/bpflab/testdata/require"
)

var update = flag.Bool("update", false, "write what the commands print into the README and the golden files")

const readme = "../../README.md"

// TestReadme runs every command and every program of the README at the root of
// the repository and compares what it prints with what the README shows.
func TestReadme(t *testing.T) {
	if runtime.GOOS == "windows" {
		require.Skip(t, "needs a POSIX shell")
	}
	require.Command(t, "sh")
	sh := shell{buildBinary(t) + string(os.PathListSeparator) + os.Getenv("PATH")}
	t.Run("console", sh.testConsole)
	t.Run("measured", sh.testMeasured)
	t.Run("live", sh.testLive)
	t.Run("go", testReadmePrograms)
}

// A shell runs commands, with bpflab on the path.
type shell struct{ path string }

func (sh shell) run(command string) (string, error) {
	c := exec.Command("sh", "-c", command)
	c.Dir = "../.."
	c.Env = append(os.Environ(), "PATH="+sh.path, "NO_COLOR=1")
	out, err := c.CombinedOutput()
	return string(out), err
}

// testConsole runs the commands of console blocks, whose output is always the same.
func (sh shell) testConsole(t *testing.T) {
	for _, c := range readmeCommands(t, "console") {
		t.Run(c.command, func(t *testing.T) {
			for _, tool := range []string{"tcpdump"} {
				if strings.Contains(" "+c.command, " "+tool+" ") {
					require.Command(t, tool)
				}
			}
			out, _ := sh.run(c.command) // the README shows failing commands too
			if *update {
				replaceOutput(t, readme, c, out)
				return
			}
			if diff := cmp.Diff(c.output, out); diff != "" {
				t.Errorf("README is out of date (-README +actual):\n%s", diff)
			}
		})
	}
}

// measured is what differs from one run of a command to the next: numbers, with
// their units, and the blanks that line them up.
var measured = regexp.MustCompile(`0x[0-9a-f]+|[0-9]+(\.[0-9]+)?(x|ms|µs)?|[ \n]+`)

// testMeasured runs the commands in blocks of no language, which ask the running
// kernel or measure time, and compares all but the numbers.
func (sh shell) testMeasured(t *testing.T) {
	for _, c := range readmeCommands(t, "") {
		t.Run(c.command, func(t *testing.T) {
			if err := kernel.Available(); err != nil {
				require.Skip(t, "needs eBPF in the kernel: %v", err)
			}
			if err := jit.Supported(); err != nil {
				require.Skip(t, "needs machine code: %v", err)
			}
			out, _ := sh.run(strings.ReplaceAll(c.command, "sudo ", ""))
			mask := func(s string) string { return measured.ReplaceAllString(s, " ") }
			if diff := cmp.Diff(mask(c.output), mask(out)); diff != "" {
				t.Errorf("README is out of date (-README +actual, without numbers):\n%s", diff)
			}
		})
	}
}

// testLive runs the commands of sh blocks, which change what an interface does,
// in a network namespace with an interface eth0.
func (sh shell) testLive(t *testing.T) {
	if err := kernel.Available(); err != nil {
		require.Skip(t, "needs eBPF in the kernel: %v", err)
	}
	for _, tool := range []string{"unshare", "ip", "iptables", "tshark"} {
		require.Command(t, tool)
	}
	for _, command := range readmeLines(t, "sh") {
		if command == "go test ./..." {
			continue
		}
		t.Run(command, func(t *testing.T) {
			short := strings.Replace(command, "bpflab attach", "bpflab attach --for 0.2s", 1)
			out, err := sh.run("unshare -n -m sh -ec '\n" +
				"[ -d /sys/kernel/tracing/events ] || mount -t tracefs tracefs /sys/kernel/tracing\n" +
				"ip link add eth0 type veth peer name eth1\nip link set eth0 up\nip link set eth1 up\n" +
				strings.ReplaceAll(short, "'", `'\''`) + "'")
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			if strings.Contains(command, "bpflab attach") && !strings.Contains(out, "attached to ") {
				t.Errorf("nothing was attached:\n%s", out)
			}
		})
	}
}

// testReadmePrograms runs the programs of go blocks; a comment in each, "Output",
// says what it prints.
func testReadmePrograms(t *testing.T) {
	for i, b := range readmeBlocks(t) {
		if b.language != "go" {
			continue
		}
		t.Run(fmt.Sprint("block ", i), func(t *testing.T) {
			if err := kernel.Available(); err != nil && strings.Contains(b.text, "bpflab/ebpf/kernel") {
				require.Skip(t, "needs eBPF in the kernel: %v", err)
			}
			if err := jit.Supported(); err != nil && strings.Contains(b.text, "bpflab/jit") {
				require.Skip(t, "needs machine code: %v", err)
			}
			file := filepath.Join(t.TempDir(), "main.go")
			if err := os.WriteFile(file, []byte(b.text), 0o644); err != nil {
				t.Fatal(err)
			}
			command := exec.Command("go", "run", file)
			command.Dir = "../.."
			out, err := command.CombinedOutput()
			_, want, _ := strings.Cut(b.text, "// Output: ")
			want, _, _ = strings.Cut(want, "\n")
			if err != nil || want == "" || strings.TrimSpace(string(out)) != want {
				t.Errorf("%v, printed\n%swant\n%s", err, out, want)
			}
		})
	}
}

// buildBinary builds bpflab and returns the directory it stands in.
func buildBinary(t *testing.T) string {
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "bpflab"), ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return dir
}

// A block is a piece of the README between lines of three backticks, the first
// of which may name a language.
type block struct{ language, text string }

func readmeBlocks(t *testing.T) (all []block) {
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	for i, piece := range strings.Split("\n"+string(text), "\n```") {
		language, text, _ := strings.Cut(piece, "\n")
		if i%2 == 1 {
			all = append(all, block{language, text + "\n"})
		}
	}
	return all
}

// readmeLines returns the lines of the blocks of a language.
func readmeLines(t *testing.T, language string) (lines []string) {
	for _, b := range readmeBlocks(t) {
		if b.language == language {
			lines = append(lines, strings.Split(strings.TrimSpace(b.text), "\n")...)
		}
	}
	if len(lines) == 0 {
		t.Fatalf("the README has no %q blocks", language)
	}
	return lines
}

type consoleCommand struct{ command, output string }

// readmeCommands returns the commands of the blocks of a language that begin with
// one: a line that begins with "$ " is a command, continued while lines end in a
// backslash, and what follows up to the next one is its output.
func readmeCommands(t *testing.T, language string) (all []consoleCommand) {
	for _, b := range readmeBlocks(t) {
		if b.language != language || !strings.HasPrefix(b.text, "$ ") {
			continue
		}
		continued := false
		for line := range strings.Lines(b.text) {
			if command, isCommand := strings.CutPrefix(line, "$ "); isCommand {
				all = append(all, consoleCommand{command: strings.TrimSuffix(command, "\n")})
				continued = strings.HasSuffix(command, "\\\n")
				continue
			}
			last := &all[len(all)-1]
			if !continued {
				last.output += line
				continue
			}
			last.command += "\n" + strings.TrimSuffix(line, "\n")
			continued = strings.HasSuffix(line, "\\\n")
		}
	}
	if len(all) == 0 {
		t.Fatalf("the README has no commands in %q blocks", language)
	}
	return all
}

// replaceOutput puts a command's new output into the file.
func replaceOutput(t *testing.T, file string, c consoleCommand, output string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	prompt := "$ " + c.command + "\n"
	changed := strings.Replace(string(text), prompt+c.output, prompt+output, 1)
	if err := os.WriteFile(file, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
}
