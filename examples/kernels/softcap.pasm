; y = cap * tanh(x / cap), 16 rows at a time. Load, vector unit and store work on different blocks of rows at
; once, through two channels of two slots. The blocks are spread over the cores (`par`): core c takes the
; blocks c, c + cores, ..
;
; It is called by softcap.nac, which says what must come out. Alone:
;   nacre verify softcap.pasm
;   nacre asm softcap.pasm -o softcap.pearl
;   nacre sim softcap.pearl --set N=100 --set D=64
pearl 1
machine base
model "softcap"
param N call 1..4096
param D call 1..1024
tensor x in f32 [N, D]          ; lies where the model has it: x.0 is the step from row to row
tensor cap in f32 []
tensor y out f32 [N, D]
region spm spm at 0 bytes 262656 read+write
chan X L>V ring 2 by 65536 in spm at 0
chan Y V>W ring 2 by 65536 in spm at 131072
token c L>V 0 of 1
desc xs f32 x[0] dims [len0, 1] strides [x.0, 4] steps [0: x.0]
desc xl f32 X dims [len0, 1] strides [4096, 4]
desc xv f32 X dims [len0, 1] strides [4096, 4]
desc cs f32 cap[0] dims [1] strides [4]
desc cl f32 spm[262144] dims [1] strides [4]
desc cv f32 spm[262144] dims [len0, 1] strides [0, 0]
desc yv f32 Y dims [len0, 1] strides [4096, 4]
desc yw f32 Y dims [len0, 1] strides [4096, 4]
desc ys f32 y[0] dims [len0, 1] strides [y.0, 4] steps [0: y.0]

entry main in x, cap out y {
	param r0, N
	param r1, D
	ldd d0, cs
	ldd d1, cl
	l.dma cl, cs sig c
	v.sync wait c
	ldd d2, xs
	ldd d3, xl
	ldd d4, xv
	ldd d5, cv
	ldd d6, yv
	ldd d7, yw
	ldd d8, ys
	setd d2, dim 1, r1
	setd d3, dim 1, r1
	setd d4, dim 1, r1
	setd d5, dim 1, r1
	setd d6, dim 1, r1
	setd d7, dim 1, r1
	setd d8, dim 1, r1
	loop r0 tile 16 par {
		l.dma xl+, xs wait X.e sig X.f
		v.bin yv, xv+, cv func=div wait X.f, Y.e sig X.e
		v.un yv, yv func=tanh
		v.bin yv+, yv, cv func=mul sig Y.f
		w.dma ys, yw+ wait Y.f sig Y.e
	}
}
