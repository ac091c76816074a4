package jit

import (
	"sync"

	"golang.org/x/sys/cpu"
)

// hostFeatures returns what this processor has. It asks once: in a virtual
// machine each question is a way to the hypervisor and back. golang.org/x/sys/cpu, which
// also asks whether the system keeps the registers concerned, knows all but
// MOVBE, which needs nothing from the system.
var hostFeatures = sync.OnceValue(func() features {
	const leaf, movbe = 1, 1 << 22 // CPUID.01H:ECX
	_, _, ecx, _ := cpuid(leaf, 0)
	return features{BMI2: cpu.X86.HasBMI2, MOVBE: ecx&movbe != 0}
})

// cpuid asks the processor about itself. Every amd64 processor knows leaf 1.
func cpuid(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32)
