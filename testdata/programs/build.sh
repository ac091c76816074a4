#!/bin/sh
# Builds the objects of all C files here, or of those named. The debug
# information that remains is BTF: types and source lines, which the kernel and
# bpflab read. Clang runs from the root of the repository and takes file names
# from there, so that no path of the building machine gets in.
set -eu
cd "$(dirname "$0")"
[ $# -gt 0 ] || set -- *.c
cd ../..
for file; do
	object=testdata/programs/${file%.c}.o
	"${CLANG:-clang-16}" -O2 -g -Wall -Wextra -Wno-missing-field-initializers \
		-target bpf -mcpu=v3 -fdebug-compilation-dir=. \
		-c "testdata/programs/$file" -o "$object"
	"${STRIP:-llvm-strip-16}" -g "$object"
done
