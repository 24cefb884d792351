"""What a fit leaves behind: its residuals reduced to what a diagnosis needs, in one more pass.

Axes: n retained scans, V voxels, p order of the noise model, m sampled voxels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxlm.kernels.threads import over_blocks
from voxlm.models.estimate import Estimate
from voxlm.models.reduce import FITTED, retained
from voxlm.models.source import Scans

Floats = NDArray[np.float64]

BLOCK = 4096
#: A standardised residual beyond this is counted as extreme.
EXTREME = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class Residuals:
    """Standardised innovations of a fit, reduced.

    An innovation is a residual less what the noise model predicts from the scans before it; over
    the residual standard deviation it has variance 1 where the model holds.

    Parameters
    ----------
    scan_variance : ndarray, shape (n,)
        Mean over voxels of the squared innovation of each scan; NaN where whitening leaves none.
    scan_extreme : ndarray, shape (n,)
        Share of voxels beyond ``EXTREME`` standard deviations.
    skewness, kurtosis : ndarray, shape (V,)
        Third and fourth standardised moment of each voxel's innovations; the kurtosis of a normal
        variable is 0. NaN at voxels left out.
    autocorrelation : ndarray, shape (V,)
        What is left at lag 1.
    sample : ndarray, shape (n', m)
        Innovations of some voxels, for a quantile plot.
    n : int
        Innovations a voxel.
    """

    scan_variance: Floats
    scan_extreme: Floats
    skewness: Floats
    kurtosis: Floats
    autocorrelation: Floats
    sample: Floats
    n: int

    @property
    def jarque_bera(self) -> Floats:
        """Jarque and Bera's statistic of each voxel, shape ``(V,)``: χ² with 2 df under normality.

        Jarque & Bera, Economics Letters 6:255 (1980).
        """
        return self.n / 6.0 * (self.skewness**2 + 0.25 * self.kurtosis**2)


class _Moments:
    """Running sums of innovations a voxel."""

    def __init__(self, n_voxels: int) -> None:
        self.powers = np.zeros((4, n_voxels))
        self.lagged = np.zeros(n_voxels)
        self.n = 0

    def add(self, u: Floats, before: Floats | None, columns: slice) -> None:
        square = u * u
        self.powers[0, columns] += u.sum(axis=0)
        self.powers[1, columns] += square.sum(axis=0)
        self.powers[2, columns] += (square * u).sum(axis=0)
        self.powers[3, columns] += (square * square).sum(axis=0)
        products = (u[1:] * u[:-1]).sum(axis=0)
        if before is not None:
            products += before * u[0]
        self.lagged[columns] += products


def reduce_residuals(
    scans: Scans,
    estimate: Estimate,
    kept: NDArray[np.bool_] | None = None,
    *,
    sample: int = 100,
    seed: int = 0,
) -> Residuals:
    """Read a run once more and reduce the innovations of its fit.

    Parameters
    ----------
    scans : Scans
        The data that were fitted.
    estimate : Estimate
        The fit, of a design that is the same at every voxel.
    kept : ndarray of bool, shape (T,), optional
        The retained scans.
    sample : int
        Number of voxels whose innovations are returned whole.
    seed : int
        Chooses them.

    Returns
    -------
    Residuals

    Examples
    --------
    >>> from voxlm.images.scans import array_scans
    >>> from voxlm.models.linear import fit_linear
    >>> rng = np.random.default_rng(0)
    >>> data = array_scans(rng.standard_normal((200, 50)))
    >>> found = reduce_residuals(data, fit_linear(data, np.ones((200, 1))))
    >>> found.scan_variance.shape, bool(abs(found.kurtosis.mean()) < 0.2)
    ((200,), True)
    """
    V, n = estimate.scale.size, estimate.X.shape[0]
    fitted = estimate.status == FITTED
    chosen = np.flatnonzero(fitted)
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(chosen, size=min(sample, chosen.size), replace=False))
    moments, shown = _Moments(V), []
    variance, extreme = np.full(n, np.nan), np.full(n, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.where(fitted, 1.0 / np.sqrt(estimate.scale), 0.0)
    count = max(int(fitted.sum()), 1)
    for start, u, before in _innovations(scans, estimate, kept, weight):
        squares, beyond = np.zeros(len(u)), np.zeros(len(u))
        _pool(moments, u, before)
        np.einsum("tv,tv->t", u, u, out=squares)
        beyond[:] = (np.abs(u) > EXTREME).sum(axis=1)
        variance[start : start + len(u)] = squares / count
        extreme[start : start + len(u)] = beyond / count
        moments.n += len(u)
        shown.append(u[:, chosen].copy())
    skewness, kurtosis, lag = _shape(moments, fitted)
    sampled = np.concatenate(shown) if shown else np.zeros((0, chosen.size))
    return Residuals(variance, extreme, skewness, kurtosis, lag, sampled, moments.n)


def _pool(moments: _Moments, u: Floats, before: Floats | None) -> None:
    def work(start: int, stop: int) -> None:
        columns = slice(start, stop)
        moments.add(u[:, columns], None if before is None else before[columns], columns)

    over_blocks(u.shape[1], BLOCK, work)


def _innovations(
    scans: Scans, estimate: Estimate, kept: NDArray[np.bool_] | None, weight: Floats
) -> Iterator[tuple[int, Floats, Floats | None]]:
    """Yield the first row, standardised innovations ``(t, V)``, and the innovation before them."""
    order = estimate.order
    cuts = {int(start) for start, _ in estimate.basis.segments}
    past = np.zeros((0, weight.size))  # residuals of the same segment that the next rows lean on
    before: Floats | None = None
    at = 0
    for block in retained(scans, kept):
        for first, rows in _between_cuts(at, block, cuts):
            if first in cuts:
                past, before = past[:0], None
            residual = _residuals(rows, first, estimate, weight)
            joined = np.concatenate([past, residual])
            lead = len(joined) - len(residual)
            skipped = order - lead if lead < order else 0
            if len(residual) > skipped:
                u = _whiten(joined, lead + skipped, estimate.rho)
                yield first + skipped, u, before
                before = u[-1].copy()
            past = joined[max(0, len(joined) - order) :].copy() if order else past
        at += len(block)


def _between_cuts(
    at: int, block: NDArray[Any], cuts: set[int]
) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield the stretches of a block that hold no cut inside."""
    inside = [cut for cut in sorted(cuts) if at < cut < at + len(block)]
    edges = [at, *inside, at + len(block)]
    for start, stop in pairwise(edges):
        if stop > start:
            yield start, block[start - at : stop - at]


def _residuals(rows: NDArray[Any], first: int, estimate: Estimate, weight: Floats) -> Floats:
    """Return data less fitted values over the residual standard deviation; 0 where left out."""
    out = np.empty(rows.shape)
    X = estimate.X[first : first + len(rows)]

    def work(start: int, stop: int) -> None:
        here = slice(start, stop)
        part = estimate.factor[here] * rows[:, here] + estimate.level
        part -= X @ estimate.params[:, here]
        part *= weight[here]
        out[:, here] = np.where(weight[here] > 0, part, 0.0)

    over_blocks(rows.shape[1], BLOCK, work)
    return out


def _whiten(joined: Floats, start: int, rho: Floats) -> Floats:
    """Take from each row from ``start`` on what the rows before it predict."""
    u = joined[start:].copy()
    for lag, coefficient in enumerate(rho, start=1):
        u -= np.nan_to_num(coefficient) * joined[start - lag : len(joined) - lag]
    return u


def _shape(moments: _Moments, fitted: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """Turn running sums into skewness, excess kurtosis and the correlation at lag 1."""
    n = max(moments.n, 1)
    m1, m2, m3, m4 = moments.powers / n
    with np.errstate(divide="ignore", invalid="ignore"):
        central2 = m2 - m1**2
        central3 = m3 - 3 * m1 * m2 + 2 * m1**3
        central4 = m4 - 4 * m1 * m3 + 6 * m1**2 * m2 - 3 * m1**4
        skewness = central3 / central2**1.5
        kurtosis = central4 / central2**2 - 3.0
        lag = (moments.lagged / n - m1**2) / central2
    return tuple(np.where(fitted, x, np.nan) for x in (skewness, kurtosis, lag))  # type: ignore[return-value]
