; y = x + bias and the sum of each row of y. Batches over the cores, 8 rows at a time.
pearl 1
param B session 1..16
param S call 1..512
param D call 1..64
tensor x in f32 [B, S, D]
tensor bias weight f32 [D]
tensor y out f32 [B, S, D]
tensor total out f32 [B, S]
region spm spm at 0 bytes 65536 read+write
chan X L>V ring 2 by 2048 in spm at 0
chan Y V>W ring 2 by 4096 in spm at 4096
token bf L>V 0 of 1
desc xs f32 x[0] dims [len0, 1] strides [x.1, 4] steps [0: x.1, 1: x.0]
desc xl f32 X dims [len0, 1] strides [256, 4]
desc xv f32 X dims [len0, 1] strides [256, 4]
desc bs f32 bias[0] dims [1] strides [4]
desc bl f32 spm[16384] dims [1] strides [4]
desc bv f32 spm[16384] dims [len0, 1] strides [0, 4]
desc yv f32 Y dims [len0, 1] strides [256, 4]
desc yr f32 Y dims [len0, 1] strides [256, 4]
desc yw f32 Y dims [len0, 1] strides [256, 4]
desc tv f32 Y dims [len0] strides [4]
desc ys f32 y[0] dims [len0, 1] strides [y.1, 4] steps [0: y.1, 1: y.0]
desc ts f32 total[0] dims [len0] strides [total.1] steps [0: total.1, 1: total.0]
entry main in x, bias out y, total {
	param r0, B
	param r1, S
	param r2, D
	ldd d0, bs
	ldd d1, bl
	setd d0, dim 0, r2
	setd d1, dim 0, r2
	l.dma bl, bs sig bf
	v.sync wait bf
	movi r3, 2048
	ldd d2, xs
	ldd d3, xl
	ldd d4, xv
	ldd d5, bv
	ldd d6, yv
	ldd d7, yr
	ldd d8, yw
	ldd d9, tv
	ldd d10, tv
	setd d9, base, r3
	setd d10, base, r3
	ldd d11, ys
	ldd d12, ts
	setd d2, dim 1, r2
	setd d3, dim 1, r2
	setd d4, dim 1, r2
	setd d5, dim 1, r2
	setd d6, dim 1, r2
	setd d7, dim 1, r2
	setd d8, dim 1, r2
	setd d11, dim 1, r2
	loop r0 tile 1 par as b {
		loop r1 tile 8 as s {
			l.dma xl+, xs wait X.e sig X.f
			v.bin yv+, xv+, bv func=add wait X.f, Y.e sig X.e
			v.red d9+, yr+ func=add axes=1 sig Y.f
			w.dma ys, yw+ wait Y.f
			w.dma ts, d10+ sig Y.e
		}
	}
}
