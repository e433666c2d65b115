"""Reference for the processors of LLaVA-1.5 and LLaVA-NeXT: transformers' own, with slow image processors, on tiny files.

    HF_HUB_OFFLINE=1 python mars-vlm/tests/oracle/llava_processor.py
    (transformers 4.57.3, pillow, tokenizers, safetensors; `processor.py` must have made its images)

Writes tests/fixtures/llava_processor/: a model directory for each image processor that published models name, saved by
`save_pretrained`, and in `expected.json` and `pieces.safetensors` what the reference makes of conversations about the
images of tests/fixtures/processor, as `families.py` does. The templates are those of tests/fixtures/templates, the
tokenizer opens texts with a token of its own as that of Llama does.
"""

import json
import shutil

import numpy as np
from processor import CHATS, OUT as PROCESSOR, paths, tokenizer
from safetensors.numpy import save_file
from tokenizers import processors
from transformers import (CLIPImageProcessor, LlavaNextImageProcessor, LlavaNextProcessor, LlavaProcessor,
                          SiglipImageProcessor)
from transformers.image_utils import load_image
from transformers.models.llava.image_processing_llava import LlavaImageProcessor

OUT = PROCESSOR.parent / "llava_processor"
KEYS = ["square", "wide", "tall", "tiny", "turned", "two_images", "text_only", "system"]
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>"]
TILE, PATCH = 16, 4
CROP = {"crop_size": {"height": TILE, "width": TILE}}
POINTS = [[TILE * r, TILE * c] for r, c in [(1, 2), (2, 1), (2, 2), (3, 1), (1, 3)]]
CLIP = {"model_type": "clip_vision_model", "image_size": TILE, "patch_size": PATCH}

# Case: image processor, template, strategy, the model's configuration.
CASES = {
    "cropped": (CLIPImageProcessor(size={"shortest_edge": 19}, **CROP), "llava_1_5", "default",
                {"model_type": "llava", "vision_config": CLIP}),
    "padded": (LlavaImageProcessor(do_pad=True, size={"shortest_edge": TILE}, **CROP), "llava_1_5", "full",
               {"model_type": "llava", "vision_config": CLIP}),
    "squeezed": (SiglipImageProcessor(size={"height": TILE, "width": TILE}), "llava_1_5", "full",
                 {"model_type": "llava", "vision_config": CLIP | {"model_type": "siglip_vision_model"}}),
    "tiles": (LlavaNextImageProcessor(size={"shortest_edge": TILE}, image_grid_pinpoints=POINTS, **CROP),
              "llava_next_mistral", "default",
              {"model_type": "llava_next", "vision_config": CLIP, "image_grid_pinpoints": POINTS}),
}


def build(name):
    images, template, strategy, config = CASES[name]
    folder = OUT / name
    fast = tokenizer(folder, SPECIAL, "<|im_end|>")
    begin = ("<|im_start|>", fast.convert_tokens_to_ids("<|im_start|>"))
    fast.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin[0]} $A", special_tokens=[begin])
    of = LlavaNextProcessor if name == "tiles" else LlavaProcessor
    template = (PROCESSOR.parent / f"templates/{template}.jinja").read_text()
    extra = int(config["vision_config"]["model_type"] == "clip_vision_model")
    made = of(images, fast, patch_size=PATCH, vision_feature_select_strategy=strategy, chat_template=template,
              num_additional_image_tokens=extra)
    made.save_pretrained(folder)
    config = config | {"image_token_index": made.image_token_id, "vision_feature_select_strategy": strategy,
                       "text_config": {"vocab_size": len(fast)}}
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    return made


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    expected, pieces = {}, {}
    for name in CASES:
        made = build(name)
        expected[name] = {}
        mean, std = (np.array(values)[:, None] for values in (made.image_processor.image_mean,
                                                               made.image_processor.image_std))
        for key in KEYS:
            chat = CHATS[key]
            prompt = made.apply_chat_template(chat)
            pictures = [load_image(str(PROCESSOR / "images" / p)) for p in paths(chat)]
            got = made(text=[prompt], images=pictures or None)
            ids = got["input_ids"][0]
            expected[name][key] = {"text": prompt, "ids": ids}
            if not pictures:
                continue
            values = got["pixel_values"]
            if name == "tiles":
                # Behind the tiles of an image are zeros, up to those of the image that has most.
                from transformers.models.llava_next.modeling_llava_next import image_size_to_num_patches
                counts = [image_size_to_num_patches(list(size), POINTS, TILE) for size in got["image_sizes"]]
                values = np.concatenate([np.stack(tiles[:n]) for tiles, n in zip(values, counts)])
            values = np.asarray(values).reshape(len(values), 3, -1)
            pieces[f"{name}.{key}"] = np.ascontiguousarray(np.rint((values * std + mean) * 255).astype(np.uint8))
            if key == "tiny":
                pieces[f"{name}.{key}.values"] = np.ascontiguousarray(values.astype(np.float32))
    save_file(pieces, OUT / "pieces.safetensors")
    (OUT / "expected.json").write_text(json.dumps(expected, ensure_ascii=False))
    print(sum(path.stat().st_size for path in OUT.rglob("*") if path.is_file()), "bytes in", OUT.name)


if __name__ == "__main__":
    main()
