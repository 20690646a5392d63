; y = relu(x w)^2: a product and its activation, so that what lies between them is never in memory. The columns
; of w are taken 64 at a time and spread over the cores; a core keeps its part of w in the scratchpad while
; the rows of x stream through: load, matrix unit, drain (with the relu), vector unit (the square) and store work
; on different blocks of 64 rows at once.
pearl 1
machine base
model "relu2"
param N call 1..4096
param D call 1..512
param F call 1..4096
tensor x in f32 [N, D]
tensor w weight f32 [D, F]
tensor y out f32 [N, F]
region spm spm at 0 bytes 458752 read+write
region acc acc at 0 bytes 32768 read+write
chan X L>M ring 2 by 131072 in spm at 0
chan C M>D ring 2 by 16384 in acc at 0
chan R D>V ring 2 by 16384 in spm at 393216
chan Y V>W ring 2 by 16384 in spm at 425984
token wf L>M 0 of 1                                     ; the part of w is there
token we M>L 1 of 1                                     ; and may be overwritten
desc xs f32 x[0] dims [len0, 1] strides [x.0, 4] steps [0: x.0]
desc xl f32 X dims [len0, 1] strides [2048, 4]
desc xm f32 X dims [1, len0, 1, 1, 1] strides [0, 2048, 0, 0, 4]
desc ws f32 w[0] dims [1, len0] strides [w.0, 4] steps [0: 4]
desc wl f32 spm[262144] dims [1, len0] strides [256, 4]
desc wm f32 spm[262144] dims [1, 1, 1, len1] strides [0, 0, 256, 4]
desc cm f32 C dims [1, len0, len1] strides [0, 256, 4]
desc cd f32 C dims [len0, len1] strides [256, 4]
desc rd f32 R dims [len0, len1] strides [256, 4]
desc rv f32 R dims [len0, len1] strides [256, 4]
desc yv f32 Y dims [len0, len1] strides [256, 4]
desc yw f32 Y dims [len0, len1] strides [256, 4]
desc ys f32 y[0] dims [len0, len1] strides [y.0, 4] steps [0: y.0, 1: 4]

entry main in x, w out y {
	param r0, N
	param r1, D
	param r2, F
	ldd d0, xs
	ldd d1, xl
	ldd d2, xm
	ldd d3, ws
	ldd d4, wl
	ldd d5, wm
	ldd d6, cm
	ldd d7, cd
	ldd d8, rd
	ldd d9, rv
	ldd d10, yv
	ldd d11, yw
	ldd d12, ys
	setd d0, dim 1, r1
	setd d1, dim 1, r1
	setd d2, dim 4, r1
	setd d3, dim 0, r1
	setd d4, dim 0, r1
	setd d5, dim 2, r1
	loop r2 tile 64 par as columns {
		l.dma wl, ws wait we sig wf
		m.sync wait wf
		loop r0 tile 64 as rows {
			l.dma xl+, xs wait X.e sig X.f
			m.gemm cm+, xm+, wm wait X.f, C.e sig X.e, C.f
			d.drain rd+, cd+ act=relu scale=1 wait C.f, R.e sig C.e, R.f
			v.bin yv+, rv+, rv func=mul wait R.f, Y.e sig R.e, Y.f
			w.dma ys, yw+ wait Y.f sig Y.e
		}
		m.sync sig we
	}
}
