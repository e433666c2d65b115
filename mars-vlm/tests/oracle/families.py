"""Reference for the processors of LLaVA-OneVision and Qwen2-VL: transformers' own on tiny files.

    HF_HUB_OFFLINE=1 python mars-vlm/tests/oracle/families.py
    (transformers 4.57.3, pillow, tokenizers, safetensors; `processor.py` must have made its images)

Writes tests/fixtures/families/: a model directory for each family, and what the reference makes of conversations about
the images of tests/fixtures/processor: texts, token ids, answer masks, positions, and the pieces of the images as the
8-bit values before rescaling. The masks of LLaVA-OneVision are those of the template's generation tags, which leave
out the end of the turn; those of Qwen2-VL are what follows the generation prompt, through the end of the turn.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import torch
from processor import CHATS, OUT as PROCESSOR, paths, tokenizer
from safetensors.numpy import save_file
from transformers import LlavaOnevisionImageProcessor, LlavaOnevisionProcessor, Qwen2VLImageProcessor
from transformers.image_utils import load_image
from transformers.models.qwen2_vl.processing_qwen2_vl import Qwen2VLProcessor

OUT = PROCESSOR.parent / "families"
KEYS = ["square", "wide", "tall", "tiny", "turned", "two_images", "text_only", "system"]
CLIP_MEAN, CLIP_STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]

# The form of the published templates, in our words.
LLAVA = (
    "{% for turn in messages %}{{ '<|im_start|>' + turn.role + ' ' }}"
    "{% for part in turn.content if part.type == 'image' %}{{ '<image>' }}{% endfor %}"
    "{% for part in turn.content if part.type == 'text' %}"
    "{% if turn.role == 'assistant' %}{% generation %}{{ '\\n' + part.text }}{% endgeneration %}"
    "{% else %}{{ '\\n' + part.text }}{% endif %}{% endfor %}{{ '<|im_end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
QWEN = (
    "{% if messages[0].role != 'system' %}{{ '<|im_start|>system\\nAnswer in short.<|im_end|>\\n' }}{% endif %}"
    "{% for turn in messages %}{{ '<|im_start|>' + turn.role + '\\n' }}{% for part in turn.content %}"
    "{% if part.type == 'image' %}{{ '<|vision_start|><|image_pad|><|vision_end|>' }}"
    "{% else %}{{ part.text }}{% endif %}{% endfor %}{{ '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def llava(folder):
    tile, patch = 16, 4
    points = [[tile * r, tile * c] for r in range(1, 4) for c in range(1, 4)]
    fast = tokenizer(folder, ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<video>"], "<|im_end|>")
    images = LlavaOnevisionImageProcessor(size={"height": tile, "width": tile}, image_grid_pinpoints=points)
    made = LlavaOnevisionProcessor.__new__(LlavaOnevisionProcessor)  # without a video processor
    made.image_processor, made.tokenizer, made.chat_template = images, fast, LLAVA
    made.num_image_tokens, made.vision_feature_select_strategy = (tile // patch) ** 2, "full"
    made.image_token, made.video_token, made.vision_aspect_ratio = "<image>", "<video>", "anyres_max_4"
    made.image_token_id = fast.convert_tokens_to_ids("<image>")
    images.save_pretrained(folder)
    (folder / "processor_config.json").write_text(json.dumps({
        "num_image_tokens": 16, "processor_class": "LlavaOnevisionProcessor", "vision_aspect_ratio": "anyres_max_4",
        "vision_feature_select_strategy": "full"}))
    (folder / "chat_template.jinja").write_text(LLAVA)
    config = {"model_type": "llava_onevision", "image_token_index": made.image_token_id,
              "vision_aspect_ratio": "anyres_max_4", "image_grid_pinpoints": points,
              "vision_config": {"image_size": tile, "patch_size": patch}, "text_config": {"vocab_size": len(fast)}}
    return made, config


def qwen(folder):
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
               "<|video_pad|>"]
    fast = tokenizer(folder, special, "<|im_end|>")
    images = Qwen2VLImageProcessor(patch_size=4, merge_size=2, min_pixels=8 * 24, max_pixels=44 * 44)
    made = Qwen2VLProcessor.__new__(Qwen2VLProcessor)
    made.image_processor, made.tokenizer, made.chat_template = images, fast, QWEN
    made.image_token, made.video_token = "<|image_pad|>", "<|video_pad|>"
    made.image_token_id = fast.convert_tokens_to_ids("<|image_pad|>")
    made.video_token_id = fast.convert_tokens_to_ids("<|video_pad|>")
    images.save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(QWEN)
    config = {"model_type": "qwen2_5_vl", "image_token_id": made.image_token_id, "vocab_size": len(fast),
              "vision_start_token_id": fast.convert_tokens_to_ids("<|vision_start|>"),
              "vision_config": {"patch_size": 4, "spatial_merge_size": 2, "temporal_patch_size": 2}}
    return made, config


def call(made, prompt, pictures):
    images = [pictures] if pictures else None
    if isinstance(made, Qwen2VLProcessor):
        images = pictures or None
    return made(text=[prompt], images=images)


def mask_of_prompts(made, chat, whole):
    """1 on what follows the generation prompts, through the end of the turn."""
    end = made.tokenizer.convert_tokens_to_ids("<|im_end|>")
    mask = [0] * len(whole)
    for k, turn in enumerate(chat):
        if turn["role"] == "assistant":
            prompt = made.apply_chat_template(chat[:k], add_generation_prompt=True)
            pictures = [load_image(str(PROCESSOR / "images" / p)) for p in paths(chat[:k])]
            ids = call(made, prompt, pictures)["input_ids"][0]
            assert whole[: len(ids)] == ids
            for at in range(len(ids), whole.index(end, len(ids)) + 1):
                mask[at] = 1
    return mask


def mask_of_tags(made, chat, whole):
    """1 on what the template marks; the images are single tokens there, and run ahead of the text."""
    out = made.tokenizer.apply_chat_template(
        chat, chat_template=LLAVA, tokenize=True, return_dict=True, return_assistant_tokens_mask=True)
    image = made.image_token_id
    counts, run = [], 0
    for at, token in enumerate(whole):
        run = run + 1 if token == image else 0
        if run and (at + 1 == len(whole) or whole[at + 1] != image):
            counts.append(run)
    mask, ids, previous = [], [], None
    for token, mark in zip(out["input_ids"], out["assistant_masks"]):
        if token == image and previous == image:
            previous = token  # neighbours are one run in `whole`
            continue
        times = counts.pop(0) if token == image else 1
        mask += [mark] * times
        ids += [token] * times
        previous = token
    assert ids == whole and not counts
    return mask


def positions(ids, grids, config):
    """Three axes by the model's own function."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLModel

    model = Qwen2_5_VLModel.__new__(Qwen2_5_VLModel)
    torch.nn.Module.__init__(model)
    model.config = Qwen2_5_VLConfig(vision_config=config["vision_config"], image_token_id=config["image_token_id"],
                                    vision_start_token_id=config["vision_start_token_id"])
    grids = None if grids is None else torch.tensor(np.asarray(grids))
    return model.get_rope_index(torch.tensor([ids]), grids)[0][:, 0].T.tolist()


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    expected, pieces = {}, {}
    for name, build in [("llava", llava), ("qwen", qwen)]:
        folder = OUT / name
        made, config = build(folder)
        (folder / "config.json").write_text(json.dumps(config, indent=1))
        expected[name] = {}
        for key in KEYS:
            chat = CHATS[key]
            prompt = made.apply_chat_template(chat)
            pictures = [load_image(str(PROCESSOR / "images" / p)) for p in paths(chat)]
            got = call(made, prompt, pictures)
            ids = got["input_ids"][0]
            entry = {"text": prompt, "ids": ids}
            if name == "llava":
                entry["answer"] = mask_of_tags(made, chat, ids)
            else:
                entry["answer"] = mask_of_prompts(made, chat, ids)
                entry["positions"] = positions(ids, got.get("image_grid_thw"), config)
            if pictures:
                values = np.asarray(got["pixel_values"])
                if name == "llava":
                    many = [len(got["pixel_values"][0])] if len(pictures) == 1 else [1] * len(pictures)
                    values = np.concatenate([np.stack(tiles[:n]) for tiles, n in zip(got["pixel_values"], many)])
                    values = values.reshape(len(values), 3, -1)
                else:
                    values = values.reshape(len(values), 3, -1)
                mean, std = np.array(CLIP_MEAN)[:, None], np.array(CLIP_STD)[:, None]
                pieces[f"{name}.{key}"] = np.ascontiguousarray(np.rint((values * std + mean) * 255).astype(np.uint8))
                if key == "tiny":
                    pieces[f"{name}.{key}.values"] = np.ascontiguousarray(values.astype(np.float32))
            expected[name][key] = entry
    save_file(pieces, OUT / "pieces.safetensors")
    (OUT / "expected.json").write_text(json.dumps(expected, ensure_ascii=False))
    print(sum(path.stat().st_size for path in OUT.rglob("*") if path.is_file()), "bytes in", OUT.name)


if __name__ == "__main__":
    main()
