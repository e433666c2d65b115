"""Writes tiny random InternVL3 checkpoints (`internvl`) and what `transformers` computes on them.

Usage: HF_HUB_OFFLINE=1 python tests/oracle/internvl.py [--out mars-vlm/tests/fixtures/internvl] [--check]

Needs torch, torchvision, transformers (4.57.3 was used), peft (0.18.1) and safetensors. `tiny.py` says what is written; the
number of tiles of an image follows from its size by the fast image processor, and values are drawn for its tiles.
`--check` writes nothing and compares what is there with what other versions compute (5.24.0 with peft 0.21.2: no difference;
4.57.3 cannot read what transformers 5 writes, and is given the other cases only).
"""

import argparse
import json
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file
from tiny import adapt, answers, compute, load, randomise, save, write
from transformers import AutoImageProcessor, InternVLConfig, InternVLForConditionalGeneration

IN_ALL = 500_000
IMAGE, START, END = 36, 37, 38
TILE = 8


def vision(**changes):
    base = dict(hidden_size=8, intermediate_size=14, num_hidden_layers=2, num_attention_heads=2, image_size=[TILE, TILE],
                patch_size=[2, 2], attention_bias=True, layer_norm_eps=1e-4)
    return base | changes


def text(kind, **changes):
    base = dict(model_type=kind, hidden_size=16, intermediate_size=18, num_hidden_layers=2, num_attention_heads=2,
                num_key_value_heads=1, vocab_size=40, rope_theta=5000.0, rms_norm_eps=1e-3, max_position_embeddings=512,
                pad_token_id=0, bos_token_id=1, eos_token_id=2)
    return base | changes


# Case: configuration, samples as lists of images (height, width in pixels), and how it is stored.
CASES = {
    # As InternVL3: a Qwen2 decoder with positions that stretch only beyond what it was trained on, grouped queries, tied;
    # names of published checkpoints.
    "qwen2_tied": (
        dict(vision_config=vision(), text_config=text(
            "qwen2", num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True,
            rope_scaling={"type": "dynamic", "rope_type": "dynamic", "factor": 2.0})),
        {"wide": [(8, 16)], "two": [(5, 3), (24, 16)], "words": []},
        {"adapter": True, "names": "old"},
    ),
    # As InternVL3.5 with the larger encoder: norms of queries and keys and root-mean-square norms in the encoder, no biases
    # there; a Qwen3 decoder whose heads are wider than their share, one key head, untied.
    "qwen3_untied": (
        dict(vision_config=vision(hidden_size=12, num_attention_heads=3, attention_bias=False, use_qk_norm=True,
                                  norm_type="rms_norm", num_hidden_layers=3),
             text_config=text("qwen3", head_dim=12, attention_bias=True, tie_word_embeddings=False)),
        {"tall": [(40, 16)], "first": [(7, 9)], "words": []},
        {"adapter": True},
    ),
    # Tiles smaller than the table of positions, a norm after the last block; a Qwen3 decoder with as many key heads as query
    # heads, tied; several images, one of a single tile, and words alone. Names of transformers 5.
    "stretched": (
        dict(vision_config=vision(image_size=[12, 12], use_mean_pooling=False, use_qk_norm=True, hidden_act="gelu_pytorch_tanh"),
             text_config=text("qwen3", num_attention_heads=2, num_key_value_heads=2, head_dim=8, tie_word_embeddings=True)),
        {"three": [(8, 8), (3, 30), (17, 12)], "words": []},
        {"newer": True},
    ),
    # Tiles larger than the table, no patches merged, numbers for sizes, at most 3 tiles; six query heads for two key heads,
    # untied.
    "unmerged": (
        dict(vision_config=vision(image_size=6, patch_size=2, num_attention_heads=1, num_hidden_layers=1),
             text_config=text("qwen2", hidden_size=24, intermediate_size=14, num_attention_heads=6, num_key_value_heads=2,
                              num_hidden_layers=1),
             downsample_ratio=1.0, projector_hidden_act="gelu_pytorch_tanh"),
        {"square": [(30, 30)], "two": [(9, 20), (8, 4)]},
        {"max_patches": 3, "newer": True},
    ),
    # A Llama decoder as of InternVL2.5, without positions in the encoder and with a token for masks; sixteen patches one token,
    # a single tile.
    "llama_whole": (
        dict(vision_config=vision(use_absolute_position_embeddings=False, use_mask_token=True, norm_type="rms_norm"),
             text_config=text("llama", num_attention_heads=4, num_key_value_heads=4), downsample_ratio=0.25),
        {"wide": [(20, 50)], "words": []},
        {"max_patches": 1, "names": "old"},
    ),
}


def newer(config):
    """The settings of rotary positions as transformers 5 writes them."""
    part = config["text_config"]
    part["rope_parameters"] = (part.pop("rope_scaling", None) or {"rope_type": "default"}) | {
        "rope_theta": part.pop("rope_theta")}
    return config


