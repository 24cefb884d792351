"""How often nothing is called something: permutation tests on studies without any effect.

``python -m validation.null_rates.count_rates [STUDIES [KIND]] [--first N]`` simulates so many null
studies (1,000) of each kind, or of those with KIND in their name, tests each by every method, and
counts those in which any voxel is significant. Extents are counted twice, once with ties broken at
random. Studies are numbered; ``--first`` begins elsewhere than at 0, with other random numbers.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import ndimage, stats

from validation.compare import show
from voxlm.inference.ari import ari, pari
from voxlm.inference.exchange import arrange, read_blocks
from voxlm.inference.measure import Measure
from voxlm.inference.partition import partition
from voxlm.inference.permutation import flip_test, permutation_test
from voxlm.inference.permute import reduce_data
from voxlm.inference.plan import Plan
from voxlm.inference.refits import refit_of
from voxlm.kernels import tails
from voxlm.kernels.graph import volume_graph
from voxlm.kernels.randomintercept import intercept_basis
from voxlm.models.intercept import fit_intercept

SHAPE, MARGIN = (10, 10, 10), 4
V = int(np.prod(SHAPE))
GRAPH = volume_graph(SHAPE, np.arange(V))
ALPHA, N_PERM = 0.05, 199
METHODS = ("maxt", "maxt_step", "cluster_extent", "cluster_mass", "tfce")
UNTIED = "cluster_extent, ties at random"

Study = Callable[[np.random.Generator], tuple[Any, Any, Any, dict[str, Any]]]


def smooth(rng: np.random.Generator, n: int) -> np.ndarray:
    """Make n smooth maps, cut from larger ones so that their edges are like their middles."""
    larger = tuple(side + 2 * MARGIN for side in SHAPE)
    noise = ndimage.gaussian_filter(rng.standard_normal((n, *larger)), (0, 1.2, 1.2, 1.2))
    inside = (slice(None), *(slice(MARGIN, -MARGIN) for _ in SHAPE))
    maps = noise[inside].reshape(n, V)
    return np.ascontiguousarray(maps / maps.std())


def one_sample(rng: np.random.Generator) -> tuple[Any, Any, Any, dict[str, Any]]:
    """Twelve maps against zero, by flips."""
    return smooth(rng, 12), np.ones((12, 1)), [1.0], {}


def nuisance(rng: np.random.Generator) -> tuple[Any, Any, Any, dict[str, Any]]:
    """A covariate that correlates with two nuisances of large effect (Freedman and Lane)."""
    X = np.c_[np.ones(16), rng.standard_normal((16, 3))]
    X[:, 3] += X[:, 1] + X[:, 2]
    data = smooth(rng, 16) + X[:, 1:3] @ rng.normal(0, 2, (2, V))
    return data, X, [0.0, 0, 0, 1], {}


def joint(rng: np.random.Generator) -> tuple[Any, Any, Any, dict[str, Any]]:
    """Three groups, F over two differences."""
    group = np.eye(3)[np.arange(18) % 3]
    return smooth(rng, 18), group, [[1.0, -1, 0], [0, 1, -1]], {}


def within(rng: np.random.Generator) -> tuple[Any, Any, Any, dict[str, Any]]:
    """Three visits of eight subjects who differ much: exchanges within subjects."""
    subject = np.repeat(np.arange(8), 3)
    data = smooth(rng, 24) + 3 * smooth(rng, 8)[subject]
    X = np.c_[np.tile([-1.0, 0, 1], 8), subject[:, None] == np.arange(8)]
    return data, X, np.eye(9)[0], {"blocks": subject, "permute": "shuffle"}


def whole(rng: np.random.Generator) -> tuple[Any, Any, Any, dict[str, Any]]:
    """Two groups of six subjects with two visits each: whole subjects change places."""
    subject = np.repeat(np.arange(12), 2)
    data = smooth(rng, 24) + 2 * smooth(rng, 12)[subject]
    X = np.c_[np.ones(24), subject < 6]
    return data, X, [0.0, 1], {"blocks": subject, "exchange": "whole", "permute": "shuffle"}


def unequal(rng: np.random.Generator) -> tuple[Any, Any, Any, dict[str, Any]]:
    """Two groups, 8 and 12, one with three times the deviation: flips, variance groups."""
    group = np.arange(20) < 8
    data = smooth(rng, 20) * np.where(group, 3.0, 1.0)[:, None]
    X = np.c_[group, ~group].astype(float)
    return data, X, [1.0, -1], {"variance_groups": group, "permute": "flip"}


def unequal_many(rng: np.random.Generator) -> tuple[Any, Any, Any, dict[str, Any]]:
    """Two groups of three times as many maps, of such deviations."""
    group = np.arange(60) < 24
    data = smooth(rng, 60) * np.where(group, 3.0, 1.0)[:, None]
    X = np.c_[group, ~group].astype(float)
    return data, X, [1.0, -1], {"variance_groups": group, "permute": "flip"}


def mixed_within(rng: np.random.Generator) -> tuple[Any, Any, Any, dict[str, Any]]:
    """Three visits of fourteen subjects, some missing: lmer, whole subjects change sign."""
    there = rng.permutation(14 * 3)[:36]
    subject = np.sort(np.repeat(np.arange(14), 3)[there])
    visit = np.concatenate([np.arange(n) for n in np.bincount(subject, minlength=14)])
    data = smooth(rng, 36) + smooth(rng, 14)[subject]
    X = np.c_[np.ones(36), visit]
    numbers = np.unique(subject, return_inverse=True)[1]
    return data, X, [0.0, 1], _mixed(data, X, numbers, {"permute": "flip"})


def mixed_between(rng: np.random.Generator) -> tuple[Any, Any, Any, dict[str, Any]]:
    """Two groups of seven subjects with two visits each: lmer, whole subjects change places."""
    subject = np.repeat(np.arange(14), 2)
    data = smooth(rng, 28) + smooth(rng, 14)[subject]
    X = np.c_[np.ones(28), subject < 7]
    return data, X, [0.0, 1], _mixed(data, X, subject, {"permute": "shuffle"})


def runs(rng: np.random.Generator) -> tuple[Any, Any, Any, dict[str, Any]]:
    """Nine runs of 24 scans, of unequal noise, combined by precision: whole runs change sign."""
    X = np.c_[np.ones(24), np.tile(np.repeat([0.0, 1.0], 4), 3)]
    inverse = np.linalg.inv(X.T @ X)
    weighted, weight = [], []
    for deviation in rng.uniform(0.5, 2.0, 9):
        data = deviation * smooth(rng, 24)
        b = inverse @ X.T @ data
        weight.append(22 / (((data - X @ b) ** 2).sum(axis=0) * inverse[1, 1]))
        weighted.append(b[1] * weight[-1])
    return np.array(weighted) / np.sqrt(np.sum(weight, axis=0)), None, None, {"df": 9 * 22.0}


def _mixed(data: Any, X: Any, subject: Any, options: dict[str, Any]) -> dict[str, Any]:
    fit = fit_intercept(intercept_basis(X, subject), data)
    return {"blocks": subject, "exchange": "whole", "refitter": refit_of(fit), **options}


STUDIES: dict[str, Study] = {
    "one sample, sign flips": one_sample,
    "covariate, nuisance, exchanges": nuisance,
    "three groups, F, exchanges": joint,
    "visits, exchanges within subjects": within,
    "groups, exchanges of subjects": whole,
    "unequal variances, flips, v": unequal,
    "unequal variances, 60 maps, flips, v": unequal_many,
    "runs, flips of whole runs": runs,
    "lmer, visits, flips of subjects": mixed_within,
    "lmer, groups, exchanges of subjects": mixed_between,
}


def rates(make: Study, n_studies: int, first: int = 0) -> dict[str, object]:
    """Count the studies with any significant voxel, by method."""
    hits = dict.fromkeys((*METHODS, UNTIED), 0)
    for study in range(first, first + n_studies):
        data, X, C, options = make(np.random.default_rng((study, 1)))
        refitter, df = options.pop("refitter", None), options.pop("df", None)
        plan = Plan(METHODS, n_perm=N_PERM, seed=study, forming_p=0.01, **options)
        if df is not None:
            found = flip_test(data, df, plan, graph=GRAPH)
        else:
            found = permutation_test(data, X, C, plan, graph=GRAPH, refitter=refitter)
        for method in METHODS:
            hits[method] += bool(np.nanmin(found.measure(method).p) <= ALPHA)
        hits[UNTIED] += untied(found.measure("cluster_extent"), study) <= ALPHA
    return {method: _judged(count, n_studies) for method, count in hits.items()}


def untied(measure: Measure, study: int) -> float:
    """Return the p of the largest cluster, its place among its equals drawn by lot."""
    largest = np.nanmax(measure.observed)
    ties = int(np.sum(measure.null == largest))
    above = int(np.sum(measure.null > largest))
    return float((1 + above + np.random.default_rng((study, 3)).integers(ties + 1)) / (1 + N_PERM))


def overstated(n_studies: int) -> dict[str, dict[str, object]]:
    """Count the studies in which a bound on true discoveries is wrong for any of many regions."""
    wrong = {"ari": 0, "pari": 0}
    active = np.zeros(SHAPE, dtype=np.bool_)
    active[2:6, 2:6, 2:6] = True
    truth = active.ravel()
    for study in range(n_studies):
        rng = np.random.default_rng((study, 2))
        data = smooth(rng, 14) + 1.0 * truth
        reduced = reduce_data(data, partition(np.ones((14, 1)), [1.0]))
        flips = arrange(read_blocks(14), N_PERM, seed=study, shuffle=False, flip=True)
        t = np.sqrt(13 * np.abs(reduced.share) / (1 - np.abs(reduced.share)))
        bounds = ari(2 * np.exp(tails.t_log_sf(t, 13.0)), ALPHA), pari(reduced, flips, ALPHA)
        # The worst regions hold no active voxel, or the best of them beside inactive ones.
        regions = [~truth, *((t > cut) for cut in (1.0, 2.0, 3.0, 4.0, 5.0))]
        regions += [~truth & (t > cut) for cut in (1.0, 2.0, 3.0, 4.0, 5.0)]
        for found in bounds:
            wrong[found.method] += any(
                found.discoveries(region) > np.sum(region & truth) for region in regions
            )
    return {name: {"share wrong": _judged(n, n_studies)} for name, n in wrong.items()}


def _judged(count: int, n: int) -> str:
    """Write a rate, and whether it lies in, below or above the 95 % interval of the level."""
    low, high = stats.binom.interval(0.95, n, ALPHA)
    mark = "above" if count > high else "below" if count < low else "in"
    return f"{count / n:.3f} {mark}"


def main() -> None:
    """Print both tables; with words of a study's name, its line alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("studies", type=int, nargs="?", default=1000)
    parser.add_argument("kind", nargs="*", default=[])
    parser.add_argument("--first", type=int, default=0)
    said = parser.parse_args()
    n = said.studies
    chosen = {name: make for name, make in STUDIES.items() if " ".join(said.kind) in name}
    low, high = stats.binom.interval(0.95, n, ALPHA)
    title = f"share of {n} null studies with any significant voxel (level 0.05; 95 % of counts "
    title += f"between {low / n:.3f} and {high / n:.3f})"
    show(title, {name: rates(make, n, said.first) for name, make in chosen.items()})
    if len(chosen) == len(STUDIES):
        show(f"share of {n} studies in which a bound is wrong (at most 0.05)", overstated(n))


if __name__ == "__main__":
    main()
