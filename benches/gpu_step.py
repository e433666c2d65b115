"""LoRA training steps on a GPU at the sizes of published models, MARS beside PyTorch with PEFT on the same card; prints Markdown tables.

Usage: python benches/gpu_step.py --binary MARS [--device cuda] [--work DIR] [--sizes NAME ...] [--rounds 2] [--steps 20] [--stacks 4 8]

Random weights in bf16 (`benches/gpu_models.py`), LoRA of rank 8 on all linear layers of both towers, adapters and AdamW in f32. Every
row is a process of its own, and rows take turns. MARS's seconds are those of two runs that differ in their steps, so that loading and
evaluations cancel; a run before them tunes kernels. PyTorch's are the median after the first three. Memory is the most that nvidia-smi
shows in use beyond what was in use before.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import gpu_models

RANK = 8
# Samples in a step.
BATCH = {"SmolVLM-256M": 16, "LLaVA-OneVision-0.5B": 4, "Qwen2.5-VL-3B": 8}


def used():
    query = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    try:
        return float(subprocess.run(query, capture_output=True, text=True, timeout=10).stdout.split()[0])
    except (OSError, IndexError, ValueError, subprocess.TimeoutExpired):
        return float("nan")


class Watch(threading.Thread):
    """The most memory in use on the card, MiB, beyond what was in use when it began."""

    def __init__(self):
        super().__init__(daemon=True)
        self.before = self.peak = used()
        self.done = threading.Event()

    def run(self):
        while not self.done.wait(0.1):
            self.peak = max(self.peak, used())

    def most(self):
        self.done.set()
        return self.peak - self.before


def torch_steps(folder, rows, tokens, image_tokens, steps, dtype, device):
    import torch
    import transformers
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    config = transformers.AutoConfig.from_pretrained(folder / "model")
    kind = getattr(transformers, config.architectures[0])
    base = kind.from_pretrained(folder / "model", dtype=getattr(torch, dtype), attn_implementation="sdpa")
    model = get_peft_model(base, LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=gpu_models.LINEARS))
    model.train().to(device)
    torch.backends.cuda.matmul.allow_tf32 = False
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.0)
    inputs = gpu_models.batch(config, rows, tokens, image_tokens, device)
    inputs["pixel_values"] = inputs["pixel_values"].to(getattr(torch, dtype))
    seconds, losses = [], []
    for _ in range(steps + 3):
        began = time.perf_counter()
        loss = model(**inputs).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        seconds.append(time.perf_counter() - began)
    print(json.dumps({"step_s": statistics.median(seconds[3:]), "trainable": sum(p.numel() for p in parameters), "losses": losses[::4]}))


def peak_flops(device):
    """FLOP/s of a large product in bf16 by PyTorch."""
    import torch

    a, b = (torch.randn(8192, 8192, dtype=torch.bfloat16, device=device) for _ in range(2))
    for _ in range(3):
        a @ b
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(10):
        a @ b
    torch.cuda.synchronize()
    print(json.dumps({"flops": 10 * 2 * 8192**3 / (time.perf_counter() - began)}))


def run(command):
    """The JSON that a process ends with, and its peak memory on the card; `None` where it failed, with the end of what it said."""
    with tempfile.TemporaryFile() as out:
        watch = Watch()
        watch.start()
        process = subprocess.run([str(part) for part in command], stdout=out, stderr=subprocess.PIPE, text=True)
        peak = watch.most()
        if process.returncode != 0:
            print(*map(str, command), process.stderr[-2000:], sep="\n", file=sys.stderr, flush=True)
            return None
        out.seek(0)
        text = out.read().decode()
    return json.loads(text[text.index("{"):]), peak


class Mars:
    """`mars` on one model."""

    def __init__(self, binary, folder, device, rows):
        self.binary, self.folder, self.device, self.rows = binary, folder, device, rows

    def flags(self, dtype="bf16", **sets):
        data = self.folder / "data"
        known = {"train.batch": self.rows, "run.workers": 1, "run.eval_batch": 1, "model.dtype": dtype, "train.keep": "last",
                 "calibration.validation_samples": 1} | sets
        flags = [flag for key, value in known.items() for flag in ("--set", f"{key}={value}")]
        flags += ["--model", self.folder / "model", "--images", data, "--json", "-q", "--device", self.device]
        return flags + [f for part, name in (("--data", "train"), ("--val", "val"), ("--test", "test")) for f in (part, data / f"{name}.json")]

    def plan(self):
        ranks = {"search.ranks": "[8]", "search.default_rank": 8, "calibration.ranks": "[8]", "train.steps": 4, "run.stack": 1}
        found = run([self.binary, "plan", *self.flags(**ranks)])
        return found and found[0]

    def records(self, command, steps, dtype="bf16", **sets):
        """Run records of a command, and its peak memory."""
        with tempfile.TemporaryDirectory() as out:
            sets = {"train.steps": steps, "train.eval_every": steps, "search.default_rank": RANK, "out.dir": out} | sets
            found = run([self.binary, *command, *self.flags(dtype, **sets)])
            if not found:
                return None
            paths = Path(out).glob("runs/*/result.json")
            return [json.loads(path.read_text())["record"] for path in paths], found[1]

    def step(self, steps, dtype="bf16"):
        command = ["tune", "--ranks", f"ve={RANK},llm={RANK}"]
        sets = {"run.stack": 1, "search.ranks": "[8]", "calibration.ranks": "[8]"}
        short, long = (self.records(command, count, dtype, **sets) for count in (2, 2 + steps))
        if not short or not long:
            return None
        wall = long[0][0]["wall_s"] - short[0][0]["wall_s"]
        record = long[0][0]
        return {"step_s": wall / steps, "peak_mb": long[1], "trainable": record["trainable"], "flops": record["flops"] / record["spec"]["steps"],
                "losses": [point["loss"] for point in record["train"]][::4]}

    def grid(self, stack, ranks, steps):
        """Seconds of training of the runs of a grid over the language model, `stack` of them in one pass."""
        listed = ",".join(map(str, ranks))
        sets = {"run.stack": stack, "lora.modules": '["llm"]', "search.reference": "llm", "search.ranks": f"[{listed}]",
                "calibration.ranks": f"[{listed}]", "search.default_rank": ranks[0], "search.budget": 99}
        found = [self.records(["search", "--policy", "grid"], count, **sets) for count in (2, 2 + steps)]
        if None in found:
            return None
        walls = [sum(record["wall_s"] for record in records) for records, _ in found]
        return (walls[1] - walls[0]) / steps, len(found[1][0])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--work", help="where the models are kept; default a temporary directory")
    parser.add_argument("--sizes", nargs="*", default=gpu_models.NAMES)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--stacks", type=int, nargs="*", default=[4, 8])
    parser.add_argument("--scale", type=int, default=1, help="divides the sizes, for trying the script")
    parser.add_argument("--without-f32", action="store_true")
    parser.add_argument("--torch", nargs=7, metavar=("FOLDER", "ROWS", "TOKENS", "IMAGE_TOKENS", "STEPS", "DTYPE", "DEVICE"))
    parser.add_argument("--peak", metavar="DEVICE")
    arguments = parser.parse_args()
    if arguments.peak:
        return peak_flops(arguments.peak)
    if arguments.torch:
        folder, *numbers, dtype, device = arguments.torch
        return torch_steps(Path(folder), *map(int, numbers), dtype, device)

    work = Path(arguments.work or tempfile.mkdtemp())
    card = "cpu" if arguments.device == "cpu" else "cuda"
    known = run([sys.executable, __file__, "--peak", card]) if card == "cuda" else None
    peak = known[0]["flops"] if known else float("nan")
    print(f"A product of 8192 x 8192 x 8192 in bf16 by PyTorch: {peak / 1e12:.0f} TFLOP/s.\n")
    for size in arguments.sizes:
        folder, rows = work / size, BATCH[size]
        if not folder.exists():
            subprocess.run([sys.executable, gpu_models.__file__, size, folder, str(arguments.scale)], check=True, stdout=2)
        mars = Mars(arguments.binary, folder, arguments.device, rows)
        plan = mars.plan()
        if not plan:
            print(f"### {size}\n\nfailed\n", flush=True)
            continue
        tokens, image_tokens = plan["tokens"]["max"], plan["image_tokens"]["max"]
        torch = lambda dtype: [sys.executable, __file__, "--torch", folder, rows, tokens, image_tokens, arguments.steps, dtype, card]
        mars.records(["tune", "--ranks", f"ve={RANK},llm={RANK}"], 2)
        kinds = [("MARS, base in bf16", lambda: mars.step(arguments.steps)), ("PyTorch + PEFT, bf16, SDPA", lambda: torch("bfloat16"))]
        if not arguments.without_f32:
            kinds += [("MARS, f32", lambda: mars.step(arguments.steps, "f32")), ("PyTorch + PEFT, f32, SDPA", lambda: torch("float32"))]
        found = {name: [] for name, _ in kinds}
        for _ in range(arguments.rounds):
            for name, kind in kinds:
                one = kind()
                if isinstance(one, list):
                    one = run(one)
                    one = one and one[0] | {"peak_mb": one[1]}
                print(size, name, one, file=sys.stderr, flush=True)
                found[name] += [one] if one else []
        print(f"### {size}, {rows} samples of {tokens} tokens, {image_tokens} of them of the image\n")
        print("| | rounds | s / step | tokens / s | peak MiB | trainable | share of the product's FLOP/s |\n|---|---|---|---|---|---|---|")
        flops = next((one["flops"] for one in found["MARS, base in bf16"]), float("nan"))
        for name, own in found.items():
            if not own:
                print(f"| {name} | 0 | failed | | | | |")
                continue
            step = statistics.median(one["step_s"] for one in own)
            memory = max(one["peak_mb"] for one in own)
            print(f"| {name} | {len(own)} | {step:.4f} | {rows * tokens / step:.0f} | {memory:.0f} | {own[0]['trainable']} | {flops / step / peak:.1%} |",
                  flush=True)
        print()
        if size != arguments.sizes[0]:
            continue
        ranks = [2, 4, 6, 8, 10, 12, 14, 16]
        print(f"Adapters on the language model of {size}, mixed ranks, one step of all of them:\n")
        print("| adapters | one after the other, s | stacked, s | ratio |\n|---|---|---|---|")
        for count in arguments.stacks:
            mars.grid(count, ranks[:count], 1)
            apart, stacked = mars.grid(1, ranks[:count], arguments.steps), mars.grid(count, ranks[:count], arguments.steps)
            if apart and stacked:
                print(f"| {stacked[1]} | {apart[0]:.4f} | {stacked[0]:.4f} | {apart[0] / stacked[0]:.2f} |", flush=True)
            else:
                print(f"| {count} | failed | | |", flush=True)
        print()


if __name__ == "__main__":
    main()
