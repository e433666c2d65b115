"""Writes tiny random checkpoints of LLaVA-1.5 and LLaVA-NeXT and what `transformers` computes on them.

Usage: HF_HUB_OFFLINE=1 python tests/oracle/llava.py [--out mars-vlm/tests/fixtures/llava] [--check]

Needs torch, transformers (4.57.3 was used), peft (0.18.1) and safetensors. `tiny.py` says what is written; cases whose
names begin with `next` are of LLaVA-NeXT. `--check` writes nothing and compares what is there with what other versions
compute (5.24.0: to 2e-5).
"""

import argparse
import json
from pathlib import Path

import torch
import transformers
from llava_onevision import renamed, words
from tiny import adapt, answers, check, compute, load, randomise, save, write
from transformers import (LlavaConfig, LlavaForConditionalGeneration, LlavaNextConfig,
                          LlavaNextForConditionalGeneration)

IN_ALL = 900_000
IMAGE = 37
# In the order of published files, for tiles of 1.
POINTS = [[1, 2], [2, 1], [2, 2], [3, 1], [1, 3]]


def clip(**changes):
    base = dict(model_type="clip_vision_model", hidden_size=12, intermediate_size=14, num_hidden_layers=3,
                num_attention_heads=2, image_size=6, patch_size=2, projection_dim=8, layer_norm_eps=1e-4)
    return base | changes


def siglip(**changes):
    base = dict(model_type="siglip_vision_model", hidden_size=12, intermediate_size=14, num_hidden_layers=2,
                num_attention_heads=3, image_size=6, patch_size=2, vision_use_head=False, layer_norm_eps=1e-4)
    return base | changes


def text(kind, **changes):
    base = dict(model_type=kind, hidden_size=16, intermediate_size=18, num_hidden_layers=2, num_attention_heads=4,
                num_key_value_heads=2, vocab_size=40, rope_theta=5000.0, rms_norm_eps=1e-3,
                max_position_embeddings=512, pad_token_id=0, bos_token_id=1, eos_token_id=2)
    return base | changes


# Case: configuration, samples as lists of images (height, width) between words, and how it is stored.
CASES = {
    # The form of LLaVA-1.5: the layer before the last without the class token; grouped queries, untied; names of
    # published checkpoints.
    "clip_llama": (
        dict(vision_config=clip(), text_config=text("llama")),
        {"one": [(6, 6)], "two": [(6, 6)] * 2, "words": []},
        {"style": "old", "adapter": True},
    ),
    # The class token is a feature, too; two layers side by side, a projector without biases and with another
    # activation; a patch that does not divide the tile; one key head, a window shorter than the samples.
    "clip_full": (
        dict(vision_config=clip(image_size=7, hidden_act="gelu"), vision_feature_layer=[-1, 1],
             vision_feature_select_strategy="full", multimodal_projector_bias=False,
             projector_hidden_act="gelu_pytorch_tanh",
             text_config=text("mistral", num_key_value_heads=1, head_dim=8, sliding_window=7)),
        {"one": [(7, 7)], "words": []},
        {"style": "4.57"},
    ),
    # SigLIP, all patches of the last layer; one key head per query head, tied; names of transformers 5.
    "siglip_qwen2": (
        dict(vision_config=siglip(), vision_feature_layer=-1, vision_feature_select_strategy="full",
             text_config=text("qwen2", num_key_value_heads=4, tie_word_embeddings=True)),
        {"one": [(6, 6)], "three": [(6, 6)] * 3},
        {"style": "5", "adapter": True},
    ),
    # SigLIP without its first patch, which `default` takes for a class token; a single block, biases, wide heads.
    "siglip_default": (
        dict(vision_config=siglip(num_hidden_layers=1, num_attention_heads=2), vision_feature_layer=-1,
             text_config=text("llama", num_attention_heads=2, num_key_value_heads=1, head_dim=12, attention_bias=True,
                              mlp_bias=True, num_hidden_layers=1)),
        {"one": [(6, 6)], "words": []},
        {"style": "old"},
    ),
    # The form of LLaVA-NeXT 7B: grouped queries of Mistral without a window, untied; bars on either side.
    "next_mistral": (
        dict(vision_config=clip(), text_config=text("mistral", sliding_window=None), image_grid_pinpoints=POINTS),
        {"wide": [(20, 50)], "two": [(42, 23), (5, 7)], "words": []},
        {"style": "old", "adapter": True},
    ),
    # One key head per query head, tied; a patch that does not divide the tile; features of the last layer.
    "next_llama": (
        dict(vision_config=clip(num_hidden_layers=2, image_size=7, num_attention_heads=3), vision_feature_layer=-1,
             text_config=text("llama", num_key_value_heads=4, tie_word_embeddings=True), image_grid_pinpoints=POINTS),
        {"tall": [(100, 13)], "words": []},
        {"style": "4.57"},
    ),
    # SigLIP, grouped queries of Qwen2, tied; several pictures.
    "next_qwen2": (
        dict(vision_config=siglip(), vision_feature_layer=-1, vision_feature_select_strategy="full",
             text_config=text("qwen2", tie_word_embeddings=True), image_grid_pinpoints=POINTS),
        {"square": [(24, 24)], "three": [(10, 10), (3, 8), (30, 8)]},
        {"style": "5"},
    ),
    # One key head; two layers side by side; a single resolution of one tile.
    "next_single": (
        dict(vision_config=clip(hidden_size=8), vision_feature_layer=[-2, -1],
             text_config=text("llama", num_attention_heads=2, num_key_value_heads=1), image_grid_pinpoints=[[1, 1]]),
        {"small": [(4, 5)], "two": [(6, 6), (2, 9)]},
        {"style": "5"},
    ),
    # Positions that are divided by a factor.
    "siglip_linear": (
        dict(vision_config=siglip(num_hidden_layers=1), vision_feature_layer=-1, vision_feature_select_strategy="full",
             text_config=text("llama", num_hidden_layers=1, rope_scaling={"rope_type": "linear", "factor": 4.0})),
        {"one": [(6, 6)], "words": []},
        {"style": "old"},
    ),
}


