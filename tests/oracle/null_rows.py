"""Writes a Parquet file as pyarrow makes it of rows that differ in their keys: every key that any row has is a column or a
field, and null where a row does not have it. Beside it the rows as they were, as JSON lines, and as `to_pylist` gives them
back, with the nulls.

    pip install pyarrow
    python tests/oracle/null_rows.py

The tests read all three and demand equal samples. Images are those of tests/fixtures/processor/images.
"""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

FIXTURES = Path(__file__).resolve().parents[2] / "mars-vlm" / "tests" / "fixtures"
IMAGES = FIXTURES / "processor" / "images"
OUT = FIXTURES / "parquet"


def text(words):
    return {"type": "text", "text": words}


ROWS = [
    {"id": "parts", "messages": [
        {"role": "user", "content": [{"type": "image", "path": "wide.png"}, text("What?")]},
        {"role": "assistant", "content": [text("a wheel")]}]},
    {"id": "sharegpt", "system": "Answer in short.", "images": ["square.png"], "conversations": [
        {"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "a square", "weight": 1}]},
    {"id": "masked", "conversations": [
        {"from": "human", "value": "What?"}, {"from": "gpt", "value": "wrong", "train": False, "weight": 0},
        {"from": "human", "value": "Sure?"}, {"from": "gpt", "value": "right", "train": True}]},
    {"id": "url", "messages": [
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "square.png"}}, text("What?")]},
        {"role": "assistant", "content": [text("a square")]}]},
    {"id": "literal", "messages": [
        {"role": "user", "content": [text("What does <image> mean?"), {"type": "image", "path": "wide.png"}]},
        {"role": "assistant", "content": [text("A tag: <image>.")]}]},
    {"id": "pairs", "images": ["wide.png", "square.png"], "texts": [{"user": "Which?", "assistant": "both", "source": "made"}]},
]

PART = pa.struct([("type", pa.string()), ("text", pa.string()), ("path", pa.string()),
                  ("image_url", pa.struct([("url", pa.string()), ("detail", pa.string())]))])
MESSAGE = pa.struct([("role", pa.string()), ("content", pa.list_(PART)), ("tool_calls", pa.list_(pa.string())),
                     ("name", pa.string())])
TURN = pa.struct([("role", pa.string()), ("from", pa.string()), ("content", pa.string()), ("value", pa.string()),
                  ("weight", pa.float64()), ("train", pa.bool_())])
PAIR = pa.struct([("user", pa.string()), ("assistant", pa.string()), ("source", pa.string())])
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string()), ("url", pa.string())])
SCHEMA = pa.schema([("id", pa.string()), ("system", pa.string()), ("messages", pa.list_(MESSAGE)),
                    ("conversations", pa.list_(TURN)), ("texts", pa.list_(PAIR)), ("image", IMAGE),
                    ("images", pa.list_(IMAGE)), ("videos", pa.list_(pa.string())), ("score", pa.float64())])


def stored(row, k):
    """The row with its images in the table, among nulls."""
    images = [{"bytes": (IMAGES / name).read_bytes(), "path": name} for name in row.get("images", [])]
    empty = {"bytes": None, "path": None, "url": None}
    return {**row, "images": [None, *images, empty] if images or k % 2 else None}


def named(row):
    """The row as pyarrow gives it back, with names in place of the bytes, which JSON does not take."""
    images = row["images"] and [image and {**image, "bytes": None} for image in row["images"]]
    return {**row, "images": images}


def main():
    table = pa.Table.from_pylist([stored(row, k) for k, row in enumerate(ROWS)], schema=SCHEMA)
    pq.write_table(table, OUT / "nulls.parquet", compression="snappy")
    back = [named(row) for row in table.to_pylist()]
    for name, rows in [("nulls.jsonl", ROWS), ("nulls_back.jsonl", back)]:
        (OUT / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    print("pyarrow", pa.__version__)


if __name__ == "__main__":
    main()
