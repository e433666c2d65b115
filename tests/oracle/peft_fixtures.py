"""Writes small PEFT adapters of every kind that MARS reads, and the weights that `peft` merges them into.

Usage: python tests/oracle/peft_fixtures.py [--out mars-lora/tests/fixtures/peft]

Needs torch and peft (0.18.1 was used). `base/` is a checkpoint of a toy with two towers, an embedding and a
convolution. Every other folder is an adapter with `merged.safetensors`: the tensors that differ from the base after
`PeftModel.from_pretrained(base, folder).merge_and_unload()`, so what is stored is what `peft` reads from the folder
and not what was trained. All factors are random, since a fresh adapter changes nothing.
"""

import argparse
import copy
import json
import shutil
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch import nn

OUT = Path(__file__).resolve().parents[2] / "mars-lora/tests/fixtures/peft"
WIDTH = 8


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj, self.v_proj = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 4)


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(WIDTH, 12), nn.Linear(12, WIDTH)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attn, self.mlp, self.norm = Attention(), Mlp(), nn.LayerNorm(WIDTH)


class Tower(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.layers = nn.ModuleList(Block() for _ in range(layers))


class Vision(Tower):
    def __init__(self):
        super().__init__(2)
        self.patch_embedding = nn.Conv2d(3, WIDTH, kernel_size=(2, 3), stride=(2, 3))


class Text(Tower):
    def __init__(self):
        super().__init__(3)
        self.embed_tokens = nn.Embedding(10, WIDTH)


class Toy(nn.Module):
    def __init__(self):
        super().__init__()
        self.vision, self.text = Vision(), Text()
        self.lm_head = nn.Linear(WIDTH, 10, bias=False)


LINEAR = ["q_proj", "v_proj", "fc1", "fc2"]

CASES = {
    "list": dict(r=4, lora_alpha=6, target_modules=LINEAR),
    "rslora": dict(r=3, lora_alpha=6, target_modules=["q_proj", "fc2"], use_rslora=True),
    # The first key wins: layer 1 of the vision tower by its own key, the rest of the tower by the second.
    "rank_pattern": dict(
        r=4, lora_alpha=8, target_modules=LINEAR,
        rank_pattern={r"layers\.1\.attn\.q_proj": 2, r"vision\..*": 3, "text.layers.2.mlp.fc2": 1},
        alpha_pattern={r"^vision\.layers\.0\..*": 2.5, "fc2": 5},
    ),
    "regex": dict(r=2, lora_alpha=3, target_modules=r"(?!.*vision).*layers\.[02]\..*\.(q_proj|fc1)"),
    "layers": dict(r=2, lora_alpha=3, target_modules=["q_proj", "fc1"], layers_to_transform=[0, 2],
                   layers_pattern="layers"),
    "one_layer": dict(r=2, lora_alpha=3, target_modules=["q_proj", "text.layers.0.mlp.fc2"], layers_to_transform=1),
    "exclude_list": dict(r=2, lora_alpha=3, target_modules=LINEAR, exclude_modules=["v_proj", "vision.layers.0.mlp.fc1"]),
    "exclude_regex": dict(r=2, lora_alpha=3, target_modules=LINEAR, exclude_modules=r"vision\..*"),
    "all_linear": dict(r=2, lora_alpha=3, target_modules=r".*\.(q_proj|v_proj|fc1|fc2)"),
    "dora": dict(r=3, lora_alpha=6, target_modules=["q_proj", "fc1", "patch_embedding"], use_dora=True),
    "embedding_and_convolution": dict(r=3, lora_alpha=5, target_modules=["embed_tokens", "patch_embedding", "fc2"]),
    "bf16": dict(r=4, lora_alpha=6, target_modules=["q_proj", "fc2"]),
    "f16": dict(r=4, lora_alpha=6, target_modules=["q_proj", "fc2"]),
    "named": dict(r=2, lora_alpha=4, target_modules=["q_proj", "fc1"], use_dora=True),
    "head": dict(r=2, lora_alpha=4, target_modules=["lm_head", "q_proj"], init_lora_weights="gaussian"),
}


def rewrite(folder, case):
    """Turns what this version of `peft` wrote into what other writers write."""
    weights = folder / "adapter_model.safetensors"
    tensors = load_file(weights)
    if case in ("bf16", "f16"):
        kind = {"bf16": torch.bfloat16, "f16": torch.float16}[case]
        tensors = {key: value.to(kind) for key, value in tensors.items()}
    if case == "named":
        # As accelerate and older trainers save them: the adapter's name inside, magnitudes with `.weight`.
        def renamed(key):
            stem = key.removesuffix(".weight")
            return f"{stem}.default.weight"
        tensors = {renamed(key): value for key, value in tensors.items()}
    save_file(tensors, weights, metadata={"format": "pt"})
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    if case == "all_linear":
        config["target_modules"] = "all-linear"
    if case == "rank_pattern":
        # `save_pretrained` sorts the keys; the order given above is what is to be tested.
        config["rank_pattern"] = CASES[case]["rank_pattern"]
        config["alpha_pattern"] = CASES[case]["alpha_pattern"]
    path.write_text(json.dumps(config, indent=2))


def load(base, folder, case):
    if case == "named":
        # `peft` itself expects its own spelling; give it that.
        other = folder.with_name("named.tmp")
        shutil.copytree(folder, other)
        tensors = load_file(other / "adapter_model.safetensors")
        plain = {}
        for key, value in tensors.items():
            key = key.replace(".default.weight", ".weight")
            plain[key.removesuffix(".weight") if "magnitude" in key else key] = value
        save_file(plain, other / "adapter_model.safetensors", metadata={"format": "pt"})
        model = PeftModel.from_pretrained(base, other, autocast_adapter_dtype=True)
        shutil.rmtree(other)
        return model
    if case == "all_linear":
        # Without a `PreTrainedModel` around it `peft` cannot know the output layer; it is named instead.
        config = LoraConfig.from_pretrained(folder)
        config.exclude_modules = ["lm_head"]
        return PeftModel.from_pretrained(base, folder, config=config)
    return PeftModel.from_pretrained(base, folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=OUT)
    out = parser.parse_args().out
    shutil.rmtree(out, ignore_errors=True)
    (out / "base").mkdir(parents=True)
    torch.manual_seed(11)
    base = Toy()
    state = {name: value.detach().clone() for name, value in base.state_dict().items()}
    save_file(state, out / "base/model.safetensors", metadata={"format": "pt"})
    (out / "base/config.json").write_text(json.dumps({"model_type": "toy", "tie_word_embeddings": False}))
    for case, settings in CASES.items():
        folder = out / case
        model = get_peft_model(copy.deepcopy(base), LoraConfig(**settings))
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                low, high = (0.5, 1.5) if "magnitude" in name else (-0.5, 0.5)
                parameter.data.uniform_(low, high)
        model.peft_config["default"].base_model_name_or_path = "toy"
        model.save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)
        rewrite(folder, case)
        loaded = load(copy.deepcopy(base), folder, case)
        merged = loaded.merge_and_unload().state_dict()
        assert set(merged) == set(state), set(merged) ^ set(state)
        changed = {name: value.contiguous() for name, value in merged.items() if not torch.equal(value, state[name])}
        stored = load_file(folder / "adapter_model.safetensors")
        modules = len([key for key in stored if "lora_A" in key or "lora_embedding_A" in key])
        assert len(changed) == modules, f"{case}: {len(changed)} weights changed, {modules} modules stored"
        save_file(changed, folder / "merged.safetensors")
        print(case, modules)


if __name__ == "__main__":
    main()
