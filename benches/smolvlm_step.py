"""LoRA training steps on a randomly initialised model of the dimensions of SmolVLM-256M, MARS beside PyTorch + PEFT.

Usage: python benches/smolvlm_step.py [--rounds 2] [--steps 3] [--batch 1] [--work DIR] [--binary MARS] [--device cuda] > docs/results/smolvlm-step.md

Needs torch, transformers, peft and Pillow. One image a sample, as one tile or in 17, LoRA of rank 8 on all linear
layers of both towers, AdamW, adapters in f32. Every row of every round is a process of its own; the rows take turns, so that a busy
machine slows all of them, and ratios are within rounds. Seconds are medians over the steps after the first. With --device, which is a name
that `mars devices` lists, both compute there, PyTorch on its CUDA device; memory is then the most that nvidia-smi shows of the process.
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
import tempfile
import threading
import time
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import memory
import random_model

ROOT = Path(__file__).resolve().parent.parent
SIZE, RANK = "SmolVLM-256M", 8
LINEARS = r"model\.(vision_model|text_model)\..*\.(q_proj|k_proj|v_proj|o_proj|out_proj|fc1|fc2|gate_proj|up_proj|down_proj)"


class Watch(threading.Thread):
    """The most memory, MiB, that a process has on a GPU, by nvidia-smi; 0 where there is none."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.peak, self.done = pid, 0.0, threading.Event()

    def run(self):
        query = ["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"]
        while not self.done.wait(0.05):
            try:
                lines = subprocess.run(query, capture_output=True, text=True, timeout=10).stdout.splitlines()
            except (OSError, subprocess.TimeoutExpired):
                return
            own = [line.split(",") for line in lines]
            # In a container nvidia-smi may know processes by other numbers; then there is one alone.
            used = [float(one[1]) for one in own if len(one) == 2 and (one[0].strip() == str(self.pid) or len(own) == 1)]
            self.peak = max([self.peak, *used])


def torch_steps(folder, batch, tiles, tokens, steps, mode, checkpointing, device):
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import Idefics3ForConditionalGeneration

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    torch.manual_seed(0)
    dtype = torch.bfloat16 if mode in ("base", "bf16") else torch.float32
    base = Idefics3ForConditionalGeneration.from_pretrained(folder / "model", dtype=dtype, attn_implementation="sdpa")
    model = get_peft_model(base, LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=LINEARS), autocast_adapter_dtype=mode != "bf16")
    model.train().to(device)
    torch.backends.cuda.matmul.allow_tf32 = False
    if checkpointing:
        base.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.0)
    side, image = random_model.SIZES[SIZE][0][4], base.config.image_token_id
    ids = torch.randint(10, 300, (batch, tokens), device=device)
    ids[:, 3 : 3 + tiles * random_model.tile_tokens(SIZE)] = image
    pixels = torch.randn(batch, tiles, 3, side, side, dtype=dtype, device=device)
    labels = torch.full_like(ids, -100)
    labels[:, -10:] = ids[:, -10:]
    seconds, losses = [], []
    for step in range(steps + 1):
        if step == 1:
            cpu = time.process_time()
        began = time.perf_counter()
        with torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=mode == "autocast"):
            loss = model(input_ids=ids, pixel_values=pixels, attention_mask=torch.ones_like(ids), labels=labels, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        seconds.append(time.perf_counter() - began)
    cpu = (time.process_time() - cpu) / steps
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"step_s": statistics.median(seconds[1:]), "cpu_s": cpu, "peak_mb": peak, "first": losses[0], "last": losses[-1]}))


def run(command, threads, device):
    """The JSON that a process ends with, its CPU seconds and its peak memory, MiB."""
    env = dict(os.environ, OMP_NUM_THREADS=str(threads), RAYON_NUM_THREADS=str(threads))
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen([str(part) for part in command], stdout=out, env=env)
        watch = Watch(process.pid)
        if device != "cpu":
            watch.start()
        _, status, usage = os.wait4(process.pid, 0)
        watch.done.set()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            return None
        out.seek(0)
        lines = out.read().decode().strip()
    return json.loads(lines[lines.index("{"):]), usage.ru_utime + usage.ru_stime, watch.peak or usage.ru_maxrss / 1024


def mars_steps(binary, folder, batch, steps, threads, checkpointing, dtype, compute, device):
    """Seconds of a step, from two runs of `mars tune` that differ in their steps: evaluations and loading cancel."""
    walls, cpus, peak = [], [], 0.0
    for count in (1, 1 + steps):
        with tempfile.TemporaryDirectory() as out:
            flags = [*memory.settings(folder, checkpointing, dtype, out, count, batch), "--device", device, "--compute", compute]
            found = run([binary, "tune", "--ranks", f"ve={RANK},llm={RANK}", *flags], threads, device)
            if not found:
                return None
            records = [json.loads(path.read_text())["record"] for path in Path(out).glob("runs/*/result.json")]
        walls.append(sum(record["wall_s"] for record in records))
        cpus.append(found[1])
        peak = max(peak, found[2])
    return {"step_s": (walls[1] - walls[0]) / steps, "cpu_s": (cpus[1] - cpus[0]) / steps, "peak_mb": peak}


