package main

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bpflab/bpflab/testdata/require"
)

var update = flag.Bool("update", false, "write what the commands print into the README and the golden files")

// TestReadmeCommands runs every command of the README's console blocks in a
// shell at the root of the repository and compares what it prints with what
// the README shows.
func TestReadmeCommands(t *testing.T) {
	if runtime.GOOS == "windows" {
		require.Skip(t, "needs a POSIX shell")
	}
	require.Command(t, "sh")
	const readme = "../../README.md"
	path := buildBinary(t) + string(os.PathListSeparator) + os.Getenv("PATH")
	for _, c := range readmeCommands(t, readme) {
		t.Run(c.command, func(t *testing.T) {
			for _, tool := range []string{"tcpdump", "iptables"} {
				if strings.Contains(" "+c.command, " "+tool+" ") {
					require.Command(t, tool)
				}
			}
			sh := exec.Command("sh", "-c", c.command)
			sh.Dir = "../.."
			sh.Env = append(os.Environ(), "PATH="+path, "NO_COLOR=1")
			out, _ := sh.CombinedOutput() // the README shows failing commands too
			if *update {
				replaceOutput(t, readme, c, string(out))
				return
			}
			if diff := cmp.Diff(c.output, string(out)); diff != "" {
				t.Errorf("README is out of date (-README +actual):\n%s", diff)
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

type consoleCommand struct{ command, output string }

// readmeCommands returns the commands of the ```console blocks: a line that
// begins with "$ " is a command, continued while lines end in a backslash, and
// what follows up to the next one is its output.
func readmeCommands(t *testing.T, file string) []consoleCommand {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []consoleCommand
	inBlock, continued := false, false
	for line := range strings.Lines(string(text)) {
		command, isCommand := strings.CutPrefix(line, "$ ")
		switch {
		case strings.HasPrefix(line, "```"):
			inBlock = !inBlock && strings.HasPrefix(line, "```console")
		case !inBlock:
		case isCommand:
			all = append(all, consoleCommand{command: strings.TrimSuffix(command, "\n")})
			continued = strings.HasSuffix(command, "\\\n")
		case continued:
			last := &all[len(all)-1]
			last.command += "\n" + strings.TrimSuffix(line, "\n")
			continued = strings.HasSuffix(line, "\\\n")
		default:
			all[len(all)-1].output += line
		}
	}
	if len(all) == 0 {
		t.Fatal("the README has no console blocks")
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
