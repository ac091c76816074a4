package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/bpflab/bpflab/jit"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"bpflab": main, "hardened": hardened})
}

// TestScripts runs the command line as a user would: each file under
// testdata/script is a small shell script with the expected output.
func TestScripts(t *testing.T) {
	testdata, err := filepath.Abs("../../testdata")
	if err != nil {
		t.Fatal(err)
	}
	programs, err := filepath.Abs("../../testdata/programs")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		UpdateScripts:       *update,
		Setup: func(e *testscript.Env) error {
			e.Setenv("CAPTURES", filepath.Join(testdata, "captures"))
			e.Setenv("PROGRAMS", filepath.Join(testdata, "programs"))
			e.Setenv("PROGRAMS", programs)
			e.Setenv("NO_COLOR", os.Getenv("NO_COLOR"))
			return nil
		},
		Condition: func(name string) (bool, error) {
			switch name {
			case "jit":
				return jit.Supported() == nil, nil
			case "hardened":
				return canHarden(), nil
			}
			return false, fmt.Errorf("there is no condition %q", name)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"status": status,
		},
	})
}

// status N COMMAND… runs bpflab with the arguments and checks its exit status.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: status N ARG…")
	}
	got := 0
	if err := ts.Exec("bpflab", args[1:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("bpflab %q: %v", args[1:], err)
		}
		got = exit.ExitCode()
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("bpflab %q: exit status %d, want %s", args[1:], got, args[0])
	}
}
