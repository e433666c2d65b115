"""Per-sample losses of a checkpoint, with or without a PEFT adapter, as `transformers` and `peft` give them.

Usage: python tests/oracle/adapter_losses.py --model DIR --data FILE [--images DIR|ZIP] [--adapter DIR]
                                             [--limit N] [--compare FILE] [--tolerance 1e-3]

Prints `{id: loss}`: the mean cross-entropy (natural log) over the answer tokens of each sample, that is
over what the model must generate after the generation prompt, through the end-of-turn token, in every
assistant turn. Reads LLaVA JSON and messages JSON, as lists or one object per line. The adapter must
load tensor for tensor: a missing, unexpected or altered one ends the script with status 1.
`--compare` takes the output of `mars eval --json` and fails when a sample differs by more than the
tolerance or is absent.

Needs torch, transformers, peft, pillow, safetensors. Computes in f32, with exact vision positions
(see `idefics3.py`).
"""

import argparse
import io
import json
import sys
import zipfile
from pathlib import Path

import torch
from idefics3 import exact_positions, use_positions
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, AutoProcessor

# Parts of the models, projectors first, since one of them is within the encoder.
TOWERS = ["connector", "multi_modal_projector", "visual.merger", "visual.deepstack_merger_list", "vision_model",
          "vision_tower", "visual", "text_model", "language_model"]
ROLES = {"human": "user", "gpt": "assistant", "system": "system", "user": "user", "assistant": "assistant"}


def note(*words):
    print(*words, file=sys.stderr)


def fail(message):
    note("error:", message)
    sys.exit(1)


def read_samples(file):
    text = file.read_text()
    if text.lstrip().startswith("["):
        return json.loads(text)
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def parts_of(text):
    """Text with `<image>` marks as parts; blanks beside leading and trailing marks are separators."""
    pieces = text.split("<image>")
    if len(pieces) == 1:
        return [{"type": "text", "text": text}]
    filled = [i for i, piece in enumerate(pieces) if piece.strip()]
    first, last = (filled[0], filled[-1]) if filled else (len(pieces), -1)
    parts = []
    for i, piece in enumerate(pieces):
        if i:
            parts.append({"type": "image"})
        if i and i <= first:
            piece = piece.lstrip()
        if i + 1 < len(pieces) and i >= last:
            piece = piece.rstrip()
        if piece.strip():
            parts.append({"type": "text", "text": piece})
    return parts


def conversation(sample):
    """Turns in the form of the chat template, and the names of the images in their order."""
    images = sample.get("image", sample.get("images")) or []
    images = [images] if isinstance(images, str) else list(images)
    turns = []
    for turn in sample.get("conversations") or sample["messages"]:
        content = turn["value"] if "value" in turn else turn["content"]
        if isinstance(content, str):
            content = parts_of(content)
        else:
            images += [part.get("path") or part.get("url") or part.get("image")
                       for part in content if part["type"] == "image" and len(part) > 1]
        turns.append({"role": ROLES[turn["from"] if "from" in turn else turn["role"]], "content": content})
    return turns, images


class Pictures:
    def __init__(self, place):
        self.place = place
        self.archive = zipfile.ZipFile(place) if place and place.suffix == ".zip" else None

    def open(self, name):
        source = io.BytesIO(self.archive.read(name)) if self.archive else (self.place or Path()) / name
        return Image.open(source).convert("RGB")


def encode(processor, turns, pictures):
    """Token ids and pixels of a conversation, and which tokens belong to answers."""
    def tokens(text):
        # What stands for an image is not the token of its features where there is one before it.
        count = text.count(getattr(processor, "boi_token", processor.image_token))
        used = [pictures[:count]] if count else None
        return processor(text=[text], images=used, return_tensors="pt")

    whole = tokens(processor.apply_chat_template(turns))
    ids = whole["input_ids"][0].tolist()
    answer = torch.zeros(len(ids), dtype=torch.bool)
    for n, turn in enumerate(turns):
        if turn["role"] != "assistant":
            continue
        start = tokens(processor.apply_chat_template(turns[:n], add_generation_prompt=True))
        end = tokens(processor.apply_chat_template(turns[: n + 1]).rstrip())
        start, end = start["input_ids"][0].tolist(), end["input_ids"][0].tolist()
        if ids[: len(start)] != start or ids[: len(end)] != end or len(end) <= len(start):
            fail(f"turn {n}: the generation prompt is not how the answered conversation begins")
        answer[len(start): len(end)] = True
    return whole, answer


