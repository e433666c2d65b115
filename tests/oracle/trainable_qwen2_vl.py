"""Writes a tiny Qwen2-VL that can be fine-tuned on the digits of `assets/`: weights, tokenizer, processor, chat template.

Usage: python tests/oracle/trainable_qwen2_vl.py OUT [--steps 300] [--assets assets]

Needs torch, torchvision, transformers (4.57.3 was used), pillow. docs/recipes/frameworks.md uses it. After 300 steps, some
45 s of a CPU, it knows the form of short answers (loss 1.23) but does not read digits yet; more steps teach it
to. A picture of 24 x 24 pixels becomes 28 x 28 (LLaMA-Factory takes no smaller ones): 4 x 4 patches, 4 tokens.
"""

import argparse
import csv
import json
import random
from pathlib import Path

import numpy as np
import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import Qwen2TokenizerFast, Qwen2VLConfig, Qwen2VLForConditionalGeneration, Qwen2VLImageProcessorFast

ROOT = Path(__file__).resolve().parents[2]
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
           "<|video_pad|>"]
TEMPLATE = (
    "{% if messages[0].role != 'system' %}{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}{% endif %}"
    "{% for turn in messages %}{{ '<|im_start|>' + turn.role + '\\n' }}"
    "{% if turn.content is string %}{{ turn.content }}{% else %}{% for part in turn.content %}"
    "{% if part.type == 'image' %}{{ '<|vision_start|><|image_pad|><|vision_end|>' }}"
    "{% else %}{{ part.text }}{% endif %}{% endfor %}{% endif %}{{ '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")
NUMBERS = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
           "seventeen eighteen").split()
CELLS = ["top-left", "top-right", "bottom-left", "bottom-right"]
LINES = {"top": (0, 1), "bottom": (2, 3), "left": (0, 2), "right": (1, 3)}
SIDE, CELL = 24, 12


def tokenizer(folder, assets):
    """A byte-level BPE of the words of the task, split as Qwen2's."""
    pattern = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    bpe.decoder = decoders.ByteLevel()
    words = [turn["value"].removeprefix("<image>") for sample in json.loads((assets / "digits/train.json").read_text())
             for turn in sample["conversations"]]
    words += ["user\nsystem\nassistant\n", "You are a helpful assistant.", "what digit is", "largest of", "write in words",
              "read", *NUMBERS, *(f"{a} {b}" for a in NUMBERS for b in NUMBERS)] * 20
    bpe.train_from_iterator(words, trainers.BpeTrainer(
        vocab_size=400, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    bpe.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in SPECIAL])
    fast = Qwen2TokenizerFast(tokenizer_object=bpe, eos_token="<|im_end|>", pad_token="<|endoftext|>", unk_token=None,
                              bos_token=None, model_max_length=256, additional_special_tokens=SPECIAL[1:])
    fast.save_pretrained(folder)
    return fast


def processor_files(folder):
    images = Qwen2VLImageProcessorFast(patch_size=7, merge_size=2, min_pixels=28 * 28, max_pixels=28 * 28,
                                       size={"shortest_edge": 28 * 28, "longest_edge": 28 * 28},
                                       image_mean=[0.5] * 3, image_std=[0.5] * 3)
    images.save_pretrained(folder)
    file = folder / "preprocessor_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"processor_class": "Qwen2VLProcessor"}, indent=2))
    videos = {"video_processor_type": "Qwen2VLVideoProcessor", "processor_class": "Qwen2VLProcessor", "patch_size": 7,
              "merge_size": 2, "size": {"shortest_edge": 28 * 28, "longest_edge": 28 * 28}}
    (folder / "video_preprocessor_config.json").write_text(json.dumps(videos, indent=2))
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return images


