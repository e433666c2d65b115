"""LoRA training steps of MARS, of burn's own LoRA and of PyTorch + PEFT on one decoder; prints a table.

Usage: python benches/lora_step.py [--rounds 3] [--only TEXT] > docs/results/lora-step.md

Needs torch, transformers and peft. Every row of every round is a process of its own, so that its peak memory
is known. The rows take turns within a round, so that a busy machine slows all of them; a ratio is the median
over rounds of the ratios within a round.
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
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LAYERS, WIDTH, HEADS, KV_HEADS, INNER, RANK = 4, 576, 9, 3, 1536, 8


def torch_steps(steps, batch, sequence, mode, attention):
    """One process: Llama's layers of transformers under peft's LoRA, in one of these modes:

    f32; medium, f32 at float32_matmul_precision "medium"; autocast, f32 weights and bf16 products; base, a bf16 base with f32 adapters;
    bf16 throughout.
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaModel

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=8, hidden_size=WIDTH, intermediate_size=INNER, num_hidden_layers=LAYERS, use_cache=False,
        num_attention_heads=HEADS, num_key_value_heads=KV_HEADS, attn_implementation=attention,
    )
    if mode == "medium":
        torch.set_float32_matmul_precision("medium")
    dtype = torch.bfloat16 if mode in ("base", "bf16") else torch.float32
    # As checkpoints are published: exactly bf16.
    base = LlamaModel(config).to(torch.bfloat16).to(dtype)
    model = get_peft_model(base, LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=LINEARS), autocast_adapter_dtype=mode == "base")
    parameters = [p for p in model.parameters() if p.requires_grad]
    assert len(parameters) == 2 * len(LINEARS) * LAYERS
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.0)
    x, y = (torch.randn(batch, sequence, WIDTH, dtype=dtype) for _ in range(2))
    wall, losses = [], []
    for step in range(steps + 1):
        if step == 1:
            cpu = time.process_time()
        began = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mode == "autocast"):
            loss = (model(inputs_embeds=x).last_hidden_state - y).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        wall.append(time.perf_counter() - began)
    cpu = (time.process_time() - cpu) / steps
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"wall": wall[1:], "cpu": cpu, "first": losses[0], "last": losses[-1], "peak_mb": peak}))


def build():
    command = ["cargo", "bench", "--no-run", "-p", "mars", "-p", "mars-cli", "--bench", "lora_step", "--message-format=json"]
    lines = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    built = [json.loads(line) for line in lines if line.startswith("{")]
    return [m["executable"] for m in built if m.get("executable") and m["target"]["name"] == "lora_step"][0]


def rows():
    """(group, name, threads, command, first of the group that the ratio is to)."""
    mars = lambda *more: ["mars", *map(str, more)]
    torch = lambda mode="f32", attention="sdpa": ["torch", mode, attention]
    for threads in (1, 2):
        group = f"One adapter, batch 4, sequence 256, {threads} thread{'s' * (threads > 1)}"
        yield group, "MARS", threads, mars()
        if threads == 2:
            yield group, "MARS, 2 parts", threads, mars("--parts", 2)
        for compute in ("bf16x2", "bf16"):
            yield group, f"MARS, {compute}", threads, mars("--compute", compute)
            if threads == 2:
                yield group, f"MARS, {compute}, 2 parts", threads, mars("--compute", compute, "--parts", 2)
        yield group, "MARS, blocks computed twice", threads, mars("--recompute", *(("--parts", 2) if threads == 2 else ()))
        yield group, "MARS, burn's norms, attention and activation", threads, mars("--unfused")
        yield group, "burn's `apply_lora`", threads, mars("--burn")
        yield group, "PyTorch + PEFT, f32, SDPA", threads, torch()
        yield group, "PyTorch + PEFT, f32, eager attention", threads, torch(attention="eager")
        for mode, name in (("medium", "f32, precision medium"), ("autocast", "autocast to bf16"), ("base", "bf16 base, f32 adapters"),
                           ("bf16", "bf16")):
            yield group, f"PyTorch + PEFT, {name}, SDPA", threads, torch(mode)
    group = "Four adapters, batch 1, sequence 256, 1 thread"
    one = ["--adapters", 4, "--batch", 1]
    yield group, "ranks 4, 8, 16, 64 in bands", 1, mars(*one, "--ranks", "4,8,16,64")
    yield group, "the same padded to rank 64", 1, mars(*one, "--ranks", 64)
    yield group, "rank 8", 1, mars(*one)
    for batch, sequence in ((1, 256), (4, 256), (16, 64)):
        for adapters in (1, 2, 4, 8):
            shape = ["--adapters", adapters, "--batch", batch, "--sequence", sequence]
            group = f"K = {adapters}, batch {batch}, sequence {sequence}, 2 threads"
            if adapters > 1:
                yield group, "together, 2 parts", 2, mars(*shape, "--parts", 2)
            yield group, "together", 2, mars(*shape)
            yield group, "one after the other", 2, mars(*shape, "--sequential")


