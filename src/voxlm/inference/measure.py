"""Statistics, enhancement and clusters of a map, each beside its null distribution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxlm.inference.exchange import Arrangements
from voxlm.inference.maxima import (
    Enhancement,
    Maxima,
    Sample,
    permute_statistics,
    permute_trees,
)
from voxlm.inference.null import count_p, tail_p
from voxlm.inference.permute import (
    SHARE_SLACK,
    Residuals,
    permute_maxima,
)
from voxlm.inference.plan import TREE_METHODS, Plan, forming_thresholds
from voxlm.inference.stepdown import permute_counts
from voxlm.kernels.enhance import clusters_above, tfce
from voxlm.kernels.maxtree import grow_tree

if TYPE_CHECKING:
    from scipy import sparse

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Measure:
    """One thing measured at every voxel and its null distribution.

    Parameters
    ----------
    method : str
        One of ``PERMUTED``.
    forming : float
        Cluster-forming threshold in units of the statistic; NaN where there is none.
    observed : ndarray, shape (V,)
        What is compared: the statistic's size, its enhancement, the extent or mass of the voxel's
        cluster (0 outside clusters); NaN where there is no test.
    null : ndarray, shape (K,)
        The largest of each permutation.
    p : ndarray, shape (V,)
        Family-wise corrected p.
    """

    method: str
    forming: float
    observed: Array
    null: Array
    p: Array

    def threshold(self, alpha: float) -> float:
        """Return the value beyond which p is at most alpha; infinite where none can be.

        Examples
        --------
        >>> null = np.arange(19.0)
        >>> Measure("maxt", np.nan, np.zeros(1), null, np.ones(1)).threshold(0.1)
        17.0
        """
        allowed = int(np.floor(alpha * (1 + len(self.null)) * (1 + 1e-12))) - 1
        if allowed < 0:
            return float("inf")
        return float(np.sort(self.null)[::-1][allowed]) if allowed < len(self.null) else 0.0


def measure_all(
    plan: Plan,
    reduced: Sample,
    arranged: Arrangements,
    two_sided: bool,
    graph: sparse.csr_array | None,
    weights: ArrayLike | None,
    progress: Callable[[int], object] | None,
) -> tuple[Measure, ...]:
    """Measure all that a plan asks for, in its order."""
    found: dict[str, list[Measure]] = {}
    trees = [method for method in plan.methods if method in TREE_METHODS]
    if trees and graph is not None:
        where = reduced.tested
        inner = graph if where.all() else graph[where][:, where]
        area = None if weights is None else np.asarray(weights, dtype=np.float64)[where]
        maxima, found = _trees(plan, reduced, arranged, two_sided, inner, area, progress)
    elif "maxt" in plan.methods:
        maxima = (
            permute_maxima(reduced, arranged, progress)
            if isinstance(reduced, Residuals)
            else permute_statistics(reduced, arranged, progress)
        )
    if "maxt" in plan.methods:
        found["maxt"] = [_maxt(plan, reduced, maxima, two_sided)]
    if "maxt_step" in plan.methods:
        step, _ = permute_counts(reduced, arranged, two_sided, progress)
        size = _size(reduced.statistic, two_sided)
        found["maxt_step"] = [
            Measure("maxt_step", np.nan, spread(size, reduced), np.empty(0), spread(step, reduced))
        ]
    return tuple(m for method in plan.methods for m in found[method])


def _maxt(plan: Plan, reduced: Sample, maxima: Maxima, two_sided: bool) -> Measure:
    """Compare shares of variance, of which the statistic is an increasing function, if there are.

    Variance groups and mixed models have none: there statistics are compared.
    """
    statistic = _size(reduced.statistic, two_sided)
    if isinstance(reduced, Residuals) and reduced.groups is None:
        null = _largest(maxima.share, two_sided)
        p = count_p(_size(reduced.share, two_sided), null, SHARE_SLACK[reduced.unit.dtype])
        Q = reduced.part.tested.shape[1]
        with np.errstate(divide="ignore"):
            ratio = reduced.part.df * null / np.maximum(1.0 - null, 0.0)
        null = np.sqrt(ratio) if Q == 1 else ratio / Q
        if plan.tail == "pareto":
            p = np.where(p > 0.1, p, tail_p(statistic, null))
    else:
        null = _largest(maxima.share, two_sided)
        p = _p(plan, statistic, null, reduced)
    return Measure("maxt", np.nan, spread(statistic, reduced), null, spread(p, reduced))


def _trees(
    plan: Plan,
    reduced: Sample,
    arranged: Arrangements,
    two_sided: bool,
    graph: sparse.csr_array,
    area: Array | None,
    progress: Callable[[int], object] | None,
) -> tuple[Maxima, dict[str, list[Measure]]]:
    """Measure clusters and enhancement of the map as it is and of every permutation."""
    statistic = reduced.statistic
    enhancement = Enhancement(plan.E, plan.H, plan.scaling) if "tfce" in plan.methods else None
    clusters = "cluster_extent" in plan.methods or "cluster_mass" in plan.methods
    cuts = forming_thresholds(plan, reduced.part, two_sided) if clusters else ()
    maxima = permute_trees(
        reduced, arranged, graph, enhancement=enhancement, thresholds=cuts, weights=area,
        two_sided=two_sided, progress=progress,
    )  # fmt: skip
    found: dict[str, list[Measure]] = {}
    if maxima.tfce is not None:
        enhanced = tfce(
            statistic, graph, E=plan.E, H=plan.H, weights=area, two_sided=two_sided,
            scaling=plan.scaling,
        )  # fmt: skip
        null = _largest(maxima.tfce, two_sided)
        found["tfce"] = [_compare(plan, "tfce", np.nan, np.abs(enhanced), null, reduced)]
    if maxima.extent is None or maxima.mass is None or not cuts:
        return maxima, found
    tree = grow_tree(statistic, graph, weights=area, floor=min(cuts), two_sided=two_sided)
    found["cluster_extent"], found["cluster_mass"] = [], []
    for j, cut in enumerate(cuts):
        both = clusters_above(tree, cut, len(statistic))
        nulls = maxima.extent[j], maxima.mass[j]
        for method, observed, null in zip(TREE_METHODS, both, nulls, strict=False):
            largest = _largest(null, two_sided)
            found[method].append(_compare(plan, method, cut, observed, largest, reduced))
    return maxima, found


def _compare(
    plan: Plan, method: str, forming: float, observed: Array, null: Array, reduced: Sample
) -> Measure:
    p = _p(plan, observed, null, reduced)
    p[observed == 0] = 1.0
    return Measure(method, forming, spread(observed, reduced), null, spread(p, reduced))


def _p(plan: Plan, observed: Array, null: Array, reduced: Sample) -> Array:
    slack = reduced.slack * np.abs(observed)
    return (tail_p if plan.tail == "pareto" else count_p)(observed, null, slack)


def _size(values: Array, two_sided: bool) -> Array:
    return np.abs(values) if two_sided else values


def _largest(by_sign: Array, two_sided: bool) -> Array:
    return by_sign.max(axis=-1) if two_sided else by_sign[..., 0]


def spread(values: Array, reduced: Sample) -> Array:
    """Put values of the tested voxels at their places among all, NaN elsewhere."""
    whole = np.full(len(reduced.tested), np.nan)
    whole[reduced.tested] = values
    return whole
