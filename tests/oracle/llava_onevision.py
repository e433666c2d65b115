"""Writes tiny random LLaVA-OneVision checkpoints and what `transformers` computes on them.

Usage: HF_HUB_OFFLINE=1 python tests/oracle/llava_onevision.py [--out mars-vlm/tests/fixtures/llava_onevision] [--check]

Needs torch, transformers (4.57.3 was used), peft (0.18.1) and safetensors. `tiny.py` says what is written.
`--check` writes nothing and compares what is there with what other versions compute (5.24.0: to 2e-5).
"""

import argparse
import json
from pathlib import Path

import torch
import transformers
from tiny import adapt, answers, check, compute, load, randomise, save, write
from transformers import LlavaOnevisionConfig, LlavaOnevisionForConditionalGeneration

IN_ALL = 330_000
IMAGE = 37


def vision(**changes):
    base = dict(model_type="siglip_vision_model", hidden_size=12, intermediate_size=14, num_hidden_layers=2,
                num_attention_heads=2, image_size=6, patch_size=2, vision_use_head=False, layer_norm_eps=1e-4)
    return base | changes


def text(**changes):
    base = dict(model_type="qwen2", hidden_size=16, intermediate_size=18, num_hidden_layers=2,
                num_attention_heads=4, num_key_value_heads=2, vocab_size=40, rope_theta=5000.0,
                rms_norm_eps=1e-3, max_position_embeddings=512, pad_token_id=0, bos_token_id=1, eos_token_id=2)
    return base | changes


def points(tile, most):
    return [[tile * r, tile * c] for r in range(1, most + 1) for c in range(1, most + 1)]


def words(count, generator):
    return torch.randint(3, IMAGE, (count,), generator=generator).tolist()


# Case: configuration, samples as lists of images (height, width) between words, and how it is stored.
CASES = {
    # Grouped queries, tied head; bars above and below, and beside; names of published checkpoints.
    "gqa_tied": (
        dict(vision_config=vision(), text_config=text(tie_word_embeddings=True), image_grid_pinpoints=points(6, 3)),
        {"wide": [(20, 50)], "tall": [(42, 23)], "words": []},
        {"style": "old", "adapter": True},
    ),
    # One key head per query head, untied head; a patch size that does not divide the tile; several images; a
    # picture that is reduced (anyres_max_1).
    "mha_several": (
        dict(vision_config=vision(image_size=7, num_attention_heads=3),
             text_config=text(num_key_value_heads=4, head_dim=6, rope_theta=10000.0),
             image_grid_pinpoints=points(7, 3), vision_aspect_ratio="anyres_max_1"),
        {"reduced": [(40, 33)], "two": [(9, 30), (25, 14)], "small": [(5, 7)]},
        {"style": "4.57"},
    ),
    # One key head, features of the layer before the last, another activation; a long sequence.
    "mqa_layer": (
        dict(vision_config=vision(num_hidden_layers=3, hidden_act="gelu"), vision_feature_layer=-2,
             text_config=text(num_key_value_heads=1, num_attention_heads=2), image_grid_pinpoints=points(6, 4),
             vision_aspect_ratio="anyres_max_4", projector_hidden_act="gelu_pytorch_tanh"),
        {"panorama": [(13, 100)], "three": [(10, 10), (3, 8), (8, 3)]},
        {"style": "4.57"},
    ),
    # Features of two layers side by side, a projector without biases, names of transformers 5.
    "two_layers": (
        dict(vision_config=vision(hidden_size=8), vision_feature_layer=[-2, -1], multimodal_projector_bias=False,
             text_config=text(num_attention_heads=2, tie_word_embeddings=True), image_grid_pinpoints=points(6, 2)),
        {"square": [(24, 24)], "words": []},
        {"style": "5"},
    ),
}


def renamed(style):
    """From the names that `save_pretrained` of 4.57 gives (those of published checkpoints) to others."""
    def name(old):
        if style == "old":
            return old
        for before, after in [("language_model.model.", "model.language_model."), ("language_model.lm_head", "lm_head"),
                              ("vision_tower.", "model.vision_tower."), ("image_newline", "model.image_newline"),
                              ("multi_modal_projector.", "model.multi_modal_projector.")]:
            if old.startswith(before):
                old = after + old.removeprefix(before)
                break
        return old.replace("vision_tower.vision_model.", "vision_tower.") if style == "5" else old
    return name


