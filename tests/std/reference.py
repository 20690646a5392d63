#!/usr/bin/python3
"""Golden values of the operations and of the standard library, by PyTorch (Debian's python3-torch, NumPy).

    reference.py        writes Inputs/golden/NAME.npz (inputs and outputs) and NAME.safetensors (weights)

Each model in Inputs/models/ has one entry whose inputs and outputs are named as here; run.py compares them on
every target. Values are computed in double. Sizes are odd, and one dim of each model is dynamic.
"""
import json
import os
import struct

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

HERE = os.path.dirname(os.path.abspath(__file__))
torch.manual_seed(7)
torch.set_default_dtype(torch.float64)


def save_weights(path, tensors):
    header, data, at = {}, b"", 0
    for name, t in tensors.items():
        if not t.dtype.is_floating_point:
            continue
        raw = t.detach().to(torch.float32).numpy().tobytes()
        header[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [at, at + len(raw)]}
        data += raw
        at += len(raw)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def narrowed(v):
    v = v.detach()
    return v.to(torch.float32).numpy() if v.dtype.is_floating_point else v.to(torch.int32).numpy()


def case(name, inputs, outputs, net=None):
    arrays = {"in." + k: narrowed(v) for k, v in inputs.items()}
    arrays.update({"out." + k: narrowed(v) for k, v in outputs.items()})
    np.savez(os.path.join(HERE, "Inputs", "golden", name + ".npz"), **arrays)
    if net is not None:
        save_weights(os.path.join(HERE, "Inputs", "golden", name + ".safetensors"), net.state_dict())


def rand(*shape):
    return torch.randn(*shape).to(torch.float32).double()


def rounded(net):
    """Weights as the file holds them, in double; statistics that differ from 0 and 1."""
    with torch.no_grad():
        for name, t in net.state_dict().items():
            if t.dtype.is_floating_point:
                if name.endswith("running_var"):
                    t.copy_(1 + 0.5 * torch.rand(t.shape))
                elif t.dim() == 1:
                    t.copy_(t + 0.2 * torch.randn(t.shape))
    return net.float().double().eval()


def activations():
    x = 2.5 * rand(5, 7)
    net = nn.ModuleDict({"prelu": nn.PReLU(), "prelu_c": nn.PReLU(7)})
    rounded(net)
    out = {
        "relu": F.relu(x), "relu6": F.relu6(3 * x), "leaky": F.leaky_relu(x, 0.2), "elu": F.elu(x, 0.7), "selu": F.selu(x),
        "celu": F.celu(x, 1.3), "gelu": F.gelu(x), "gelu_tanh": 0.5 * x * (1 + torch.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x ** 3))),
        "silu": F.silu(x), "mish": F.mish(x), "hardswish": F.hardswish(2 * x), "hardsigmoid": F.hardsigmoid(2 * x),
        "hardtanh": F.hardtanh(x, -0.5, 1.5), "softplus": F.softplus(x), "softplus_beta": F.softplus(9 * x, 2.0, 10.0), "softsign": F.softsign(x),
        "logsigmoid": F.logsigmoid(x), "tanhshrink": F.tanhshrink(x), "softshrink": F.softshrink(x), "hardshrink": F.hardshrink(x, 0.8),
        "threshold": F.threshold(x, 0.3, -7.0), "softmax": x.softmax(0), "log_softmax": x.log_softmax(-1), "softmin": F.softmin(x, dim=1),
        "glu": F.glu(torch.cat([x, x], 1)[:, 1:13], -1), "prelu": net["prelu"](x), "prelu_c": net["prelu_c"](x), "tanh": x.tanh(),
        "sigmoid": x.sigmoid(), "erf": torch.erf(x), "pow": x.abs() ** 1.7,
    }
    case("activations", {"x": x}, out, net)


