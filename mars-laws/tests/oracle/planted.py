"""Fits Law-C with offset to planted draws with scipy's least_squares: the oracle of planted.rs.

python planted.py table [DRAWS]     errors of DRAWS (1000) draws per cell, as `examples/planted.rs` prints them
python planted.py fixture           > ../fixtures/planted_scipy.csv, 8 draws per cell

Data, starts and parametrisation (ln k, gamma, delta, ln E; residuals of logarithms) are those of the crate.
Made with scipy 1.17.1, numpy 2.4.6.
"""
import math
import sys

import numpy as np
from scipy.optimize import least_squares

MASK = (1 << 64) - 1
DESIGNS = {
    12: ([8, 16, 32, 64], [64, 256, 1024]),
    28: ([8, 16, 32, 64], [2**e for e in range(4, 11)]),
    60: ([4, 8, 16, 32, 64, 128], [2**e for e in range(4, 14)]),
}


class Draw:
    def __init__(self, seed):
        self.state = seed & MASK

    def uniform(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return ((z ^ (z >> 31)) >> 11) / (1 << 53)

    def normal(self):
        radius = math.sqrt(-2 * math.log(1 - self.uniform()))
        return radius * math.cos(2 * math.pi * self.uniform())


def predict(law, r, d):
    k, gamma, delta, offset = law
    return k * r**gamma * d**delta + offset


def planted(points, noise, index):
    draw = Draw(index * 1_000_003 + points * 7919)
    llm = (4.6, -0.355, 0.745, 3.6)
    ve = (
        4.6 * math.exp(0.25 * (draw.uniform() - 0.5)),
        -0.25 - 0.2 * draw.uniform(),
        0.68 + 0.12 * draw.uniform(),
        2 + 6 * draw.uniform(),
    )
    ranks, sizes = DESIGNS[points]
    r, d = (np.array(axis, float) for axis in zip(*[(a, b) for a in ranks for b in sizes]))
    times = [np.array([predict(law, a, b) * math.exp(noise * draw.normal()) for a, b in zip(r, d)]) for law in (llm, ve)]
    return llm, ve, r, d, times


def fit(r, d, t, **settings):
    lr, ld, lt = np.log(r), np.log(d), np.log(t)
    design = np.stack([np.ones_like(lr), lr, ld], axis=1)

    def parts(p):
        shape = np.exp(p[0] + p[1] * lr + p[2] * ld)
        return shape, shape + math.exp(p[3])

    def residuals(p):
        return np.log(parts(p)[1]) - lt

    def jacobian(p):
        shape, total = parts(p)
        return np.stack([shape, shape * lr, shape * ld, np.full_like(lr, math.exp(p[3]))], axis=1) / total[:, None]

    best = None
    for share in (0.01, 0.3, 0.6, 0.9):
        taken = share * t.min()
        start = [*np.linalg.lstsq(design, np.log(t - taken), rcond=None)[0], math.log(taken)]
        found = least_squares(residuals, start, jacobian, method="lm", max_nfev=5000, **settings)
        if np.all(np.isfinite(found.x)) and (best is None or found.cost < best.cost):
            best = found
    k, gamma, delta, offset = best.x
    return (math.exp(k), gamma, delta, math.exp(offset)), 2 * best.cost


def balanced(llm, ve):
    bracket = (predict(llm, 16, 1024) - ve[3]) / (ve[0] * 1024 ** ve[2])
    return bracket ** (1 / ve[1]) if bracket > 0 else math.inf


def table(draws):
    print("| points | noise | gamma median / 95 % | t(16, 4096) median / 95 % | rank, octaves, median / 95 % |")
    print("|---|---|---|---|---|")
    for points in DESIGNS:
        for noise in (0.01, 0.05, 0.1):
            errors = []
            for index in range(draws):
                llm, ve, r, d, times = planted(points, noise, index)
                a, b = (fit(r, d, t)[0] for t in times)
                octaves = math.log2(balanced(a, b) / balanced(llm, ve))
                held_out = predict(b, 16, 4096) / predict(ve, 16, 4096) - 1
                errors.append([abs(b[1] - ve[1]), abs(held_out), abs(octaves)])
            cells = []
            for column in zip(*errors):
                column = sorted(column)
                middle, tail = column[(draws - 1) // 2], column[(draws - 1) * 95 // 100]
                cells.append(f"{middle:.5f} / {tail:.5f}")
            print(f"| {points} | {100 * noise:g} % | {' | '.join(cells)} |", flush=True)


def fixture():
    print("# Law-C with offset fitted by scipy 1.17.1 least_squares (lm, tolerances 1e-14); made by planted.py")
    print("points,noise,index,module,k,gamma,delta,offset,cost")
    for points in DESIGNS:
        for noise in (0.0, 0.01, 0.05, 0.1):
            for index in range(8):
                _, _, r, d, times = planted(points, noise, index)
                for module, t in zip(("llm", "ve"), times):
                    law, cost = fit(r, d, t, ftol=1e-14, xtol=1e-14, gtol=1e-14)
                    print(points, noise, index, module, *(f"{v:.12g}" for v in (*law, cost)), sep=",")


if __name__ == "__main__":
    if sys.argv[1] == "fixture":
        fixture()
    else:
        table(int(sys.argv[2]) if len(sys.argv) > 2 else 1000)
