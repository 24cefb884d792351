"""How far sign flips and exchanges hold their level where there are few maps.

``python -m validation.null_rates.count_small [STUDIES]`` counts, for each design, the null studies
(2,000) in which any of 50 independent voxels is significant by max-T, level 0.05, 199 permutations.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from validation.compare import show
from validation.null_rates.count_rates import ALPHA, N_PERM
from voxlm.inference.permutation import permutation_test
from voxlm.inference.plan import Plan

V = 50

Make = Callable[[np.random.Generator], np.ndarray]


def groups(a: int, b: int) -> Make:
    """Two groups of a and of b maps."""
    return lambda _: np.c_[np.ones(a + b), np.arange(a + b) < a].astype(float)


def covariates(n: int, k: int, centre: float) -> Make:
    """A constant, and k covariates whose mean is the same in every study."""

    def make(rng: np.random.Generator) -> np.ndarray:
        Z = rng.standard_normal((n, k))
        return np.c_[np.ones(n), Z - Z.mean(axis=0) + centre]

    return make


SECOND = [0.0, 1.0]
FIRST = [1.0, 0.0, 0.0, 0.0]
DESIGNS: dict[str, tuple[Make, list[float], float, tuple[str, ...]]] = {
    "7 and 7 maps": (groups(7, 7), SECOND, 1.0, ("flip", "shuffle")),
    "4 and 10 maps": (groups(4, 10), SECOND, 1.0, ("flip", "shuffle")),
    "mean of 12 beside 3 centred covariates": (covariates(12, 3, 0.0), FIRST, 1.0, ("flip",)),
    "mean of 24 beside 3 centred covariates": (covariates(24, 3, 0.0), FIRST, 1.0, ("flip",)),
    "8 and 12 maps, deviations 3 to 1": (groups(8, 12), SECOND, 3.0, ("flip",)),
    "24 and 36 maps, deviations 3 to 1": (groups(24, 36), SECOND, 3.0, ("flip",)),
}


def rate(make: Make, C: list[float], deviation: float, permute: Any, n: int) -> float:
    """Count the studies with any significant voxel."""
    hits = 0
    for study in range(n):
        rng = np.random.default_rng((study, 12))
        X = make(rng)
        inside = X[:, 1] == 1.0
        data = rng.standard_normal((len(X), V)) * np.where(inside, deviation, 1.0)[:, None]
        apart = inside if deviation != 1.0 else None
        plan = Plan(n_perm=N_PERM, seed=study, permute=permute, variance_groups=apart)
        test = permutation_test(data, X, C, plan)
        hits += bool(test.measure("maxt").p.min() <= ALPHA)
    return hits / n


def main() -> None:
    """Print the table."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    rows = {
        name: {permute: round(rate(make, C, deviation, permute, n), 4) for permute in schemes}
        for name, (make, C, deviation, schemes) in DESIGNS.items()
    }
    show(f"share of {n} null studies with any significant voxel, max-T (level 0.05)", rows)


if __name__ == "__main__":
    main()