def reductions():
    x = rand(5, 3, 7)
    i, j = x.argmax(-1), x.argmin(1)
    v, o = x.sort(-1)
    tv, ti = x.topk(3, -1)
    out = {
        "sum": x.sum(0), "mean": x.mean((1, 2)), "max": x.amax(-1), "min": x.amin(1, keepdim=True), "prod": x.prod(-1), "var": x.var(-1),
        "var0": x.var((0, 2), unbiased=False), "std": x.std(1), "logsumexp": x.logsumexp(-1), "logsumexp2": (50 * x).logsumexp((1, 2)),
        "norm2": x.norm(2, -1), "norm1": x.norm(1, 0), "norm3": x.norm(3, (1, 2)), "norm_inf": x.norm(float("inf"), -1), "all_max": x.max(),
        "argmax": i, "argmin": j, "any": (x > 1.2).any(-1), "every": (x > -1).all(1), "topk": tv, "topk_at": ti, "sort": v, "argsort": o,
        "descending": x.argsort(-1, descending=True), "cumsum": x.cumsum(1), "cumprod": x.cumprod(-1), "cummax": x.cummax(-1)[0],
        "cummin": x.cummin(1)[0], "logcumsumexp": x.logcumsumexp(-1), "normalize": F.normalize(x, dim=-1),
        "cosine": F.cosine_similarity(x, x.flip(0), dim=-1),
    }
    case("reductions", {"x": x}, out)


def movement():
    x, y = rand(4, 3, 5), rand(4, 3, 5)
    index = torch.randint(0, 5, (4, 3, 5))
    perm = torch.stack([torch.randperm(5) for _ in range(12)]).reshape(4, 3, 5)
    rows = torch.tensor([2, 0, 2, 1])
    r = x.permute(1, 0, 2).reshape(3, 20)
    table = rand(6, 3)
    ids = torch.randint(0, 6, (4, 3))
    bag = nn.EmbeddingBag(6, 3, mode="mean")
    out = {
        "reflect": F.pad(x, (2, 3), mode="reflect"), "replicate": F.pad(x, (4, 6), mode="replicate"), "circular": F.pad(x, (5, 2), mode="circular"),
        "constant": F.pad(x, (1, 2, 0, 1), value=-2.0), "flip": x.flip((1, 2)), "roll": x.roll((2, -1), (2, 1)), "tile": x.tile((2, 1, 3)),
        "repeat": x.repeat(2, 1, 2, 1), "interleave": x.repeat_interleave(3, 1), "tril": x.tril(1), "triu": x.triu(-1),
        "chunk": x.chunk(2, -1)[0], "chunk_last": x.chunk(2, -1)[1], "stack": torch.stack([x, y], 1), "concat": torch.cat([x, y], 1),
        "gather": x.gather(-1, index), "scatter": x.scatter(-1, perm, y), "scatter_add": x.scatter_add(-1, index, y),
        "index_add": r[:, :15].index_add(0, rows, y.reshape(4, 15)), "one_hot": F.one_hot(ids, 6).double(),
        "where": torch.where(x > y, x, y), "clamp": x.clamp(-0.5, 0.7), "embedding": table[ids], "bag": F.embedding_bag(ids, table, mode="mean"),
        "index_select": x.index_select(2, torch.tensor([4, 0, 0])), "masked": x.masked_fill(x > 0, 9.0),
    }
    case("movement", {"x": x, "y": y, "index": index, "perm": perm, "rows": rows, "ids": ids, "table": table}, out)


