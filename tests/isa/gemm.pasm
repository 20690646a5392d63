; RUN: %nacre asm %s -o %t.pearl
; RUN: %nacre disasm %t.pearl > %t.pasm
; RUN: %nacre asm %t.pasm -o %t.again.pearl
; RUN: cmp %t.pearl %t.again.pearl
; RUN: %nacre verify %t.pearl | %FileCheck %s
; RUN: %FileCheck --check-prefix=TEXT %s < %t.pasm
; CHECK: {{.*}}safe: 24 instructions, 1 entries
; TEXT: machine base cores=4
; TEXT: param n call 1..512
; TEXT: token A.f L>M 0 of 2
; TEXT: desc am f32 spm[0] dims [1, 1*len0, 1, 1, 64] strides [0, 256, 0, 0, 4] ring 2 by 16384
; TEXT: loop 128 tile 64 par {
; TEXT:   loop r0 tile 64 {
; TEXT:     m.gemm d6+, d2+, d5 wait A.f, C.e sig A.e, C.f
; TEXT-NEXT: d.drain d8+, d7+ act=relu scale=0.5 wait C.f, Y.e sig C.e, Y.f

; A GEMM of n x 64 by 64 x 128 with its bias, by hand: weights and rows through rings.
pearl 1
machine base cores=4
model "gemm"
param n call 1..512
require 512 - n "at most 512 rows"
tensor x in f32 [n, 64] bytes n * 64 * 4 plain strides [256, 4] address 4096
tensor w weight f32 [64, 128] bytes 32768 plain strides [512, 4] address 262144 key "w"
tensor y out f32 [n, 128] bytes n * 512 plain strides [512, 4] address 524288
region x hbm at 4096 bytes 131072 read tensor x
region w hbm at 262144 bytes 32768 read tensor w
region y hbm at 524288 bytes 262144 read+write tensor y
region spm spm at 0 bytes 1048576 read+write
region acc acc at 0 bytes 262144 read+write
chan A L>M ring 2 by 16384 in spm at 0
chan C M>D ring 2 by 16384 in acc at 0
chan Y D>W ring 2 by 16384 in spm at 131072
token wf L>M 0 of 1
token we M>L 1 of 1
desc xs f32 x[0] dims [1*len0, 64] strides [256, 4] steps [0: 256]
desc ap f32 A dims [1*len0, 64] strides [256, 4]
desc am f32 A dims [1, 1*len0, 1, 1, 64] strides [0, 256, 0, 0, 4]
desc ws f32 w[0] dims [64, 64] strides [512, 4] steps [0: 4]
desc wp f32 spm[65536] dims [64, 64] strides [256, 4]
desc wm f32 spm[65536] dims [1, 1, 64, 64] strides [0, 0, 256, 4]
desc cm f32 C dims [1, len0, 64] strides [0, 256, 4]
desc cd f32 C dims [len0, 64] strides [256, 4]
desc yd f32 Y dims [len0, 64] strides [256, 4]
desc yw f32 Y dims [len0, 64] strides [256, 4]
desc ys f32 y[0] dims [len0, 64] strides [512, 4] steps [0: 512, 1: 4]

entry main in x out y launches "gemm" {
	mark 0
	ldd d0, xs
	ldd d1, ap
	ldd d2, am
	ldd d3, ws
	ldd d4, wp
	ldd d5, wm
	ldd d6, cm
	ldd d7, cd
	ldd d8, yd
	ldd d9, yw
	ldd d10, ys
	param r0, n
	loop 128 tile 64 par as j {
		l.dma wp, ws wait we sig wf
		m.sync wait wf
		loop r0 tile 64 as i {
			l.dma ap+, xs wait A.e sig A.f
			m.gemm cm+, am+, wm wait A.f, C.e sig A.e, C.f
			d.drain yd+, cd+ act=relu scale=0.5 wait C.f, Y.e sig C.e, Y.f
			w.dma ys, yw+ wait Y.f sig Y.e
		}
		m.sync sig we
	}
}
