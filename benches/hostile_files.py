"""Malicious weight files and configurations, and how long `mars` takes to refuse them, with its peak memory.

Usage: python benches/hostile_files.py [--mars target/release/mars] [--rounds 3]

Needs Linux (peak memory of child processes), the repository's assets and no packages. Each file replaces the weights
of the embedded model, and of an adapter, or the configuration of the adapter; `mars eval` and `mars verify` must end
with code 3. Printed are the longest of the rounds and the largest peak, beside those of the sound model.
"""

import argparse
import json
import os
import shutil
import struct
import subprocess
import sys
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


NAMES = [
    "sizes that overflow",
    "a name twice",
    "cut in half",
    "a length of 2^64 - 1",
    "a header of 100 MB of blanks",
    "a header of 100 MB of tensors",
    "a header of 5 MB of tensors",
    "a header of 5 MB of numbers",
    "a header of 5 MB of brackets",
    "a shape that overflows",
    "a terabyte that is not there",
]

CONFIGURATIONS = [
    "a configuration of 300 expressions",
    "a configuration of 60 MB of numbers",
]


def configuration(name, sound):
    """The bytes of the configuration of this name, made from a sound one."""
    config = json.loads(sound)
    if name == CONFIGURATIONS[0]:
        config["rank_pattern"] = {r"\w{150}x%d" % n: 4 for n in range(300)}
        return json.dumps(config).encode()
    return b'{"junk":[' + b"0," * 30_000_000 + b"0]," + json.dumps(config).encode()[1:]


def content(name, sound):
    """The bytes of the weights of this name, made from a sound one."""
    length, = struct.unpack("<Q", sound[:8])
    header, data = sound[8:8 + length], sound[8 + length:]
    tensors = json.loads(header)
    first = next(name for name in tensors if name != "__metadata__")
    entry = f"{json.dumps(first)}:{json.dumps(tensors[first])},".encode()
    empty = json.dumps(tensor()).encode()
    many = lambda count: b",".join(b'"t%d":%s' % (n, empty) for n in range(count))
    contents = {
        "sound": lambda: sound,
        "sizes that overflow":
            lambda: file({f"t{n}": tensor("U8", [MOST], n * MOST, (n + 1) * MOST) for n in range(8)}, b"x" * 16),
        "a name twice": lambda: file(b"{" + entry + header[1:], data),
        "cut in half": lambda: sound[:len(sound) // 2],
        "a length of 2^64 - 1": lambda: b"\xff" * 8 + sound[8:],
        "a header of 100 MB of blanks": lambda: file(b"{" + b" " * 99_999_000 + b"}"),
        "a header of 100 MB of tensors": lambda: file(b"{" + many(1_500_000)[:99_999_000] + b"}"),
        "a header of 5 MB of tensors": lambda: file(b"{" + many(75_000) + b"}", b"x"),
        "a header of 5 MB of numbers":
            lambda: file(b'{"t":{"dtype":"F32","data_offsets":[0,0],"shape":[' + b"1," * 2_490_000 + b"1]}}", b"x"),
        "a header of 5 MB of brackets": lambda: file(b"[" * 4_990_000),
        "a shape that overflows": lambda: file({"t": tensor("F32", [2**63, 2**63], 0, 4)}, b"xxxx"),
        "a terabyte that is not there": lambda: file({"t": tensor("F32", [2**38], 0, 2**40)}),
    }
    return contents[name]()


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


def cells(mars, rounds, name, path, arguments):
    """Writes the file of this name in place of `path` and measures the call."""
    # By another process: the peak of a child counts what its parent held.
    sound = path.with_suffix(".sound")
    subprocess.run([sys.executable, __file__, "--write", name, sound, path], check=True)
    all_rounds = [call([mars, *arguments]) for _ in range(rounds)]
    for code, *_, said in all_rounds:
        assert (code == 0) == (name == "sound") and "panicked" not in said, (name, path, code, said)
        assert name == "sound" or code == 3 and path.name in said, (name, path, code, said)
    seconds, cpu, peak = [max(one[n] for one in all_rounds) for n in (1, 2, 3)]
    return f"{seconds:.2f} | {cpu:.2f} | {peak:.0f}"


def measure(mars, rounds):
    data = [{"id": "one", "conversations": [{"from": "human", "value": "say left"}, {"from": "gpt", "value": "one"}]}]
    bases = ROOT / "mars-vlm/tests/fixtures/llava_onevision/gqa_tied"
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        shutil.copytree(ROOT / "assets/model", folder / "model")
        shutil.copytree(bases / "adapter", folder / "adapter")
        (folder / "data.json").write_text(json.dumps(data))
        places = {
            folder / "model/model.safetensors":
                ["eval", "--model", folder / "model", "--data", folder / "data.json"],
            folder / "adapter/adapter_model.safetensors": ["verify", folder / "adapter", bases],
        }
        config = folder / "adapter/adapter_config.json"
        for path in [*places, config]:
            shutil.copy(path, path.with_suffix(".sound"))
        print("| file | base: s | CPU s | MB | adapter: s | CPU s | MB |\n|---|---|---|---|---|---|---|")
        for name in ["sound", *NAMES]:
            row = [cells(mars, rounds, name, path, arguments) for path, arguments in places.items()]
            print(f"| {name} | {' | '.join(row)} |", flush=True)
        for path in places:
            shutil.copy(path.with_suffix(".sound"), path)
        for name in CONFIGURATIONS:
            row = cells(mars, rounds, name, config, ["verify", folder / "adapter", bases])
            print(f"| {name} | | | | {row} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mars", type=Path, default=ROOT / "target/release/mars")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", nargs=3, metavar=("NAME", "SOUND", "TO"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        name, sound, to = options.write
        make = configuration if name in CONFIGURATIONS else content
        Path(to).write_bytes(make(name, Path(sound).read_bytes()))
    else:
        measure(options.mars.resolve(), options.rounds)


if __name__ == "__main__":
    main()
