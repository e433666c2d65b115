"""Reference for the number of image tokens of LLaVA-OneVision as published, by the size of the image.

    HF_HUB_OFFLINE=1 python mars-vlm/tests/oracle/anyres_tokens.py
    (transformers 4.57.3)

Writes tests/fixtures/anyres_tokens.csv: width, height and `_get_number_of_features` of LlavaOnevisionProcessor with tiles of 384
pixels, 27 x 27 features, all resolutions of up to 6 x 6 tiles and "anyres_max_9". Squares, common sizes of photos and screens, sizes
at which a rounded quotient reaches a whole number that the exact one does not, and random ones.
"""

import random
from pathlib import Path

from transformers import LlavaOnevisionImageProcessor, LlavaOnevisionProcessor

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
TILE, SIDE = 384, 27
SQUARES = [(side, side) for side in range(100, 3000, 100)]
COMMON = [(640, 480), (1280, 720), (1920, 1080), (3840, 2160), (4032, 3024), (6000, 4000), (595, 842), (2480, 3508)]
ROUNDED = [(1724, 1714), (1714, 1724), (3209, 1933), (2987, 909)]


def main():
    processor = LlavaOnevisionProcessor.__new__(LlavaOnevisionProcessor)
    points = [[TILE * rows, TILE * columns] for rows in range(1, 7) for columns in range(1, 7)]
    processor.image_processor = LlavaOnevisionImageProcessor(image_grid_pinpoints=points)
    processor.num_image_tokens, processor.vision_feature_select_strategy = SIDE * SIDE, "full"
    processor.vision_aspect_ratio = "anyres_max_9"
    drawn = random.Random(0)
    others = [(drawn.randint(30, 3500), drawn.randint(30, 3500)) for _ in range(200)]
    sizes = SQUARES + COMMON + [(height, width) for width, height in COMMON] + ROUNDED + others
    lines = [f"{w},{h},{processor._get_number_of_features(h, w, TILE, TILE)}" for w, h in sizes]
    (FIXTURES / "anyres_tokens.csv").write_text("\n".join(["width,height,tokens", *lines]) + "\n")
    print(len(lines), "sizes")


if __name__ == "__main__":
    main()
