/* Counts system calls, as strace -c does: how often each was called, how often it
 * failed and how long all calls took. Run it with
 *
 *     bpflab attach --var pid=1234 --watch calls testdata/programs/syscall_count.o
 */
#include "bpf.h"
#include "syscalls.h"

/* The process to look at, 0 for all. */
const volatile u32 pid = 0;
/* The control group to look at by its id, the number of its directory (ls -di),
 * 0 for all. */
const volatile u64 cgroup = 0;

struct stat {
	u64 calls, errors, ns;
};

/* By system call. */
struct {
	UINT(type, PERCPU_HASH);
	UINT(max_entries, 512);
	TYPE(key, enum syscall);
	TYPE(value, struct stat);
} calls SEC(".maps");

struct begun {
	u64 number, time;
};

/* The calls that threads are in, by thread. */
struct {
	UINT(type, LRU_HASH);
	UINT(max_entries, 16384);
	TYPE(key, u32);
	TYPE(value, struct begun);
} running SEC(".maps");

INLINE int wanted(u64 pid_tgid)
{
	return (!pid || pid_tgid >> 32 == pid) &&
	       (!cgroup || get_current_cgroup_id() == cgroup);
}

/* The arguments of the tracepoint: the registers and the number of the call. */
SEC("raw_tp/sys_enter")
int enter(u64 *args)
{
	u64 id = get_current_pid_tgid();
	u32 thread = id;
	struct begun b = { .number = args[1] };
	if (!wanted(id))
		return 0;
	b.time = ktime_get_ns();
	map_update(&running, &thread, &b, F_ANY);
	return 0;
}

/* The registers and the result. */
SEC("raw_tp/sys_exit")
int leave(u64 *args)
{
	u32 thread = get_current_pid_tgid();
	struct begun *b = map_lookup(&running, &thread);
	struct stat *s, none = {};
	u32 number;
	u64 took;
	if (!b)
		return 0;
	number = b->number;
	took = ktime_get_ns() - b->time;
	map_delete(&running, &thread);
	s = map_lookup(&calls, &number);
	if (!s) {
		map_update(&calls, &number, &none, F_NOEXIST);
		s = map_lookup(&calls, &number);
		if (!s)
			return 0;
	}
	s->calls++;
	s->errors += (s64)args[1] < 0 && (s64)args[1] >= -4095;
	s->ns += took;
	return 0;
}

char _license[] SEC("license") = "GPL";
