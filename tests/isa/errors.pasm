; Mistakes of one who writes assembly: each has its place, and one run shows all of them.
; RUN: %fails --no-output %t.pearl %nacre asm %s -o %t.pearl | %FileCheck --match-full-lines --strict-whitespace %s
pearl 1
machine base corse=4
;      CHECK:{{.*}}errors.pasm:[[@LINE-1]]:14: error: unknown machine key `corse`
; CHECK-NEXT:    4 | machine base corse=4
; CHECK-NEXT:      |              ^^^^^
; CHECK-NEXT:   help: did you mean `cores`?
param n call 1..m
;      CHECK:{{.*}}errors.pasm:[[@LINE-1]]:17: error: there is no parameter `m`
region spm spm at 0 bytes 1048576 read+write
token wf L>Q 0 of 1
;      CHECK:{{.*}}errors.pasm:[[@LINE-1]]:12: error: expected a queue: S, L, M, D, V, W or X
token wm L>M 2 of 1
;      CHECK:{{.*}}errors.pasm:[[@LINE-1]]:19: error: the capacity must lie in 2..255
desc a f32 spm[0] dims [1, 2, 3, 4, 5, 6] strides [0]
;      CHECK:{{.*}}errors.pasm:[[@LINE-1]]:40: error: a descriptor has at most 5 dimensions
desc b f23 spm[0] dims [4] strides [4]
;      CHECK:{{.*}}errors.pasm:[[@LINE-1]]:8: error: expected an element type, f32 say
;      CHECK:   help: did you mean `f32`?
desc c f32 spm[0] dims [4] strides [4]
entry main {
	movi r0 5
;      CHECK:{{.*}}errors.pasm:[[@LINE-1]]:10: error: expected `,`
	addd r0, r0, 1
;      CHECK:{{.*}}errors.pasm:[[@LINE-1]]:2: error: unknown instruction `addd`
;      CHECK:   help: did you mean `add`?
	add r32, r0, 1
;      CHECK:{{.*}}errors.pasm:[[@LINE-1]]:6: error: expected a register: r0..r31
	v.fill c imm=1
;      CHECK:{{.*}}errors.pasm:[[@LINE-1]]:9: error: `c` is in no register here
;      CHECK:   help: load it above: ldd d0, c
	ldd d0, c
	v.un d0
;      CHECK:{{.*}}errors.pasm:[[@LINE-1]]:2: error: `v.un`: operand a is missing
	v.fill d0 wait wf
;      CHECK:{{.*}}errors.pasm:[[@LINE-1]]:2: error: `v.fill`: waits for `wf`, whose consumer is queue S
	loop 4 tile 0 {
;      CHECK:{{.*}}errors.pasm:[[@LINE-1]]:14: error: the tile must lie in 1..16777215
	} else {
;      CHECK:{{.*}}errors.pasm:[[@LINE-1]]:2: error: `else` ends a loop
	}
	if r0 gt 4 {
;      CHECK:{{.*}}errors.pasm:[[@LINE-1]]:8: error: expected lt, le, eq or ne
;      CHECK:{{.*}}errors.pasm:[[@LINE-2]]:2: error: this block is not closed by a `}`
