"""Learning rates in place of ranks: the same money spent on the rate of each tower, at fixed ranks (16, 16).

    python benches/suite/rates.py MARS TASKS WORK benches/suite/long/*.json.gz

MARS is the binary, TASKS the folder of `mars-recipes suite` (and `pictures`), WORK a folder for the runs: what is there already is not
trained again. Six choices of the two rates, each the task's own times one of FACTORS, race for the first part of a fine-tune at a constant
rate, as its schedule has there; the one with the lowest validation loss is trained to its end. Six times eight hundredths and the rest
of one run cost 1.40 fine-tunes, evaluations apart. Regret is that of the test perplexity against the best cell of the recorded grid of
ranks, at the task's own rates: below 0 where rates gain more than ranks do.
"""

import argparse
import gzip
import json
import pathlib
import statistics
import subprocess
from collections import defaultdict

RANKS = {"ve": 16, "llm": 16}
# Of the task's own rate: vision encoder, language model.
FACTORS = [(1, 1), (1 / 3, 1), (3, 1), (1, 1 / 3), (1, 3), (1 / 3, 1 / 3)]
# Of the steps of a fine-tune, for the race.
PART = 0.08


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mars", type=pathlib.Path)
    parser.add_argument("tasks", type=pathlib.Path)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("recordings", nargs="+")
    arguments = parser.parse_args()
    print(f"{'task':<14} {'seed':>4} {'factors ve, llm':>16} {'perplexity':>10} {'regret %':>9} {'price':>6}  validation losses of the race")
    regrets = []
    for path in arguments.recordings:
        recording = json.load(gzip.open(path))
        best = best_cell(recording)
        first = recording["budget"]["seed"]
        of_task = []
        for seed in range(first, first + recording["seeds"]):
            tuner = Tuner(arguments.mars, arguments.tasks / recording["task"], arguments.work / f"{recording['task']}-{seed}", recording, seed)
            factors, perplexity, price, losses = tuner.search()
            of_task.append(100 * (perplexity / best - 1))
            text = ", ".join(f"{factor:.3g}" for factor in factors)
            race = " ".join(f"{loss:.4f}" for loss in losses)
            print(f"{recording['task']:<14} {seed:>4} {text:>16} {perplexity:>10.4f} {of_task[-1]:>9.2f} {price:>6.2f}  {race}", flush=True)
        regrets.append(of_task)
        show(recording["task"], [of_task])
    show("all", regrets)


def show(name, tasks):
    errors = [statistics.stdev(task) / len(task) ** 0.5 for task in tasks]
    mean = statistics.fmean(statistics.fmean(task) for task in tasks)
    print(f"{name:<14} mean regret {mean:.2f} %, standard error over the seeds {sum(e * e for e in errors) ** 0.5 / len(tasks):.2f}", flush=True)


def full_runs(recording):
    budget = recording["budget"]
    for run in recording["runs"]:
        if run["horizon"] == budget["steps"] and run["samples"] == budget["samples"] and len(run["ranks"]) == 2 and "method" not in run:
            yield run


def best_cell(recording):
    """The lowest test perplexity of a cell, in the mean of its seeds."""
    cells = defaultdict(list)
    for run in full_runs(recording):
        cells[tuple(sorted(run["ranks"].items()))].append(run["test_perplexity"])
    return min(statistics.fmean(values) for values in cells.values())


class Tuner:
    """Runs of one task and seed by `mars tune`."""

    def __init__(self, mars, task, work, recording, seed):
        self.mars, self.task, self.work, self.seed = mars, task, work, seed
        self.budget = recording["budget"]
        self.recorded = next(run for run in full_runs(recording) if run["ranks"] == RANKS and run["seed"] == seed)
        lines = (task / "mars.toml").read_text().splitlines()
        self.rate = next(float(line.split("=")[1]) for line in lines if line.startswith("train.learning_rate"))

    def search(self):
        steps = round(PART * self.budget["steps"])
        # No decay of the rate: that of the whole schedule begins later.
        race = [self.tune(factors, steps, ["train.optim.decay_fraction=0", f"train.eval_every={steps}"]) for factors in FACTORS]
        losses = [result["gain"]["after"] for result in race]
        leader = losses.index(min(losses))
        if leader == 0:
            perplexity = self.recorded["test_perplexity"]
        else:
            perplexity = self.tune(FACTORS[leader], self.budget["steps"], [])["test"]["perplexity"]
        full = self.recorded["cost"]["flops"] + self.recorded["cost"]["eval_flops"]
        others = sum(result["cost"]["flops"] for index, result in enumerate(race) if index != leader)
        return FACTORS[leader], perplexity, 1 + others / full, losses

    def tune(self, factors, steps, settings):
        rates = [f"train.learning_rates.{module}={self.rate * factor:.6g}" for module, factor in zip(RANKS, factors)]
        ends = [f"train.steps={steps}", f"train.seed={self.seed}", "run.validation_samples=512"]
        out = self.work / "-".join(f"{factor:.3g}" for factor in (*factors, steps))
        saved = out.with_name(out.name + ".json")
        if not saved.exists():
            out.mkdir(parents=True, exist_ok=True)
            command = [self.mars.resolve(), "tune", "--config", self.task / "mars.toml", "--out", out, "--json", "--quiet"]
            command += ["--ranks", ",".join(f"{module}={rank}" for module, rank in RANKS.items())]
            for setting in [*ends, *rates, *settings]:
                command += ["--set", setting]
            result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            saved.write_text(result)
        return json.loads(saved.read_text())


if __name__ == "__main__":
    main()
