"""All-resolution inference: how many discoveries are true, in any region, whenever it was chosen.

Rosenblatt et al. (2018): with simultaneous confidence ``1 - alpha`` a lower bound on the number of
truly active voxels holds for every region at once: clusters at any threshold, atlas regions,
regions chosen after looking. The bounds come from closed testing with Simes' test (Goeman et al.,
2019), or from critical values calibrated by permutation (Andreella et al., 2023).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from voxlm.errors import DataError, VoxlmError
from voxlm.inference.decision import check_level
from voxlm.inference.exchange import Arrangements
from voxlm.inference.permute import Residuals, permute_shares

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

# Nodes of the table from share of variance to log p; it need only be increasing.
NODES = 20_001
# A critical value this much too small by rounding is still met.
ROUNDING = 1e-12
# To which the level of a region is found.
LEVEL_RTOL = 1e-9
# Part by which a calibrated line is lowered, more than rounding of p.
BELOW = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class AllResolution:
    """Bounds on true discoveries, for any region.

    Parameters
    ----------
    p : ndarray, shape (V,)
        Uncorrected p; NaN voxels are no tests, and no discoveries.
    alpha : float
        All bounds hold together with probability ``1 - alpha``.
    slope, start : float
        The u-th critical value is ``max(u - start, 0) * slope``.
    method : {"ari", "pari"}
        Where they come from.
    hommel : int
        Hommel's value: the largest number of true null hypotheses that Simes' test does not
        contradict; -1 for critical values from permutations.
    null : ndarray, shape (K + 1,)
        The steepest line below the sorted p of each permutation, the observed ones included, in
        increasing order; empty for Simes' test.

    Examples
    --------
    >>> found = ari([0.001, 0.002, 0.01, 0.6, 0.9], alpha=0.05)
    >>> found.hommel, found.discoveries([True] * 3 + [False] * 2), found.proportion([True] * 5)
    (2, 3, 0.6)
    """

    p: Array
    alpha: float
    slope: float
    start: float
    method: str
    hommel: int
    null: Array = field(default_factory=lambda: np.empty(0))

    def discoveries(self, region: ArrayLike) -> int:
        """Return the least number of truly active voxels in a region.

        Parameters
        ----------
        region : array_like of bool, shape (V,)
            Any region, chosen for any reason.

        Raises
        ------
        DataError
            A region of another shape.
        """
        inside = np.asarray(region)
        if inside.dtype != np.bool_ or inside.shape != self.p.shape:
            raise DataError(
                f"a region is a mask of the {len(self.p)} voxels, True inside; got {inside.dtype} "
                f"of shape {inside.shape}"
            )
        p = np.sort(self.p[inside & ~np.isnan(self.p)])
        if p.size == 0:
            return 0
        # The smallest u whose critical value each p meets; the bound changes at these alone.
        with np.errstate(divide="ignore", invalid="ignore"):
            rank = np.ceil(p / self.slope * (1 - ROUNDING) + self.start)
        rank = np.maximum(np.where(np.isnan(rank), 1.0, rank), np.floor(self.start) + 1.0)
        bound = np.arange(1, p.size + 1) + 1.0 - rank
        return int(max(np.max(np.where(np.isfinite(bound), bound, 0.0)), 0.0))

    def proportion(self, region: ArrayLike) -> float:
        """Return the least share of truly active voxels in a region; NaN for an empty one."""
        found, size = self.discoveries(region), int(np.sum(np.asarray(region)))
        return found / size if size else float("nan")

    def level(self, region: ArrayLike) -> float:
        """Return the family-wise p of a region: the least alpha at which it holds a discovery.

        Parameters
        ----------
        region : array_like of bool, shape (V,)

        Examples
        --------
        >>> found = ari([0.001, 0.002, 0.01, 0.6, 0.9])
        >>> round(found.level([True, False, False, False, False]), 6)
        0.005
        """
        inside = np.asarray(region, dtype=np.bool_)
        return float(self.levels(np.where(inside, 0, -1))[0]) if inside.any() else 1.0

    def levels(self, labels: ArrayLike) -> Array:
        """Return the family-wise p of several regions.

        Parameters
        ----------
        labels : array_like of int, shape (V,)
            The region of each voxel, numbered from 0; -1 outside.

        Returns
        -------
        ndarray, shape (K,)
        """
        number, tested = np.asarray(labels), ~np.isnan(self.p)
        every = _corners(np.sort(self.p[tested])) if self.method == "ari" else None
        found = np.ones(int(number.max(initial=-1)) + 1)
        order = np.flatnonzero(tested & (number >= 0))
        order = order[np.lexsort((self.p[order], number[order]))]
        edges = np.searchsorted(number[order], np.arange(len(found) + 1))
        for k, (first, stop) in enumerate(pairwise(edges.tolist())):
            rank = np.arange(1, stop - first + 1) - self.start
            if (rank > 0).any():
                # The steepest line that leaves the region without a discovery.
                p = self.p[order[first:stop]]
                found[k] = self._level(every, float(np.min(p[rank > 0] / rank[rank > 0])))
        return found

    def _level(self, every: _Steps | None, steepest: float) -> float:
        if every is not None:
            return _simes_level(every, steepest)
        below = int(np.searchsorted(self.null * (1.0 - BELOW), steepest * (1.0 - ROUNDING)))
        return min(max(below, 1) / len(self.null), 1.0)

    def by_label(self, labels: ArrayLike) -> tuple[Ints, Ints, Array]:
        """Bound the discoveries of clusters or parcels.

        Parameters
        ----------
        labels : array_like of int, shape (V,)
            0 outside.

        Returns
        -------
        label, discoveries : ndarray of int, shape (K,)
            The labels other than 0, in increasing order.
        proportion : ndarray, shape (K,)
        """
        number = np.asarray(labels)
        names = np.unique(number[number != 0])
        found = np.array([self.discoveries(number == name) for name in names], dtype=np.int64)
        size = np.array([np.sum(number == name) for name in names], dtype=np.int64)
        return names.astype(np.int64), found, found / np.maximum(size, 1)

    def __str__(self) -> str:
        whole = self.discoveries(np.ones(len(self.p), dtype=np.bool_))
        return (
            f"at least {whole:,} of {int(np.sum(~np.isnan(self.p))):,} null hypotheses are false, "
            f"with confidence {1 - self.alpha:g} ({self.method})"
        )


def ari(p: ArrayLike, alpha: float = 0.05) -> AllResolution:
    """Bound true discoveries by closed testing with Simes' test.

    Parameters
    ----------
    p : array_like, shape (V,)
        Uncorrected p-values. Simes' inequality must hold for them, as it does for two-sided p of
        normal statistics, and for one-sided ones that are positively dependent.
    alpha : float
        Level.

    Returns
    -------
    AllResolution

    Raises
    ------
    VoxlmError
        Values outside 0 to 1, a level outside (0, 1), no test at all.
    """
    values = _read(p, alpha)
    h = hommel_value(values[~np.isnan(values)], alpha)
    slope = alpha / h if h else float("inf")
    return AllResolution(values, alpha, slope, 0.0, "ari", h)


def hommel_value(p: ArrayLike, alpha: float) -> int:
    """Return the largest i such that Simes' test does not reject the i largest p together.

    Parameters
    ----------
    p : array_like, shape (m,)
        p-values.
    alpha : float
        Level.

    Returns
    -------
    int
        From 0 (all are false null hypotheses) to m (nothing is rejected).

    Notes
    -----
    Meijer, Krebs and Goeman (2019): the largest i with ``i p_(m-i+k) > k alpha`` for k = 1 … i. A p
    at its bound is rejected.

    Examples
    --------
    >>> hommel_value([0.001, 0.002, 0.01, 0.6, 0.9], 0.05)
    2
    """
    ordered = np.sort(np.asarray(p, dtype=np.float64))
    m = len(ordered)
    if m == 0:
        return 0
    return _hommel(_Steps(m, ordered[-1], np.arange(m - 1.0, 0.0, -1.0), ordered[:-1]), alpha)


class _Steps(NamedTuple):
    """What Hommel's value depends on: m sorted p, the largest, and how many are above some of them.

    Parameters
    ----------
    m : int
    last : float
    above : ndarray, shape (k,)
        How many p follow each of ``p``.
    p : ndarray, shape (k,)
    """

    m: int
    last: float
    above: Array
    p: Array


def _hommel(steps: _Steps, alpha: float) -> int:
    if steps.last <= alpha:
        return 0
    low = steps.p < alpha
    if not low.any():
        return steps.m
    left, small = steps.above[low], steps.p[low]
    # i (alpha - p_j) < (m - j) alpha, or j is not among the i largest.
    ceiling = left * alpha / (alpha - small)
    nearest = np.rint(ceiling)
    exact = np.abs(ceiling - nearest) <= ROUNDING * ceiling
    largest = np.where(exact, nearest - 1.0, np.floor(ceiling))
    return int(min(np.min(np.maximum(largest, left)), steps.m))


def _corners(ordered: Array) -> _Steps:
    """Keep the p that decide Hommel's value at any alpha: corners of the lower convex hull."""
    kept: list[tuple[float, float]] = []
    for above, p in enumerate(ordered[-2::-1].tolist(), start=1):
        while len(kept) > 1:
            (x0, y0), (x1, y1) = kept[-2:]
            if (x1 - x0) * (p - y0) > (y1 - y0) * (above - x0):
                break
            kept.pop()
        kept.append((float(above), p))
    corners = np.array(kept).reshape(-1, 2)
    return _Steps(len(ordered), float(ordered[-1]), corners[:, 0], corners[:, 1])


