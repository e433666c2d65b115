"""Reference for images of a size that the user sets: transformers' own processors with that setting.

    HF_HUB_OFFLINE=1 python mars-vlm/tests/oracle/resolution.py
    (transformers 4.57.3, pillow 13.0.0; `processor.py` and `families.py` must have made their files)

Writes tests/fixtures/resolution.json: for each family, setting and image the number of tiles or patches, the grid, the
number of image tokens that the processor puts into the prompt, and the FNV-1a hash of the values before rescaling, as bytes.

- Qwen2-VL: `min_pixels` and `max_pixels` of Qwen2VLImageProcessor.
- Idefics3 and SmolVLM: `size.longest_edge` of both processors, which must agree.
- LLaVA-OneVision has no number for it: its processor takes the pinpoints that are left.
"""

import json
from pathlib import Path

import numpy as np
from transformers import (
    Idefics3ImageProcessor,
    LlavaOnevisionImageProcessor,
    Qwen2VLImageProcessor,
    SmolVLMImageProcessor,
)
from transformers.image_utils import load_image

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
IMAGES = ["square.png", "wide.png", "tall.png", "tiny.png", "turned.jpg"]
RAW = {"do_rescale": False, "do_normalize": False}


def fnv(values):
    state = 0xCBF29CE484222325
    for byte in np.ascontiguousarray(values).astype(np.uint8).tobytes():
        state = ((state ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{state:016x}"


def pictures():
    for name in IMAGES:
        yield name, load_image(str(FIXTURES / "processor" / "images" / name))


def qwen(setting):
    made = Qwen2VLImageProcessor.from_pretrained(FIXTURES / "families" / "qwen", **RAW)
    made = Qwen2VLImageProcessor(**{
        "patch_size": made.patch_size, "merge_size": made.merge_size, "min_pixels": made.min_pixels,
        "max_pixels": made.max_pixels, **RAW, **setting})
    for name, image in pictures():
        got = made(image, return_tensors="np")
        _, rows, cols = got["image_grid_thw"][0].tolist()
        values = got["pixel_values"]
        yield name, len(values), [rows, cols], rows * cols // made.merge_size**2, fnv(values)


def idefics3(setting):
    folder = FIXTURES / "processor" / "split"
    both = [kind.from_pretrained(folder, size=setting, **RAW) for kind in (Idefics3ImageProcessor, SmolVLMImageProcessor)]
    for name, image in pictures():
        values, rows, cols = None, None, None
        for made in both:
            got = made([[image]], return_tensors="np", return_row_col_info=True)
            again = got["pixel_values"][0]
            assert values is None or np.array_equal(values, again)
            values, rows, cols = again, got["rows"][0][0], got["cols"][0][0]
        yield name, len(values), [rows, cols], len(values) * 4, fnv(values)


def llava(setting):
    folder = FIXTURES / "families" / "llava"
    made = LlavaOnevisionImageProcessor.from_pretrained(folder, **RAW)
    area, edge = setting.get("max_pixels", 1 << 60), setting.get("longest_edge", 1 << 60)
    points = [p for p in made.image_grid_pinpoints if p[0] * p[1] <= area and max(p) <= edge]
    made = LlavaOnevisionImageProcessor.from_pretrained(folder, image_grid_pinpoints=points, **RAW)
    from transformers import LlavaOnevisionProcessor
    from transformers.image_processing_utils import select_best_resolution

    counter = LlavaOnevisionProcessor.__new__(LlavaOnevisionProcessor)
    counter.image_processor, counter.num_image_tokens = made, 16
    counter.vision_feature_select_strategy, counter.vision_aspect_ratio = "full", "anyres_max_4"
    tile = made.size["height"]
    for name, image in pictures():
        got = made(image, return_tensors="np")
        values = got["pixel_values"][0]
        rows, cols = (side // tile for side in select_best_resolution((image.height, image.width), points))
        tokens = counter._get_number_of_features(image.height, image.width, tile, tile)
        yield name, len(values), [rows, cols], tokens, fnv(values)


SETTINGS = {
    "families/qwen": (qwen, [
        {}, {"max_pixels": 1024}, {"min_pixels": 64, "max_pixels": 64}, {"min_pixels": 1600}, {"min_pixels": 500, "max_pixels": 700},
        {"min_pixels": 4000, "max_pixels": 4000}, {"max_pixels": 100000}]),
    "processor/split": (idefics3, [
        {}, {"longest_edge": 16}, {"longest_edge": 17}, {"longest_edge": 31}, {"longest_edge": 64},
        {"longest_edge": 80}, {"longest_edge": 5}]),
    "families/llava": (llava, [
        {}, {"max_pixels": 256}, {"max_pixels": 1023}, {"longest_edge": 32}, {"max_pixels": 768, "longest_edge": 47},
        {"longest_edge": 16}]),
}


def main():
    cases = []
    for folder, (run, settings) in SETTINGS.items():
        for setting in settings:
            given = setting or ({"longest_edge": 48} if run is idefics3 else {})
            for name, tiles, grid, tokens, values in run(given):
                cases.append({"model": folder, "set": setting, "image": name, "tiles": tiles, "grid": grid,
                              "tokens": tokens, "values": values})
    lines = ",\n".join(json.dumps(case) for case in cases)
    (FIXTURES / "resolution.json").write_text(f"[\n{lines}\n]\n")
    print(len(cases), "cases")


if __name__ == "__main__":
    main()
