; Every mnemonic, operand and spelling that bpf_asm knows; all.txt is what
; bpf_asm of Linux 6.12 makes of it.
# a line comment, at the start of a line only
	ld #10
	LDI #0x10
	ldi 0x10
	ld #0b101
	ld #017
	ld #-1
	ld M[3]
	ld [12]
	ld [x + 12]
	ld [%x + 12]
	ld [x + -2]
	ld [-1048576]
	ld #len
	ld len
	ldh [12] ldb [12] /* two on a line,
	and a comment over two lines */
	ldh [x + 2]
	ldb [%x + 0xff]
	ldh #proto
	ldb proto
	ld #type
	ld #poff
	ld #ifidx
	ld #nla
	ld #nlan
	ld #mark
	ld #queue
	ld #hatype
	ld #rxhash
	ld #cpu
	ld #vlan_tci
	ld #vlan_avail
	ld vlan_pr
	ld #vlan_tpid
	ld #rand
	ldx #5
	ldxi #6
	ldxi 7
	ldx M[15]
	ldx #len
	ldx 4*([14]&0xf)
	ldxb 4 * ([14] & 15)
	st M[0]
	stx M[1]
	add #1
	add x
	sub #2
	sub %x
	mul #3
	mul x
	div #4
	div x
	mod #5
	mod x
	and #6
	and x
	or #7
	or x
	xor #8
	xor x
	lsh #9
	lsh x
	rsh #10
	rsh x
	neg
	tax
	txa
first:
	jmp second
	ja second
second: jeq #1, third, fourth
	jeq x, third
	jeq %x, third, fourth
third:	jneq #2, fourth
	jne x, fourth
	jgt #3, fourth, _5th
	jgt x, fourth
fourth:
	jge #4, _5th
	jge x, _5th, end
	jset #5, _5th
	jset x, _5th, end
	jlt #6, _5th
_5th:	jlt x, end
	jle #7, end
	jle x, end
	ret a
	ret %a
	ret #1
end:	ret #0xffffffff
