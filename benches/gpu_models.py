"""Randomly initialised models of the exact sizes of published ones, with data, as Hugging Face directories; and batches of the same
shapes for PyTorch.

Usage: python benches/gpu_models.py NAME FOLDER [SCALE]

Makes FOLDER/model (bf16 weights, tokenizer, processor) and FOLDER/data. Tokenizers are those of the tests, whose texts need not mean
anything. SCALE divides widths and depths, for trying the script itself. Needs torch, transformers and Pillow.
"""

import json
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import random_model

FIXTURES = Path(__file__).resolve().parent.parent / "mars-vlm/tests/fixtures/families"
# Tiles of an image for SmolVLM: one of 512 pixels.
TILES = 1
NAMES = ("SmolVLM-256M", "LLaVA-OneVision-0.5B", "Qwen2.5-VL-3B")
# Layers that mars adapts, of all three.
LINEARS = (r".*(vision_model|vision_tower|visual\.blocks|text_model|language_model)\..*"
           r"\.(q_proj|k_proj|v_proj|o_proj|out_proj|fc1|fc2|gate_proj|up_proj|down_proj|qkv|proj)")


def llava(scale):
    from transformers import LlavaOnevisionConfig, LlavaOnevisionForConditionalGeneration, Qwen2Config, SiglipVisionConfig

    side = 384 if scale == 1 else 56
    config = LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(hidden_size=1152 // scale, num_hidden_layers=max(26 // scale, 2), num_attention_heads=16,
                                         intermediate_size=4304 // scale, image_size=side, patch_size=14,
                                         vision_use_head=False),
        text_config=Qwen2Config(hidden_size=896 // scale, num_hidden_layers=max(24 // scale, 2), num_attention_heads=14,
                                num_key_value_heads=2, intermediate_size=4864 // scale, vocab_size=152000 // scale,
                                tie_word_embeddings=True, max_position_embeddings=32768, rope_theta=1e6),
        image_token_index=343, video_token_index=344, image_grid_pinpoints=[[side, side]], vision_aspect_ratio="anyres_max_9",
        vision_feature_layer=-1, vision_feature_select_strategy="full", tie_word_embeddings=True)
    settings = {"image_grid_pinpoints": [[side, side]], "size": {"height": side, "width": side}}
    processor = {"num_image_tokens": (side // 14) ** 2, "vision_aspect_ratio": "anyres_max_9"}
    return LlavaOnevisionForConditionalGeneration, config, "llava", settings, processor, side


def qwen(scale):
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    width, depth = 2048 // scale, max(36 // scale, 2)
    config = Qwen2_5_VLConfig(
        text_config=dict(hidden_size=width, num_hidden_layers=depth, num_attention_heads=16, num_key_value_heads=2,
                         intermediate_size=11008 // scale, vocab_size=151936 // scale, tie_word_embeddings=True,
                         max_position_embeddings=128000, rope_theta=1e6,
                         rope_scaling={"type": "mrope", "rope_type": "default", "mrope_section": [n // scale for n in (16, 24, 24)]}),
        vision_config=dict(depth=max(32 // scale, 2), hidden_size=1280 // scale, num_heads=16, intermediate_size=3420 // scale,
                           patch_size=14, spatial_merge_size=2, temporal_patch_size=2, out_hidden_size=width, window_size=112,
                           fullatt_block_indexes=[7, 15, 23, 31] if scale == 1 else [1]),
        image_token_id=345, video_token_id=346, vision_start_token_id=343, vision_end_token_id=344, tie_word_embeddings=True)
    side = 448 if scale == 1 else 112
    pixels = side * side
    settings = {"patch_size": 14, "min_pixels": 3136, "max_pixels": pixels,
                "size": {"shortest_edge": 3136, "longest_edge": pixels}}
    return Qwen2_5_VLForConditionalGeneration, config, "qwen", settings, None, side


def write(name, folder, scale=1, samples=16):
    """Returns nothing; the answer is 16 words long."""
    import torch
    from PIL import Image

    folder = Path(folder)
    if name == "SmolVLM-256M":
        random_model.write(name if scale == 1 else "10M", folder, TILES, samples)
        return
    shutil.rmtree(folder, ignore_errors=True)
    kind, config, fixture, settings, processor, side = {"LLaVA-OneVision-0.5B": llava, "Qwen2.5-VL-3B": qwen}[name](scale)
    model, data = folder / "model", folder / "data"
    data.mkdir(parents=True)
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        net = kind(config)
    torch.set_default_dtype(torch.float32)
    net.save_pretrained(model)
    for file in (FIXTURES / fixture).iterdir():
        if file.name not in ("config.json", "preprocessor_config.json", "processor_config.json"):
            shutil.copy(file, model / file.name)
    known = json.loads((FIXTURES / fixture / "preprocessor_config.json").read_text())
    (model / "preprocessor_config.json").write_text(json.dumps(known | settings))
    if processor:
        own = json.loads((FIXTURES / fixture / "processor_config.json").read_text())
        (model / "processor_config.json").write_text(json.dumps(own | processor))
    for part, count in (("train", samples), ("val", 1), ("test", 1)):
        rows = []
        for n in range(count):
            noise = torch.randint(0, 256, (8, 8, 3), dtype=torch.uint8).numpy()
            Image.fromarray(noise).resize((side, side)).save(data / f"{part}{n}.png")
            rows.append({"id": f"{part}{n}", "image": f"{part}{n}.png", "conversations": [
                {"from": "human", "value": "<image>\nwhat is in this picture of the sea"},
                {"from": "gpt", "value": "a ship and a house on the shore " * 2}]})
        (data / f"{part}.json").write_text(json.dumps(rows))


def batch(config, rows, tokens, image_tokens, device):
    """Inputs of `rows` random samples of `tokens` tokens each, `image_tokens` of which stand for one image; 16 answer tokens."""
    import torch

    ids = torch.randint(10, 300, (rows, tokens), device=device)
    kind = config.model_type
    image = config.image_token_id if hasattr(config, "image_token_id") else config.image_token_index
    ids[:, 3:3 + image_tokens] = image
    labels = torch.full_like(ids, -100)
    labels[:, -16:] = ids[:, -16:]
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels, "use_cache": False}
    pixels = lambda *shape: torch.randn(*shape, dtype=torch.bfloat16, device=device)
    vision = config.vision_config
    if kind == "idefics3":
        inputs["pixel_values"] = pixels(rows, TILES, 3, vision.image_size, vision.image_size)
    elif kind == "llava_onevision":
        inputs["pixel_values"] = pixels(rows, 2, 3, vision.image_size, vision.image_size)
        inputs["image_sizes"] = torch.full((rows, 2), vision.image_size, device=device)
    else:
        side = 2 * int(image_tokens**0.5)
        inputs["pixel_values"] = pixels(rows * side * side, 3 * vision.temporal_patch_size * vision.patch_size**2)
        inputs["image_grid_thw"] = torch.tensor([[1, side, side]] * rows, device=device)
        inputs["mm_token_type_ids"] = (ids == image).int()
    return inputs


if __name__ == "__main__":
    write(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 1)
