"""What the scripts for single architectures share: tiny random checkpoints, and what is computed on them.

A case is a folder with an ordinary checkpoint and `expected.safetensors`, in which each sample `s` has

    s.input_ids    i64 [tokens]
    s.answers      u8  [tokens]                 1 on what the model must generate
    s.image_sizes  i64 [images, 2]              heights and widths in pixels, absent for a text-only sample
    s.pixel_values f32 [pieces, ...]            tiles or patches, absent for a text-only sample
    s.features     f32 [image tokens, width]    what takes the place of the image tokens; of the first sample
    s.logits       f32 [tokens, vocabulary]
    s.loss         f32 []                       mean natural-log cross-entropy of the answers
    s.flops        f64 []                       of the forward pass, with output logits for answers only

computed in f32 with eager attention, one sample at a time. A case with an adapter has it in `adapter/` as PEFT writes
it, and in `adapter.safetensors` logits and losses with it, and `grad.<path>.lora_A|B`, the gradients of the mean
cross-entropy over the answer tokens of all samples together.
"""

import json
import shutil
import tempfile
from pathlib import Path

import torch
import transformers
from idefics3 import randomise
from safetensors.torch import load_file, save_file
from torch.utils.flop_counter import FlopCounterMode


def load(model_class, folder):
    """What is on disk, as f32; nothing may be missing or left over."""
    model, info = model_class.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
    return model.eval()


def save(model, folder, names=None, config=None):
    """Writes a checkpoint; `names` renames tensors, `config` changes the dictionary of `config.json`."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    if names:
        file = folder / "model.safetensors"
        save_file({names(name): value for name, value in load_file(file).items()}, file, metadata={"format": "pt"})
    file = folder / "config.json"
    written = json.loads(file.read_text())
    written = config(written) if config else written
    for part in (written, written.get("text_config", {}), written.get("vision_config", {})):
        part.pop("_name_or_path", None)
    file.write_text(json.dumps(written, indent=2) + "\n")


def losses(logits, sample):
    """Cross-entropy of each answer token of a sample."""
    answers = sample["answers"].bool()
    return torch.nn.functional.cross_entropy(logits[:-1][answers[1:]], sample["input_ids"][answers], reduction="none")


def flops(model, sample, inputs, idle):
    """Operations of matrix products and convolutions, as PyTorch counts them; `idle` modules feed nothing."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(input_ids=sample["input_ids"][None], use_cache=False, **inputs)
    modules = counter.get_flop_counts()
    # Angles of rotary positions are products in `transformers`, but none that a model needs.
    apart = sum(sum(counts.values()) for name, counts in modules.items()
                if name.endswith(("lm_head", "rotary_emb", "rotary_pos_emb", *idle)))
    width, vocabulary = model.lm_head.in_features, model.lm_head.out_features
    return counter.get_total_flops() - apart + 2 * int(sample["answers"].sum()) * width * vocabulary


def compute(model, sample, inputs, features, idle=()):
    """Adds what the model computes to a sample; `inputs` are keyword arguments beside the ids."""
    with torch.no_grad():
        logits = model(input_ids=sample["input_ids"][None], use_cache=False, **inputs).logits[0].float()
        out = dict(sample, logits=logits, loss=losses(logits, sample).mean(),
                   flops=torch.tensor(flops(model, sample, inputs, idle), dtype=torch.float64))
        if features is not None:
            out["features"] = features
    return {name: value.contiguous().clone() for name, value in out.items()}


def answers(ids, image, generator):
    """The last five tokens, and some of those before; never the first and no image token."""
    marks = torch.rand(len(ids), generator=generator) < 0.3
    marks[-5:] = True
    marks[0] = False
    return (marks & (torch.tensor(ids) != image)).to(torch.uint8)


def write(folder, expected):
    made = f"transformers {transformers.__version__}, torch {torch.__version__}"
    flat = {f"{name}.{key}": value for name, sample in expected.items() for key, value in sample.items()}
    save_file(flat, folder / "expected.safetensors", metadata={"made_with": made})
    spread = {name: round(float(sample["logits"].std()), 2) for name, sample in expected.items()}
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(folder.name, f"{size} bytes, spread of logits {spread}")
    return size


def adapt(model, folder, samples, inputs, ranks, targets):
    """A PEFT adapter with random factors: logits, losses and gradients.

    `ranks` maps a pattern of module paths to (rank, alpha), the first is the rule, the others exceptions.
    """
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(5)
    (_, (rank, alpha)), *others = ranks.items()
    config = LoraConfig(
        r=rank, lora_alpha=alpha, target_modules=targets, task_type="CAUSAL_LM",
        rank_pattern={key: rank for key, (rank, _) in others},
        alpha_pattern={key: alpha for key, (_, alpha) in others},
    )
    adapted = get_peft_model(model, config).eval()
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(0.0, 0.2)
    out, every = {}, []
    for name, sample in samples.items():
        logits = adapted(input_ids=sample["input_ids"][None], use_cache=False, **inputs[name]).logits[0]
        assert (logits - sample["logits"]).abs().max() > 0.1, "the adapter does nothing"
        each = losses(logits, sample)
        every.append(each)
        out |= {f"{name}.logits": logits.detach().clone(), f"{name}.loss": each.mean().detach()}
    torch.cat(every).mean().backward()
    prefix = "base_model.model."
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            gradient = parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
            path = name.removeprefix(prefix).removesuffix(".default.weight")
            out[f"grad.{path}"] = gradient.clone()
    adapted.peft_config["default"].base_model_name_or_path = folder.name
    adapted.save_pretrained(folder / "adapter")
    (folder / "adapter/README.md").unlink(missing_ok=True)
    save_file(out, folder / "adapter.safetensors")


def adapted(model, adapter):
    """The model with an adapter under the names of the version at hand: version 5 has no `vision_model` in a tower."""
    from peft import PeftModel

    with tempfile.TemporaryDirectory() as place:
        place = Path(shutil.copytree(adapter, Path(place) / "adapter"))
        if transformers.__version__ >= "5":
            file = place / "adapter_model.safetensors"
            save_file({name.replace("vision_tower.vision_model.", "vision_tower."): value
                       for name, value in load_file(file).items()}, file)
        return PeftModel.from_pretrained(model, place).eval()


def check(model_class, folder, inputs):
    """The largest difference of the logits of a case, with and without its adapter, under the versions at hand.

    `inputs` makes keyword arguments beside the ids of the model, the ids, the pixel values and the sizes of the images of a
    sample, which are None where there are none.
    """
    expected, file = load_file(folder / "expected.safetensors"), folder / "adapter.safetensors"
    model, worst = load(model_class, folder), 0.0
    for wanted in [expected] + ([load_file(file)] if file.exists() else []):
        if wanted is not expected:
            model = adapted(model, folder / "adapter")
        for name in [key.removesuffix(".input_ids") for key in expected if key.endswith(".input_ids")]:
            ids, pixels, sizes = (expected.get(f"{name}.{key}") for key in ("input_ids", "pixel_values", "image_sizes"))
            own = inputs(model, ids, pixels, sizes)
            with torch.no_grad():
                logits = model(input_ids=ids[None], use_cache=False, **own).logits[0]
            worst = max(worst, float((logits - wanted[f"{name}.logits"]).abs().max()))
    return worst


__all__ = ["adapt", "answers", "check", "compute", "load", "losses", "randomise", "save", "write"]
