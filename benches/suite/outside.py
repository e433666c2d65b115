"""Tuners from outside on the recorded runs, at the same price: Optuna's TPE with its Hyperband, median and without a pruner.

    pip install optuna
    python benches/suite/outside.py benches/suite/long/*.json.gz

A tuner asks for rank tuples; each is trained evaluation by evaluation along its recorded curve and may be pruned. The price counts
model FLOPs of training and of every evaluation, in fine-tunes at the ranks that are chosen in the end, as `mars compare` does. A
search ends when nothing more can be paid for beside the rest of its leader's run, which is then trained to its end: the cap holds as
it does for `guided`. The leader is the run with the lowest validation loss so far. A tuple that is asked for again costs nothing.

Optuna's Wilcoxon pruner stops a run on part of its test instances; here the price is that of training, so it is left out.
"""

import argparse
import gzip
import json
import math
import statistics
import warnings
from collections import defaultdict

import optuna

PRUNERS = {
    "tpe": lambda steps: optuna.pruners.NopPruner(),
    "tpe+median": lambda steps: optuna.pruners.MedianPruner(n_startup_trials=2),
    "tpe+hyperband": lambda steps: optuna.pruners.HyperbandPruner(1, steps, reduction_factor=3),
}
# Questions after which a tuner that repeats itself is stopped.
QUESTIONS = 200


class Run:
    """A recorded run of the grid, trained step by step."""

    def __init__(self, record):
        self.ranks = record["ranks"]
        self.losses = [sum(point["blocks"]) / len(point["blocks"]) for point in record["curve"]]
        self.test = record["test_perplexity"]
        self.cost = record["cost"]["flops"] + record["cost"]["eval_flops"]
        # Evaluations done, that of the base model among them.
        self.done = 0

    @property
    def price(self):
        return self.cost / len(self.losses)

    @property
    def loss(self):
        return self.losses[self.done - 1] if self.done else math.inf

    def rest(self):
        return (len(self.losses) - self.done) * self.price


def grid(recording, seed):
    budget = recording["budget"]
    runs = {}
    for record in recording["runs"]:
        full = record["horizon"] == budget["steps"] and record["samples"] == budget["samples"]
        if full and record["seed"] == seed and len(record["ranks"]) == 2 and "method" not in record:
            runs[tuple(sorted(record["ranks"].items()))] = Run(record)
    return runs


def search(recording, seed, pruner, cap, draw):
    """The chosen run and the price in fine-tunes."""
    runs = grid(recording, seed)
    choices = recording["space"]["candidates"]
    steps = max(len(run.losses) for run in runs.values())
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=draw, multivariate=True, n_startup_trials=4),
        pruner=PRUNERS[pruner](steps),
    )
    spent, leader = 0.0, None

    def affordable(run):
        after = run.price + spent
        best = min((leader, run), key=lambda one: one.loss) if leader else run
        rest = best.rest() - (run.price if best is run else 0.0)
        return after + rest <= cap * best.cost

    for _ in range(QUESTIONS):
        trial = study.ask()
        ranks = {module: trial.suggest_categorical(module, ranks) for module, ranks in choices.items()}
        run = runs[tuple(sorted(ranks.items()))]
        state, seen = optuna.trial.TrialState.COMPLETE, 0
        while seen < len(run.losses):
            if seen == run.done:
                if not affordable(run):
                    break
                spent += run.price
                run.done += 1
                if leader is None or run.loss <= leader.loss:
                    leader = run
            seen += 1
            trial.report(run.losses[seen - 1], seen)
            if trial.should_prune():
                state = optuna.trial.TrialState.PRUNED
                break
        else:
            study.tell(trial, run.losses[-1])
            continue
        study.tell(trial, state=state if state == optuna.trial.TrialState.PRUNED else optuna.trial.TrialState.FAIL)
        if state != optuna.trial.TrialState.PRUNED:
            break
    spent += leader.rest()
    return leader, spent / leader.cost


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", nargs="+")
    parser.add_argument("--caps", type=float, nargs="+", default=[1.39, 2.0, 4.0])
    parser.add_argument("--draws", type=int, default=20, help="seeds of the tuner for each recorded seed")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore")
    print(f"optuna {optuna.__version__}, {arguments.draws} draws a seed")
    print(f"{'task':<14} {'tuner':<14} {'cap':>5} {'regret %':>9} {'error':>6} {'price':>6}")
    for path in arguments.recordings:
        recording = json.load(gzip.open(path))
        first, count = recording["budget"]["seed"], recording["seeds"]
        tests = defaultdict(list)
        for seed in range(first, first + count):
            for ranks, run in grid(recording, seed).items():
                tests[ranks].append(run.test)
        best = min(statistics.fmean(values) for values in tests.values() if len(values) == count)
        for tuner in PRUNERS:
            for cap in arguments.caps:
                # One mean for each recorded seed: draws of the tuner on one seed share its runs.
                means, prices = [], []
                for seed in range(first, first + count):
                    found = [search(recording, seed, tuner, cap, draw) for draw in range(arguments.draws)]
                    means.append(statistics.fmean(100 * (run.test / best - 1) for run, _ in found))
                    prices.extend(price for _, price in found)
                error = statistics.stdev(means) / math.sqrt(count) if count > 1 else math.nan
                row = f"{statistics.fmean(means):>9.2f} {error:>6.2f} {statistics.fmean(prices):>6.2f}"
                print(f"{recording['task']:<14} {tuner:<14} {cap:>5} {row}", flush=True)


if __name__ == "__main__":
    main()
