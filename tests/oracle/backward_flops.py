"""Operations of training passes with adapters at some layers, as PyTorch counts them.

Usage: HF_HUB_OFFLINE=1 python tests/oracle/backward_flops.py [--out mars-vlm/tests/fixtures/backward_flops.json]

Needs torch, transformers (4.57.3 was used), peft (0.18.1) and safetensors. Takes the checkpoints of `llava_onevision.py`,
`qwen2_vl.py` and `qwen3_vl.py` with the first of their samples that has images. A backward pass is counted down to the inputs
of the lowest part that has an adapter, a block or the projector: they are made to want a gradient, which is where an
operation of frozen layers ends that read what no adapter changes.
"""

import argparse
import json
import re
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from tiny import load, losses
from torch.utils.flop_counter import FlopCounterMode

import llava_onevision
import qwen2_vl
import qwen3_vl

ROOT = Path(__file__).resolve().parents[2] / "mars-vlm/tests/fixtures"
RANK = 3
# Path, class and inputs of a case; its encoder, its projectors.
CASES = {
    "llava_onevision/gqa_tied": (
        llava_onevision.LlavaOnevisionForConditionalGeneration, llava_onevision.inputs_again,
        "model.vision_tower.vision_model.encoder.layers", ["model.multi_modal_projector"]),
    "qwen2_vl/older_tied": (
        qwen2_vl.Qwen2VLForConditionalGeneration, qwen2_vl.inputs_again, "model.visual.blocks", ["model.visual.merger"]),
    "qwen3_vl/untied_mha": (
        qwen3_vl.Qwen3VLForConditionalGeneration, qwen3_vl.inputs_again, "model.visual.blocks",
        ["model.visual.merger", "model.visual.deepstack_merger_list.0"]),
}
DECODER = "model.language_model.layers"


def linear(model, parts):
    """The linear layers of some parts, as a pattern."""
    names = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    chosen = [re.escape(name) for name in names if any(name.startswith(part + ".") for part in parts)]
    assert chosen, parts
    return "|".join(chosen)


def count(case, sample, inputs, pattern, entries):
    """Forward and backward operations of a sample with adapters at `pattern`; the inputs of `entries` want gradients."""
    model_class = CASES[case][0]
    base = load(model_class, ROOT / case)

    def wants(_, args, kwargs):
        first = args[0] if args else kwargs["hidden_states"]
        if not first.requires_grad:
            first.requires_grad_()

    for entry in entries:
        base.get_submodule(entry).register_forward_pre_hook(wants, with_kwargs=True)
    # Logits for answers only.
    places = sample["answers"].bool()[1:].nonzero()[:, 0]
    base.lm_head.register_forward_pre_hook(lambda _, args: (args[0][:, places],))
    model = get_peft_model(base, LoraConfig(r=RANK, target_modules=f"({pattern})"))
    with FlopCounterMode(display=False) as forward:
        logits = model(input_ids=sample["input_ids"][None], use_cache=False, **inputs).logits[0]
    loss = torch.nn.functional.cross_entropy(logits, sample["input_ids"][places + 1])
    with FlopCounterMode(display=False) as backward:
        loss.backward()
    # Angles of rotary positions are products in `transformers`, but none that a model needs.
    angles = sum(sum(counts.values()) for name, counts in forward.get_flop_counts().items()
                 if name.endswith(("rotary_emb", "rotary_pos_emb")))
    return forward.get_total_flops() - angles, backward.get_total_flops()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "backward_flops.json")
    out = parser.parse_args().out
    torch.set_num_threads(1)
    found = []
    for case, (model_class, again, encoder, projectors) in CASES.items():
        expected = load_file(ROOT / case / "expected.safetensors")
        names = sorted(key.removesuffix(".pixel_values") for key in expected if key.endswith(".pixel_values"))
        samples = sorted(key.removesuffix(".input_ids") for key in expected if key.endswith(".input_ids"))
        sample = {key: expected.get(f"{names[0]}.{key}") for key in ("input_ids", "answers", "pixel_values", "image_sizes")}
        model = load(model_class, ROOT / case)
        inputs = again(model, sample["input_ids"], sample["pixel_values"], sample["image_sizes"])
        last = [f"{stack}.{len(model.get_submodule(stack)) - 1}" for stack in (encoder, DECODER)]
        places = {
            "ve": (linear(model, [encoder]), [f"{encoder}.0"]),
            "projector": (linear(model, projectors), projectors),
            "llm": (linear(model, [DECODER]), [f"{DECODER}.0"]),
            "all": (linear(model, [encoder, *projectors, DECODER]), [f"{encoder}.0"]),
            "first of llm": (linear(model, [f"{DECODER}.0"]), [f"{DECODER}.0"]),
            "last of llm": (linear(model, last[1:]), last[1:]),
            "one layer of llm": (re.escape(f"{last[1]}.mlp.up_proj"), last[1:]),
        }
        if len(projectors) == 1:
            # Projections of earlier states read what this adapter does not change, and count all the same.
            places["last of ve"] = (linear(model, last[:1]), last[:1])
        for place, (pattern, entries) in places.items():
            forward, backward = count(case, sample, inputs, pattern, entries)
            print(case, names[0], place, forward, backward)
            found.append({"case": case, "sample": samples.index(names[0]), "place": place, "pattern": pattern, "rank": RANK,
                          "forward": forward, "backward": backward})
    out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
