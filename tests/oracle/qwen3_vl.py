"""Writes tiny random Qwen3-VL checkpoints and what `transformers` computes on them.

Usage: HF_HUB_OFFLINE=1 python tests/oracle/qwen3_vl.py [--out mars-vlm/tests/fixtures/qwen3_vl] [--check]

Needs torch, transformers (4.57.3 was used), peft (0.18.1) and safetensors. `tiny.py` says what is written; here
`s.image_sizes` are multiples of a token's side, so that no resize is needed, and `s.features` are those of the last state.
`--check` writes nothing and compares what is there with what other versions compute (5.24.0 with peft 0.21.2: to 2e-5).
"""

import argparse
import json
from pathlib import Path

import torch
import transformers
from qwen2_vl import END, IMAGE, MERGE, PATCH, START, VIDEO, draw, inputs_again
from tiny import adapt, check, compute, load, randomise, save, write
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

IN_ALL = 500_000


def vision(**changes):
    base = dict(depth=3, hidden_size=8, intermediate_size=14, num_heads=2, patch_size=PATCH, spatial_merge_size=MERGE,
                temporal_patch_size=2, out_hidden_size=16, num_position_embeddings=25, deepstack_visual_indexes=[0, 1])
    return base | changes


def text(section, **changes):
    base = dict(hidden_size=16, intermediate_size=18, num_hidden_layers=3, num_attention_heads=2,
                num_key_value_heads=1, head_dim=12, vocab_size=40, rope_theta=5000.0, rms_norm_eps=1e-3,
                max_position_embeddings=512, pad_token_id=0, bos_token_id=1, eos_token_id=2,
                rope_scaling={"rope_type": "default", "mrope_interleaved": True, "mrope_section": section})
    return base | changes


# Case: configuration, samples as lists of images (height, width in tokens), and how it is stored.
CASES = {
    # Grouped queries, heads wider than their share of the width, tied; an earlier state and the last one; images larger and
    # smaller than the table of positions.
    "tied_grouped": (
        dict(vision_config=vision(deepstack_visual_indexes=[0, 2]), text_config=text([3, 2, 1], tie_word_embeddings=True)),
        {"wide": [(2, 5)], "two": [(2, 2), (5, 4)], "words": []},
        {"adapter": True},
    ),
    # One key head per query head, untied, biases; one feature; more rows than columns.
    "untied_mha": (
        dict(vision_config=vision(depth=2, deepstack_visual_indexes=[1], num_heads=1, num_position_embeddings=16),
             text_config=text([2, 1, 1], num_attention_heads=4, num_key_value_heads=4, head_dim=8, attention_bias=True,
                              num_hidden_layers=2)),
        {"tall": [(7, 2)], "first": [(1, 1)]},
        {"adapter": True},
    ),
    # Six query heads for two key heads; three features, whose mergers are not in the order of their blocks; several images,
    # one of a single token, and words alone. A table of which the largest square is used. Names of transformers 5.
    "three_deep": (
        dict(vision_config=vision(depth=4, num_heads=1, out_hidden_size=24, num_position_embeddings=11,
                                  deepstack_visual_indexes=[2, 0, 1]),
             text_config=text([1, 3, 2], hidden_size=24, intermediate_size=14, num_attention_heads=6,
                              num_key_value_heads=2, rope_theta=5e6)),
        {"four": [(1, 1), (2, 3), (4, 1), (1, 2)], "words": []},
        {"newer": True},
    ),
    # Four query heads for one key head, tied; merging 1 by 1, other activations, as many features as the decoder has blocks.
    "no_merge": (
        dict(vision_config=vision(spatial_merge_size=1, depth=2, hidden_act="gelu", num_position_embeddings=9),
             text_config=text([0, 2, 2], num_attention_heads=4, num_key_value_heads=1, head_dim=8, num_hidden_layers=2,
                              tie_word_embeddings=True)),
        {"square": [(4, 4)], "three": [(2, 3), (1, 4), (3, 1)]},
        {"newer": True},
    ),
    # No feature but that of the last state; one query head, untied.
    "plain": (
        dict(vision_config=vision(depth=1, deepstack_visual_indexes=[], num_position_embeddings=4),
             text_config=text([4, 2, 2], num_attention_heads=1, head_dim=16, num_hidden_layers=1)),
        {"wide": [(2, 6)], "words": []},
        {},
    ),
}


def newer(config):
    """The settings of rotary positions as transformers 5 writes them."""
    part = config["text_config"]
    part["rope_parameters"] = part.pop("rope_scaling") | {"rope_theta": part.pop("rope_theta")}
    return config


def processor_files(folder, merge):
    (folder / "preprocessor_config.json").write_text(json.dumps({
        "image_processor_type": "Qwen2VLImageProcessorFast", "patch_size": PATCH, "merge_size": merge,
        "temporal_patch_size": 2, "size": {"shortest_edge": 4, "longest_edge": 10**6}, "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
    }))


def make(name, seed, out):
    config, samples, options = CASES[name]
    generator = torch.Generator().manual_seed(seed)
    folder = out / name
    merge = config["vision_config"]["spatial_merge_size"]
    tied = config["text_config"].get("tie_word_embeddings", False)
    config = dict(config, image_token_id=IMAGE, vision_start_token_id=START, vision_end_token_id=END,
                  video_token_id=VIDEO, tie_word_embeddings=tied)
    model = Qwen3VLForConditionalGeneration(Qwen3VLConfig(**config))
    randomise(model, generator)
    model.tie_weights()
    save(model, folder)
    model = load(Qwen3VLForConditionalGeneration, folder)
    save(model, folder, config=newer if options.get("newer") else None)
    processor_files(folder, merge)
    expected, all_inputs = {}, {}
    for sample, sizes in samples.items():
        (entry, inputs), features = draw(sample, sizes, merge, generator), None
        if inputs:
            with torch.no_grad():
                features = torch.cat(model.model.get_image_features(*inputs.values())[0])
        # As the processor gives it. Without one, and without a cache, 4.57.3 takes the tokens of an image, which share their
        # time, for packed sequences that do not see each other (transformers 44158, mended there).
        inputs["attention_mask"] = torch.ones_like(entry["input_ids"])[None]
        expected[sample] = compute(model, entry, inputs, features if not expected else None)
        all_inputs[sample] = inputs
    if options.get("adapter"):
        targets = (r".*(visual\.blocks\..*(qkv|attn\.proj|linear_fc[12])|visual\.(merger|deepstack_merger_list\.\d)\."
                   r"linear_fc[12]|language_model.*_proj)")
        ranks = {"": (2, 4), r"visual\.blocks\..*": (1, 4), r"visual\.(merger|deepstack_merger_list)\..*": (3, 4)}
        adapt(model, folder, expected, all_inputs, ranks, targets)
    return write(folder, expected)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = Path(__file__).resolve().parents[2]
    parser.add_argument("--out", type=Path, default=root / "mars-vlm/tests/fixtures/qwen3_vl")
    parser.add_argument("--check", action="store_true", help="compare what is there")
    args = parser.parse_args()
    out = args.out
    torch.set_num_threads(1)
    if args.check:
        found = {name: check(Qwen3VLForConditionalGeneration, out / name, inputs_again) for name in CASES}
        print(transformers.__version__, found)
        assert max(found.values()) < 1e-4
        return
    total = sum(make(name, 500 + n, out) for n, name in enumerate(CASES))
    print("bytes in all", total)
    assert total < IN_ALL, total


if __name__ == "__main__":
    main()
