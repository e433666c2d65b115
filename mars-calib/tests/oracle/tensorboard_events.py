"""Writes the event files that `suite/command_logs.rs` reads, with TensorBoard's own writers.

Usage: python tensorboard_events.py [--out ../fixtures/tensorboard]

Needs torch (2.8.0 was used), tensorboard (2.21.0) and numpy. The first file is what `torch.utils.tensorboard` writes, as
the Hugging Face Trainer does, with a picture and a histogram between the losses; the second what a trainer that goes on
from step 10 adds, with scalars as tensors. Times and host names are fixed, so that the files are the same each time.
"""

import argparse
import shutil
import socket
import time
from pathlib import Path

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard import SummaryWriter


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "fixtures/tensorboard")
    out = parser.parse_args().out
    shutil.rmtree(out, ignore_errors=True)
    socket.gethostname = lambda: "host"
    time.time = lambda: 1_700_000_000.0
    with SummaryWriter(out) as writer:
        for step, loss in [(0, 3.25), (5, 2.75), (10, 2.5), (15, float("nan"))]:
            writer.add_scalar("train/loss", loss - 0.125, step)
            writer.add_scalar("eval/loss", loss, step)
            writer.add_scalar("eval/runtime", 1.5, step)
        writer.add_histogram("weights", np.arange(8.0), 15)
        writer.add_image("picture", np.zeros((3, 4, 4)), 15)
    written = next(out.glob("events*"))
    written.rename(out / "events.out.tfevents.1700000000.host.1.0")
    with (out / "events.out.tfevents.1700000001.host.2.0").open("wb") as file:
        writer = RecordWriter(file)
        for step, loss in [(15, 2.25), (20, 2.125)]:
            tensor = TensorProto(dtype=1, tensor_content=np.float32(loss).tobytes())
            value = Summary.Value(tag="eval/loss", tensor=tensor)
            writer.write(Event(wall_time=1.7e9, step=step, summary=Summary(value=[value])).SerializeToString())
        tensor = TensorProto(dtype=1, float_val=[2.0])
        value = Summary.Value(tag="eval/loss", tensor=tensor)
        writer.write(Event(wall_time=1.7e9, step=25, summary=Summary(value=[value])).SerializeToString())
        writer.flush()


if __name__ == "__main__":
    main()