def _simes_level(steps: _Steps, steepest: float) -> float:
    """Return the least alpha with ``alpha / hommel >= steepest``, to rounding."""
    low, high = steepest, min(steps.m * steepest, 1.0)
    if low >= 1.0 or high <= 0.0:
        return 1.0 if low >= 1.0 else 0.0

    def meets(alpha: float, h: int) -> bool:
        # Rounding of the critical value counts as meeting it, as in `discoveries`.
        return steepest * h <= alpha * (1.0 + ROUNDING)

    while high > low * (1.0 + LEVEL_RTOL):
        # Hommel's value falls with alpha: its values at the ends bound the answer from both sides.
        bound = max(low, steepest * _hommel(steps, high))
        h = _hommel(steps, bound)
        if meets(bound, h):
            return bound
        low, high = bound, min(high, steepest * h)
        middle = float(np.sqrt(low * high))
        if meets(middle, _hommel(steps, middle)):
            high = middle
        else:
            low = middle
    return high


def pari(
    data: Residuals, arrangements: Arrangements, alpha: float = 0.05, start: float = 0.0
) -> AllResolution:
    """Bound true discoveries with critical values calibrated by permutation.

    Parameters
    ----------
    data : Residuals
        From :func:`voxlm.inference.permute.reduce_data`, without variance groups.
    arrangements : Arrangements
        The permutations.
    alpha : float
        Level.
    start : float
        Critical values are 0 up to this rank: larger ones give up single voxels for regions.

    Returns
    -------
    AllResolution
        Over the tested voxels, p two-sided.

    Raises
    ------
    VoxlmError
        Variance groups; a level that so few permutations cannot reach; a negative start.

    Notes
    -----
    The shifted Simes family of Andreella et al. (2023). Each permutation gives the steepest line
    that its sorted p stay above; the observed p count as one of them.
    """
    if data.groups is not None:
        raise VoxlmError("pari needs one p for one share of variance: not with variance groups")
    v = data.unit.shape[1]
    if not 0 <= start < v:
        raise VoxlmError(f"start is a rank from 0 to the {v} voxels, got {start}")
    allowed = int(np.floor(alpha * (1 + arrangements.n) * (1 + ROUNDING)))
    if not 0.0 < alpha < 1.0 or allowed < 1:
        raise VoxlmError(f"{arrangements.n} permutations cannot reach the level {alpha:g}")
    at, log_p = _p_table(data)
    slopes, lock = [np.empty(0)], threading.Lock()

    def steepest(share: NDArray[np.floating]) -> Array:
        ordered = np.sort(np.abs(share), axis=1)[:, ::-1]
        first = int(np.floor(start))
        ranks = np.log(np.arange(first + 1, v + 1) - start)
        found = [np.min(np.interp(row[first:], at, log_p) - ranks) for row in ordered]
        return np.exp(np.array(found))

    def take(share: NDArray[np.floating]) -> None:
        found = steepest(share)
        with lock:
            slopes.append(found)

    permute_shares(data, arrangements, take)
    observed = np.abs(data.share)[None]
    every = np.sort(np.concatenate([*slopes, steepest(observed.astype(data.unit.dtype))]))
    # Just below this line no more than the allowed number of permutations crosses it.
    p = np.full(len(data.tested), np.nan)
    p[data.tested] = np.exp(np.interp(observed[0], at, log_p))
    slope = float(every[allowed] * (1.0 - BELOW))
    return AllResolution(p, alpha, slope, float(start), "pari", -1, every)


def _p_table(data: Residuals) -> tuple[Array, Array]:
    """Tabulate log p against the share of variance, an increasing grid."""
    # Even in about |t|, and further apart in the tails, where log p is straight.
    left = np.linspace(0.0, 6.0, NODES) ** 2
    Q = data.part.tested.shape[1]
    p = special.betainc(data.part.df / 2.0, Q / 2.0, np.exp(-left))
    return -np.expm1(-left), np.log(np.maximum(p, 1e-300))


def _read(p: ArrayLike, alpha: float) -> Array:
    check_level(alpha)
    values = np.asarray(p, dtype=np.float64)
    tested = values[~np.isnan(values)]
    if values.ndim != 1 or tested.size == 0:
        raise VoxlmError("p-values have one axis, voxels (V,), and at least one that is not NaN")
    if (tested < 0).any() or (tested > 1).any():
        raise VoxlmError("p-values lie between 0 and 1: are these statistics rather than p?")
    return values