def run(command, threads, binary, steps):
    """`steps` steps of one row, in a process of its own."""
    env = dict(os.environ, OMP_NUM_THREADS=str(threads), RAYON_NUM_THREADS=str(threads))
    kind, *more = command
    program = [binary, "--steps"] if kind == "mars" else [sys.executable, __file__, "--torch"]
    done = subprocess.run([*program, str(steps), *more], env=env, capture_output=True, text=True)
    if done.returncode != 0 and "--compute" in more:
        print(f"left out: {' '.join(more)}: {done.stderr.strip()}", file=sys.stderr)
        return None
    done.check_returncode()
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert found["last"] < found["first"], f"{command} learns nothing: {found}"
    return {"wall": statistics.median(found["wall"]), "best": min(found["wall"]), "cpu": found["cpu"], "mb": found["peak_mb"]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=6, help="steps of a row in a round")
    parser.add_argument("--only", default="", help="groups whose name contains this")
    parser.add_argument("--without", default="nothing", help="rows whose name contains this are left out")
    parser.add_argument("--binary", help="the built bench, if there is one already")
    parser.add_argument("--raw", help="a file of earlier rounds, which new ones are added to")
    parser.add_argument("--torch", nargs=3, metavar=("STEPS", "MODE", "ATTENTION"))
    arguments = parser.parse_args()
    if arguments.torch:
        steps, mode, attention = arguments.torch
        return torch_steps(int(steps), 4, 256, mode, attention)

    binary = arguments.binary or (build() if arguments.rounds else None)
    chosen = [row for row in rows() if arguments.only in row[0] and arguments.without not in row[1]]
    measured = {(group, name): [] for group, name, *_ in chosen}
    raw = Path(arguments.raw) if arguments.raw else None
    for line in raw.read_text().splitlines() if raw and raw.exists() else []:
        one = json.loads(line)
        if (one["group"], one["name"]) in measured:
            measured[one["group"], one["name"]].extend(one["rounds"])
    for _ in range(arguments.rounds):
        for group, name, threads, command in chosen:
            found = run(command, threads, binary, arguments.steps)
            if not found:
                continue
            measured[group, name].append(found)
            if raw:
                with raw.open("a") as file:
                    file.write(json.dumps({"group": group, "name": name, "rounds": [found]}) + "\n")
    # Rows that were never run, in a file of earlier rounds, are left out.
    chosen = [row for row in chosen if measured[row[0], row[1]]]
    groups = list(dict.fromkeys(group for group, *_ in chosen))
    cpu = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    print(f"# LoRA training step, {datetime.date.today()}\n")
    print(f"{platform.machine()}, {os.cpu_count()} cores ({cpu[0] if cpu else 'unknown'}), {memory:.0f} GiB; "
          f"PyTorch {version('torch')}, PEFT {version('peft')}, transformers {version('transformers')}.")
    print(f"Llama decoder of {LAYERS} layers, width {WIDTH}, {HEADS} heads, {KV_HEADS} key heads, inner width {INNER}; LoRA of rank {RANK} on its")
    print("7 linear layers, squared error, AdamW, f32 where nothing is said. Rounds of a few steps after one to warm up; medians of rounds.")
    print("Ratios are to the first row of a table, within a round, by the fastest step; CPU is of all threads.\n")
    mid = lambda rounds, key: statistics.median(one[key] for one in rounds)
    for group in groups:
        print(f"## {group}\n\n| | rounds | median s | fastest s | CPU s | time / first | CPU / first | peak MB |\n|---|---|---|---|---|---|---|---|")
        names = [name for of, name, *_ in chosen if of == group]
        first = measured[group, names[0]]
        for name in names:
            own = measured[group, name]
            ratio = lambda key: statistics.median(a[key] / b[key] for a, b in zip(own, first))
            print(f"| {name} | {len(own)} | {mid(own, 'wall'):.3f} | {mid(own, 'best'):.3f} | {mid(own, 'cpu'):.3f} "
                  f"| {ratio('best'):.2f} | {ratio('cpu'):.2f} | {mid(own, 'mb'):.0f} |", flush=True)
        print()


if __name__ == "__main__":
    main()
