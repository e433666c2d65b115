"""A connector by least squares, for an Idefics3 directory whose vision encoder and language model have never met:

    python examples/connector.py MODEL CAPTIONS.json IMAGES OUT

OUT is MODEL with new weights in its connector, so that an image token is near the text embeddings of the words that go with the picture.
CAPTIONS.json is LLaVA JSON whose answers are titles, keywords or descriptions. The target of a picture is the mean embedding of the tokens of
its words, weighted by their inverse document frequency (idf), less the mean over the pictures; every image token is regressed on it with
a ridge of a tenth of the mean squared feature, and scaled to the root mean square of text embeddings.
A tenth of the pictures is held out first: printed is how well their tokens, averaged, find the words of their own picture among these.
Needs torch, transformers 4.57, safetensors and pillow; a minute for 2,000 pictures of 112 pixels on two cores."""
import json
import math
import re
import shutil
import sys
from collections import Counter, defaultdict
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, AutoProcessor

RIDGE = 0.1
BATCH = 32
STOP = set("a an the of in on with and or to by for from is are this that it at as image picture clip art".split())
WEIGHT = "modality_projection.proj.weight"

model, captions, images, out = map(Path, sys.argv[1:5])
processor = AutoProcessor.from_pretrained(model)
net = AutoModelForImageTextToText.from_pretrained(model, dtype=torch.float32).eval().model
words = defaultdict(list)
for sample in json.loads(captions.read_text()):
    words[sample["image"]] += [turn["value"] for turn in sample["conversations"][1::2]]


def tokens(texts):
    own = {word for word in re.findall("[a-z]+", " ".join(texts).lower()) if word not in STOP and len(word) > 1}
    return {token for word in own for token in processor.tokenizer(" " + word, add_special_tokens=False)["input_ids"]}


@torch.no_grad()
def features(names):
    """What the connector sees: pictures x image tokens x width."""
    pictures = [[Image.open(images / name).convert("RGB")] for name in names]
    pixels = processor.image_processor(pictures, return_tensors="pt")["pixel_values"].flatten(0, 1)
    hidden = net.vision_model(pixel_values=pixels).last_hidden_state
    return net.connector.pixel_shuffle(hidden, net.connector.scale_factor)


def regressed(rows):
    flat = inputs[rows].flatten(0, 1)
    wanted = targets[rows].repeat_interleave(inputs.shape[1], 0)
    square = flat.T @ flat / len(flat)
    square += RIDGE * square.diagonal().mean() * torch.eye(len(square))
    return torch.linalg.solve(square, flat.T @ wanted / len(flat)).T


known = {name: found for name in sorted(words) if (found := tokens(words[name]))}
names = list(known)
inputs = torch.cat([features(names[start : start + BATCH]) for start in range(0, len(names), BATCH)])
embeddings = net.get_input_embeddings().weight.detach()
frequency = Counter(token for found in known.values() for token in found)
weights = {token: math.log(len(names) / count) for token, count in frequency.items()}
targets = torch.stack(
    [sum(weights[token] * embeddings[token] for token in found) / max(sum(weights[token] for token in found), 1e-9) for found in known.values()]
)
targets -= targets.mean(0)

shuffled = torch.randperm(len(names), generator=torch.Generator().manual_seed(0))
held, rest = shuffled.tensor_split([len(names) // 10])
guesses = torch.nn.functional.normalize((inputs[held] @ regressed(rest).T).mean(1), dim=1)
alike = guesses @ torch.nn.functional.normalize(targets[held], dim=1).T
better = (alike > alike.diagonal()[:, None]).sum(1).float()
print(f"{len(names)} pictures, {inputs.shape[1]} image tokens of {inputs.shape[2]} features each")
print(f"held out: cosine with the own words {alike.diagonal().mean():.3f}, with those of others {alike.mean():.3f}")
print(f"held out: in the median {better.median():.0f} of {len(held)} pictures have words that are nearer than the own")

matrix = regressed(torch.arange(len(names)))
matrix *= (embeddings.pow(2).mean() / (inputs @ matrix.T).pow(2).mean()).sqrt()
shutil.copytree(model, out)
stored = load_file(model / "model.safetensors")
name = next(name for name in stored if name.endswith(WEIGHT))
stored[name] = matrix.to(stored[name].dtype).contiguous()
save_file(stored, out / "model.safetensors", metadata={"format": "pt"})
