#!/bin/sh
# Builds the objects of all C files here, of those that the verifier rejects,
# and of those that the tests of ebpf/object read. The debug information that remains is BTF: types and source
# lines, which the kernel and bpflab read. Clang runs from the root of the
# repository and takes file names from there, so that no path of the building
# machine gets in.
set -eu
cd "$(dirname "$0")/../.."
for file in testdata/programs/*.c testdata/verifier/reports/*.c ebpf/object/testdata/*.c; do
	object=${file%.c}.o
	"${CLANG:-clang-16}" -O2 -g -Wall -Wextra -Wno-missing-field-initializers \
		-target bpf -mcpu=v3 -fdebug-compilation-dir=. -Itestdata/programs \
		-c "$file" -o "$object"
	"${STRIP:-llvm-strip-16}" -g "$object"
done
