// Package maps is the maps of the machine: the key-value stores and channels
// that eBPF programs share with each other and with user space, with the
// behaviour of the kernel's, in arena memory.
//
// A map is described by an [abi.MapSpec], plain data, and made in a [Set],
// which numbers the maps of one arena:
//
//	set, err := maps.NewSet(mem, 1) // one CPU
//	m, err := set.New(&abi.MapSpec{Name: "flows", Kind: abi.HashMap, KeySize: 4, ValueSize: 8, MaxEntries: 1000})
//	err = m.Update(key, value, abi.UpdateAny)
//
// # Two faces
//
// User space (Go code) has the operations of the bpf system call: [Map.Lookup],
// [Map.Update], [Map.Delete], [Map.LookupAndDelete], [Map.NextKey],
// [Map.Freeze]. They copy keys and values. Programs have the operations of
// helper functions: [Map.Find], [Map.Put], [Map.Remove] and those of single
// kinds. Find gives the address of a value in the arena, which programs then
// read and write as memory.
//
// All of them fail as the kernel's do, with the same [Errno] where the kernel
// gives more than one reason. What the kernel does not promise is not the same:
// the order of the keys of a hash map, which element an LRU map gives up, which
// values a bloom filter mistakes for others. But it is the same on each run
// here.
//
// # Memory
//
// The memory of a map is taken from the arena when the map is made and goes
// back with the arena. Pages that were never touched cost nothing, so a map
// may have room for many more elements than will ever be there.
//
// Each map has a header (header.go), whose address stands for the map in
// programs. It says where the elements lie, so that machine code can do the
// lookup itself in arrays and hash maps. Values start at multiples of 8 bytes;
// the values of the CPUs for one key lie side by side.
//
// Several machines may use the maps of one arena at a time. Lookups take no
// lock; updates take one for each map. Counters in values are the programs'
// own business: atomic instructions on them are real.
//
// A pointer to a value stays a pointer to a value of that map for ever. When
// the element is replaced or deleted the value behind the pointer is left as it
// is until many other elements have gone the same way (pool.go); the kernel
// promises only the former. In arrays and per-CPU maps an update changes the
// value in place.
//
// # Files
//
// check.go (which maps can be made), set.go, map.go (user space), program.go
// (programs), header.go, memory.go, value.go, errno.go; then the kinds:
// array.go; hash.go with hashkey.go, lru.go and pool.go; trie.go; index.go.
package maps
