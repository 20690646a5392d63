#!/bin/bash
# What ./demo shows once nacre is built: the shipped images classified by each backend, predicted
# beside true labels; a text continued by each backend; then the backends side by side, on the image
# model and on a transformer encoder.
cd "$(dirname "$0")/.." || exit 1
nacre=build/nacre
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
threads=1
[ "$(nproc)" -gt 1 ] && threads=1,$(nproc)
fashion=(examples/fashion/fashion.nac --weights examples/fashion/weights.safetensors
	--input images=examples/fashion/images.npy)

targets=(interp pearl)
if "$nacre" check examples/fashion/fashion.nac >/dev/null 2>&1 &&
	"$nacre" run "${fashion[@]}" --target cpu --output logits="$work/cpu.npy" >/dev/null 2>"$work/cpu.log"; then
	targets=(interp cpu pearl)
else
	echo "(no CPU backend: $(head -1 "$work/cpu.log"))"
fi
for target in "${targets[@]}"; do
	[ -f "$work/$target.npy" ] && continue
	"$nacre" run "${fashion[@]}" --target "$target" --output logits="$work/$target.npy" >/dev/null || exit 1
done

echo
echo "32 images that the network has not seen (examples/fashion/images.png), classified on ${targets[*]}:"
python3 - "$work" "${targets[@]}" <<'PY' || exit 1
import ast, array, struct, sys

def npy(path):
    data = open(path, "rb").read()
    size, = struct.unpack_from("<H", data, 8)
    header = ast.literal_eval(data[10:10 + size].decode())
    values = array.array({"<f4": "f", "<i4": "i", "<i8": "q"}[header["descr"]])
    values.frombytes(data[10 + size:])
    return header["shape"], values

work, targets = sys.argv[1], sys.argv[2:]
classes = open("examples/fashion/classes.txt").read().split("\n")
_, labels = npy("examples/fashion/labels.npy")
predicted = {}
for target in targets:
    (images, n), logits = npy(f"{work}/{target}.npy")
    predicted[target] = [max(range(n), key=lambda c: logits[i * n + c]) for i in range(images)]
width = 12
print(f"\n{'image':>5}  {'true':{width}}" + "".join(f"  {t:{width}}" for t in targets))
for i, label in enumerate(labels):
    row = [predicted[t][i] for t in targets]
    mark = "" if all(p == label for p in row) else "  <- wrong"
    print(f"{i:5}  {classes[label]:{width}}" + "".join(f"  {classes[p]:{width}}" for p in row) + mark)
print()
for t in targets:
    right = sum(p == label for p, label in zip(predicted[t], labels))
    print(f"{t}: {right} of {len(labels)} right")
PY

echo
echo "A GPT of a million weights that has read the King James Bible (examples/gpt), the same draws on each backend:"
gpt=(examples/gpt/gpt.nac --weights examples/gpt/gpt.safetensors --tokenizer examples/gpt/tokenizer.json
	--prompt "And God said" --temperature 0.7 --top-p 0.9 --seed 1611 --max-tokens 60 --threads 1 --stats)
for target in "${targets[@]}"; do
	echo
	"$nacre" generate "${gpt[@]}" --target "$target" || exit 1
done

list=$(IFS=,; echo "${targets[*]}")
echo
echo "Fashion CNN, 32 images (CPU: measured; Pearl: simulated, at the machine's clock):"
"$nacre" bench "${fashion[@]}" --targets "$list" --threads "$threads" || exit 1
echo
echo "Transformer encoder, width 256, 4 heads, 2 layers, batch 16, length 20:"
"$nacre" bench examples/attention/encoder.nac --random-weights 1 --dim B=16,S=20 --targets "$list" \
	--threads "$threads" || exit 1
echo
echo "Next: build/nacre --help, and README.md"
