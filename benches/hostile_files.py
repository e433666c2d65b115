"""Hostile weight files and how long `mars` takes to refuse them, with its peak memory.

Usage: python benches/hostile_files.py [--mars target/release/mars] [--rounds 3]

Needs Linux (peak memory of child processes), the repository's assets and no packages. Each file replaces the weights
of the embedded model, and of an adapter; `mars eval` and `mars verify` must end with code 3. Printed are the longest
of the rounds and the largest peak, beside those of the sound model.
"""

import argparse
import json
import os
import shutil
import struct
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MOST = 2**61 - 1


def file(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(dtype="F32", shape=(0,), start=0, end=0):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}


def hostile(sound):
    """Names and contents."""
    length, = struct.unpack("<Q", sound[:8])
    header, data = sound[8:8 + length], sound[8 + length:]
    first = json.loads(header)
    name = next(name for name in first if name != "__metadata__")
    entry = f"{json.dumps(name)}:{json.dumps(first[name])},".encode()
    empty = json.dumps(tensor()).encode()
    many = b",".join(b'"t%d":%s' % (n, empty) for n in range(150_000))
    return {
        "sizes that overflow": file({f"t{n}": tensor("U8", [MOST], n * MOST, (n + 1) * MOST) for n in range(8)}, b"x" * 16),
        "a name twice": file(b"{" + entry + header[1:], data),
        "cut in half": sound[:len(sound) // 2],
        "a length of 2^64 - 1": b"\xff" * 8 + sound[8:],
        "a header of 100 MB of blanks": file(b"{" + b" " * 100_000_000 + b"}"),
        "a header of 100 MB of tensors": file(b"{" + b",".join([many] * 12)[:99_000_000] + b"}"),
        "a header of 10 MB of tensors": file(b"{" + many[:9_900_000].rpartition(b",")[0] + b"}", b"x"),
        "a header of 10 MB of numbers": file(b'{"t":{"dtype":"F32","data_offsets":[0,0],"shape":[' + b"1," * 4_900_000 + b"1]}}"),
        "a header of 10 MB of brackets": file(b"[" * 9_900_000),
        "a shape that overflows": file({"t": tensor("F32", [2**63, 2**63], 0, 4)}, b"xxxx"),
        "a terabyte that is not there": file({"t": tensor("F32", [2**38], 0, 2**40)}),
    }


def call(arguments):
    """Exit code, seconds on the clock, CPU seconds and peak megabytes of a call, and what it said."""
    with tempfile.TemporaryFile() as said:
        began = time.monotonic()
        child = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=said)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.monotonic() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        cpu = usage.ru_utime + usage.ru_stime
        return child.returncode, seconds, cpu, usage.ru_maxrss / 1024, said.read().decode()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mars", type=Path, default=ROOT / "target/release/mars")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    data = [{"id": "one", "conversations": [{"from": "human", "value": "say left"}, {"from": "gpt", "value": "one"}]}]
    bases = ROOT / "mars-vlm/tests/fixtures/llava_onevision/gqa_tied"

    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        shutil.copytree(ROOT / "assets/model", folder / "model")
        shutil.copytree(bases / "adapter", folder / "adapter")
        (folder / "data.json").write_text(json.dumps(data))
        places = {
            "base": (folder / "model/model.safetensors",
                     ["eval", "--model", folder / "model", "--data", folder / "data.json"]),
            "adapter": (folder / "adapter/adapter_model.safetensors", ["verify", folder / "adapter", bases]),
        }
        print("| file | base: s | CPU s | MB | adapter: s | CPU s | MB |\n|---|---|---|---|---|---|---|")
        sound = {what: path.read_bytes() for what, (path, _) in places.items()}
        cases = {"sound": None} | {name: None for name in hostile(sound["base"])}
        for name in cases:
            cells = []
            for what, (path, arguments) in places.items():
                path.write_bytes(sound[what] if name == "sound" else hostile(sound[what])[name])
                rounds = [call([options.mars, *arguments]) for _ in range(options.rounds)]
                for code, *_, said in rounds:
                    assert (code == 0) == (name == "sound") and "panicked" not in said, (name, what, code, said)
                    assert name == "sound" or code == 3 and path.name in said, (name, what, code, said)
                most = [max(one[n] for one in rounds) for n in (1, 2, 3)]
                cells.append(f"{most[0]:.2f} | {most[1]:.2f} | {most[2]:.0f}")
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