def processor_files(folder, config):
    tile, patch = config["vision_config"]["image_size"], config["vision_config"]["patch_size"]
    (folder / "preprocessor_config.json").write_text(json.dumps({
        "image_processor_type": "LlavaOnevisionImageProcessor", "size": {"height": tile, "width": tile},
        "image_grid_pinpoints": config["image_grid_pinpoints"], "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
    }))
    (folder / "processor_config.json").write_text(json.dumps({
        "processor_class": "LlavaOnevisionProcessor", "num_image_tokens": (tile // patch) ** 2,
        "vision_aspect_ratio": config.get("vision_aspect_ratio", "anyres_max_9"),
        "vision_feature_select_strategy": "full",
    }))


def inputs_of(model, sizes, generator):
    """Random tiles in the form of the model, and the features that replace image tokens."""
    if not sizes:
        return {}, None, None
    tile = model.config.vision_config.image_size
    from transformers.models.llava_onevision.modeling_llava_onevision import image_size_to_num_patches
    counts = [image_size_to_num_patches(size, model.config.image_grid_pinpoints, tile) if len(sizes) == 1 else 1
              for size in sizes]
    pixels = [torch.rand((count, 3, tile, tile), generator=generator) * 2 - 1 for count in counts]
    inputs = {"pixel_values": torch.stack(pixels), "image_sizes": torch.tensor(sizes),
              "batch_num_images": torch.tensor([len(sizes)])}
    with torch.no_grad():
        features = model.model.get_image_features(
            inputs["pixel_values"], inputs["image_sizes"], batch_num_images=inputs["batch_num_images"])
    return inputs, features, torch.cat(pixels)


def inputs_again(model, ids, pixels, sizes):
    """The inputs of a sample from what is stored of it."""
    if pixels is None:
        return {}
    images = pixels[None] if len(sizes) == 1 else pixels[:, None]
    return {"pixel_values": images, "image_sizes": sizes, "batch_num_images": torch.tensor([len(sizes)])}


def make(name, seed, out):
    config, samples, options = CASES[name]
    generator = torch.Generator().manual_seed(seed)
    folder = out / name
    config = dict(config, image_token_index=IMAGE, video_token_index=IMAGE + 1, tie_word_embeddings=False)
    model = LlavaOnevisionForConditionalGeneration(LlavaOnevisionConfig(**config))
    randomise(model, generator)
    model.tie_weights()
    save(model, folder)
    model = load(LlavaOnevisionForConditionalGeneration, folder)
    save(model, folder, names=renamed(options["style"]))
    processor_files(folder, config)
    depth = config["vision_config"]["num_hidden_layers"]
    layers = config.get("vision_feature_layer", -1)
    used = max(layer % (depth + 1) for layer in (layers if isinstance(layers, list) else [layers]))
    idle = [f"encoder.layers.{n}" for n in range(used, depth)]
    expected, all_inputs = {}, {}
    for sample, sizes in samples.items():
        inputs, features, pixels = inputs_of(model, sizes, generator)
        ids = words(3, generator)
        for image in features or []:
            ids += [IMAGE] * len(image) + words(2, generator)
        ids += words(7, generator)
        entry = {"input_ids": torch.tensor(ids), "answers": answers(ids, IMAGE, generator)}
        if sizes:
            entry |= {"image_sizes": torch.tensor(sizes), "pixel_values": pixels}
        first = features and not expected
        expected[sample] = compute(model, entry, inputs, torch.cat(features) if first else None, idle)
        all_inputs[sample] = inputs
    if options.get("adapter"):
        targets = (r".*(vision_tower.*\.(q_proj|k_proj|v_proj|out_proj|fc1|fc2)|multi_modal_projector\.linear_[12]"
                   r"|language_model.*_proj)")
        ranks = {"": (2, 4), r"vision_tower\..*": (1, 4), r"multi_modal_projector\..*": (3, 4)}
        adapt(model, folder, expected, all_inputs, ranks, targets)
    return write(folder, expected)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = Path(__file__).resolve().parents[2]
    parser.add_argument("--out", type=Path, default=root / "mars-vlm/tests/fixtures/llava_onevision")
    parser.add_argument("--check", action="store_true", help="compare what is there")
    args = parser.parse_args()
    out = args.out
    torch.set_num_threads(1)
    if args.check:
        found = {name: check(LlavaOnevisionForConditionalGeneration, out / name, inputs_again) for name in CASES}
        print(transformers.__version__, found)
        assert max(found.values()) < 1e-4
        return
    total = sum(make(name, 200 + n, out) for n, name in enumerate(CASES))
    print("bytes in all", total)
    assert total < IN_ALL, total


if __name__ == "__main__":
    main()