def torch_row(folder, batch, tiles, tokens, steps, threads, mode, checkpointing, device):
    own = "cpu" if device == "cpu" else "cuda"
    command = [sys.executable, __file__, "--torch", folder, batch, tiles, tokens, steps, mode, "yes" if checkpointing else "no", own]
    found = run(command, threads, device)
    return found and found[0] | ({} if device == "cpu" else {"peak_mb": found[2]})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=1, help="samples of a step, at most 4")
    parser.add_argument("--tiles", type=int, nargs="*", default=[1, 17])
    parser.add_argument("--binary", default=ROOT / "target/release/mars")
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--without", default="nothing", help="rows whose name contains this are left out")
    parser.add_argument("--work", help="where the models are kept; default a temporary directory")
    parser.add_argument("--device", default="cpu", help="where to compute, as mars calls it")
    parser.add_argument("--torch", nargs=8, metavar=("FOLDER", "BATCH", "TILES", "TOKENS", "STEPS", "MODE", "CHECKPOINTING", "DEVICE"))
    arguments = parser.parse_args()
    if arguments.torch:
        folder, batch, tiles, tokens, steps, mode, checkpointing, device = arguments.torch
        return torch_steps(Path(folder), int(batch), int(tiles), int(tokens), int(steps), mode, checkpointing == "yes", device)

    work = Path(arguments.work or tempfile.mkdtemp())
    print(f"# LoRA training steps at the size of SmolVLM-256M, {datetime.date.today()}\n")
    cpu = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    print(f"{platform.machine()}, {os.cpu_count()} cores ({cpu[0] if cpu else 'unknown'}), {size:.0f} GiB, {arguments.threads} threads; "
          f"PyTorch {version('torch')}, PEFT {version('peft')}, transformers {version('transformers')}.")
    if arguments.device != "cpu":
        listed = subprocess.run([str(arguments.binary), "devices"], capture_output=True, text=True).stdout.splitlines()
        print("Device: " + "; ".join(line for line in listed if line.startswith(arguments.device.split(":")[0])) + ".")
    print(f"Randomly initialised, batch {arguments.batch}, one image a sample, LoRA of rank 8 on all linear layers of both towers, AdamW; adapters in f32.")
    print(f"{arguments.rounds} round(s) of {arguments.steps} steps after one to warm up, the rows taking turns; medians. Ratios are to the first row,")
    print(f"within rounds. Load of the machine when it began: {os.getloadavg()[0]:.1f}.\n")
    for tiles in arguments.tiles:
        folder = work / f"{SIZE}-{tiles}"
        if not folder.exists():
            random_model.make(SIZE, folder, tiles)
        tokens = 64 * tiles + (40 if tiles == 1 else 120)
        rows = []
        # On GPUs the products of a base in bf16 are in bf16.
        packed = (("bf16", "bf16x2"), ("bf16", "bf16")) if arguments.device == "cpu" else ()
        for dtype, compute in (("f32", "f32"), ("bf16", "f32"), *packed):
            for checkpointing in (False, True):
                name = f"MARS, base in {dtype}" + (f", products in {compute}" if packed else "") + (", gradient checkpointing" if checkpointing else "")
                step = lambda dtype=dtype, compute=compute, own=checkpointing: mars_steps(
                    arguments.binary, folder, arguments.batch, arguments.steps, arguments.threads, own, dtype, compute, arguments.device)
                rows.append((name, step, checkpointing))
        for mode, text in (("f32", "f32"), ("autocast", "autocast to bf16"), ("base", "bf16 base, f32 adapters"), ("bf16", "bf16")):
            for checkpointing in (False, True):
                name = f"PyTorch + PEFT, {text}" + (", gradient checkpointing" if checkpointing else "")
                step = lambda mode=mode, own=checkpointing: torch_row(
                    folder, arguments.batch, tiles, tokens, arguments.steps, arguments.threads, mode, own, arguments.device)
                rows.append((name, step, checkpointing))
        rows = [row for row in rows if (tiles == 1 or row[2]) and arguments.only in row[0] and arguments.without not in row[0]]
        found = {name: [] for name, *_ in rows}
        for _ in range(arguments.rounds):
            for name, step, _ in rows:
                one = step()
                print(name, one, file=sys.stderr, flush=True)
                if one:
                    found[name].append(one)
        print(f"## One image in {tiles} tile(s), about {tokens} tokens\n")
        print("| | rounds | s / step | CPU s / step | peak MB | time / first | CPU / first |\n|---|---|---|---|---|---|---|")
        first = found[rows[0][0]]
        for name, *_ in rows:
            own = found[name]
            if not own:
                print(f"| {name} | 0 | failed | | | | |")
                continue
            mid = lambda key: statistics.median(one[key] for one in own)
            ratio = lambda key: statistics.median(a[key] / b[key] for a, b in zip(own, first))
            print(f"| {name} | {len(own)} | {mid('step_s'):.2f} | {mid('cpu_s'):.2f} | {mid('peak_mb'):.0f} | {ratio('step_s'):.2f} | {ratio('cpu_s'):.2f} |", flush=True)
        print()


if __name__ == "__main__":
    main()
