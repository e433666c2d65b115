"""Searches on a tiny random model of every family, and `transformers` and `peft` on what they leave.

Usage: HF_HUB_OFFLINE=1 python tests/oracle/end_to_end.py --mars target/release/mars [--tolerance 1e-4]

For each family: writes a random checkpoint with the tokenizer of `assets/model`, runs `mars search` with adapters on
all modules that have layers for the digits, and compares the loss of every test sample by `mars eval --json`,
without and with the adapter, with what `adapter_losses.py` computes. Needs torch, torchvision, transformers (4.57 or
5), peft, pillow, safetensors.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from transformers import (Gemma3Config, Gemma3ForConditionalGeneration, InternVLConfig, InternVLForConditionalGeneration, LlavaConfig,
                          LlavaForConditionalGeneration, LlavaNextConfig, LlavaNextForConditionalGeneration,
                          LlavaOnevisionConfig, LlavaOnevisionForConditionalGeneration, Qwen2_5_VLConfig,
                          Qwen2_5_VLForConditionalGeneration, Qwen2VLConfig, Qwen2VLForConditionalGeneration,
                          Qwen3VLConfig, Qwen3VLForConditionalGeneration)

ROOT = Path(__file__).resolve().parents[2]
ASSETS = ROOT / "assets"
POINTS = [[24, 24], [24, 48]]
SAMPLES = {"train": 48, "val": 12, "test": 24}


def text(**more):
    return dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
                num_key_value_heads=2, max_position_embeddings=256) | more


def clip():
    return dict(model_type="clip_vision_model", hidden_size=24, intermediate_size=32, num_hidden_layers=3,
                num_attention_heads=2, image_size=24, patch_size=8, projection_dim=8)


def llava_files(kind, **images):
    """Settings of images and of the processor of LLaVA and LLaVA-NeXT."""
    return ({"image_processor_type": f"{'CLIP' if kind == 'Llava' else kind}ImageProcessor", "do_center_crop": True,
             "size": {"shortest_edge": 24}, "crop_size": {"height": 24, "width": 24}} | images,
            {"processor_class": f"{kind}Processor", "patch_size": 8, "num_additional_image_tokens": 1,
             "vision_feature_select_strategy": "default"})


FAMILIES = {
    "llava": (LlavaConfig, LlavaForConditionalGeneration,
              dict(text_config=text(model_type="llama"), vision_config=clip()), *llava_files("Llava")),
    "llava_next": (LlavaNextConfig, LlavaNextForConditionalGeneration,
                   dict(text_config=text(model_type="mistral", sliding_window=None), vision_config=clip(),
                        image_grid_pinpoints=POINTS), *llava_files("LlavaNext", image_grid_pinpoints=POINTS)),
    "llava_onevision": (
        LlavaOnevisionConfig, LlavaOnevisionForConditionalGeneration,
        dict(text_config=text(model_type="qwen2"), image_grid_pinpoints=POINTS, vision_config=dict(
            model_type="siglip_vision_model", hidden_size=24, intermediate_size=32, num_hidden_layers=2,
            num_attention_heads=2, image_size=24, patch_size=8, vision_use_head=False)),
        {"image_processor_type": "LlavaOnevisionImageProcessor", "size": {"height": 24, "width": 24},
         "image_grid_pinpoints": POINTS},
        {"processor_class": "LlavaOnevisionProcessor", "num_image_tokens": 9, "vision_aspect_ratio": "anyres_max_9",
         "vision_feature_select_strategy": "full"},
    ),
    "qwen2_5_vl": (
        Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration,
        dict(text_config=text(rope_scaling={"type": "mrope", "mrope_section": [2, 1, 1]}), vision_config=dict(
            depth=2, hidden_size=16, intermediate_size=24, num_heads=2, patch_size=6, window_size=12,
            fullatt_block_indexes=[1], out_hidden_size=32)),
        {"image_processor_type": "Qwen2VLImageProcessor", "patch_size": 6, "min_pixels": 144, "max_pixels": 10000,
         "size": {"shortest_edge": 144, "longest_edge": 10000}},
        {"processor_class": "Qwen2_5_VLProcessor"},
    ),
    "qwen2_vl": (
        Qwen2VLConfig, Qwen2VLForConditionalGeneration,
        dict(text_config=text(rope_scaling={"type": "mrope", "mrope_section": [2, 1, 1]}), vision_config=dict(
            depth=2, embed_dim=16, hidden_size=32, mlp_ratio=2, num_heads=2, patch_size=6)),
        {"image_processor_type": "Qwen2VLImageProcessor", "patch_size": 6, "min_pixels": 144, "max_pixels": 10000,
         "size": {"shortest_edge": 144, "longest_edge": 10000}},
        {"processor_class": "Qwen2VLProcessor"},
    ),
    "qwen3_vl": (
        Qwen3VLConfig, Qwen3VLForConditionalGeneration,
        dict(text_config=text(head_dim=12, rope_scaling={
            "rope_type": "default", "mrope_interleaved": True, "mrope_section": [2, 2, 2]}),
             vision_config=dict(depth=3, hidden_size=16, intermediate_size=24, num_heads=2, patch_size=6,
                                out_hidden_size=32, num_position_embeddings=16, deepstack_visual_indexes=[0, 1])),
        {"image_processor_type": "Qwen2VLImageProcessorFast", "patch_size": 6, "image_mean": [0.5] * 3,
         "image_std": [0.5] * 3, "size": {"shortest_edge": 1440, "longest_edge": 10000}},
        {"processor_class": "Qwen3VLProcessor"},
    ),
    # Four tiles and the whole image.
    "internvl": (
        InternVLConfig, InternVLForConditionalGeneration,
        dict(text_config=text(model_type="qwen3", head_dim=12), vision_config=dict(
            hidden_size=24, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=[12, 12],
            patch_size=[3, 3], use_qk_norm=True, norm_type="rms_norm")),
        {"image_processor_type": "GotOcr2ImageProcessorFast", "size": {"height": 12, "width": 12}, "crop_to_patches": False,
         "min_patches": 1, "max_patches": 4, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]},
        {"processor_class": "InternVLProcessor", "image_seq_length": 4},
    ),
    # A window that is shorter than the text and as long as a picture.
    "gemma3": (
        Gemma3Config, Gemma3ForConditionalGeneration,
        dict(mm_tokens_per_image=4, text_config=text(head_dim=8, query_pre_attn_scalar=8, sliding_window=4,
                                                     sliding_window_pattern=2, num_hidden_layers=3),
             vision_config=dict(model_type="siglip_vision_model", hidden_size=24, intermediate_size=32,
                                num_hidden_layers=2, num_attention_heads=2, image_size=24, patch_size=6,
                                vision_use_head=False)),
        {"image_processor_type": "Gemma3ImageProcessor", "size": {"height": 24, "width": 24}},
        {"processor_class": "Gemma3Processor", "image_seq_length": 4},
    ),
}
MODULES = {"gemma3": ["ve", "llm"]}
NAMED = {"boi_token": "<start_of_image>", "image_token": "<image_soft_token>", "eoi_token": "<end_of_image>"}


def files(family):
    """Folder of the tokenizer and template, the image token, and the one before it."""
    if family.startswith("llava"):
        return ASSETS / "model", "<image>", None
    if family == "internvl":
        return ROOT / "mars-vlm/tests/fixtures/internvl_processor/model", "<IMG_CONTEXT>", None
    if family == "gemma3":
        return ROOT / "mars-vlm/tests/fixtures/gemma3_processor/model", "<image_soft_token>", None
    # The class of the family's tokenizer insists on bytes as its alphabet.
    return ROOT / "mars-vlm/tests/fixtures/families/qwen", "<|image_pad|>", "<|vision_start|>"


def write_model(folder, family):
    config_class, model_class, config, images, processor = FAMILIES[family]
    source, image, start = files(family)
    tokens = json.loads((source / "tokenizer.json").read_text())
    ids = {entry["content"]: entry["id"] for entry in tokens["added_tokens"]}
    size = max([*ids.values(), *tokens["model"]["vocab"].values()]) + 1
    config = dict(config, tie_word_embeddings=family == "gemma3")
    if start:
        config |= {"image_token_id": ids[image], "vision_start_token_id": ids[start],
                   "vision_end_token_id": ids["<|vision_end|>"], "video_token_id": ids["<|video_pad|>"]}
    elif family == "internvl":
        config |= {"image_token_id": ids[image]}
    elif family == "gemma3":
        config |= {"image_token_index": ids[image]}
    else:
        config |= {"image_token_index": ids[image]}
        config |= {"video_token_index": size} if family == "llava_onevision" else {}
    config["text_config"] = dict(config["text_config"], vocab_size=size)
    torch.manual_seed(1)
    model = model_class(config_class(**config)).float()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, 1.2 / parameter[0].numel() ** 0.5)
    model.save_pretrained(folder)
    for name in ["tokenizer.json", "special_tokens_map.json", "chat_template.jinja"]:
        if (source / name).exists():
            shutil.copy(source / name, folder / name)
    settings = json.loads((source / "tokenizer_config.json").read_text())
    settings |= processor_class(processor) | {"image_token": image}
    if family == "gemma3":
        settings["extra_special_tokens"] = NAMED
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "preprocessor_config.json").write_text(json.dumps(images | processor_class(processor)))
    if family != "gemma3":
        settings = video(family) | processor_class(processor)
        (folder / "video_preprocessor_config.json").write_text(json.dumps(settings))
    (folder / "processor_config.json").write_text(json.dumps(processor))


def processor_class(processor):
    return {"processor_class": processor["processor_class"]}


def video(family):
    kind = {"llava_onevision": "LlavaOnevision", "qwen3_vl": "Qwen3VL", "internvl": "InternVL"}.get(family, "Qwen2VL")
    return {"video_processor_type": f"{kind}VideoProcessor"}


def run(*arguments):
    done = subprocess.run([str(argument) for argument in arguments], capture_output=True, text=True)
    if done.returncode:
        print(done.stderr[-3000:], file=sys.stderr)
        sys.exit(f"{arguments[:3]} ended with {done.returncode}")
    return done


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mars", type=Path, required=True)
    parser.add_argument("--tolerance", type=float, default=1e-4)
    parser.add_argument("--family", choices=FAMILIES, action="append")
    args = parser.parse_args()
    mars = args.mars.resolve()
    images = ASSETS / "digits/images.zip"
    for family in args.family or FAMILIES:
        with tempfile.TemporaryDirectory() as place:
            place = Path(place)
            model = place / "model"
            model.mkdir()
            write_model(model, family)
            for split, count in SAMPLES.items():
                samples = json.loads((ASSETS / f"digits/{split}.json").read_text())[:count]
                (place / f"{split}.json").write_text(json.dumps(samples))
            modules = MODULES.get(family, ["ve", "projector", "llm"])
            settings = ["train.steps=12", "train.batch=4", "train.learning_rate=3e-3", "train.eval_every=6",
                        "search.ranks=[2,4]", "search.default_rank=4", "calibration.ranks=[2,4]",
                        f"lora.modules={json.dumps(modules)}"]
            summary = json.loads(run(
                mars, "search", "--model", model, "--data", place / "train.json", "--val", place / "val.json", "--test",
                place / "test.json", "--images", images, "--out", place / "out", "--policy", "fixed:" + "x".join("442"[:len(modules)]), "--json",
                *[part for setting in settings for part in ("--set", setting)]).stdout)
            print(family, "ranks", summary["ranks"])
            for adapter in ([], ["--adapter", summary["adapter"]]):
                common = ["--model", model, "--data", place / "test.json", "--images", images, *adapter]
                (place / "ours.json").write_text(run(mars, "eval", *common, "--json").stdout)
                done = run(sys.executable, Path(__file__).parent / "adapter_losses.py", *common, "--compare",
                           place / "ours.json", "--tolerance", args.tolerance)
                said = [line for line in done.stderr.splitlines() if line.startswith(("adapter", "largest", "24 "))]
                print("  " + "\n  ".join(said))


if __name__ == "__main__":
    main()
