"""What a model answers without and with an adapter of `mars`, by transformers and PEFT, greedily and in 12 tokens at most:

    python examples/answers.py MODEL ADAPTER DATA.json IMAGES [N]

The first N samples of LLaVA JSON (default 12), a line of a table for each: question, wanted, without, with. Needs torch, transformers
4.57, peft and pillow."""
import json
import sys
from pathlib import Path

import torch
from peft import PeftModel
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

model, adapter, data, images = sys.argv[1:5]
count = int(sys.argv[5]) if len(sys.argv) > 5 else 12
processor = AutoProcessor.from_pretrained(model)
net = AutoModelForImageTextToText.from_pretrained(model, dtype=torch.float32)
samples = json.loads(Path(data).read_text())[:count]


def parts(sample):
    question, answer = (turn["value"] for turn in sample["conversations"][:2])
    return question.replace("<image>", "").strip(), answer


@torch.no_grad()
def answer(net, sample):
    content = [{"type": "image"}, {"type": "text", "text": parts(sample)[0]}]
    prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    picture = Image.open(Path(images) / sample["image"]).convert("RGB")
    batch = processor(text=prompt, images=[[picture]], return_tensors="pt")
    batch.pop("token_type_ids", None)
    made = net.generate(**batch, max_new_tokens=12, do_sample=False)
    return " ".join(processor.decode(made[0, batch["input_ids"].shape[1]:], skip_special_tokens=True).split())


before = [answer(net, sample) for sample in samples]
adapted = PeftModel.from_pretrained(net, adapter)
after = [answer(adapted, sample) for sample in samples]
for sample, *answers in zip(samples, before, after):
    print("|", " | ".join([*parts(sample), *answers]), "|")
for what, answers in (("without", before), ("with", after)):
    right = sum(parts(sample)[1] == own for sample, own in zip(samples, answers))
    print(f"{right} of {len(samples)} as wanted {what} the adapter")
