#!/usr/bin/env python3
"""What PyTorch computes from gpt.safetensors, for the tests: golden/greedy.json, the tokens that it finds likeliest
after two prompts up to the end of the context, and golden/ids.npy with golden/logits.npy, those of each position
of a verse. Run it after train.py (Debian: python3-torch, python3-numpy)."""
import json
import os
import struct

import numpy
import torch

import train

HERE = os.path.dirname(os.path.abspath(__file__))
PROMPTS = ["And God said", "Psalms 151\n\n"]
VERSE = "The LORD is my shepherd; I shall not want."


def load_weights(model, path):
    data = open(path, "rb").read()
    (size,) = struct.unpack_from("<Q", data)
    state = {}
    for name, entry in json.loads(data[8 : 8 + size]).items():
        begin, end = entry["data_offsets"]
        raw = numpy.frombuffer(data[8 + size + begin : 8 + size + end], "<f4").reshape(entry["shape"])
        state[name] = torch.from_numpy(raw.copy())
    model.load_state_dict(state)


def load_tokenizer(path):
    model = json.load(open(path, encoding="utf-8"))["model"]
    return train.Tokenizer(model["vocab"], [tuple(pair.split(" ")) for pair in model["merges"]])


@torch.no_grad()
def greedy(model, ids):
    """The ids up to the one that the full context gives, and by how much the closest choice was decided."""
    ids, margin = list(ids), float("inf")
    while len(ids) <= train.CONTEXT:
        best = model(torch.tensor([ids]))[0, -1].topk(2)
        margin = min(margin, (best.values[0] - best.values[1]).item())
        ids.append(best.indices[0].item())
    return ids, margin


def main():
    model, tokenizer = train.GPT(), load_tokenizer(os.path.join(HERE, "tokenizer.json"))
    load_weights(model, os.path.join(HERE, "gpt.safetensors"))
    golden = os.path.join(HERE, "golden")
    os.makedirs(golden, exist_ok=True)
    found = []
    for prompt in PROMPTS:
        before = tokenizer.encode(prompt)
        ids, margin = greedy(model, before)
        print(f"{prompt!r}: the closest choice by {margin:.4f}")
        found.append({"prompt": prompt, "prompt_ids": before, "ids": ids, "text": tokenizer.decode(ids)})
    with open(os.path.join(golden, "greedy.json"), "w", encoding="utf-8") as file:
        json.dump(found, file, indent=1)
        file.write("\n")
    ids = torch.tensor([tokenizer.encode(VERSE)])
    with torch.no_grad():
        logits = model(ids)
    numpy.save(os.path.join(golden, "ids.npy"), ids.numpy().astype("<i4"))
    numpy.save(os.path.join(golden, "logits.npy"), logits.numpy().astype("<f4"))


main()
