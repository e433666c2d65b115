"""Writes tiny random Qwen2-VL and Qwen2.5-VL checkpoints and what `transformers` computes on them.

Usage: HF_HUB_OFFLINE=1 python tests/oracle/qwen2_vl.py [--out mars-vlm/tests/fixtures/qwen2_vl] [--check]

Needs torch, transformers (4.57.3 was used), peft (0.18.1) and safetensors. `tiny.py` says what is written; here
`s.image_sizes` are multiples of a token's side, so that no resize is needed.
`--check` writes nothing and compares what is there with what other versions compute (5.24.0: to 2e-5).
"""

import argparse
import json
from pathlib import Path

import torch
import transformers
from tiny import adapt, answers, check, compute, load, randomise, save, write
from transformers import (Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2VLConfig,
                          Qwen2VLForConditionalGeneration)

IN_ALL = 500_000
IMAGE, START, END, VIDEO = 36, 37, 38, 39
PATCH, MERGE = 2, 2


def newer(**changes):
    base = dict(depth=3, hidden_size=8, intermediate_size=14, num_heads=2, patch_size=PATCH, spatial_merge_size=MERGE,
                temporal_patch_size=2, window_size=2 * PATCH * MERGE, fullatt_block_indexes=[1], out_hidden_size=16)
    return base | changes


def older(**changes):
    base = dict(depth=2, embed_dim=8, hidden_size=16, mlp_ratio=2, num_heads=2, patch_size=PATCH,
                spatial_merge_size=MERGE, temporal_patch_size=2)
    return base | changes


def text(**changes):
    base = dict(hidden_size=16, intermediate_size=18, num_hidden_layers=2, num_attention_heads=2,
                num_key_value_heads=1, vocab_size=40, rope_theta=5000.0, rms_norm_eps=1e-3,
                max_position_embeddings=512, pad_token_id=0, bos_token_id=1, eos_token_id=2,
                rope_scaling={"type": "mrope", "mrope_section": [1, 2, 1]})
    return base | changes


# Case: family, configuration, samples as lists of images (height, width in tokens), and how it is stored.
CASES = {
    # Grouped queries, tied head, windows that the image does not fill; names and flat configuration of
    # published checkpoints.
    "windows_tied": (
        "2.5", dict(vision_config=newer(), text_config=text(tie_word_embeddings=True)),
        {"wide": [(3, 5)], "two": [(2, 2), (5, 4)], "words": []},
        {"style": "old", "flat": True, "adapter": True},
    ),
    # One key head per query head, untied head, windows of 3 tokens, every block with windows.
    "mha_untied": (
        "2.5", dict(vision_config=newer(window_size=3 * PATCH * MERGE, fullatt_block_indexes=[], num_heads=1, depth=2),
                    text_config=text(num_key_value_heads=4, num_attention_heads=4, rope_theta=1e6,
                                     rope_scaling={"type": "mrope", "mrope_section": [1, 1, 0]})),
        {"tall": [(7, 2)], "first": [(1, 1)]},
        {"style": "new"},
    ),
    # Four query heads for two key heads; merging 1 by 1, a head of 8 in the encoder.
    "no_merge": (
        "2.5", dict(vision_config=newer(spatial_merge_size=1, window_size=2 * PATCH, num_heads=1, depth=2),
                    text_config=text(num_attention_heads=4, num_key_value_heads=2,
                                     rope_scaling={"type": "mrope", "mrope_section": [0, 1, 1]})),
        {"square": [(4, 4)], "three": [(2, 3), (1, 4), (3, 3)]},
        {"style": "new"},
    ),
    # Windows larger than the image, another activation; one query head.
    "one_head": (
        "2.5", dict(vision_config=newer(window_size=8 * PATCH * MERGE, hidden_act="gelu", depth=2),
                    text_config=text(num_attention_heads=1, tie_word_embeddings=True, num_hidden_layers=1,
                                     rope_scaling={"type": "mrope", "mrope_section": [2, 3, 3]})),
        {"wide": [(2, 6)], "words": []},
        {"style": "old"},
    ),
    "older_tied": (
        "2", dict(vision_config=older(), text_config=text(tie_word_embeddings=True)),
        {"wide": [(2, 5)], "two": [(3, 1), (2, 2)], "words": []},
        {"style": "old", "flat": True, "adapter": True},
    ),
    "older_mha": (
        "2", dict(vision_config=older(num_heads=1, mlp_ratio=1.5, depth=3),
                  text_config=text(num_key_value_heads=2, rope_theta=10000.0)),
        {"tall": [(6, 2)], "first": [(1, 3)]},
        {"style": "new"},
    ),
    # Six query heads for two key heads, untied; several images, one of a single token, and words alone.
    "older_grouped": (
        "2", dict(vision_config=older(num_heads=1, hidden_size=24),
                  text_config=text(hidden_size=24, intermediate_size=14, num_attention_heads=6, num_key_value_heads=2,
                                   num_hidden_layers=1, rope_theta=1e6,
                                   rope_scaling={"type": "mrope", "mrope_section": [1, 0, 1]})),
        {"four": [(1, 1), (2, 3), (4, 1), (1, 2)], "words": []},
        {"style": "old"},
    ),
    # Three query heads for one key head, tied; merging 1 by 1, one block and another activation in the encoder.
    "older_no_merge": (
        "2", dict(vision_config=older(spatial_merge_size=1, depth=1, mlp_ratio=3, hidden_act="gelu", hidden_size=12),
                  text_config=text(hidden_size=12, intermediate_size=16, num_attention_heads=3, num_key_value_heads=1,
                                   tie_word_embeddings=True,
                                   rope_scaling={"type": "mrope", "mrope_section": [0, 1, 1]})),
        {"square": [(4, 4)], "two": [(2, 5), (3, 2)], "words": []},
        {"style": "new", "flat": True},
    ),
}
FAMILIES = {
    "2": ("qwen2_vl", Qwen2VLConfig, Qwen2VLForConditionalGeneration),
    "2.5": ("qwen2_5_vl", Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration),
}


