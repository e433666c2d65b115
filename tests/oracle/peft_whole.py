"""Writes small PEFT adapters that hold more than factors, and the weights that `peft` merges them into.

Usage: python tests/oracle/peft_whole.py [--out mars-lora/tests/fixtures/peft_whole]

Needs torch and peft (0.18.1 was used). `base/` is a checkpoint of a toy with a table of embeddings, a 3-D convolution
of patches, a projector of two layers and an output layer of its own. Every other folder is an adapter with
`merged.safetensors`: the tensors that differ from the base after `PeftModel.from_pretrained(base,
folder).merge_and_unload()`, so what is stored is what `peft` reads from the folder and not what was trained.
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

OUT = Path(__file__).resolve().parents[2] / "mars-lora/tests/fixtures/peft_whole"
WIDTH = 6


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj, self.fc1, self.norm = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 8), nn.LayerNorm(WIDTH)


class Vision(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv3d(3, WIDTH, kernel_size=(2, 2, 3), stride=(2, 2, 3), bias=False)
        self.layers = nn.ModuleList([Block()])


class Text(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed_tokens = nn.Embedding(9, WIDTH)
        self.layers = nn.ModuleList(Block() for _ in range(2))


class Projector(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(WIDTH, 5), nn.Linear(5, WIDTH, bias=False)


class Toy(nn.Module):
    def __init__(self):
        super().__init__()
        self.vision, self.projector, self.text = Vision(), Projector(), Text()
        self.lm_head = nn.Linear(WIDTH, 9, bias=False)

    # What `peft` asks of a model about its embeddings.
    def get_input_embeddings(self):
        return self.text.embed_tokens

    def get_output_embeddings(self):
        return self.lm_head


LINEAR = ["q_proj", "fc1"]

CASES = {
    "convolution_3d": dict(r=2, lora_alpha=3, target_modules=["patch", "q_proj"]),
    "bias_all": dict(r=2, lora_alpha=3, target_modules=LINEAR, bias="all"),
    "bias_lora_only": dict(r=2, lora_alpha=3, target_modules=["q_proj"], bias="lora_only"),
    "lora_bias": dict(r=2, lora_alpha=3, target_modules=LINEAR, lora_bias=True),
    "modules_to_save": dict(r=2, lora_alpha=3, target_modules=LINEAR, modules_to_save=["lm_head", "projector"]),
    "saved_norms": dict(r=2, lora_alpha=3, target_modules=["fc1"], modules_to_save=["norm"], use_rslora=True),
    "saved_half": dict(r=2, lora_alpha=3, target_modules=["fc1"], modules_to_save=["embed_tokens", "lm_head"]),
    "equal_copies": dict(r=2, lora_alpha=3, target_modules=["embed_tokens", "q_proj"]),
    "changed_copies": dict(r=2, lora_alpha=3, target_modules=["embed_tokens", "lm_head"]),
    "tokens": dict(r=2, lora_alpha=3, target_modules=LINEAR, trainable_token_indices=[1, 7]),
    "named_tokens": dict(r=2, lora_alpha=3, target_modules=["fc1"], trainable_token_indices={"embed_tokens": [4, 0]}),
    # What is saved is no target, even where both name it; names may be the end of a word.
    "saved_targets": dict(r=2, lora_alpha=3, target_modules=[*LINEAR, "linear_1", "lm_head"], modules_to_save=["projector", "lm_head"]),
    "saved_by_end": dict(r=2, lora_alpha=3, target_modules=LINEAR, modules_to_save=["head", "jector"]),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=OUT)
    out = parser.parse_args().out
    shutil.rmtree(out, ignore_errors=True)
    (out / "base").mkdir(parents=True)
    torch.manual_seed(13)
    base = Toy()
    state = {name: value.detach().clone() for name, value in base.state_dict().items()}
    save_file(state, out / "base/model.safetensors", metadata={"format": "pt"})
    (out / "base/config.json").write_text(json.dumps({"model_type": "toy", "tie_word_embeddings": False}))
    for case, settings in CASES.items():
        folder = out / case
        model = get_peft_model(copy.deepcopy(base), LoraConfig(**settings))
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.data.add_(torch.rand_like(parameter) - 0.5)
        if case == "changed_copies":
            for name, parameter in model.named_parameters():
                if name.endswith("base_layer.weight"):
                    parameter.data.add_(torch.rand_like(parameter) - 0.5)
        model.peft_config["default"].base_model_name_or_path = "toy"
        model.save_pretrained(folder, save_embedding_layers=case.endswith("copies"))
        (folder / "README.md").unlink(missing_ok=True)
        stored = load_file(folder / "adapter_model.safetensors")
        if case == "saved_half":
            stored = {name: value.half() for name, value in stored.items()}
            save_file(stored, folder / "adapter_model.safetensors", metadata={"format": "pt"})
        loaded = PeftModel.from_pretrained(copy.deepcopy(base), folder, autocast_adapter_dtype=True)
        merged = loaded.merge_and_unload().state_dict()
        assert set(merged) == set(state), set(merged) ^ set(state)
        changed = {name: value.contiguous() for name, value in merged.items() if not torch.equal(value, state[name])}
        save_file(changed, folder / "merged.safetensors")
        print(case, len(stored), len(changed), *[name for name in stored if "lora_A" not in name and "lora_B.w" not in name])


if __name__ == "__main__":
    main()
