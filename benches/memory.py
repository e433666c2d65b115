"""Peak memory of `mars tune` beside what `mars plan` predicts, for randomly initialised models; prints a table.

Usage: python benches/memory.py [--binary target/release/mars] [--work DIR] > docs/results/memory.md

Needs torch, transformers and Pillow for the models. Every row is a process of its own; its peak is the kernel's
(ru_maxrss). Batch 1, LoRA of rank 8 on all linear layers of both towers, one adapter.
"""

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import random_model

ROOT = Path(__file__).resolve().parent.parent
# Type of the weights, arithmetic of products with them.
KINDS = [("f32", "f32"), ("bf16", "f32"), ("bf16", "bf16x2"), ("bf16", "bf16")]
# Size, tiles, gradient checkpointing, kind.
ROWS = [(size, 1, checkpointing, kind) for size in random_model.SIZES for checkpointing in (False, True) for kind in KINDS]
ROWS += [("SmolVLM-256M", 17, True, kind) for kind in KINDS]


def settings(folder, checkpointing, dtype, out, steps=2, batch=1):
    data = folder / "data"
    sets = ["search.ranks=[8]", "search.default_rank=8", "calibration.ranks=[8]", f"train.batch={batch}", f"train.steps={steps}",
            f"train.eval_every={steps}", f"run.checkpoint_every={steps}", "run.stack=1", "run.workers=1", "run.eval_batch=1", f"model.dtype={dtype}"]
    flags = [flag for value in sets for flag in ("--set", value)]
    flags += ["--model", folder / "model", "--images", data, "--json", "-q"]
    flags += [flag for part, name in (("--data", "train"), ("--val", "val"), ("--test", "test"))
              for flag in (part, data / f"{name}.json")]
    flags += ["--set", f"out.dir={out}"]
    return [*map(str, flags), *(["--gradient-checkpointing"] if checkpointing else [])]


def run(command):
    """Output and peak memory in MB of a process."""
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, stdout=out, cwd=ROOT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, f"{command} ended with {process.returncode}"
        out.seek(0)
        return json.loads(out.read()), usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default=ROOT / "target/release/mars")
    parser.add_argument("--work", help="where the models are kept; default a temporary directory")
    parser.add_argument("--only", default="", help="sizes whose name contains this")
    parser.add_argument("--products", default="f32", help="arithmetic of the rows, with commas; bf16x2 and bf16 need a processor that has them")
    arguments = parser.parse_args()
    work = Path(arguments.work or tempfile.mkdtemp())
    print(f"# Memory, {datetime.date.today()}\n")
    print(f"{platform.machine()}, {os.cpu_count()} cores. Randomly initialised models (`benches/random_model.py`), one image in so many tiles,")
    print("batch 1, one adapter of rank 8 on all linear layers of both towers. MB are 2^20 bytes.\n")
    print("| model | parameters | tiles | gradient checkpointing | weights in | products in | `mars plan` MB | measured MB | plan / measured |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    counts = {}
    for size, tiles, checkpointing, (dtype, compute) in ROWS:
        if arguments.only not in size or compute not in arguments.products.split(","):
            continue
        folder = work / f"{size}-{tiles}"
        if (size, tiles) not in counts:
            counts[size, tiles] = random_model.make(size, folder, tiles)
        with tempfile.TemporaryDirectory() as out:
            flags = [*settings(folder, checkpointing, dtype, out), "--compute", compute]
            plan, _ = run([str(arguments.binary), "plan", *flags])
            _, peak = run([str(arguments.binary), "tune", "--ranks", "ve=8,llm=8", *flags])
        foretold = plan["memory"]["total"] / 2**20
        print(f"| {size} | {counts[size, tiles] / 1e6:.1f} M | {tiles} | {'yes' if checkpointing else 'no'} | {dtype} | {compute} "
              f"| {foretold:.0f} | {peak:.0f} | {foretold / peak:.2f} |", flush=True)
        print(json.dumps(plan["memory"]), file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
