# A kernel that copies 8 columns: with so many registers in use, inside of so many loops of one turn.
import sys

registers, loops = int(sys.argv[1]), int(sys.argv[2])
print("""pearl 1
param N call 1..64
param D call 1..1024
tensor x in f32 [N, 8]
tensor y out f32 [N, 8]
region spm spm at 0 bytes 8192 read+write
token f L>W 0 of 1
token e W>L 1 of 1
desc xs f32 x[0] dims [len0, 8] strides [x.0, 4] steps [0: x.0]
desc xl f32 spm[0] dims [len0, 8] strides [32, 4]
desc ys f32 y[0] dims [len0, 8] strides [y.0, 4] steps [0: y.0]
entry main in x out y {""")
print("\n".join(f"movi r{i}, {i}" for i in range(registers)))
print("param r0, N\nparam r1, D")
print("loop 1 {\n" * loops)
print("ldd d0, xs\nldd d1, xl\nldd d2, ys")
print("loop r0 tile 16 par {\nl.dma d1, d0 wait e sig f\nw.dma d2, d1 wait f sig e\n}")
print("}\n" * loops + "}")
