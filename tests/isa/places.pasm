; Tensors without a place, and numbers made of their steps: what goes wrong has its place.
; RUN: %fails %nacre asm %s -o %t.pearl 2>&1 | %FileCheck %s
; RUN: %nacre asm %S/../pearl/Inputs/hand/stat.pasm -o %t.stat.pearl
; RUN: %nacre disasm %t.stat.pearl | %FileCheck %s --check-prefix=LAID
; LAID: tensor x in f32 [B, S, D] bytes 2097152 plain strides [131072, 256, 4] address 4096
; LAID: tensor bias weight f32 [D] bytes 256 plain strides [4] address 2101248
; LAID: tensor y out f32 [B, S, D] bytes 2097152 plain strides [131072, 256, 4] address 2101760
; LAID: region x hbm at 4096 bytes 2097152 read tensor x
; LAID: region y hbm at 2101760 bytes 2097152 read+write tensor y
; LAID: desc xs f32 x[0] dims [1*len0, 1] strides [256, 4] steps [0: 256, 1: 131072]
pearl 1
param n call 1..64
param m call 1..4000000000
tensor a in f32 [n, 4] strides [16, 4]
; CHECK: places.pasm:[[@LINE-1]]:8: error: a tensor with an address or strides has its `bytes` too
tensor b in i4 [n, 4]
; CHECK: places.pasm:[[@LINE-1]]:8: error: elements of `b` are smaller than a byte: say where it lies, by bytes, strides and address
tensor c in f32 [m, m, m]
; CHECK: places.pasm:[[@LINE-1]]:8: error: there is no room for `c` at the upper ends of its dims
tensor d in f32 [n // (n - 1)]
; CHECK: places.pasm:[[@LINE-1]]:8: error: there is no room for `d` at the upper ends of its dims
tensor x in f32 [n, 4]
tensor y out f32 [n, 4] bytes n * 16 plain address 1048576
region spm spm at 0 bytes 4096 read+write
chan C L>V ring 2 by 64 in nowhere
; CHECK: places.pasm:[[@LINE-1]]:28: error: there is no region `nowhere`
desc fine f32 x[2 * x.0 + 4] dims [1] strides [(x.0 - 8) * 2]
desc dim f32 x[0] dims [1] strides [x.2]
; CHECK: places.pasm:[[@LINE-1]]:37: error: tensor `x` has 2 dimensions
desc name f32 x[0] dims [1] strides [z.0]
; CHECK: places.pasm:[[@LINE-1]]:38: error: expected a number, or the step of a tensor along a dim
; CHECK: help: the bytes from a row of tensor x to the next are  x.0
desc none f32 x[0] dims [1] strides [y.0]
; CHECK: places.pasm:[[@LINE-1]]:38: error: tensor `y` is declared without strides
desc large f32 x[9223372036854775807 * x.0] dims [1] strides [4]
; CHECK: places.pasm:[[@LINE-1]]:{{[0-9]+}}: error: the number does not fit 64 bits
desc in f32 C dims [1] strides [4]
entry main in x out y {
	nop
}
