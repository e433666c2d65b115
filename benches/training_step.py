"""Training step of MARS beside PyTorch + peft: same model, data shapes, ranks and threads; prints a table.

Usage: python benches/training_step.py [--rounds 3] > docs/results/DATE-training-step.md

Needs torch, transformers and peft. The two programs take turns, so that a busy machine slows both;
medians over the rounds are compared.
"""

import argparse
import datetime
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RANK, STEPS, LENGTH = 8, 60, 22


def torch_step(stack, batch):
    """One process: median step seconds and peak memory; `stack` adapters one after the other."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import Idefics3ForConditionalGeneration

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    torch.manual_seed(0)
    base = Idefics3ForConditionalGeneration.from_pretrained(ROOT / "assets/model", dtype=torch.float32)
    linears = r"model\.(vision_model|text_model)\..*\.(q_proj|k_proj|v_proj|o_proj|out_proj|fc1|fc2|gate_proj|up_proj|down_proj)"
    model = get_peft_model(base, LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=linears))
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.0)
    read = lambda name: json.loads((ROOT / "assets/model" / name).read_text())
    side = read("preprocessor_config.json")["max_image_size"]["longest_edge"]
    per_tile = read("processor_config.json")["image_seq_len"]
    ids = torch.randint(10, 60, (batch, LENGTH))
    ids[:, 3 : 3 + per_tile] = base.config.image_token_id
    pixels = torch.randn(batch, 1, 3, side, side)
    labels = torch.full_like(ids, -100)
    labels[:, -3:] = ids[:, -3:]
    seconds = []
    for step in range(STEPS):
        start = time.perf_counter()
        for _ in range(stack):
            loss = model(input_ids=ids, pixel_values=pixels, attention_mask=torch.ones_like(ids), labels=labels).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            optimizer.zero_grad()
        if step >= 10:
            seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"step_s": statistics.median(seconds), "peak_mb": peak}))


def run(command, threads):
    env = dict(os.environ, OMP_NUM_THREADS=str(threads), RAYON_NUM_THREADS=str(threads))
    out = subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout
    return json.loads(out.strip().splitlines()[-1])


def build():
    command = ["cargo", "bench", "--no-run", "--bench", "training_step", "--message-format=json"]
    lines = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    built = [json.loads(line) for line in lines if line.startswith("{")]
    return [m["executable"] for m in built if m.get("executable") and m["target"]["name"] == "training_step"][0]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--binary", help="the built bench, if there is one already")
    parser.add_argument("--torch", nargs=2, type=int, metavar=("STACK", "BATCH"))
    arguments = parser.parse_args()
    if arguments.torch:
        return torch_step(*arguments.torch)

    binary = arguments.binary or build()

    import torch

    print(f"# Training step, {datetime.date.today()}\n")
    cpu = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    print(f"{platform.machine()}, {os.cpu_count()} cores ({cpu[0] if cpu else 'unknown'}), PyTorch {torch.__version__}.")
    print(f"Embedded model, sequences of about {LENGTH} tokens with one image, LoRA rank {RANK} on all linear layers of")
    print("both towers, AdamW, f32. K adapters: stacked in MARS, one after the other in PyTorch.")
    print(f"Median of {STEPS - 10} steps; {arguments.rounds} round(s), the programs taking turns.\n")
    print("| threads | K | batch | MARS s | PyTorch s | PyTorch / MARS | MARS MB | PyTorch MB |")
    print("|---|---|---|---|---|---|---|---|")
    for threads in (1, 2):
        for stack, batch in ((1, 1), (1, 16), (4, 1), (4, 16)):
            ours, theirs = [], []
            for _ in range(arguments.rounds):
                steps = ["--stack", stack, "--batch", batch, "--rank", RANK, "--steps", STEPS]
                ours.append(run([binary, *map(str, steps)], threads))
                theirs.append(run([sys.executable, __file__, "--torch", str(stack), str(batch)], threads))
            mid = lambda rows, key: statistics.median(row[key] for row in rows)
            a, b = mid(ours, "step_s"), mid(theirs, "step_s")
            print(f"| {threads} | {stack} | {batch} | {a:.4f} | {b:.4f} | {b / a:.2f} | {mid(ours, 'peak_mb'):.0f} | {mid(theirs, 'peak_mb'):.0f} |", flush=True)


if __name__ == "__main__":
    main()