def model(fast):
    ids = {name: fast.convert_tokens_to_ids(f"<|{name}|>") for name in
           ("image_pad", "video_pad", "vision_start", "vision_end", "im_end", "endoftext")}
    config = Qwen2VLConfig(
        vision_config=dict(depth=3, embed_dim=64, hidden_size=64, mlp_ratio=3, num_heads=4, patch_size=7,
                           spatial_merge_size=2, temporal_patch_size=2),
        text_config=dict(hidden_size=64, intermediate_size=160, num_hidden_layers=3, num_attention_heads=4,
                         num_key_value_heads=2, vocab_size=512, rope_theta=10000.0, max_position_embeddings=256,
                         tie_word_embeddings=False, bos_token_id=ids["endoftext"], eos_token_id=ids["im_end"],
                         pad_token_id=ids["endoftext"],
                         rope_scaling={"type": "mrope", "mrope_section": [2, 3, 3]}),
        image_token_id=ids["image_pad"], video_token_id=ids["video_pad"], vision_start_token_id=ids["vision_start"],
        vision_end_token_id=ids["vision_end"], tie_word_embeddings=False, dtype="float32")
    return Qwen2VLForConditionalGeneration(config)


def canvas(digits, rng):
    """Four upright digits, two by two, each somewhere in its cell."""
    picture, labels = np.zeros((SIDE, SIDE), np.float32), []
    for cell in range(4):
        label, pixels = digits[rng.randrange(1200)]  # the images of the training split
        y, x = (CELL * (cell // 2) + rng.randrange(5), CELL * (cell % 2) + rng.randrange(5))
        picture[y:y + 8, x:x + 8] = pixels
        labels.append(label)
    return picture, labels


def question(labels, rng):
    cell, (line, (a, b)) = rng.randrange(4), rng.choice(list(LINES.items()))
    a, b = labels[a], labels[b]
    return rng.choice([
        (f"what digit is {CELLS[cell]}", f"{labels[cell]}"), (f"what digit is {CELLS[cell]}", f"{labels[cell]}"),
        (f"read {line}", f"{a} {b}"), (f"largest of {line}", f"{max(a, b)}"),
        (f"write {CELLS[cell]} in words", NUMBERS[labels[cell]]), (f"write {line} in words", f"{NUMBERS[a]} {NUMBERS[b]}")])


def batch(digits, fast, images, rng, count):
    pictures, rows, answers = [], [], []
    for _ in range(count):
        picture, labels = canvas(digits, rng)
        asked, answer = question(labels, rng)
        prompt = ("<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n<|vision_start|>"
                  + "<|image_pad|>" * 4 + f"<|vision_end|>{asked}<|im_end|>\n<|im_start|>assistant\n")
        pictures.append(torch.from_numpy(picture * 255 / 16).expand(3, -1, -1).to(torch.uint8))
        rows.append((fast(prompt)["input_ids"], fast(answer + "<|im_end|>\n")["input_ids"]))
    longest = max(len(a) + len(b) for a, b in rows)
    pad = fast.pad_token_id
    ids = torch.tensor([a + b + [pad] * (longest - len(a) - len(b)) for a, b in rows])
    labels = torch.tensor([[-100] * len(a) + b[:-1] + [-100] * (longest + 1 - len(a) - len(b)) for a, b in rows])
    mask = torch.tensor([[1] * (len(a) + len(b)) + [0] * (longest - len(a) - len(b)) for a, b in rows])
    return dict(input_ids=ids, labels=labels, attention_mask=mask, **images(pictures, return_tensors="pt"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--assets", type=Path, default=ROOT / "assets")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    rng = random.Random(0)
    with open(args.assets / "digits/source/digits.csv") as file:
        rows = list(csv.reader(file))[1:]
    digits = [(int(row[0]), np.array(row[1:], np.float32).reshape(8, 8)) for row in rows]
    fast, images = tokenizer(args.out, args.assets), processor_files(args.out)
    tiny = model(fast)
    print("weights", sum(p.numel() for p in tiny.parameters()), flush=True)
    optimizer = torch.optim.AdamW(tiny.parameters(), lr=3e-3, weight_decay=0.01, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, args.steps, pct_start=0.1)
    for step in range(args.steps):
        loss = tiny(**batch(digits, fast, images, rng, 48)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(tiny.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        if step % 100 == 0 or step + 1 == args.steps:
            print(step, loss.item(), flush=True)
    tiny.save_pretrained(args.out)


if __name__ == "__main__":
    main()
