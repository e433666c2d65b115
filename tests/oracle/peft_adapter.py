"""Writes a PEFT adapter for a tiny checkpoint and the logits that `peft` computes with it.

Usage: HF_HUB_OFFLINE=1 python tests/oracle/peft_adapter.py [--out mars-vlm/tests/fixtures/peft_adapter]

Needs torch, transformers (4.57.3 was used) and peft (0.18.1). The base is the case `gqa_split` of idefics3.py, with
the exact position ids explained there. Ranks and alphas differ between the towers; B is random, since a fresh
adapter changes nothing. `expected.safetensors` holds `s.logits` f32 [tokens, vocabulary] for each of its samples, and
`grad.<path>.lora_A|B`, the gradients of the mean cross-entropy over all tokens but the first of all samples together.
"""

import argparse
from pathlib import Path

import torch
from idefics3 import exact_positions, use_positions
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import Idefics3ForConditionalGeneration

FIXTURES = Path(__file__).resolve().parents[2] / "mars-vlm/tests/fixtures"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=FIXTURES / "peft_adapter")
    out = parser.parse_args().out
    torch.manual_seed(7)
    use_positions(exact_positions)
    base_dir = FIXTURES / "idefics3/gqa_split"
    base = Idefics3ForConditionalGeneration.from_pretrained(base_dir, attn_implementation="eager").eval()
    leaves = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2", "o_proj", "gate_proj", "up_proj", "down_proj"]
    model = get_peft_model(
        base,
        LoraConfig(
            r=6, lora_alpha=9, target_modules=leaves, task_type="CAUSAL_LM",
            rank_pattern={r"vision_model\..*": 3}, alpha_pattern={r"vision_model\..*": 4.5},
        ),
    ).eval()
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(0.0, 0.2)
    samples = load_file(base_dir / "expected.safetensors")
    expected, losses = {}, []
    for name in sorted(key.removesuffix(".input_ids") for key in samples if key.endswith(".input_ids")):
        inputs = {"input_ids": samples[f"{name}.input_ids"][None]}
        if f"{name}.pixel_values" in samples:
            inputs["pixel_values"] = samples[f"{name}.pixel_values"][None]
        logits = model(**inputs).logits[0]
        losses.append(torch.nn.functional.cross_entropy(logits[:-1], inputs["input_ids"][0, 1:], reduction="none"))
        assert (logits - samples[f"{name}.logits"]).abs().max() > 0.1, "the adapter does nothing"
        expected[f"{name}.logits"] = logits.detach().clone()
    torch.cat(losses).mean().backward()
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            path = name.removeprefix("base_model.model.").removesuffix(".default.weight")
            expected[f"grad.{path}"] = parameter.grad.clone()
    model.peft_config["default"].base_model_name_or_path = "gqa_split"
    model.save_pretrained(out)
    (out / "README.md").unlink(missing_ok=True)
    save_file(expected, out / "expected.safetensors")


if __name__ == "__main__":
    main()
