#!/usr/bin/env python3
"""Train the GPT of gpt.nac on the King James Bible; write gpt.safetensors and tokenizer.json here.

    python3 train.py                    all of it: about half an hour on a core of its own, with progress shown
    python3 train.py --steps 500        a worse one, in minutes
    python3 train.py --resume           go on from checkpoint.pt, which is written as the training goes

The text is printed by `bible` (Debian: bible-kjv, bible-kjv-text), a public-domain translation of 1611.
A chapter is its heading, an empty line and a line for each verse; <|endoftext|> stands between chapters.
Every twentieth chapter is held out. The tokenizer is a byte-level BPE trained on the rest, written as
Hugging Face's `tokenizers` would; the network is trained with Muon (Jordan et al. 2024) for the matrices
of the blocks and AdamW for the rest, at a learning rate that is constant, then falls to nothing.

Needs PyTorch (Debian: python3-torch), which is several times as fast with OpenBLAS (libopenblas0). A network so
small gains nothing from threads.
"""
import argparse
import collections
import heapq
import json
import math
import os
import re
import struct
import subprocess
import time

import torch
from torch import nn
from torch.nn import functional as F

END = "<|endoftext|>"
BIBLE = ["bible", "-l100000", "gen1:1-rev22:21"]
VOCABULARY, CONTEXT, LAYERS, WIDTH, HEADS, HIDDEN = 1536, 256, 4, 128, 4, 512


# --- the text -----------------------------------------------------------------------------------


