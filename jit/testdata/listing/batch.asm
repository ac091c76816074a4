; A program that only looks: UDP to port 53, and no fragments. The divisor is known,
; the second comparison of lengths is not needed, and neither is r8.
	r2 = *(u32 *)(r1 +0)
	r3 = *(u32 *)(r1 +4)
	r8 = 7
	r4 = r2
	r4 += 42
	if r4 > r3 goto pass
	r5 = *(u16 *)(r2 +12)
	if r5 != 8 goto pass
	r5 = *(u8 *)(r2 +23)
	if r5 != 17 goto pass
	r5 = *(u16 *)(r2 +20)
	r5 &= 0xff1f
	if r5 != 0 goto pass
	r4 = r2
	r4 += 38
	if r4 > r3 goto pass
	r6 = *(u32 *)(r2 +26)
	r6 = be32 r6
	r6 /= 10
	if r6 == 1 goto pass
	r5 = *(u16 *)(r2 +36)
	if r5 == 0x3500 goto drop
pass:
	r0 = 2
	exit
drop:
	r0 = 1
	exit