CONVS = {
    "c1": (1, nn.Conv1d(4, 6, 3, stride=2, padding=1)), "c1_same": (1, nn.Conv1d(4, 5, 4, padding="same")),
    "c1_grouped": (1, nn.Conv1d(4, 6, 3, dilation=2, groups=2, padding=2, padding_mode="circular")),
    "c2": (2, nn.Conv2d(4, 5, (3, 2), stride=(2, 1), padding=(1, 0))), "c2_same": (2, nn.Conv2d(4, 3, 3, dilation=2, padding="same")),
    "c2_depth": (2, nn.Conv2d(4, 8, 3, groups=4, padding=1, bias=False)), "c2_reflect": (2, nn.Conv2d(4, 2, 3, padding=1, padding_mode="reflect")),
    "c2_replicate": (2, nn.Conv2d(4, 2, 3, padding=2, padding_mode="replicate", stride=2)),
    "c2_dil_depth": (2, nn.Conv2d(4, 4, 3, groups=4, padding=2, dilation=2)),
    "c3": (3, nn.Conv3d(4, 3, (1, 3, 2), padding=(0, 1, 1), stride=(1, 2, 1))), "c3_grouped": (3, nn.Conv3d(4, 4, 2, groups=2, dilation=2, padding=1)),
    "t1": (1, nn.ConvTranspose1d(4, 3, 4, stride=3, padding=1, output_padding=2)), "t1_dilated": (1, nn.ConvTranspose1d(4, 4, 3, dilation=2, groups=2)),
    "t2": (2, nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=1)), "t2_dcgan": (2, nn.ConvTranspose2d(4, 2, 4, 2, 1, bias=False)),
    "t2_grouped": (2, nn.ConvTranspose2d(4, 6, (2, 3), stride=(3, 1), groups=2, dilation=(1, 2))),
    "t2_depth": (2, nn.ConvTranspose2d(4, 4, 3, stride=2, groups=4)), "t3": (3, nn.ConvTranspose3d(4, 2, (2, 3, 2), stride=(1, 2, 2), padding=(0, 1, 0))),
    "t3_grouped": (3, nn.ConvTranspose3d(4, 4, 2, stride=2, groups=2)),
}


def convolutions():
    net = nn.ModuleDict({k: m for k, (_, m) in CONVS.items()})
    rounded(net)
    x = {1: rand(3, 4, 9), 2: rand(3, 4, 7, 6), 3: rand(3, 4, 4, 5, 3)}
    out = {k: net[k](x[d]) for k, (d, _) in CONVS.items()}
    out["c2_uneven"] = F.conv2d(F.pad(x[2], (0, 1, 2, 0)), net["c2"].weight, stride=1)
    case("convolutions", {"x1": x[1], "x2": x[2], "x3": x[3]}, out, net)


def pooling():
    x1, x2, x3 = rand(3, 2, 9), rand(3, 2, 7, 10), rand(3, 2, 4, 5, 6)
    out = {
        "m1": F.max_pool1d(x1, 3, 2, 1), "m2": F.max_pool2d(x2, (2, 3)), "m2_ceil": F.max_pool2d(x2, 2, 2, 1, ceil_mode=True),
        "m2_ceil3": F.max_pool2d(x2, 3, 2, 0, ceil_mode=True), "m3": F.max_pool3d(x3, 2, 1), "a1": F.avg_pool1d(x1, 4, 2, 2),
        "a2": F.avg_pool2d(x2, 3, 2, 1), "a2_inside": F.avg_pool2d(x2, 3, 2, 1, count_include_pad=False),
        "a2_ceil": F.avg_pool2d(x2, 3, 2, 1, ceil_mode=True), "a2_ceil_inside": F.avg_pool2d(x2, 3, 2, 1, ceil_mode=True, count_include_pad=False),
        "a3": F.avg_pool3d(x3, (2, 2, 3), (1, 2, 2)), "aa1": F.adaptive_avg_pool1d(x1, 4), "aa2": F.adaptive_avg_pool2d(x2, (3, 7)),
        "aa2_one": F.adaptive_avg_pool2d(x2, 1), "aa3": F.adaptive_avg_pool3d(x3, (2, 3, 4)), "am1": F.adaptive_max_pool1d(x1, 2),
        "am2": F.adaptive_max_pool2d(x2, (3, 4)), "am3": F.adaptive_max_pool3d(x3, 2), "global": x2.mean((2, 3)),
    }
    case("pooling", {"x1": x1, "x2": x2, "x3": x3}, out)


