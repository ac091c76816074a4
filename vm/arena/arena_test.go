package arena_test

import (
	"errors"
	"testing"

	"github.com/bpflab/bpflab/vm/arena"
)

func TestAllocationsStandApart(t *testing.T) {
	a, err := arena.New()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	want := uint32(arena.Granule)
	for _, size := range []uint64{1, arena.Granule, arena.Granule + 1, 0, 1 << 20} {
		addr, err := a.Alloc(size)
		if err != nil {
			t.Fatal(err)
		}
		if addr != want {
			t.Fatalf("Alloc(%d) = %#x, want %#x", size, addr, want)
		}
		for i, b := range a.Bytes(addr, int(size)) {
			if b != 0 {
				t.Fatalf("byte %d of a new allocation is %#x", i, b)
			}
			a.Bytes(addr, int(size))[i] = 0xff
		}
		granules := max(size+arena.Granule-1, arena.Granule) / arena.Granule
		want += uint32(granules+1) * arena.Granule
	}
}

func TestFull(t *testing.T) {
	a, err := arena.New()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	for _, size := range []uint64{arena.Size, arena.Size - arena.Granule, 1<<64 - 1} {
		if addr, err := a.Alloc(size); !errors.Is(err, arena.ErrFull) {
			t.Errorf("Alloc(%d) = %#x, %v; want ErrFull", size, addr, err)
		}
	}
}

func TestAddressesDoNotMove(t *testing.T) {
	a, err := arena.New()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	first, err := a.Alloc(8)
	if err != nil {
		t.Fatal(err)
	}
	a.Bytes(first, 8)[3] = 42
	if _, err := a.Alloc(1 << 20); err != nil {
		t.Fatal(err)
	}
	if got := a.Bytes(first, 8)[3]; got != 42 {
		t.Fatalf("after another allocation the byte is %d, want 42", got)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatalf("second Close: %v", err)
	}
}

// TestNothingIsLeft closes arenas and makes others, which may lie where those were:
// none has what another has left.
func TestNothingIsLeft(t *testing.T) {
	for round := range 40 {
		var arenas []*arena.Arena
		for range 1 + round%12 {
			a, err := arena.New()
			if err != nil {
				t.Fatal(err)
			}
			arenas = append(arenas, a)
			for _, size := range []int{1 + round*5000, 100} {
				addr, err := a.Alloc(uint64(size))
				if err != nil {
					t.Fatal(err)
				}
				for i, b := range a.Bytes(addr, size) {
					if b != 0 {
						t.Fatalf("round %d: byte %d of %d is %#x", round, i, size, b)
					}
					a.Bytes(addr, size)[i] = 0xff
				}
			}
		}
		for _, a := range arenas {
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestHugePages gives hints about memory of several sizes: they change nothing
// that can be read.
func TestHugePages(t *testing.T) {
	for _, size := range []int{1, 1 << 20, 5<<20 + 1, 16 << 20} {
		a, err := arena.New()
		if err != nil {
			t.Fatal(err)
		}
		addr, err := a.Alloc(uint64(size))
		if err != nil {
			t.Fatal(err)
		}
		a.FilledInOrder(addr, uint64(size))
		mem := a.Bytes(addr, size)
		for i := 0; i < size; i += 4096 {
			mem[i] = byte(i >> 12)
		}
		a.Filled(addr, uint64(size))
		for i := 0; i < size; i += 4096 {
			if mem[i] != byte(i>>12) {
				t.Fatalf("byte %d of %d is %d after the hint, want %d", i, size, mem[i], byte(i>>12))
			}
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
}
