"""Reference for the processor of Qwen3-VL: transformers' own, with its fast image processor, on tiny files.

    HF_HUB_OFFLINE=1 python mars-vlm/tests/oracle/qwen3_processor.py
    (transformers 4.57.3, torchvision 0.23.0, pillow, tokenizers, safetensors; `processor.py` must have made its images)

Writes tests/fixtures/qwen3_processor/: a model directory, and in `expected.json` and `pieces.safetensors` what the reference
makes of conversations about the images of tests/fixtures/processor, as `families.py` does; `resize.safetensors` has an
image in other sizes under the bicubic filter of torchvision, in the layout of `processor.py`. (What the bilinear one gives
depends on the processor: without AVX2 and with AVX512 it computes in f32.) `limits.json` has the grids of images between
the limits of `size`, by sizes in pixels (width, height) and settings.
"""

import copy
import json
import shutil

import numpy as np
import torch
from families import KEYS, QWEN, mask_of_prompts
from processor import CHATS, OUT as PROCESSOR, paths, tokenizer
from safetensors.numpy import load_file, save_file
from torchvision.transforms.v2 import functional
from transformers import Qwen2VLImageProcessorFast, Qwen3VLConfig, Qwen3VLModel
from transformers.image_utils import load_image
from transformers.models.qwen3_vl.processing_qwen3_vl import Qwen3VLProcessor

OUT = PROCESSOR.parent / "qwen3_processor"
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
           "<|video_pad|>"]
PUBLISHED = {"patch_size": 16, "merge_size": 2, "size": {"shortest_edge": 65536, "longest_edge": 16777216}}
LIMITS = [
    (PUBLISHED, [(640, 480), (100, 40), (31, 17), (5000, 4000), (4097, 4096), (256, 256), (255, 256), (16000, 90)]),
    (PUBLISHED | {"min_pixels": 4096, "max_pixels": 102400}, [(640, 480), (100, 40), (31, 17), (320, 320), (321, 320)]),
]


def processor(folder):
    fast = tokenizer(folder, SPECIAL, "<|im_end|>")
    images = Qwen2VLImageProcessorFast(patch_size=4, merge_size=2, size={"shortest_edge": 200, "longest_edge": 44 * 44},
                                       image_mean=[0.5] * 3, image_std=[0.5] * 3)
    made = Qwen3VLProcessor.__new__(Qwen3VLProcessor)  # without a video processor
    made.image_processor, made.tokenizer, made.chat_template = images, fast, QWEN
    for name in ["image", "video", "vision_start", "vision_end"]:
        token = f"<|{name}_pad|>" if name in ("image", "video") else f"<|{name}|>"
        setattr(made, f"{name}_token", token)
        setattr(made, f"{name}_token_id", fast.convert_tokens_to_ids(token))
    images.save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(QWEN)
    config = {"model_type": "qwen3_vl", "image_token_id": made.image_token_id, "video_token_id": made.video_token_id,
              "vision_start_token_id": made.vision_start_token_id, "text_config": {"vocab_size": len(fast)},
              "vision_config": {"patch_size": 4, "spatial_merge_size": 2, "temporal_patch_size": 2}}
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    return made, config


class Caller:
    """A processor as `families.py` calls those of other families."""

    def __init__(self, made):
        self.made, self.tokenizer = made, made.tokenizer
        self.apply_chat_template = made.apply_chat_template

    def __call__(self, text, images=None):
        # `families.py` puts the pictures of a conversation into a list of their own.
        return self.made(text=text, images=images[0] if images else None)


def positions(ids, grids, config):
    """Three axes by the model's own function."""
    model = Qwen3VLModel.__new__(Qwen3VLModel)
    torch.nn.Module.__init__(model)
    model.config = Qwen3VLConfig(**{key: value for key, value in config.items() if key != "model_type"})
    return model.get_rope_index(torch.tensor([ids]), grids)[0][:, 0].T.tolist()


def resizes():
    """A noisy image to the sizes of `processor.py` and some more."""
    source = load_file(PROCESSOR / "resize.safetensors")["source"]
    pixels = torch.from_numpy(source).permute(2, 0, 1).contiguous()
    sizes = [(19, 7), (8, 23), (24, 27), (25, 5), (5, 30), (12, 12), (18, 10), (7, 20), (64, 96), (100, 3), (2, 2)]
    out = {"source": source}
    for width, height in sizes:
        mode = functional.InterpolationMode.BICUBIC
        made = functional.resize(pixels, [height, width], interpolation=mode, antialias=True)
        out[f"3.{width}x{height}"] = np.ascontiguousarray(made.permute(1, 2, 0).numpy())
    save_file(out, OUT / "resize.safetensors")


def limits():
    rows = []
    for settings, sizes in LIMITS:
        made = Qwen2VLImageProcessorFast(**copy.deepcopy(settings))  # changes its `size`
        for width, height in sizes:
            _, grid_h, grid_w = made(torch.zeros(3, height, width, dtype=torch.uint8))["image_grid_thw"][0].tolist()
            rows.append({"settings": settings, "size": [width, height], "grid": [grid_h, grid_w]})
    (OUT / "limits.json").write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    folder = OUT / "model"
    made, config = processor(folder)
    caller, expected, pieces = Caller(made), {}, {}
    for key in KEYS:
        chat = CHATS[key]
        prompt = made.apply_chat_template(chat)
        pictures = [load_image(str(PROCESSOR / "images" / p)) for p in paths(chat)]
        got = made(text=[prompt], images=pictures or None)
        ids = got["input_ids"][0]
        expected[key] = {"text": prompt, "ids": ids, "answer": mask_of_prompts(caller, chat, ids),
                         "positions": positions(ids, got.get("image_grid_thw"), config)}
        if pictures:
            values = np.asarray(got["pixel_values"])
            pieces[key] = np.ascontiguousarray(np.rint((values * 0.5 + 0.5) * 255).astype(np.uint8))
            if key == "tiny":
                pieces[f"{key}.values"] = np.ascontiguousarray(values.astype(np.float32))
    save_file(pieces, OUT / "pieces.safetensors")
    (OUT / "expected.json").write_text(json.dumps(expected, ensure_ascii=False))
    resizes()
    limits()
    print(sum(path.stat().st_size for path in OUT.rglob("*") if path.is_file()), "bytes in", OUT.name)


if __name__ == "__main__":
    main()