def classes(name):
    if name.startswith("next"):
        return LlavaNextForConditionalGeneration, LlavaNextConfig
    return LlavaForConditionalGeneration, LlavaConfig


def processor_files(folder, config, whole, following):
    tile, patch = config["vision_config"]["image_size"], config["vision_config"]["patch_size"]
    kind = "LlavaNextImageProcessor" if whole else "CLIPImageProcessor"
    settings = {"image_processor_type": kind, "size": {"shortest_edge": tile}, "do_center_crop": True,
                "crop_size": {"height": tile, "width": tile}}
    if whole:
        settings["image_grid_pinpoints"] = config["image_grid_pinpoints"]
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    (folder / "processor_config.json").write_text(json.dumps({
        "processor_class": "LlavaNextProcessor" if whole else "LlavaProcessor", "patch_size": patch,
        "num_additional_image_tokens": int(config["vision_config"]["model_type"] == "clip_vision_model"),
        "vision_feature_select_strategy": following,
    }))


def inputs_of(model, sizes, generator):
    """Random tiles in the form of the model."""
    if not sizes:
        return {}, None
    config = model.config
    tile = config.vision_config.image_size
    if config.model_type == "llava":
        pixels = torch.rand((len(sizes), 3, tile, tile), generator=generator) * 2 - 1
        return {"pixel_values": pixels}, pixels
    from transformers.models.llava_next.modeling_llava_next import image_size_to_num_patches
    counts = [image_size_to_num_patches(size, config.image_grid_pinpoints, tile) for size in sizes]
    pixels = [torch.rand((count, 3, tile, tile), generator=generator) * 2 - 1 for count in counts]
    return stacked(pixels, sizes), torch.cat(pixels)


def stacked(pixels, sizes):
    """What LLaVA-NeXT takes: the tiles of each image, with zeros after the last."""
    most = max(map(len, pixels))
    padded = [torch.nn.functional.pad(tiles, (0, 0, 0, 0, 0, 0, 0, most - len(tiles))) for tiles in pixels]
    return {"pixel_values": torch.stack(padded), "image_sizes": torch.tensor(sizes)}


def make(name, seed, out):
    config, samples, options = CASES[name]
    generator = torch.Generator().manual_seed(seed)
    folder = out / name
    # Version 4.57 ties by the decoder's flag, version 5 by that of LLaVA-NeXT itself.
    tied = config["text_config"].get("tie_word_embeddings", False)
    config = dict(config, image_token_index=IMAGE, tie_word_embeddings=tied)
    if "image_grid_pinpoints" in config:
        tile = config["vision_config"]["image_size"]
        config["image_grid_pinpoints"] = [[tile * r, tile * c] for r, c in config["image_grid_pinpoints"]]
    model_class, config_class = classes(name)
    # Building a configuration fills in its parts.
    model = model_class(config_class(**json.loads(json.dumps(config))))
    randomise(model, generator)
    model.tie_weights()
    save(model, folder)
    model = load(model_class, folder)
    save(model, folder, names=renamed(options["style"]))
    following = config.get("vision_feature_select_strategy", "default")
    processor_files(folder, config, name.startswith("next"), following)
    depth = config["vision_config"]["num_hidden_layers"]
    layers = config.get("vision_feature_layer", -2)
    used = max(layer % (depth + 1) for layer in (layers if isinstance(layers, list) else [layers]))
    idle = [f"encoder.layers.{n}" for n in range(used, depth)]
    expected, all_inputs = {}, {}
    for sample, sizes in samples.items():
        inputs, pixels = inputs_of(model, sizes, generator)
        features = None
        if sizes:
            with torch.no_grad():
                features = list(model.model.get_image_features(**inputs))
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


def inputs_again(model, ids, pixels, sizes):
    """The inputs of a sample from what is stored of it."""
    if pixels is None:
        return {}
    if model.config.model_type == "llava":
        return {"pixel_values": pixels}
    from transformers.models.llava_next.modeling_llava_next import image_size_to_num_patches
    tile, points = pixels.shape[-1], model.config.image_grid_pinpoints
    sizes = sizes.tolist()
    return stacked(list(pixels.split([image_size_to_num_patches(size, points, tile) for size in sizes])), sizes)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = Path(__file__).resolve().parents[2]
    parser.add_argument("--out", type=Path, default=root / "mars-vlm/tests/fixtures/llava")
    parser.add_argument("--check", action="store_true", help="compare what is there")
    args = parser.parse_args()
    out = args.out
    torch.set_num_threads(1)
    if args.check:
        # What version 5 calls its own is not read by older ones.
        newer = transformers.__version__ >= "5"
        names = [name for name, case in CASES.items() if newer or case[2]["style"] != "5"]
        found = {name: check(classes(name)[0], out / name, inputs_again) for name in names}
        print(transformers.__version__, found)
        assert max(found.values()) < 1e-4
        return
    total = sum(make(name, 600 + n, out) for n, name in enumerate(CASES))
    print("bytes in all", total)
    assert total < IN_ALL, total


if __name__ == "__main__":
    main()
