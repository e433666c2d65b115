"""Reference for the processor of InternVL3: transformers' own, with its fast image processor, on tiny files.

    HF_HUB_OFFLINE=1 python mars-vlm/tests/oracle/internvl_processor.py
    (transformers 4.57.3, torchvision 0.23.0, pillow, tokenizers, safetensors; `processor.py` must have made its images)

Writes tests/fixtures/internvl_processor/: a model directory, and in `expected.json` and `pieces.safetensors` what the
reference makes of conversations about the images of tests/fixtures/processor, as `families.py` does. `tilings.json` has the
numbers of tiles, columns and rows of images by sizes in pixels (width, height) and settings.
"""

import json
import random
import shutil

import numpy as np
import torch
from families import KEYS, mask_of_prompts
from processor import CHATS, OUT as PROCESSOR, paths, tokenizer
from qwen3_processor import Caller
from safetensors.numpy import save_file
from transformers import AutoImageProcessor, PreTrainedTokenizerFast
from transformers.image_utils import load_image
from transformers.models.got_ocr2.image_processing_got_ocr2 import get_optimal_tiled_canvas
from transformers.models.internvl.processing_internvl import InternVLProcessor

OUT = PROCESSOR.parent / "internvl_processor"
TEMPLATE = (PROCESSOR.parent / "templates/internvl3.jinja").read_text()
TOKENS = {"context_image_token": "<IMG_CONTEXT>", "start_image_token": "<img>", "end_image_token": "</img>",
          "video_token": "<video>"}
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *TOKENS.values()]
# That of published models says `crop_to_patches` false; the processor tiles all the same.
IMAGES = {"image_processor_type": "GotOcr2ImageProcessorFast", "size": {"height": 16, "width": 16}, "min_patches": 1,
          "max_patches": 6, "crop_to_patches": False, "do_resize": True, "resample": 3, "do_rescale": True,
          "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [0.485, 0.456, 0.406],
          "image_std": [0.229, 0.224, 0.225], "do_convert_rgb": True, "processor_class": "InternVLProcessor"}
SEQUENCE = 4


def processor(folder):
    tokenizer(folder, SPECIAL, "<|im_end|>")
    fast = PreTrainedTokenizerFast.from_pretrained(folder, extra_special_tokens=TOKENS)
    fast.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(IMAGES, indent=1))
    made = InternVLProcessor.__new__(InternVLProcessor)  # without a video processor
    made.image_processor = AutoImageProcessor.from_pretrained(folder, use_fast=True)
    made.tokenizer, made.chat_template, made.image_seq_length = fast, TEMPLATE, SEQUENCE
    made.image_token, made.image_token_id = fast.context_image_token, fast.context_image_token_id
    made.start_image_token, made.end_image_token, made.video_token = "<img>", "</img>", "<video>"
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    (folder / "processor_config.json").write_text(json.dumps({
        "image_seq_length": SEQUENCE, "processor_class": "InternVLProcessor"}))
    config = {"model_type": "internvl", "image_token_id": made.image_token_id, "image_seq_length": SEQUENCE,
              "downsample_ratio": 0.5, "text_config": {"model_type": "qwen2", "vocab_size": len(fast)},
              "vision_config": {"image_size": [16, 16], "patch_size": [4, 4]}}
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    return made


def tilings(made):
    """Published settings and others; sizes on both sides of the rule that decides between equal proportions."""
    rows, draw = [], random.Random(5)
    for settings in [{"size": 448, "least": 1, "most": 12}, {"size": 448, "least": 1, "most": 1},
                     {"size": 16, "least": 2, "most": 6}, {"size": 20, "least": 1, "most": 40}]:
        side = settings["size"]
        sizes = [(side, side), (2 * side, side), (side // 2, side), (3 * side, 3 * side), (side + 1, side), (7, 5), (5000, 90)]
        edges = [(int(side * n**0.5) + d, int(side * n**0.5)) for n in (2, 2.25, 4.5, 6) for d in (0, 1)]
        sizes += edges + [(draw.randint(1, 6 * side), draw.randint(1, 6 * side)) for _ in range(20)]
        for width, height in sizes:
            args = settings["least"], settings["most"]
            cols, grid_rows = get_optimal_tiled_canvas((height, width), (side, side), *args)
            wanted = {"crop_to_patches": True, "min_patches": args[0], "max_patches": args[1],
                      "patch_size": {"height": side, "width": side}}
            count = made.image_processor.get_number_of_image_patches(height, width, wanted)
            if width * height < 40 * side * side:
                values = made.image_processor(torch.zeros(3, height, width, dtype=torch.uint8), crop_to_patches=True,
                                              size={"height": side, "width": side}, min_patches=args[0], max_patches=args[1])
                assert len(values["pixel_values"]) == count
            rows.append({**settings, "image": [width, height], "tiles": [count, cols, grid_rows]})
    (OUT / "tilings.json").write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    made = processor(OUT / "model")
    caller, expected, pieces = Caller(made), {}, {}
    mean, std = np.array(IMAGES["image_mean"])[:, None], np.array(IMAGES["image_std"])[:, None]
    for key in KEYS:
        chat = CHATS[key]
        prompt = made.apply_chat_template(chat)
        pictures = [load_image(str(PROCESSOR / "images" / p)) for p in paths(chat)]
        got = made(text=[prompt], images=pictures or None)
        ids = got["input_ids"][0]
        expected[key] = {"text": prompt, "ids": ids, "answer": mask_of_prompts(caller, chat, ids)}
        if pictures:
            values = np.stack([np.asarray(tile) for tile in got["pixel_values"]])
            values = values.reshape(len(values), 3, -1)
            pieces[key] = np.ascontiguousarray(np.rint((values * std + mean) * 255).astype(np.uint8))
            if key == "tiny":
                pieces[f"{key}.values"] = np.ascontiguousarray(values.astype(np.float32))
    save_file(pieces, OUT / "pieces.safetensors")
    (OUT / "expected.json").write_text(json.dumps(expected, ensure_ascii=False))
    tilings(made)
    print({key: len(value) for key, value in pieces.items()})
    print(sum(path.stat().st_size for path in OUT.rglob("*") if path.is_file()), "bytes in", OUT.name)


if __name__ == "__main__":
    main()
