; A program that changes a map, calls a function of its own, loops over the packet
; and divides by what it does not know.
.map sums type array key 4 value 8 entries 4
	r6 = r1
	r2 = 0
	*(u32 *)(r10 -4) = r2
	r2 = r10
	r2 += -4
	r1 = map[sums]
	call bpf_map_lookup_elem
	if r0 == 0 goto out
	r7 = r0
	r1 = r6
	call sum
	lock *(u64 *)(r7 +0) += r0
	r6 = r0
	call bpf_get_prandom_u32
	r6 /= r0
	call bpf_ktime_get_ns
	r0 += r6
	*(u64 *)(r7 +0) = r0
out:
	r0 = 2
	exit
sum:
	r2 = *(u32 *)(r1 +0)
	r3 = *(u32 *)(r1 +4)
	r0 = 0
	r5 = 0
next:
	r4 = r2
	r4 += 1
	if r4 > r3 goto done
	r4 = *(u8 *)(r2 +0)
	r0 += r4
	r2 += 1
	r5 += 1
	if r5 < 64 goto next
done:
	exit
