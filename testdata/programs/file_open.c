/* A tracer of opened files: each call of openat(2) is a record in a ring buffer,
 * with the path as the process gave it. Run it with
 *
 *     bpflab attach testdata/programs/file_open.o
 */
#include "bpf.h"

/* What the tracepoint gives, as tracefs describes it in
 * events/syscalls/sys_enter_openat/format. */
struct openat_args {
	u64 common;
	u64 number;
	u64 dfd;
	const char *path;
	u64 flags;
	u64 mode;
};

struct open_event {
	u64 time; /* ns since the machine was started */
	u32 pid;
	u32 flags;
	char comm[16];
	char path[256];
};

/* The process to trace, 0 for all. */
const volatile u32 pid = 0;

struct {
	UINT(type, RINGBUF);
	UINT(max_entries, 256 * 1024);
} opens SEC(".maps");

/* Records that found the ring buffer full. */
struct {
	UINT(type, PERCPU_ARRAY);
	UINT(max_entries, 1);
	TYPE(key, u32);
	TYPE(value, u64);
} lost SEC(".maps");

/* A function of its own keeps the type of the record in the object. */
static NOINLINE void fill(struct open_event *e, const struct openat_args *args)
{
	e->time = ktime_get_ns();
	e->pid = get_current_pid_tgid() >> 32;
	e->flags = args->flags;
	get_current_comm(e->comm, sizeof(e->comm));
	/* The memory may not be there: then the path is empty. */
	if (probe_read_user_str(e->path, sizeof(e->path), args->path) < 0)
		e->path[0] = 0;
}

SEC("tracepoint/syscalls/sys_enter_openat")
int file_open(struct openat_args *args)
{
	struct open_event *e;
	u32 zero = 0;
	u64 *n;
	if (pid && get_current_pid_tgid() >> 32 != pid)
		return 0;
	e = ringbuf_reserve(&opens, sizeof(*e), 0);
	if (!e) {
		n = map_lookup(&lost, &zero);
		if (n)
			++*n;
		return 0;
	}
	fill(e, args);
	ringbuf_submit(e, 0);
	return 0;
}

char _license[] SEC("license") = "GPL";
