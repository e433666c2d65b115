"""Times scipy and numpy on the jobs of `benches/laws.rs`, and compares them with criterion's figures.

    cargo bench -p mars-laws && OMP_NUM_THREADS=2 python mars-laws/benches/compare.py [TARGET_DIRECTORY]

Same data, starts and parametrisation; scipy's tolerances are its defaults; the shortest of the repeats counts
on both sides, which limits the effect of other work on the machine. The search is timed twice: all
powers computed for every tuple, and broadcast outer products, the fastest way numpy has.
"""
import csv
import json
import math
import pathlib
import sys
import time

import numpy as np
from scipy.optimize import least_squares

here = pathlib.Path(__file__).parent
sys.path.insert(0, str(here.parent / "tests" / "oracle"))
from planted import fit  # noqa: E402


def seconds(job, repeats):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        job()
        times.append(time.perf_counter() - start)
    return min(times)


rows = list(csv.DictReader(open(here.parent / "tests/fixtures/mars_fig2b_convergence.csv")))
r, d, t = (np.array([float(row[c]) for row in rows]) for c in ("rank", "dataset_size", "steps"))


def bootstrap():
    law, _ = fit(r, d, t)
    lr, ld = np.log(r), np.log(d)
    start = np.array([math.log(law[0]), *law[1:]])  # refits solve for E itself, as ours do

    def parts(p):
        shape = np.exp(p[0] + p[1] * lr + p[2] * ld)
        return shape, shape + p[3]

    def jacobian(p, _):
        shape, total = parts(p)
        return np.stack([shape, shape * lr, shape * ld, np.ones_like(lr)], axis=1) / total[:, None]

    centre = np.log(parts(start)[1])
    errors = np.log(t) - centre
    generator = np.random.default_rng(0)
    for _ in range(1000):
        drawn = centre + generator.choice(errors, len(errors))
        least_squares(lambda p, y: np.log(parts(p)[1]) - y, start, jacobian, method="lm", args=(drawn,))


ranks = np.array([2, 4, 8, 12, 16, 24, 32, 48, 64, 128], float)


def search_plain():
    grid = np.stack(np.meshgrid(*[ranks] * 6, indexing="ij"), -1).reshape(-1, 6)
    p = 0.65 / np.prod(grid**0.1, axis=1) + 1.2 + 0.3 * np.prod(grid**0.11, axis=1)
    return np.argpartition(p, 10)[:10]


def search_outer():
    falling, rising = np.array(0.65), np.array(0.3)
    for _ in range(6):
        falling = np.multiply.outer(falling, ranks**-0.1)
        rising = np.multiply.outer(rising, ranks**0.11)
    return np.argpartition((falling + 1.2 + rising).ravel(), 10)[:10]


def ours(name, target):
    path = pathlib.Path(target) / "criterion" / "beside_scipy" / name / "new" / "sample.json"
    sample = json.loads(path.read_text())
    return min(time / count for time, count in zip(sample["times"], sample["iters"])) * 1e-9


target = sys.argv[1] if len(sys.argv) > 1 else "target"
jobs = [
    ("joint fit, 28 points, 4 starts", "joint_fit_28_points", lambda: fit(r, d, t), 200),
    ("bootstrap, 1,000 draws", "bootstrap_1000_draws", bootstrap, 5),
    ("search of 10^6 tuples, all powers", "search_1e6_tuples", search_plain, 5),
    ("search of 10^6 tuples, outer products", "search_1e6_tuples", search_outer, 20),
]
print("| job | mars-laws | scipy / numpy | ratio |")
print("|---|---|---|---|")
for label, name, job, repeats in jobs:
    theirs, mine = seconds(job, repeats), ours(name, target)
    print(f"| {label} | {mine * 1e3:.3f} ms | {theirs * 1e3:.2f} ms | {theirs / mine:.1f} |")
