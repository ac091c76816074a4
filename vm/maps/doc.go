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
// back with the arena: maps and sets have nothing else to close, and single
// maps do not go away, because programs may hold their addresses. Who made the
// arena closes it, for the maps of a machine Machine.Close; operations of user
// space fail with [ErrClosed] then, those of programs must not be called. Pages
// that were never touched cost nothing, so a map may have room for many more
// elements than will ever be there.
//
// Each map has a header (header.go), whose address stands for the map in
// programs. It says where the elements lie, so that machine code can do the
// lookup itself. Values start at multiples of 8 bytes; the values of the CPUs
// for one key lie side by side, step bytes apart. In an array the value is at
//
//	elements + index*stride + cpu*step, if index < max_entries
//
// and in a hash map the lookup is, with words of 32 bits and the hash function
// of hashkey.go,
//
//	at = word[buckets + 4*(hash & mask)]
//	while at is even and not 0:
//		if the key at at+16 is the one: value is at + offset + cpu*step
//		at = word[at]
//
// where a lookup in an LRU map sets word[at+12] to 1 if it is 0. A key that is
// not found so is to be looked up by [Map.Find]: it may have moved meanwhile.
//
// Elements of hash maps and tries are taken from the start of their memory on,
// so the memory of many is given as huge pages where the system has them.
//
// Several machines may use the maps of one arena at a time. Lookups that find
// something take no lock; updates take one for each map. Counters in values are
// the programs' own business: atomic instructions on them are real.
//
// A pointer to a value stays a pointer to a value of that map for ever. When
// the element is replaced or deleted the value behind the pointer is left as it
// is until many other elements have gone the same way (pool.go); the kernel
// promises only the former. In arrays and per-CPU maps an update changes the
// value in place.
//
// # The kinds
//
// By [abi.MapKind], with where the code and the layout are. What creation
// takes and what programs may do with each is in the table abi.MapKinds.
//
//	array, percpu_array          array.go     values by index, all there from the start
//	hash, percpu_hash            hash.go      values by key; the hash function is in hashkey.go
//	lru_hash, lru_percpu_hash    lru.go       likewise, making room where there is none
//	lpm_trie                     trie.go      values by prefix, the longest that matches
//	queue, stack                 queue.go     values in the order of their coming, or the reverse
//	bloom_filter                 bloom.go     whether a value may have been there
//	ringbuf                      ring.go      records for user space, in a ring
//	perf_event_array             perf.go      records for user space, by CPU
//	prog_array                   index.go     programs for tail calls
//	array_of_maps, hash_of_maps  nested.go    maps
//	devmap, devmap_hash,         redirect.go  where redirect_map sends packets
//	cpumap, xskmap, cgroup_array (always empty)
//
// Programs, interfaces, sockets and perf events do not exist in this package:
// numbers stand for them, and where user space of the kernel gives a file
// descriptor and reads back an id, it is the id both times. Records are taken
// with [Map.Drain], which wakes nobody: it is for the caller to ask after each
// run. WriteJSON and ReadJSON (json.go) speak bpftool's JSON.
//
// Not here: timers, BTF types of keys and values, memory mapping, batches of
// operations, and the kinds that hold sockets, cgroups, stack traces or storage
// for kernel objects; [Set.New] refuses those by name.
//
// # Files
//
// errno.go, check.go (which maps can be made), set.go, map.go (user space),
// program.go (programs), header.go, region.go, memory.go, value.go, pool.go,
// refuse.go;
// then the kinds as above.
package maps
