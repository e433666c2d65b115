"""Tuners from outside on the recorded runs, at the same price: Optuna (TPE without a pruner, with its median and its Hyperband
pruner), SMAC (multi-fidelity: random forests with Hyperband) and NePS (PriorBand).

    pip install optuna smac                       # one environment
    pip install neural-pipeline-search            # another, if their requirements disagree; needs torch
    python benches/suite/outside.py benches/suite/long/*.json.gz --tuners tpe+hyperband smac

A tuner asks for rank tuples and how far to train each, in evaluations; each is trained along its recorded curve, from where it was
left. Ranks are ordered for the tuner: it sees log2 of a rank as a whole number. A search ends when the run that is asked for, or its
leader's, could no longer be trained to its end; the leader's is then. The leader is the run with the lowest validation loss so far. What was
trained before costs nothing. The cap counts every run as one fine-tune, as that of `guided` does; the price that is printed counts model
FLOPs of training and of every evaluation, in fine-tunes at the ranks that are chosen in the end, as `mars compare` does.

PriorBand needs a prior: log2 of the default rank for every module, in medium confidence. Optuna's Wilcoxon pruner stops a run on part of
its test instances; here the price is that of training, so it is left out.
"""

import argparse
import gzip
import itertools
import json
import logging
import math
import random
import statistics
import tempfile
import warnings
from collections import defaultdict

# Questions after which a tuner that repeats itself is stopped.
QUESTIONS = 200
# Of Hyperband, wherever it is used.
ETA = 3


class Run:
    """A recorded run of the grid, trained evaluation by evaluation; the first of them is that after the first stretch of steps."""

    def __init__(self, record):
        curve = record["curve"]
        self.losses = [statistics.fmean(point["blocks"]) for point in curve[1:]]
        # Of a run that over-fits the best adapter is kept.
        if record.get("kept") is not None:
            self.losses = list(itertools.accumulate(self.losses, min))
        self.test = record["test_perplexity"]
        self.cost = record["cost"]["flops"] + record["cost"]["eval_flops"]
        # That of the base model, and that of an evaluation with the steps before it, as parts of the run.
        self.start = record["cost"]["eval_flops"] / len(curve) / self.cost
        self.stretch = (1.0 - self.start) / len(self.losses)
        self.done = 0

    def price(self):
        """Of the next evaluation; the first comes with that of the base model."""
        return self.stretch + (self.start if self.done == 0 else 0.0)

    @property
    def loss(self):
        return self.losses[self.done - 1] if self.done else math.inf

    def rest(self):
        return (len(self.losses) - self.done) * self.stretch + (self.start if self.done == 0 else 0.0)


class Grid:
    """The runs of one seed, and what was spent on them, in runs."""

    def __init__(self, recording, seed, cap):
        self.runs = full_runs(recording, seed)
        self.choices = {module: sorted(ranks) for module, ranks in recording["space"]["candidates"].items()}
        self.default = recording["space"]["default_rank"]
        self.evaluations = max(len(run.losses) for run in self.runs.values())
        self.cap, self.spent, self.flops = cap, 0.0, 0.0

    def bounds(self):
        """The least and the largest log2 rank of each module."""
        return {module: (round(math.log2(ranks[0])), round(math.log2(ranks[-1]))) for module, ranks in self.choices.items()}

    def run(self, exponents):
        return self.runs[tuple(sorted((module, 2 ** int(exponents[module])) for module in self.choices))]

    def leader(self):
        return min(self.runs.values(), key=lambda run: run.loss)

    def train(self, run, evaluations):
        """The loss after so many evaluations; None where they cannot be paid for, whichever run leads then."""
        evaluations = min(evaluations, len(run.losses))
        while run.done < evaluations:
            price = run.price()
            begun = [one for one in self.runs.values() if one.done > 0 and one is not run]
            rest = max([one.rest() for one in begun if one is self.leader()] + [run.rest() - price])
            if self.spent + price + rest > self.cap + 1e-9:
                return None
            self.spent += price
            self.flops += price * run.cost
            run.done += 1
        return run.losses[evaluations - 1]

    def finish(self):
        """The chosen run and the price of the search in fine-tunes."""
        leader = self.leader()
        return leader, (self.flops + leader.rest() * leader.cost) / leader.cost


def full_runs(recording, seed):
    budget = recording["budget"]
    runs = {}
    for record in recording["runs"]:
        full = record["horizon"] == budget["steps"] and record["samples"] == budget["samples"]
        if full and record["seed"] == seed and len(record["ranks"]) == 2 and "method" not in record:
            runs[tuple(sorted(record["ranks"].items()))] = Run(record)
    return runs


def optuna_search(pruner):
    def search(grid, draw):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        pruners = {
            "none": lambda: optuna.pruners.NopPruner(),
            "median": lambda: optuna.pruners.MedianPruner(n_startup_trials=2),
            "hyperband": lambda: optuna.pruners.HyperbandPruner(1, grid.evaluations, reduction_factor=ETA),
        }
        sampler = optuna.samplers.TPESampler(seed=draw, multivariate=True, n_startup_trials=4)
        study = optuna.create_study(sampler=sampler, pruner=pruners[pruner]())
        for _ in range(QUESTIONS):
            trial = study.ask()
            run = grid.run({module: trial.suggest_int(module, *ends) for module, ends in grid.bounds().items()})
            state = optuna.trial.TrialState.COMPLETE
            for evaluations in range(1, len(run.losses) + 1):
                loss = grid.train(run, evaluations)
                if loss is None:
                    return
                trial.report(loss, evaluations)
                if trial.should_prune():
                    state = optuna.trial.TrialState.PRUNED
                    break
            if state == optuna.trial.TrialState.COMPLETE:
                study.tell(trial, run.losses[-1])
            else:
                study.tell(trial, state=state)

    return search


