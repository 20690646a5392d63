; y = x + 1 by rows of 16: load, addition and store of three iterations at a time, in a loop of three stages.
; A channel that starts with a credit (full 1) lets its consumer work on what the pass before made.
; RUN: %nacre verify %s | %FileCheck %s
; RUN: %nacre asm %s -o %t.pearl
; RUN: %nacre sim %t.pearl --set n=1000 --seed 1 --jitter 7 --json
; RUN: sed 's/at 8192 full 1 empty 1/at 8192 full 1 empty 2/' %s > %t.early.pasm
; RUN: %fails %nacre verify %t.early.pasm | %FileCheck --check-prefix=EARLY %s
; RUN: sed 's/off r1, i @2/off r1, i @1/' %s > %t.stage.pasm
; RUN: %fails %nacre verify %t.stage.pasm | %FileCheck --check-prefix=STAGE %s
; CHECK: safe
; EARLY: race: `dst` writes bytes {{.*}} of spm, which instruction 13 may not have finished to read (`src`)
; STAGE: r1 was written at stage 1 and is read at stage 2, where it belongs to another iteration
pearl 1
machine nano
param n call 1..1000
tensor x in f32 [n, 64] bytes n * 256 plain strides [256, 4] address 4096
tensor y out f32 [n, 64] bytes n * 256 plain strides [256, 4] address 262144
region x hbm at 4096 bytes 256000 read tensor x
region y hbm at 262144 bytes 256000 read+write tensor y
region spm spm at 0 bytes 262144 read+write
chan A L>V ring 2 by 4096 in spm at 0 full 1 empty 1
chan Y V>W ring 2 by 4096 in spm at 8192 full 1 empty 1
desc xs f32 x[0] dims [len0, 64] strides [256, 4] steps [0: 256]
desc a f32 A dims [len0, 64] strides [256, 4]
desc av f32 A dims [len0, 64] strides [256, 4]
desc yv f32 Y dims [len0, 64] strides [256, 4]
desc yw f32 Y dims [len0, 64] strides [256, 4]
desc ys f32 y[0] dims [len0, 64] strides [256, 4]

entry main in x out y {
	ldd d0, xs
	ldd d1, a
	ldd d2, av
	ldd d3, yv
	ldd d4, yw
	param r0, n
	loop r0 tile 16 stages 3 as i {
		l.dma a+, xs wait A.e sig A.f
		v.bin yv+, av+ func=add imm=1 wait A.f, Y.e sig A.e, Y.f @1
		ldd d5, ys @2
		off r1, i @2
		mul r1, r1, 256 @2
		setd d5, base, r1 @2
		w.dma ys, yw+ wait Y.f sig Y.e @2
	}
}
