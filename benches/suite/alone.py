"""Campaigns of one task as one recording of their runs with one module adapted: `alone.py TASK OUT.json.gz CAMPAIGN...`.

A recording that is there already keeps its runs of other seeds; it must be one of this task with this budget.

`mars compare --record` writes recordings of whole searches; calibrations without one have no final run, and no test perplexity.
"""

import gzip
import json
import pathlib
import sys
import tomllib


# Of runs that stand as they are; others are left out.
ENDS = {
    "finished": {"end": "finished"},
    "converged": {"stopped": True, "end": "finished"},
    "overfit": {"over_fitted": True, "end": "finished"},
}


def recorded(record):
    spec = record["spec"]
    blocks = record["val_blocks"]
    return {
        "ranks": spec["ranks"],
        "samples": spec["samples"],
        "seed": spec["seed"],
        "horizon": spec["horizon"],
        "curve": [{"step": point["step"], "blocks": [round(loss, 4) for loss in point["losses"]]} for point in blocks],
        "cost": {"flops": record["flops"], "eval_flops": record["eval_flops"], "wall_s": round(record["wall_s"], 3)},
    } | ENDS[record["end"]["kind"]]


def recording(task, settings, runs):
    runs = sorted(runs, key=lambda run: (run["seed"], sorted(run["ranks"].items()), run["samples"]))
    seeds = sorted({run["seed"] for run in runs})
    plan, train = settings["plan"]["calibration"], settings["config"]["train"]
    modules = settings["config"]["lora"]["modules"]
    return {
        "task": task,
        "space": {
            "modules": modules,
            "reference": modules[-1],
            "candidates": {module: plan["ranks"] for module in modules},
            "default_rank": 16,
            "parameters_per_rank": {},
        },
        "budget": {
            "steps": train["steps"],
            "samples": max(run["samples"] for run in runs),
            "batch": train["batch"],
            "eval_every": plan["eval_every"],
            "validation_samples": plan["validation_samples"],
            "seed": seeds[0],
            "calibration": {
                "ranks": plan["ranks"],
                "sizes": plan["sizes"],
                "steps": plan["steps"],
                "seeds": [seeds[0]],
                "joint": 0,
            },
        },
        "seeds": len(seeds),
        "base_perplexity": 0.0,
        "runs": runs,
    }


def main():
    task, out, *campaigns = sys.argv[1:]
    out = pathlib.Path(out)
    runs = []
    for campaign in map(pathlib.Path, campaigns):
        for path in campaign.glob("runs/*/result.json"):
            record = json.loads(path.read_text())["record"]
            if len(record["spec"]["ranks"]) == 1 and record["end"]["kind"] in ENDS:
                runs.append(recorded(record))
    settings = tomllib.loads((pathlib.Path(campaigns[0]) / "campaign.toml").read_text())
    if out.exists():
        with gzip.open(out) as packed:
            before = json.load(packed)
        if recording(task, settings, before["runs"]) != before:
            sys.exit(f"{out} was recorded with other settings than {campaigns[0]}: name another file, or remove it")
        seeds = {run["seed"] for run in runs}
        runs += [run for run in before["runs"] if run["seed"] not in seeds]
    out.parent.mkdir(exist_ok=True)
    # Without the time of day, so that equal runs give equal bytes.
    with open(out, "wb") as file, gzip.GzipFile(fileobj=file, mode="wb", mtime=0, filename="") as packed:
        packed.write(json.dumps(recording(task, settings, runs), separators=(",", ":")).encode())


if __name__ == "__main__":
    main()