def smac_search(grid, draw):
    from ConfigSpace import ConfigurationSpace, Integer
    from smac import MultiFidelityFacade, Scenario
    from smac.runhistory.dataclasses import TrialValue

    space = ConfigurationSpace(seed=draw)
    space.add([Integer(module, ends) for module, ends in grid.bounds().items()])
    with tempfile.TemporaryDirectory() as place:
        scenario = Scenario(
            space,
            output_directory=place,
            deterministic=True,
            n_trials=QUESTIONS,
            min_budget=1,
            max_budget=grid.evaluations,
            seed=draw,
        )
        smac = MultiFidelityFacade(
            scenario,
            lambda config, seed, budget: 0.0,
            initial_design=MultiFidelityFacade.get_initial_design(scenario, n_configs=4),
            intensifier=MultiFidelityFacade.get_intensifier(scenario, eta=ETA),
            logging_level=False,
            overwrite=True,
        )
        for _ in range(QUESTIONS):
            try:
                asked = smac.ask()
            except StopIteration:
                return
            loss = grid.train(grid.run(dict(asked.config)), max(1, round(asked.budget)))
            if loss is None:
                return
            smac.tell(asked, TrialValue(cost=loss, time=0.0))


def priorband_search(grid, draw):
    import neps
    import numpy
    import torch

    random.seed(draw)
    numpy.random.seed(draw)
    torch.manual_seed(draw)
    torch.set_num_threads(1)
    default = round(math.log2(grid.default))
    ranks = {
        module: neps.HPOInteger(lower, upper, prior=min(max(default, lower), upper), prior_confidence="medium")
        for module, (lower, upper) in grid.bounds().items()
    }
    space = neps.SearchSpace({**ranks, "evaluations": neps.HPOInteger(1, grid.evaluations, is_fidelity=True)})
    tuner = neps.AskAndTell(neps.algorithms.priorband(space, eta=ETA))
    for _ in range(QUESTIONS):
        trial = tuner.ask()
        loss = grid.train(grid.run(trial.config), int(trial.config["evaluations"]))
        if loss is None:
            return
        tuner.tell(trial, loss)


# The package of each tuner, and how it searches: trains on the grid until nothing more can be paid for.
TUNERS = {
    "tpe": ("optuna", optuna_search("none")),
    "tpe+median": ("optuna", optuna_search("median")),
    "tpe+hyperband": ("optuna", optuna_search("hyperband")),
    "smac": ("smac", smac_search),
    "priorband": ("neural-pipeline-search", priorband_search),
}


def main():
    from importlib.metadata import version

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", nargs="+")
    parser.add_argument("--tuners", nargs="+", choices=TUNERS, default=list(TUNERS))
    parser.add_argument("--caps", type=float, nargs="+", default=[1.39, 2.0, 4.0])
    parser.add_argument("--draws", type=int, default=20, help="seeds of the tuner for each recorded seed")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    for package in dict.fromkeys(TUNERS[tuner][0] for tuner in arguments.tuners):
        print(f"{package} {version(package)}")
    print(f"{arguments.draws} draws a seed; error: standard error of the mean over recorded seeds")
    print(f"{'task':<14} {'tuner':<14} {'cap':>5} {'regret %':>9} {'error':>6} {'price':>6} {'most':>6}")
    # The regrets of one tuner at one cap on all tasks, a mean for each recorded seed: draws on one seed share its runs.
    everywhere = defaultdict(list)
    for path in arguments.recordings:
        recording = json.load(gzip.open(path))
        seeds = range(recording["budget"]["seed"], recording["budget"]["seed"] + recording["seeds"])
        tests = defaultdict(list)
        for seed in seeds:
            for ranks, run in full_runs(recording, seed).items():
                tests[ranks].append(run.test)
        best = min(statistics.fmean(values) for values in tests.values() if len(values) == len(seeds))
        for tuner in arguments.tuners:
            for cap in arguments.caps:
                means, prices = [], []
                for seed in seeds:
                    regrets = []
                    for draw in range(arguments.draws):
                        grid = Grid(recording, seed, cap)
                        TUNERS[tuner][1](grid, draw)
                        run, price = grid.finish()
                        regrets.append(100 * (run.test / best - 1))
                        prices.append(price)
                    means.append(statistics.fmean(regrets))
                everywhere[tuner, cap].append(means)
                show(recording["task"], tuner, cap, statistics.fmean(means), error(means), prices)
    if len(arguments.recordings) > 1:
        for (tuner, cap), tasks in everywhere.items():
            joint = math.sqrt(sum(error(means) ** 2 for means in tasks)) / len(tasks)
            show("all", tuner, cap, statistics.fmean(statistics.fmean(means) for means in tasks), joint, [])


def error(means):
    return statistics.stdev(means) / math.sqrt(len(means)) if len(means) > 1 else math.nan


def show(task, tuner, cap, regret, error, prices):
    price = f"{statistics.fmean(prices):>6.2f} {max(prices):>6.2f}" if prices else ""
    print(f"{task:<14} {tuner:<14} {cap:>5} {regret:>9.2f} {error:>6.2f} {price}", flush=True)


if __name__ == "__main__":
    main()