def resizing():
    x1, x = rand(2, 3, 7), rand(2, 4, 5, 6)
    out = {
        "n2": F.interpolate(x, (8, 9)), "n2_half": F.interpolate(x, (3, 4)), "b2": F.interpolate(x, (8, 11), mode="bilinear", align_corners=False),
        "b2_corners": F.interpolate(x, (8, 11), mode="bilinear", align_corners=True), "b2_down": F.interpolate(x, (3, 4), mode="bilinear", align_corners=False),
        "b2_double": F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False), "n1": F.interpolate(x1, 10),
        "l1": F.interpolate(x1, 12, mode="linear", align_corners=True), "shuffle": F.pixel_shuffle(x, 2), "unshuffle": F.pixel_unshuffle(x[:, :, :4], 2),
        "channels": x.reshape(2, 2, 2, 5, 6).transpose(1, 2).reshape(2, 4, 5, 6), "double": F.interpolate(x, scale_factor=2),
    }
    case("resizing", {"x1": x1, "x": x}, out)


def norms():
    net = nn.ModuleDict({
        "bn1": nn.BatchNorm1d(6), "bn2": nn.BatchNorm2d(6), "bn3": nn.BatchNorm3d(6), "gn": nn.GroupNorm(3, 6), "gn1": nn.GroupNorm(2, 6, affine=False),
        "ln": nn.LayerNorm(7), "in2": nn.InstanceNorm2d(6, affine=True), "in1": nn.InstanceNorm1d(6), "in3": nn.InstanceNorm3d(6), "lrn": nn.LocalResponseNorm(3),
    })
    rounded(net)
    x2, x1, x3 = rand(3, 6, 5, 7), rand(3, 6, 7), rand(3, 6, 2, 3, 5)
    w = rand(7)
    out = {
        "bn1": net["bn1"](x1), "bn2": net["bn2"](x2), "bn3": net["bn3"](x3), "gn": net["gn"](x2), "gn1": net["gn1"](x1), "ln": net["ln"](x2),
        "in2": net["in2"](x2), "in1": net["in1"](x1), "in3": net["in3"](x3), "lrn": net["lrn"](x2),
        "rms": x1 / (x1.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt() * w, "gn3": F.group_norm(x3, 2),
    }
    case("norms", {"x1": x1, "x2": x2, "x3": x3, "w": w}, out, net)


def losses():
    logits, target = rand(6, 5), torch.tensor([0, 4, 2, -100, 1, 2])
    x, y, w = rand(6, 5), rand(6, 5), torch.rand(5).to(torch.float32).double() + 0.5
    p, q = torch.sigmoid(x), torch.sigmoid(y)
    logp = x.log_softmax(-1)
    out = {
        "ce": F.cross_entropy(logits, target), "ce_smooth": F.cross_entropy(logits, target, label_smoothing=0.1),
        "ce_weight": F.cross_entropy(logits, target, w), "ce_weight_smooth": F.cross_entropy(logits, target, w, label_smoothing=0.2),
        "ce_sum": F.cross_entropy(logits, target, reduction="sum"), "ce_none": F.cross_entropy(logits, target, reduction="none"),
        "nll": F.nll_loss(logp, target), "nll_ignore": F.nll_loss(logp, target.clamp(0), ignore_index=2), "mse": F.mse_loss(x, y), "l1": F.l1_loss(x, y),
        "smooth_l1": F.smooth_l1_loss(x, y, beta=0.6), "huber": F.huber_loss(x, y, delta=0.8), "bce": F.binary_cross_entropy(p, q),
        "bce_logits": F.binary_cross_entropy_with_logits(x, q), "kl": F.kl_div(logp, y.softmax(-1)), "kl_batch": F.kl_div(logp, y.softmax(-1), reduction="batchmean"),
        "kl_log": F.kl_div(logp, y.log_softmax(-1), reduction="sum", log_target=True), "mse_none": F.mse_loss(x, y, reduction="none"),
    }
    case("losses", {"logits": logits, "target": target, "x": x, "y": y, "p": p, "q": q, "w": w}, out)


def recurrent():
    net = nn.ModuleDict({
        "lstm": nn.LSTM(3, 5, 2, batch_first=True, bidirectional=True), "gru": nn.GRU(3, 4, 2, batch_first=True, bidirectional=True),
        "rnn": nn.RNN(3, 4, batch_first=True), "rnn_relu": nn.RNN(3, 4, 2, nonlinearity="relu", batch_first=True, bias=False),
        "lstm1": nn.LSTM(3, 5, bias=False, batch_first=True), "cell": nn.LSTMCell(3, 5), "gru_cell": nn.GRUCell(3, 5),
    })
    rounded(net)
    x, h = rand(2, 7, 3), rand(2, 5)
    y, (hn, cn) = net["lstm"](x)
    g, gn = net["gru"](x)
    r, rn = net["rnn"](x)
    ch, cc = net["cell"](x[:, 0], (h, 2 * h))
    out = {
        "lstm": y, "lstm_h": hn, "lstm_c": cn, "gru": g, "gru_h": gn, "rnn": r, "rnn_h": rn, "rnn_relu": net["rnn_relu"](x)[0],
        "lstm1": net["lstm1"](x)[0], "cell_h": ch, "cell_c": cc, "gru_cell": net["gru_cell"](x[:, 0], h),
    }
    case("recurrent", {"x": x, "h": h}, out, net)


def attention(q, k, v, scale, bias=None, mask=None, cap=0.0):
    s = q @ k.transpose(-1, -2) * scale
    if cap:
        s = cap * torch.tanh(s / cap)
    if bias is not None:
        s = s + bias
    if mask is not None:
        s = s.masked_fill(~mask, float("-inf"))
    return s.softmax(-1) @ v


def attentions():
    b, h, n, d = 2, 4, 7, 6
    q, k, v = rand(b, h, n, d), rand(b, h, n, d), rand(b, h, n, d)
    k2, v2 = rand(b, 2, n, d), rand(b, 2, n, d)
    rel, doc = rand(h, 2 * n - 1), torch.tensor([[0, 0, 0, 1, 1, 1, 1], [0, 1, 1, 1, 1, 2, 2]])
    i, j = torch.arange(n)[:, None], torch.arange(n)
    slope = torch.tensor([2.0 ** -(2 * (t + 1)) for t in range(h)])
    s = d ** -0.5
    causal = j <= i
    out = {
        "full": attention(q, k, v, s), "causal": attention(q, k, v, s, mask=causal), "window": attention(q, k, v, s, mask=causal & (i - j < 3)),
        "alibi": attention(q, k, v, s, bias=slope[:, None, None] * (j - i), mask=causal), "prefix": attention(q, k, v, s, mask=causal | (j < 3)),
        "document": attention(q, k, v, s, mask=(doc[:, :, None] == doc[:, None, :])[:, None] & causal), "cap": attention(q, k, v, s, mask=causal, cap=1.5),
        "relative": attention(q, k, v, s, bias=rel[:, (j - i) + n - 1]),
        "grouped": attention(q, k2.repeat_interleave(2, 1), v2.repeat_interleave(2, 1), s, mask=causal),
        "cross": attention(q[:, :, :3], k, v, s),
    }
    case("attentions", {"q": q, "k": k, "v": v, "k2": k2, "v2": v2, "rel": rel, "doc": doc}, out)


def bags():
    net = rounded(nn.ModuleDict({mode: nn.EmbeddingBag(6, 3, mode=mode) for mode in ("mean", "sum", "max")}))
    ids = torch.randint(0, 6, (4, 3))
    case("bags", {"ids": ids}, {mode + "s": layer(ids) for mode, layer in net.items()}, net)


def losses_dense():
    n, x, t = 3, 4, 11
    logits, target = rand(n, 5, 3, x), torch.randint(0, 5, (n, 3, x))
    target[0, 1, 2] = target[2, 0, 0] = -100
    line, said, w = rand(n, 5, x), torch.randint(0, 5, (n, x)), torch.rand(5).to(torch.float32).double() + 0.5
    speech, heard, wide = 2 * rand(t, n, 6), torch.tensor([11, 7, 4]), torch.tensor([4, 0, 2])
    words = torch.tensor([[1, 3, 3, 2], [5, 1, 1, 4], [2, 2, 5, 1]])        # a label said twice, nothing, twice again
    s, logp = speech.log_softmax(-1), logits.log_softmax(1)
    ce, nll, ctc = F.cross_entropy, F.nll_loss, F.ctc_loss
    out = {
        "ce": ce(logits, target), "ce_smooth": ce(logits, target, label_smoothing=0.1), "ce_weight": ce(logits, target, w),
        "ce_all": ce(logits, target, w, label_smoothing=0.3), "ce_sum": ce(logits, target, w, label_smoothing=0.3, reduction="sum"),
        "ce_none": ce(logits, target, reduction="none"), "ce_none_all": ce(logits, target, w, label_smoothing=0.3, reduction="none"),
        "ce_line": ce(line, said, ignore_index=2), "nll": nll(logp, target, w),
        "nll_none": nll(logp, target.clamp(0), w, ignore_index=3, reduction="none"), "ctc": ctc(s, words, heard, wide),
        "ctc_sum": ctc(s, words, heard, wide, reduction="sum"), "ctc_none": ctc(s, words, heard, wide, reduction="none"),
        "ctc_zero": ctc(s, words, heard, (2 * wide).clamp(max=4), zero_infinity=True), "ctc_last": ctc(s, words - 1, heard, wide, blank=5, reduction="none"),
    }
    assert ctc(s, words, heard, (2 * wide).clamp(max=4), reduction="none").isinf().any()
    case("losses_dense", {"logits": logits, "target": target, "w": w, "line": line, "said": said, "speech": speech, "words": words, "heard": heard,
                          "wide": wide}, out)


def images():
    x1, x2, x3 = rand(3, 2, 9), rand(3, 2, 7, 10), rand(3, 2, 4, 5, 6)
    cubic = {"mode": "bicubic", "align_corners": False}
    out = {
        "d1": F.max_pool1d(x1, 3, 2, 1, 2), "d2": F.max_pool2d(x2, (2, 3), (1, 2), (0, 1), (3, 2)), "d2_plain": F.max_pool2d(x2, 3, dilation=2),
        "d2_ceil": F.max_pool2d(x2, 2, 3, 1, 2, ceil_mode=True), "d3": F.max_pool3d(x3, 2, 1, 1, (1, 2, 1)), "cubic": F.interpolate(x2, (9, 13), **cubic),
        "corners": F.interpolate(x2, (9, 13), mode="bicubic", align_corners=True), "smaller": F.interpolate(x2, (3, 4), **cubic),
        "one": F.interpolate(x2, (1, 5), mode="bicubic", align_corners=True), "up": F.interpolate(x2, scale_factor=3, **cubic),
    }
    case("images", {"x1": x1, "x2": x2, "x3": x3}, out)


def axes():
    x, src = rand(4, 3, 5), rand(4, 4, 5)
    first, middle = torch.randint(0, 4, (2, 3, 5)), torch.randint(0, 3, (4, 4, 5))
    last = torch.stack([torch.randperm(5)[:2] for _ in range(12)]).reshape(4, 3, 2)
    order = x.argsort(1)
    out = {
        "take0": x.gather(0, first), "take1": x.gather(1, middle), "take2": x.gather(2, last), "sort1": x.sort(1)[0],
        "add0": x.scatter_add(0, first, src[:2, :3]), "add1": x.scatter_add(1, middle, src), "put1": x.scatter(1, order, src[:, :3]),
        "put2": x.scatter(2, last, src[:, 1:, :2]),
    }
    case("axes", {"x": x, "first": first, "middle": middle, "last": last, "src": src, "order": order}, out)


if __name__ == "__main__":
    os.makedirs(os.path.join(HERE, "Inputs", "golden"), exist_ok=True)
    for f in (activations, reductions, movement, convolutions, pooling, resizing, norms, losses, recurrent, attentions, bags,
              losses_dense, images, axes):
        f()
        print(f.__name__, os.path.getsize(os.path.join(HERE, "Inputs", "golden", f.__name__ + ".npz")))