def chapters(path):
    """The chapters of the text, each "Genesis 1\\n\\nIn the beginning ..\\nAnd the earth ..\\n"."""
    if path:
        text = open(path, encoding="ascii").read()
    else:
        try:
            text = subprocess.run(BIBLE, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout.decode("ascii")
        except FileNotFoundError:
            raise SystemExit("there is no command `bible`: apt install bible-kjv, or give its text with --text")
    found = []
    for line in text.splitlines():
        verse = re.match(r" +\d+ (.*)", line)
        if verse:
            found[-1].append(verse[1])
        elif line.strip():
            found.append([line.strip(), ""])
    return ["\n".join(chapter) + "\n" for chapter in found]


# --- the tokenizer ------------------------------------------------------------------------------

# GPT-2's pattern; letters and digits are ASCII's, as the text is.
PIECES = re.compile(r"'(?:s|t|re|ve|m|ll|d)| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+")


def byte_names():
    """GPT-2's printable character for each byte."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    names, other = {b: chr(b) for b in printable}, 0x100
    for b in range(256):
        if b not in names:
            names[b], other = chr(other), other + 1
    return names


class Tokenizer:
    """Byte-level BPE: `vocabulary` maps names to ids, `merges` ranks pairs of names."""

    def __init__(self, vocabulary, merges):
        self.vocabulary, self.ranks = vocabulary, {pair: i for i, pair in enumerate(merges)}
        self.bytes, self.known = byte_names(), {}
        self.names = {i: name for name, i in vocabulary.items()}

    @classmethod
    def train(cls, texts, size):
        """Merge the most frequent pair of neighbours, again and again (ties: the first in the alphabet)."""
        bytes_ = byte_names()
        counts = collections.Counter(piece for text in texts for piece in PIECES.findall(text))
        words = [[bytes_[b] for b in piece.encode()] for piece in counts]
        times = list(counts.values())
        pairs, where = collections.Counter(), collections.defaultdict(set)
        for w, word in enumerate(words):
            for pair in zip(word, word[1:]):
                pairs[pair] += times[w]
                where[pair].add(w)
        vocabulary = {name: i for i, name in enumerate([END, *sorted(bytes_.values())])}
        merges, queue = [], [(-n, pair) for pair, n in pairs.items()]
        heapq.heapify(queue)
        while len(vocabulary) < size and queue:
            n, pair = heapq.heappop(queue)
            if -n != pairs[pair] or n == 0:
                continue  # counted anew since
            merges.append(pair)
            vocabulary["".join(pair)] = len(vocabulary)
            changed = set()
            for w in where.pop(pair):
                word = words[w]
                for old in zip(word, word[1:]):
                    pairs[old] -= times[w]
                    changed.add(old)
                words[w] = word = cls.merged(word, pair)
                for new in zip(word, word[1:]):
                    pairs[new] += times[w]
                    where[new].add(w)
                    changed.add(new)
            for other in changed:
                if pairs[other] > 0 and other != pair:
                    heapq.heappush(queue, (-pairs[other], other))
        return cls(vocabulary, merges)

    @staticmethod
    def merged(word, pair):
        out, i = [], 0
        while i < len(word):
            two = tuple(word[i : i + 2]) == pair
            out.append("".join(pair) if two else word[i])
            i += 2 if two else 1
        return out

    def encode(self, text):
        ids = []
        for piece in PIECES.findall(text):
            if piece not in self.known:
                word = [self.bytes[b] for b in piece.encode()]
                while len(word) > 1:
                    pair = min(zip(word, word[1:]), key=lambda p: self.ranks.get(p, math.inf))
                    if pair not in self.ranks:
                        break
                    word = self.merged(word, pair)
                self.known[piece] = [self.vocabulary[name] for name in word]
            ids += self.known[piece]
        return ids

    def decode(self, ids):
        back = {name: b for b, name in self.bytes.items()}
        text = b"".join(bytes(back[c] for c in self.names[i]) if i else b"\n" for i in ids)
        return text.decode(errors="replace")

    def save(self, path):
        byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
        end = {"id": 0, "content": END, "single_word": False, "lstrip": False, "rstrip": False,
               "normalized": False, "special": True}
        model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                 "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                 "vocab": self.vocabulary, "merges": [" ".join(pair) for pair in self.ranks]}
        whole = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [end], "normalizer": None,
                 "pre_tokenizer": byte_level, "post_processor": None, "decoder": byte_level, "model": model}
        with open(path, "w", encoding="utf-8") as file:
            json.dump(whole, file, ensure_ascii=False, indent=1)
            file.write("\n")


# --- the network --------------------------------------------------------------------------------


class RMSNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return normed(x) * self.weight


def normed(x):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


def rope(x, cos, sin):
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.out = nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, x, cos, sin, mask):
        n, s, _ = x.shape
        q, k, v = self.qkv(x).view(n, s, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        q, k = rope(normed(q), cos, sin), rope(normed(k), cos, sin)
        scores = q @ k.transpose(-1, -2) * (WIDTH // HEADS) ** -0.5
        y = (scores + mask).softmax(-1) @ v
        return self.out(y.transpose(1, 2).reshape(n, s, WIDTH))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.attn = RMSNorm(WIDTH), Attention()
        self.norm2 = RMSNorm(WIDTH)
        self.up = nn.Linear(WIDTH, HIDDEN, bias=False)
        self.down = nn.Linear(HIDDEN, WIDTH, bias=False)

    def forward(self, x, cos, sin, mask):
        x = x + self.attn(self.norm1(x), cos, sin, mask)
        return x + self.down(F.relu(self.up(self.norm2(x))).square())


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = RMSNorm(WIDTH)
        self.tables()
        for weight in self.parameters():
            if weight.dim() == 2:
                nn.init.normal_(weight, std=0.02 if weight.shape[0] == VOCABULARY else weight.shape[1] ** -0.5 / 2)
        for block in self.blocks:
            nn.init.zeros_(block.attn.out.weight)
            nn.init.zeros_(block.down.weight)

    def tables(self):
        half = WIDTH // HEADS // 2
        angles = torch.arange(CONTEXT)[:, None] * 10000.0 ** (-torch.arange(half) / half)
        self.cos, self.sin = angles.cos(), angles.sin()
        self.mask = torch.full((CONTEXT, CONTEXT), -math.inf).triu(1)

    def forward(self, ids):
        s = ids.shape[-1]
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x, self.cos[:s], self.sin[:s], self.mask[:s, :s])
        return self.norm(x) @ self.embed.weight.T


# --- training -----------------------------------------------------------------------------------


class Muon:
    """Momentum whose step is made orthogonal by five iterations of Newton and Schulz."""

    def __init__(self, weights, rate):
        self.weights, self.rate = weights, rate
        self.momentum = [torch.zeros_like(w) for w in weights]

    @torch.no_grad()
    def step(self, scale):
        for w, m in zip(self.weights, self.momentum):
            m.lerp_(w.grad, 0.05)
            step = w.grad.lerp(m, 0.95)
            # q, k and v are matrices of their own
            matrices = step.chunk(3) if step.shape[0] == 3 * step.shape[1] else [step]
            step = torch.cat([self.orthogonal(m) for m in matrices])
            rate = scale * self.rate
            w.mul_(1 - rate * 0.1).sub_(step, alpha=rate * max(1, w.shape[0] / w.shape[1]) ** 0.5)

    @staticmethod
    def orthogonal(x):
        tall = x.shape[0] > x.shape[1]
        x = (x.T if tall else x) / (x.norm() + 1e-7)
        for _ in range(5):
            a = x @ x.T
            x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
        return x.T if tall else x


def optimizers(model, rate):
    matrices = [w for name, w in model.named_parameters() if name.startswith("blocks") and w.dim() == 2]
    rest = [w for name, w in model.named_parameters() if not (name.startswith("blocks") and w.dim() == 2)]
    return Muon(matrices, rate), torch.optim.AdamW(rest, lr=3e-3, betas=(0.9, 0.95), eps=1e-10, weight_decay=0.0)


@torch.no_grad()
def held_out_loss(model, ids, bytes_):
    """Nats a token and a byte over the held-out chapters, by windows that overlap by half."""
    loss, count = 0.0, 0
    for at in range(0, len(ids) - CONTEXT - 1, 32 * CONTEXT // 2):
        starts = range(at, min(at + 32 * CONTEXT // 2, len(ids) - CONTEXT - 1), CONTEXT // 2)
        x = torch.stack([ids[s : s + CONTEXT + 1] for s in starts])
        logits = model(x[:, :-1])[:, CONTEXT // 2 :]
        target = x[:, CONTEXT // 2 + 1 :]
        loss += F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="sum").item()
        count += target.numel()
    return loss / count, loss / count * len(ids) / bytes_


def save_weights(model, path):
    """A safetensors file: the length of a JSON header, the header, the data."""
    header, data = {}, b""
    for name, weight in sorted(model.state_dict().items()):
        raw = weight.detach().contiguous().numpy().astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(weight.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path + ".new", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)
    os.replace(path + ".new", path)


@torch.no_grad()
def sample(model, tokenizer, prompt, count, seed):
    generator, ids = torch.Generator().manual_seed(seed), tokenizer.encode(prompt)
    for _ in range(min(count, CONTEXT - len(ids))):
        p = (model(torch.tensor([ids]))[0, -1] / 0.8).softmax(-1)
        ids.append(torch.multinomial(p, 1, generator=generator).item())
    return tokenizer.decode(ids)


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=1700, help="steps of training (1700)")
    parser.add_argument("--decay", type=float, default=0.26, help="share of the steps in which the rate falls (0.26)")
    parser.add_argument("--batch", type=int, default=16, help="windows of 256 tokens in a step (16), or twice as many of 128")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch (1)")
    parser.add_argument("--out", default=here, help="folder to write to (that of this file)")
    parser.add_argument("--text", help="what `bible -l100000 gen1:1-rev22:21` printed, instead of running it")
    parser.add_argument("--resume", action="store_true", help="go on from OUT/checkpoint.pt")
    options = parser.parse_args()
    torch.manual_seed(1611)
    torch.set_num_threads(options.threads)

    texts = chapters(options.text)
    held_out, learnt = texts[19::20], [t for i, t in enumerate(texts) if i % 20 != 19]
    tokenizer = Tokenizer.train(learnt, VOCABULARY)
    tokenizer.save(os.path.join(options.out, "tokenizer.json"))
    ids = torch.tensor([i for text in learnt for i in [0, *tokenizer.encode(text)]])
    held_ids = torch.tensor([i for text in held_out for i in [0, *tokenizer.encode(text)]])
    size = sum(map(len, learnt))
    model = GPT()
    muon, adam = optimizers(model, 0.02)
    print(f"{len(learnt)} chapters, {size} bytes, {len(ids)} tokens ({size / len(ids):.2f} bytes each); "
          f"held out: {len(held_out)} chapters, {len(held_ids)} tokens; {sum(w.numel() for w in model.parameters())} weights", flush=True)

    first, checkpoint = 0, os.path.join(options.out, "checkpoint.pt")
    if options.resume:
        saved = torch.load(checkpoint)
        model.load_state_dict(saved["model"])
        adam.load_state_dict(saved["adam"])
        muon.momentum, first = saved["momentum"], saved["step"]
    start = shown = time.time()
    for step in range(first, options.steps):
        done = step / options.steps
        scale = min(1, (step + 1) / 100, (1 - done) / options.decay)
        window = CONTEXT // 2 if done < 1 - options.decay else CONTEXT  # short ones are faster, and first
        count = options.batch * CONTEXT // window
        at = torch.randint(len(ids) - window, (count,), generator=torch.Generator().manual_seed(step))
        x = torch.stack([ids[a : a + window + 1] for a in at])
        loss = F.cross_entropy(model(x[:, :-1]).flatten(0, 1), x[:, 1:].flatten())
        model.zero_grad(set_to_none=True)
        loss.backward()
        for group in adam.param_groups:
            group["lr"] = 3e-3 * scale
        muon.step(scale)
        adam.step()
        if time.time() - shown > 5 or step + 1 == options.steps:
            shown = time.time()
            rate = (step + 1 - first) / (shown - start)
            print(f"step {step + 1} of {options.steps}: loss {loss.item():.3f} nats a token; "
                  f"{rate * options.batch * CONTEXT:.0f} tokens/s, {(options.steps - step - 1) / rate / 60:.0f} min left", flush=True)
        if (step + 1) % 250 == 0 or step + 1 == options.steps:
            token, byte = held_out_loss(model, held_ids, sum(map(len, held_out)))
            print(f"step {step + 1}: held out {token:.3f} nats a token, {byte:.4f} nats a byte ({byte / math.log(2):.3f} bits)")
            print(sample(model, tokenizer, "And God said", 60, 1), flush=True)
            save_weights(model, os.path.join(options.out, "gpt.safetensors"))
            torch.save({"model": model.state_dict(), "adam": adam.state_dict(), "momentum": muon.momentum, "step": step + 1},
                       checkpoint)


if __name__ == "__main__":
    main()
