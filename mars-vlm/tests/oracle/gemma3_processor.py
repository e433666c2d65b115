"""Reference for the processor of Gemma 3: transformers' own, with its slow image processor, on tiny files.

    HF_HUB_OFFLINE=1 python mars-vlm/tests/oracle/gemma3_processor.py
    (transformers 4.57.3, pillow, tokenizers, safetensors; `processor.py` must have made its images)

Writes tests/fixtures/gemma3_processor/: a model directory, and in `expected.json` and `pieces.safetensors` what the reference
makes of conversations about the images of tests/fixtures/processor, as `families.py` does: `whole` with images that stay
whole, `crops` with `do_pan_and_scan`. `crops.json` has the crops of images, rows and columns, by settings and sizes in pixels
(width, height).

`Gemma3Processor` takes `do_pan_and_scan` and its numbers from its caller, and never from preprocessor_config.json, whose
values it overrides with its own defaults; so what the file says is passed to it here.
"""

import json
import shutil

import numpy as np
from families import KEYS
from processor import CHATS, OUT as PROCESSOR, paths, tokenizer
from safetensors.numpy import save_file
from transformers import Gemma3ImageProcessor, PreTrainedTokenizerFast
from transformers.image_utils import load_image
from transformers.models.gemma3.processing_gemma3 import Gemma3Processor

OUT = PROCESSOR.parent / "gemma3_processor"
SIDE, PATCH, TOKENS = 24, 4, 4
END = "<end_of_turn>"
NAMED = {"boi_token": "<start_of_image>", "image_token": "<image_soft_token>", "eoi_token": "<end_of_image>"}
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<start_of_turn>", END, *NAMED.values()]
CROPS = {"do_pan_and_scan": True, "pan_and_scan_min_crop_size": 8, "pan_and_scan_max_num_crops": 3,
         "pan_and_scan_min_ratio_to_activate": 1.3}
USUAL = {"pan_and_scan_min_crop_size": 256, "pan_and_scan_max_num_crops": 4, "pan_and_scan_min_ratio_to_activate": 1.2}
SIZES = [(300, 300), (1024, 512), (512, 1024), (700, 500), (359, 300), (360, 300), (2000, 300), (300, 2000), (1300, 520),
         (641, 257), (255, 900), (3000, 2999), (513, 256), (511, 256)]


def processor(folder):
    tokenizer(folder, SPECIAL, END)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"extra_special_tokens": NAMED}, indent=1))
    fast = PreTrainedTokenizerFast.from_pretrained(folder)
    images = Gemma3ImageProcessor(size={"height": SIDE, "width": SIDE})
    template = (PROCESSOR.parent / "templates/gemma3.jinja").read_text()
    made = Gemma3Processor(images, fast, chat_template=template, image_seq_length=TOKENS)
    images.save_pretrained(folder)
    (folder / "processor_config.json").write_text(json.dumps({"image_seq_length": TOKENS}))
    (folder / "chat_template.jinja").write_text(template)
    config = {"model_type": "gemma3", "image_token_index": fast.image_token_id, "mm_tokens_per_image": TOKENS,
              "text_config": {"vocab_size": len(fast)}, "vision_config": {"image_size": SIDE, "patch_size": PATCH}}
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    return made


def call(made, prompt, pictures, settings):
    return made(text=[prompt], images=[pictures] if pictures else None, **settings)


def mask_of_prompts(made, chat, whole, settings):
    """1 on what follows the generation prompts, through the end of the turn."""
    end = made.tokenizer.convert_tokens_to_ids(END)
    mask = [0] * len(whole)
    for k, turn in enumerate(chat):
        if turn["role"] == "assistant":
            prompt = made.apply_chat_template(chat[:k], add_generation_prompt=True)
            ids = call(made, prompt, pictures_of(chat[:k]), settings)["input_ids"][0]
            assert whole[: len(ids)] == ids
            for at in range(len(ids), whole.index(end, len(ids)) + 1):
                mask[at] = 1
    return mask


def pictures_of(chat):
    return [load_image(str(PROCESSOR / "images" / path)) for path in paths(chat)]


def crops():
    rows = []
    for settings, sizes in [(USUAL, SIZES), (CROPS, [(w // 16, h // 16) for w, h in SIZES])]:
        made = Gemma3ImageProcessor()
        numbers = {key: value for key, value in settings.items() if key != "do_pan_and_scan"}
        for width, height in sizes:
            image = np.zeros((height, width, 3), dtype=np.uint8)
            found = made.pan_and_scan(image, **numbers, input_data_format="channels_last")
            count = len(found)
            grid = [0, 0] if not count else [1, count] if width >= height else [count, 1]
            rows.append({"settings": settings | {"do_pan_and_scan": True}, "size": [width, height], "grid": grid})
    (OUT / "crops.json").write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    made = processor(OUT / "model")
    # What the file says does nothing by itself.
    told = Gemma3Processor(Gemma3ImageProcessor(size={"height": SIDE, "width": SIDE}, **CROPS), made.tokenizer)
    wide = pictures_of(CHATS["wide"])
    assert len(call(told, "<start_of_image>", wide, {})["pixel_values"]) == 1
    assert len(call(told, "<start_of_image>", wide, CROPS)["pixel_values"]) > 1

    expected, pieces = {}, {}
    for case, settings in [("whole", {}), ("crops", CROPS)]:
        expected[case] = {}
        for key in KEYS:
            chat = CHATS[key]
            prompt = made.apply_chat_template(chat)
            pictures = pictures_of(chat)
            got = call(made, prompt, pictures, settings)
            ids = got["input_ids"][0]
            expected[case][key] = {"text": prompt, "ids": ids, "answer": mask_of_prompts(made, chat, ids, settings)}
            if pictures:
                values = np.asarray(got["pixel_values"])
                pieces[f"{case}.{key}"] = np.ascontiguousarray(np.rint((values * 0.5 + 0.5) * 255).astype(np.uint8))
                if key == "tiny":
                    pieces[f"{case}.{key}.values"] = np.ascontiguousarray(values.astype(np.float32))
    save_file(pieces, OUT / "pieces.safetensors")
    (OUT / "settings.json").write_text(json.dumps(CROPS) + "\n")
    (OUT / "expected.json").write_text(json.dumps(expected, ensure_ascii=False))
    crops()
    print(sum(path.stat().st_size for path in OUT.rglob("*") if path.is_file()), "bytes in", OUT.name)


if __name__ == "__main__":
    main()
