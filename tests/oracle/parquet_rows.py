"""Writes the Parquet fixtures of mars-vlm with pyarrow, and beside each the same rows as JSON lines.

    pip install pyarrow
    python tests/oracle/parquet_rows.py

The tests read both and demand equal samples. Images are those of tests/fixtures/processor/images.
"""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

FIXTURES = Path(__file__).resolve().parents[2] / "mars-vlm" / "tests" / "fixtures"
IMAGES = FIXTURES / "processor" / "images"
OUT = FIXTURES / "parquet"

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def embedded(name):
    return {"bytes": (IMAGES / name).read_bytes(), "path": name}


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def messages():
    """Content in parts, whose structs have fields that are null; images embedded or named; small row groups."""
    part = pa.struct([("type", pa.string()), ("text", pa.string()), ("index", pa.int64())])
    turn = pa.struct([("role", pa.string()), ("content", pa.list_(part))])
    names = ["wide.png", "square.png", "palette.png"]
    rows, plain = [], []
    for k in range(20):
        own = names[: k % 4]
        question = [{"type": "image"} for _ in own] + [{"type": "text", "text": f"question {k}: ü?"}]
        answer = [{"type": "text", "text": f"answer {k}"}]
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        plain.append({"id": f"row-{k}", "messages": turns, "images": own})
        # Every third row names its images only.
        images = [{"bytes": None, "path": name} if k % 3 == 0 else embedded(name) for name in own]
        rows.append({"score": k / 7, "messages": turns, "images": images if k % 8 else (images or None), "id": f"row-{k}"})
    schema = pa.schema(
        [("score", pa.float64()), ("messages", pa.list_(turn)), ("images", pa.list_(IMAGE)), ("id", pa.string())]
    )
    table = pa.Table.from_pylist(rows, schema=schema)
    pq.write_table(table, OUT / "messages.parquet", row_group_size=7, compression="snappy")
    lines(OUT / "messages.jsonl", plain)


def conversations():
    """LLaVA's turns as a struct of lists, an image as plain binary, numbers as ids."""
    rows, plain = [], []
    for k, name in enumerate(["wide.png", None, "square.png"]):
        mark = "<image>\n" if name else ""
        turns = [{"from": "human", "value": f"{mark}What is {k}?"}, {"from": "gpt", "value": f"It is {k}."}]
        columns = {key: [turn[key] for turn in turns] for key in ("from", "value")}
        rows.append({"id": k, "image": (IMAGES / name).read_bytes() if name else None, "conversations": columns})
        plain.append({"id": k, "image": name, "conversations": turns})
    columns = pa.struct([("from", pa.list_(pa.string())), ("value", pa.list_(pa.string()))])
    schema = pa.schema([("id", pa.int32()), ("image", pa.binary()), ("conversations", columns)])
    table = pa.Table.from_pylist(rows, schema=schema)
    pq.write_table(table, OUT / "conversations.parquet", compression="zstd")
    lines(OUT / "conversations.jsonl", plain)


def shards():
    """The Cauldron's pairs in three files of two parts; one image in many rows."""
    pair = pa.struct([("user", pa.string()), ("assistant", pa.string()), ("source", pa.string())])
    schema = pa.schema([("images", pa.list_(IMAGE)), ("texts", pa.list_(pair))])
    folder = OUT / "shards" / "data"
    folder.mkdir(parents=True, exist_ok=True)
    plain = {"train": [], "test": []}
    for part, file, numbers in [
        ("train", "train-00000-of-00002", range(0, 2)),
        ("train", "train-00001-of-00002", range(2, 5)),
        ("test", "test-00000-of-00001", range(5, 6)),
    ]:
        rows = []
        for k in numbers:
            texts = [{"user": f"q{k}.{n}", "assistant": f"a{k}.{n}", "source": "made"} for n in range(1 + k % 2)]
            plain[part].append({"images": ["wide.png"], "texts": texts})
            rows.append({"images": [embedded("wide.png")], "texts": texts})
        table = pa.Table.from_pylist(rows, schema=schema)
        pq.write_table(table, folder / f"{file}.parquet", compression="gzip")
    for part, rows in plain.items():
        lines(OUT / f"{part}.jsonl", rows)


def other():
    """A table without turns."""
    pq.write_table(pa.table({"question": ["q"], "answer": ["a"]}), OUT / "other.parquet")


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    messages()
    conversations()
    shards()
    other()
    print("pyarrow", pa.__version__)
