"""Checks that `transformers` reads the embedded model's files and sees what the recipe meant.

Usage: python tests/oracle/embedded.py [--assets assets]

Needs torch, transformers, pillow. Without `model.safetensors` the weights are not checked.
"""

import argparse
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import AutoConfig, AutoProcessor, Idefics3ForConditionalGeneration

ROOT = Path(__file__).resolve().parents[2]
EXPECTED = (
    "<|im_start|> User : <fake_token_around_image> <global-img> <image> <image> <image> <image> "
    "<fake_token_around_image> {question} <end_of_utterance> \n Assistant : {answer} <end_of_utterance> \n"
)


def check_sample(processor, archive, sample):
    """Tokens of one sample, and its pixels unchanged but for the scale."""
    human, answer = (turn["value"] for turn in sample["conversations"])
    question = human.removeprefix("<image>\n")
    messages = [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]},
        {"role": "assistant", "content": [{"type": "text", "text": answer}]},
    ]
    picture = Image.open(io.BytesIO(archive.read(sample["image"])))
    assert picture.mode == "L" and picture.size == (24, 24), (picture.mode, picture.size)
    text = processor.apply_chat_template(messages)
    prompt = processor.apply_chat_template(messages[:1], add_generation_prompt=True)
    assert text == f"{prompt} {answer}<end_of_utterance>\n", (prompt, text)
    out = processor(text=[text], images=[[picture.convert("RGB")]], return_tensors="pt")
    tokens = processor.tokenizer.convert_ids_to_tokens(out["input_ids"][0])
    wanted = EXPECTED.format(question=question, answer=answer).split(" ")
    assert tokens == wanted, (tokens, wanted)
    pixels = out["pixel_values"]
    assert tuple(pixels.shape) == (1, 1, 3, 24, 24), pixels.shape
    assert bool(out["pixel_attention_mask"].all())
    raw = (np.asarray(picture, dtype=np.float32) / 255 - 0.5) / 0.5
    difference = float(np.abs(pixels[0, 0].numpy() - raw[None]).max())
    assert difference < 1e-6, f"resampled: {difference}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--assets", type=Path, default=ROOT / "assets")
    assets = parser.parse_args().assets
    model_dir = assets / "model"
    processor = AutoProcessor.from_pretrained(model_dir)
    assert type(processor).__name__ == "Idefics3Processor"
    config = AutoConfig.from_pretrained(model_dir)
    tokenizer = processor.tokenizer
    assert tokenizer.convert_tokens_to_ids("<image>") == config.image_token_id
    assert len(tokenizer) <= config.text_config.vocab_size
    assert tokenizer.bos_token_id == config.text_config.bos_token_id
    assert tokenizer.eos_token_id == config.text_config.eos_token_id
    assert tokenizer.pad_token_id == config.pad_token_id
    string = processor.apply_chat_template([{"role": "user", "content": "read top"}])
    assert string == "<|im_start|>User: read top<end_of_utterance>\n", string
    checked = 0
    with zipfile.ZipFile(assets / "digits/images.zip") as archive:
        for split in ("train", "val", "test"):
            samples = json.loads((assets / f"digits/{split}.json").read_text())
            for sample in samples:
                check_sample(processor, archive, sample)
                checked += 1
    print(f"{checked} samples tokenised as expected, pixels unchanged")
    if not (model_dir / "model.safetensors").exists():
        print("no model.safetensors: weights not checked")
        return
    model, info = Idefics3ForConditionalGeneration.from_pretrained(
        model_dir, dtype=torch.float32, output_loading_info=True)
    problems = {key: value for key, value in info.items() if value}
    assert not problems, problems
    print(f"weights load, nothing missing or unexpected: {sum(p.numel() for p in model.parameters())} parameters")


if __name__ == "__main__":
    main()
