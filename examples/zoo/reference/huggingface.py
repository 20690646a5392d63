#!/usr/bin/env python3
"""Do the goldens agree with Hugging Face's own modelling code? Their keys, and what it computes.

Needs transformers (pip install transformers; 4.44 works with Debian's PyTorch), which building the goldens
does not. Every key of a golden must be one of the network and every parameter of the network must be given.
"""
import json
import os
import sys
import types

import numpy
import torch
import transformers as hf

from common import ZOO

if not hasattr(torch, "_dynamo"):           # that Mamba asks for, in vain
    torch._dynamo = types.SimpleNamespace(is_compiling=lambda: False, mark_static_address=lambda x: None)


def settings(case):
    """The --set of a case: numbers by name."""
    return {k: json.loads(v) for k, v in (item.split("=") for item in case["set"].split(","))}


def weights(folder):
    with open(os.path.join(folder, "weights.safetensors"), "rb") as f:
        data = f.read()
    size = int.from_bytes(data[:8], "little")
    return {name: torch.from_numpy(numpy.frombuffer(data, "<f4", count=int(numpy.prod(t["shape"])), offset=8 + size + t["data_offsets"][0])
                                   .reshape(t["shape"]).copy()) for name, t in json.loads(data[8:8 + size]).items()}


def decoder(kind, **more):
    def build(s):
        return kind(hidden_size=s["D"], num_hidden_layers=s["L"], num_attention_heads=s["H"], num_key_value_heads=s["KV"],
                    intermediate_size=s["F"], vocab_size=s["V"], max_position_embeddings=64, attn_implementation="eager",
                    **{k: v(s) if callable(v) else v for k, v in more.items()})
    return build


def last(net, x):
    return {"logits": net(input_ids=x["ids"]).logits[:, -1]}


LLAMA = dict(rope_theta=500000.0, rms_norm_eps=1e-5, tie_word_embeddings=lambda s: bool(s.get("tied")))
SCALING = {"rope_type": "llama3", "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
CASES = {  # golden: configuration, class, what gives the outputs
    "llama3": (decoder(hf.LlamaConfig, **LLAMA), hf.LlamaForCausalLM, last),
    "llama3_2": (decoder(hf.LlamaConfig, **LLAMA, rope_scaling=lambda s: {**SCALING, "factor": float(s["stretch"])}),
                 hf.LlamaForCausalLM, last),
    "mistral": (decoder(hf.MistralConfig, rms_norm_eps=1e-5, sliding_window=lambda s: s["W"]), hf.MistralForCausalLM, last),
    "qwen2": (decoder(hf.Qwen2Config, rope_theta=1e6, tie_word_embeddings=False), hf.Qwen2ForCausalLM, last),
    "gemma2": (decoder(hf.Gemma2Config, head_dim=lambda s: s["Dh"], query_pre_attn_scalar=lambda s: s["scalar"],
                       sliding_window=lambda s: s["W"]), hf.Gemma2ForCausalLM, last),
    "mixtral": (decoder(hf.MixtralConfig, rope_theta=1e6, num_local_experts=lambda s: s["E"], num_experts_per_tok=lambda s: s["K"]),
                hf.MixtralForCausalLM, last),
    "gpt2": (lambda s: hf.GPT2Config(n_embd=s["D"], n_layer=s["L"], n_head=s["H"], vocab_size=s["V"], n_positions=s["T"]),
             hf.GPT2LMHeadModel, last),
    "mamba": (lambda s: hf.MambaConfig(hidden_size=s["D"], num_hidden_layers=s["L"], state_size=s["N"], vocab_size=s["V"],
                                       **({"time_step_rank": s["R"]} if "R" in s else {})), hf.MambaForCausalLM, last),
    "bert": (lambda s: hf.BertConfig(hidden_size=s["D"], num_hidden_layers=s["L"], num_attention_heads=s["H"], intermediate_size=s["F"],
                                     vocab_size=s["V"], max_position_embeddings=s["T"]), hf.BertModel,
             lambda net, x: dict(net(**x))),
    "t5": (lambda s: hf.T5Config(d_model=s["D"], d_kv=s["Dh"], d_ff=s["F"], num_layers=s["L"], num_heads=s["H"], vocab_size=s["V"]),
           hf.T5ForConditionalGeneration, lambda net, x: {"logits": net(**x).logits}),
    "t5_v1_1": (lambda s: hf.T5Config(d_model=s["D"], d_kv=s["Dh"], d_ff=s["F"], num_layers=s["L"], num_heads=s["H"], vocab_size=s["V"],
                                      feed_forward_proj="gated-gelu", tie_word_embeddings=False),
                hf.T5ForConditionalGeneration, lambda net, x: {"logits": net(**x).logits}),
    "whisper": (lambda s: hf.WhisperConfig(d_model=s["D"], encoder_layers=s["L"], decoder_layers=s["L"], encoder_attention_heads=s["H"],
                                           decoder_attention_heads=s["H"], encoder_ffn_dim=s["F"], decoder_ffn_dim=s["F"],
                                           vocab_size=s["V"], num_mel_bins=s["mels"], max_source_positions=s["M"],
                                           max_target_positions=s["T"], pad_token_id=0), hf.WhisperForConditionalGeneration,
                lambda net, x: {"logits": net(**x).logits}),
    "clip": (lambda s: hf.CLIPConfig(
        text_config=dict(hidden_size=s["DT"], num_hidden_layers=s["LT"], num_attention_heads=s["HT"], intermediate_size=4 * s["DT"],
                         vocab_size=s["V"], max_position_embeddings=s["T"], eos_token_id=2),
        vision_config=dict(hidden_size=s["DV"], num_hidden_layers=s["LV"], num_attention_heads=s["HV"], intermediate_size=4 * s["DV"],
                           image_size=s["image"], patch_size=s["P"]), projection_dim=s["D"]), hf.CLIPModel,
             lambda net, x: {"logits_per_image": net(**x).logits_per_image}),
}


def main(names):
    failed = False
    for name in names or CASES:
        folder = os.path.join(ZOO, "golden", name)
        with open(os.path.join(folder, "case.json")) as f:
            case = json.load(f)
        configure, build, run = CASES[name]
        net = build(configure(settings(case))).eval()
        missing, unexpected = net.load_state_dict(weights(folder), strict=False)
        shared = {k for k in missing if any(net.get_parameter(k) is p for n, p in net.named_parameters() if n not in missing)}
        load = lambda file: torch.from_numpy(numpy.load(os.path.join(folder, file)))
        inputs = {k: load(v) if load(v).is_floating_point() else load(v).long() for k, v in case["inputs"].items()}
        with torch.no_grad():
            got = run(net, inputs)
        error = max(float((got[k] - load(v).double()).abs().max()) for k, v in case["outputs"].items())
        bad = sorted(set(missing) - shared) + list(unexpected)
        failed |= bool(bad) or not error <= 1e-5
        print(f"{name}: {error:.1e}" + (f" keys {bad}" if bad else ""))
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