def renamed(style):
    """From the names that `save_pretrained` of 4.57 gives (those of published checkpoints) to those in memory."""
    def name(old):
        if style == "old":
            return old
        if old == "language_model.lm_head.weight":
            return "lm_head.weight"
        return "model." + old.replace("language_model.model.", "language_model.")
    return name


def processor_files(folder, tokens, most):
    (folder / "preprocessor_config.json").write_text(json.dumps({
        "image_processor_type": "GotOcr2ImageProcessorFast", "size": {"height": TILE, "width": TILE}, "min_patches": 1,
        "max_patches": most, "crop_to_patches": False, "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
    }))
    (folder / "processor_config.json").write_text(json.dumps({
        "processor_class": "InternVLProcessor", "image_seq_length": tokens}))


def draw(sample, sizes, images, tokens, generator):
    """A sample about images of these heights and widths in pixels, and the model's inputs beside its ids."""
    words = lambda count: torch.randint(3, IMAGE, (count,), generator=generator).tolist()
    ids, tiles = words(0 if sample == "first" else 3), 0
    for height, width in sizes:
        own = images.get_number_of_image_patches(height, width, {"crop_to_patches": True})
        ids, tiles = ids + [START] + [IMAGE] * (tokens * own) + [END] + words(2), tiles + own
    ids += words(6)
    entry, inputs = {"input_ids": torch.tensor(ids), "answers": answers(ids, IMAGE, generator)}, {}
    if sizes:
        inputs = {"pixel_values": torch.randn((tiles, 3, TILE, TILE), generator=generator)}
        entry |= {"image_sizes": torch.tensor(sizes)} | inputs
    return entry, inputs


def make(name, seed, out):
    config, samples, options = CASES[name]
    generator = torch.Generator().manual_seed(seed)
    folder = out / name
    tied = config["text_config"].get("tie_word_embeddings", False)
    config = InternVLConfig(**dict(config, image_token_id=IMAGE, tie_word_embeddings=tied))
    tokens = int((TILE // config.vision_config.patch_size[0] * config.downsample_ratio) ** 2)
    model = InternVLForConditionalGeneration(config)
    randomise(model, generator)
    model.tie_weights()
    save(model, folder)
    model = load(InternVLForConditionalGeneration, folder)
    save(model, folder, names=renamed(options.get("names")), config=newer if options.get("newer") else None)
    processor_files(folder, tokens, options.get("max_patches", 12))
    images = AutoImageProcessor.from_pretrained(folder, use_fast=True)
    expected, all_inputs = {}, {}
    for sample, sizes in samples.items():
        (entry, inputs), features = draw(sample, sizes, images, tokens, generator), None
        if inputs:
            with torch.no_grad():
                features = model.model.get_image_features(**inputs).flatten(0, 1)
        expected[sample] = compute(model, entry, inputs, features if not expected else None)
        all_inputs[sample] = inputs
    if options.get("adapter"):
        targets = (r".*(vision_tower\..*(q_proj|k_proj|v_proj|projection_layer|fc1|fc2)|multi_modal_projector\.linear_[12]|"
                   r"language_model.*_proj)")
        ranks = {"": (2, 4), r"vision_tower\..*": (1, 4), r"multi_modal_projector\..*": (3, 4)}
        adapt(model, folder, expected, all_inputs, ranks, targets)
    return write(folder, expected)


def check(folder):
    """The largest difference of the logits of a case, with and without its adapter, under the versions at hand."""
    from peft import PeftModel

    expected, file = load_file(folder / "expected.safetensors"), folder / "adapter.safetensors"
    model, worst = load(InternVLForConditionalGeneration, folder), 0.0
    for wanted in [expected] + ([load_file(file)] if file.exists() else []):
        if wanted is not expected:
            model = PeftModel.from_pretrained(model, folder / "adapter").eval()
        for name in [key.removesuffix(".input_ids") for key in expected if key.endswith(".input_ids")]:
            inputs = {key: expected[f"{name}.{key}"] for key in ["pixel_values"] if f"{name}.{key}" in expected}
            with torch.no_grad():
                logits = model(input_ids=expected[f"{name}.input_ids"][None], use_cache=False, **inputs).logits[0]
            worst = max(worst, float((logits - wanted[f"{name}.logits"]).abs().max()))
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = Path(__file__).resolve().parents[2]
    parser.add_argument("--out", type=Path, default=root / "mars-vlm/tests/fixtures/internvl")
    parser.add_argument("--check", action="store_true", help="compare what is there")
    args = parser.parse_args()
    out = args.out
    torch.set_num_threads(1)
    if args.check:
        read = [name for name, (*_, options) in CASES.items() if transformers.__version__ >= "5" or "newer" not in options]
        found = {name: check(out / name) for name in read}
        print(transformers.__version__, found)
        assert max(found.values()) < 1e-4
        return
    total = sum(make(name, 600 + n, out) for n, name in enumerate(CASES))
    print("bytes in all", total)
    assert total < IN_ALL, total


if __name__ == "__main__":
    main()
