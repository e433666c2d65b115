"""Randomly initialised SmolVLM-like models and a small data set for measurements, as Hugging Face directories.

`make(size, folder)` makes FOLDER/model (bf16 weights, tokenizer, processor) and FOLDER/data (images, train.json,
val.json, test.json). The tokenizer is that of the processor's test fixture with the tokens of tiles added; texts
need not mean anything. Needs torch, transformers and Pillow.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOKENIZER = ROOT / "mars-vlm/tests/fixtures/processor/split"

# Vision: width, layers, heads, inner, side of a tile. Text: width, layers, heads, key heads, inner, vocabulary.
SIZES = {
    "10M": ((192, 4, 3, 768, 256), (192, 6, 3, 1, 512, 16384)),
    "60M": ((384, 8, 6, 1536, 384), (384, 16, 6, 2, 1024, 24576)),
    "SmolVLM-256M": ((768, 12, 12, 3072, 512), (576, 30, 9, 3, 1536, 49280)),
}
PATCH, SCALE = 16, 4


def tile_tokens(size):
    return (SIZES[size][0][4] // PATCH // SCALE) ** 2


def make(size, folder, tiles=1):
    """Returns the number of parameters. In a process of its own: children are charged with the peak of their parent."""
    command = [sys.executable, __file__, size, str(folder), str(tiles)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def write(size, folder, tiles=1, samples=4):
    """`tiles` is 1 (the whole image as one tile) or 17 (4 x 4 tiles and the whole image)."""
    import torch
    from PIL import Image
    from transformers import Idefics3Config, Idefics3ForConditionalGeneration

    folder = Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
    model, data = folder / "model", folder / "data"
    data.mkdir(parents=True)
    (width, layers, heads, inner, side), (t_width, t_layers, t_heads, kv, t_inner, vocabulary) = SIZES[size]

    tokenizer = json.loads((TOKENIZER / "tokenizer.json").read_text())
    known = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    last = max(list(known.values()) + list(tokenizer["model"]["vocab"].values()))
    for row in range(1, 5):
        for column in range(1, 5):
            name = f"<row_{row}_col_{column}>"
            if name not in known:
                last += 1
                tokenizer["added_tokens"].append({"id": last, "content": name, "single_word": False, "lstrip": False,
                                                  "rstrip": False, "normalized": False, "special": True})

    torch.manual_seed(0)
    config = Idefics3Config(
        vision_config=dict(hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=inner,
                           image_size=side, patch_size=PATCH),
        text_config=dict(model_type="llama", hidden_size=t_width, num_hidden_layers=t_layers, num_attention_heads=t_heads,
                         num_key_value_heads=kv, intermediate_size=t_inner, vocab_size=vocabulary, rope_theta=100000.0,
                         rms_norm_eps=1e-5, max_position_embeddings=8192),
        scale_factor=SCALE, image_token_id=known["<image>"], tie_word_embeddings=False, pad_token_id=0,
    )
    net = Idefics3ForConditionalGeneration(config).to(torch.bfloat16)
    net.save_pretrained(model)
    for file in TOKENIZER.iterdir():
        if file.name not in ("config.json", "tokenizer.json"):
            shutil.copy(file, model / file.name)
    (model / "tokenizer.json").write_text(json.dumps(tokenizer))
    settings = json.loads((TOKENIZER / "preprocessor_config.json").read_text())
    settings |= {"do_image_splitting": tiles > 1, "max_image_size": {"longest_edge": side},
                 "size": {"longest_edge": side * (4 if tiles > 1 else 1)}}
    (model / "preprocessor_config.json").write_text(json.dumps(settings))
    (model / "processor_config.json").write_text(json.dumps({"image_seq_len": tile_tokens(size),
                                                             "processor_class": "Idefics3Processor"}))

    for part, count in (("train", samples), ("val", 1), ("test", 1)):
        rows = []
        for n in range(count):
            name = f"{part}{n}.png"
            noise = torch.randint(0, 256, (8, 8, 3), dtype=torch.uint8).numpy()
            Image.fromarray(noise).resize((side, side)).save(data / name)
            rows.append({"id": f"{part}{n}", "image": name, "conversations": [
                {"from": "human", "value": "<image>\nwhat is in this picture of the sea"},
                {"from": "gpt", "value": "a ship and a house on the shore"}]})
        (data / f"{part}.json").write_text(json.dumps(rows))
    return sum(p.numel() for p in net.parameters())


if __name__ == "__main__":
    print(write(sys.argv[1], sys.argv[2], int(sys.argv[3])))