def load_adapter(model, directory):
    from peft import PeftModel, get_peft_model_state_dict

    adapted = PeftModel.from_pretrained(model, directory)
    # transformers 5 has no `vision_model` within the tower of LLaVA-OneVision, and renames on loading.
    def plain(tensors):
        return {key.replace("vision_tower.vision_model.", "vision_tower."): value for key, value in tensors.items()}

    loaded = plain(get_peft_model_state_dict(adapted))
    stored = plain(load_file(directory / "adapter_model.safetensors"))
    missing, unexpected = sorted(set(loaded) - set(stored)), sorted(set(stored) - set(loaded))
    if missing or unexpected:
        fail(f"adapter: missing {missing[:5]} ({len(missing)}), unexpected {unexpected[:5]} ({len(unexpected)})")
    altered = [key for key in stored if not torch.equal(stored[key].float(), loaded[key].float())]
    if altered:
        fail(f"adapter: {len(altered)} tensors differ from the file, first {altered[0]}")
    def tower_of(name):
        return next(tower for tower in TOWERS if f".{tower}." in name)

    towers = {}
    for key in stored:
        towers[tower_of(key)] = towers.get(tower_of(key), 0) + 1
    scales = {}
    for name, module in adapted.named_modules():
        if isinstance(getattr(module, "scaling", None), dict) and module.scaling:
            tower = tower_of(f"{name}.")
            rank, scale = module.r["default"], module.scaling["default"]
            scales.setdefault(tower, set()).add((rank, scale))
    note(f"adapter: {len(stored)} tensors loaded, {towers}; (rank, scale): {scales}")
    return adapted


def compare(losses, file, tolerance):
    report = json.loads(file.read_text())
    ours = {str(entry["id"]): entry["loss"] for entry in report["per_sample"]}
    absent = [key for key in losses if key not in ours]
    if absent:
        fail(f"{file}: {len(absent)} samples absent, first {absent[0]}")
    worst = max(losses, key=lambda key: abs(losses[key] - ours[key]))
    difference = abs(losses[worst] - ours[worst])
    note(f"largest difference {difference:.3e} at {worst}, over {len(losses)} samples")
    if not difference <= tolerance:
        fail(f"{worst}: {losses[worst]} here, {ours[worst]} in {file}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--adapter", type=Path)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--compare", type=Path)
    parser.add_argument("--tolerance", type=float, default=1e-3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    use_positions(exact_positions)
    processor = AutoProcessor.from_pretrained(args.model)
    model, info = AutoModelForImageTextToText.from_pretrained(
        args.model, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    problems = {key: value for key, value in info.items() if value}
    if problems:
        fail(f"checkpoint: {problems}")
    if args.adapter:
        model = load_adapter(model, args.adapter)
    model.eval()
    pictures = Pictures(args.images)
    losses, total, count, right = {}, 0.0, 0, 0
    for n, sample in enumerate(read_samples(args.data)[: args.limit]):
        turns, names = conversation(sample)
        inputs, answer = encode(processor, turns, [pictures.open(name) for name in names])
        with torch.no_grad():
            logits = model(**inputs, use_cache=False).logits[0]
        wanted = inputs["input_ids"][0][answer]
        predicted = logits[:-1][answer[1:]]
        each = torch.nn.functional.cross_entropy(predicted, wanted, reduction="none")
        losses[str(sample.get("id", n))] = float(each.double().mean())
        total, count = total + float(each.double().sum()), count + len(each)
        right += bool((predicted.argmax(-1) == wanted).all())
    note(f"{len(losses)} samples, {count} answer tokens, loss {total / count:.6f}, "
         f"accuracy {right / len(losses):.4f}")
    if args.compare:
        compare(losses, args.compare, args.tolerance)
    print(json.dumps(losses, indent=1))


if __name__ == "__main__":
    main()