def renamed(style):
    """From the names that `save_pretrained` of 4.57 gives (those of published checkpoints) to those in memory."""
    def name(old):
        if style == "old" or old.startswith("lm_head"):
            return old
        return "model." + (old if old.startswith("visual") else "language_" + old)
    return name


def flat(config):
    """The language model's part beside the others, as published files have it."""
    part = config.pop("text_config")
    config.update({key: value for key, value in part.items() if key not in ("model_type", "architectures")})
    return config


def processor_files(folder, merge):
    (folder / "preprocessor_config.json").write_text(json.dumps({
        "image_processor_type": "Qwen2VLImageProcessor", "patch_size": PATCH, "merge_size": merge,
        "temporal_patch_size": 2, "min_pixels": 16, "max_pixels": 10**6,
    }))


def draw(sample, sizes, merge, generator):
    """A sample about images of these heights and widths in tokens, and the model's inputs beside its ids."""
    words = lambda count: torch.randint(3, IMAGE, (count,), generator=generator).tolist()
    ids = words(0 if sample == "first" else 3)
    for height, width in sizes:
        ids += [START] + [IMAGE] * (height * width) + [END] + words(2)
    ids += words(6)
    entry, inputs = {"input_ids": torch.tensor(ids), "answers": answers(ids, IMAGE, generator)}, {}
    if sizes:
        grids = torch.tensor([[1, height * merge, width * merge] for height, width in sizes])
        # An image repeats itself in time; others would hide that both halves of the kernel count.
        frame = torch.randn((int(grids.prod(1).sum()), 3, 1, PATCH * PATCH), generator=generator)
        pixels = frame.expand(-1, -1, 2, -1).reshape(len(frame), -1).contiguous()
        inputs = {"pixel_values": pixels, "image_grid_thw": grids}
        entry |= {"image_sizes": torch.tensor(sizes) * merge * PATCH, "pixel_values": pixels}
    return entry, inputs


def inputs_again(model, ids, pixels, sizes):
    """The inputs of a sample from what is stored of it."""
    inputs = {"attention_mask": torch.ones_like(ids)[None]}
    if transformers.__version__ >= "5":
        inputs["mm_token_type_ids"] = (ids[None] == IMAGE).int()
    if pixels is not None:
        grids = torch.nn.functional.pad(sizes // PATCH, (1, 0), value=1)
        inputs |= {"pixel_values": pixels, "image_grid_thw": grids}
    return inputs


def make(name, seed, out):
    family, config, samples, options = CASES[name]
    model_type, config_class, model_class = FAMILIES[family]
    generator = torch.Generator().manual_seed(seed)
    folder = out / name
    merge = config["vision_config"]["spatial_merge_size"]
    tied = config["text_config"].get("tie_word_embeddings", False)
    config = dict(config, image_token_id=IMAGE, vision_start_token_id=START, vision_end_token_id=END,
                  video_token_id=VIDEO, tie_word_embeddings=tied)
    model = model_class(config_class(**config))
    randomise(model, generator)
    model.tie_weights()
    save(model, folder)
    model = load(model_class, folder)
    save(model, folder, names=renamed(options["style"]), config=flat if options.get("flat") else None)
    assert json.loads((folder / "config.json").read_text())["model_type"] == model_type
    processor_files(folder, merge)
    expected, all_inputs = {}, {}
    for sample, sizes in samples.items():
        (entry, inputs), features = draw(sample, sizes, merge, generator), None
        if inputs:
            with torch.no_grad():
                features = torch.cat(model.model.get_image_features(*inputs.values()))
        expected[sample] = compute(model, entry, inputs, features if not expected else None)
        all_inputs[sample] = inputs
    if options.get("adapter"):
        targets = (r".*(visual\.blocks\..*(qkv|attn\.proj|gate_proj|up_proj|down_proj|fc1|fc2)|merger\.mlp\.[02]"
                   r"|language_model.*_proj)")
        ranks = {"": (2, 4), r"visual\.blocks\..*": (1, 4), r"visual\.merger\..*": (3, 4)}
        adapt(model, folder, expected, all_inputs, ranks, targets)
    return write(folder, expected)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = Path(__file__).resolve().parents[2]
    parser.add_argument("--out", type=Path, default=root / "mars-vlm/tests/fixtures/qwen2_vl")
    parser.add_argument("--check", action="store_true", help="compare what is there")
    args = parser.parse_args()
    out = args.out
    torch.set_num_threads(1)
    if args.check:
        # Version 5 takes whole numbers as ratio only.
        names = [name for name, case in CASES.items() if case[1]["vision_config"].get("mlp_ratio", 1) % 1 == 0]
        found = {name: check(FAMILIES[CASES[name][0]][2], out / name, inputs_again) for name in names}
        print(transformers.__version__, found)
        assert max(found.values()) < 1e-4
        return
    total = sum(make(name, 300 + n, out) for n, name in enumerate(CASES))
    print("bytes in all", total)
    assert total < IN_ALL, total


if __name__ == "__main__":
    main()
