package object_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/bpflab/bpflab/testdata/require"
)

// TestObjectsAreBuilt checks that the committed objects are what the committed
// sources give with the compiler that made them.
func TestObjectsAreBuilt(t *testing.T) {
	require.Command(t, "clang-16")
	require.Command(t, "llvm-strip-16")
	root := t.TempDir() // file names in objects are relative to it
	for _, dir := range []string{"testdata/programs", "testdata/verifier/reports", "ebpf/object/testdata"} {
		copyFiles(t, filepath.Join("../..", dir), filepath.Join(root, dir))
	}
	build := exec.Command("sh", "testdata/programs/build.sh")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("build.sh: %v\n%s", err, out)
	}
	for path, want := range samples(t) {
		got, err := os.ReadFile(filepath.Join(root, "ebpf/object", path))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what its source gives: run go generate ./ebpf/object", path)
		}
	}
}

// copyFiles copies the sources of a directory.
func copyFiles(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{"*.c", "*.h", "*.sh"} {
		files, err := filepath.Glob(filepath.Join(from, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(to, filepath.Base(f)), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
