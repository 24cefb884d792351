"""Residual images of a fit, standardised, a few at a time.

Axes: n retained scans or maps, V voxels, p order of the noise model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from voxlm.analysis.fitted import Fitted
from voxlm.analysis.varying import own_series

if TYPE_CHECKING:
    from voxlm.bids.maps import Maps

Floats = NDArray[np.float64]

BLOCK = 16


def map_residuals(
    values: NDArray[np.floating], X: Floats, weights: Floats | None = None
) -> Iterator[Floats]:
    """Yield the residuals of least squares over maps, of length 1 at every voxel.

    Parameters
    ----------
    values : ndarray, shape (N, V)
        The maps; a voxel that lacks one is NaN in all.
    X : ndarray, shape (N, P)
        The design, of any rank.
    weights : ndarray, shape (N,), optional
        Of weighted least squares.

    Examples
    --------
    >>> rows = np.concatenate(list(map_residuals(np.array([[1.0], [2.0], [6.0]]), np.ones((3, 1)))))
    >>> rows.ravel().round(3), float(np.sum(rows**2).round(12))
    (array([-0.535, -0.267,  0.802]), 1.0)
    """
    root = np.ones(len(X)) if weights is None else np.sqrt(weights)
    left, size, _ = np.linalg.svd(root[:, None] * X, full_matrices=False)
    basis = left[:, size > size[0] * max(X.shape) * np.finfo(np.float64).eps]
    data = root[:, None] * np.asarray(values, dtype=np.float64)
    data -= basis @ (basis.T @ data)
    with np.errstate(invalid="ignore", divide="ignore"):
        data /= np.sqrt(np.einsum("nv,nv->v", data, data))
    for start in range(0, len(data), BLOCK):
        yield data[start : start + BLOCK]


def map_residuals_of(maps: Maps, X: Floats, weights: Floats | None) -> Iterator[Floats]:
    """Yield the residuals of least squares over maps, which are read when they are asked for."""
    return map_residuals(maps.values, X, weights)


def run_residuals(fits: Sequence[Fitted]) -> Iterator[Floats]:
    """Yield the (whitened) residuals of runs, each weighted by its degrees of freedom.

    Parameters
    ----------
    fits : sequence of Fitted
        Their images are read once more.
    """
    total = sum(fit.df_resid for fit in fits)
    for fit in fits:
        with np.errstate(invalid="ignore", divide="ignore"):
            unit = 1.0 / np.sqrt(fit.scale * total)
        for rows in _whitened(fit):
            yield rows * unit


def _whitened(fit: Fitted) -> Iterator[Floats]:
    """Yield residuals with their autocorrelation taken out; the first scans of a segment drop."""
    p, rho = fit.order, fit.rho
    usable = _usable(fit)
    tail, done = np.zeros((p, fit.n_voxels)), 0
    for rows in _plain(fit):
        both = np.concatenate([tail, rows])
        white = both[p:].copy()
        for lag in range(1, p + 1):
            white -= rho[lag - 1] * both[p - lag : len(both) - lag]
        yield white[usable[done : done + len(rows)]]
        tail, done = both[len(both) - p :], done + len(rows)


def _usable(fit: Fitted) -> NDArray[np.bool_]:
    """Mark the retained scans that have p scans before them in their segment."""
    n = fit.estimate.X.shape[0]
    usable = np.ones(n, dtype=np.bool_)
    for start, _ in fit.estimate.basis.segments:
        usable[start : start + fit.order] = False
    return usable


def _plain(fit: Fitted) -> Iterator[Floats]:
    """Yield data less fitted values at the retained scans."""
    estimate, kept, done = fit.estimate, fit.plan.kept, 0
    shared = estimate.X.shape[1]
    own = own_series(fit.plan, np.arange(fit.n_voxels)) if fit.design.varying else ()
    for start, block in fit.run.scans.blocks(BLOCK):
        use = slice(None) if kept is None else kept[start : start + len(block)]
        rows = estimate.factor * block[use].astype(np.float64) + estimate.level
        here = slice(done, done + len(rows))
        rows -= estimate.X[here] @ fit.params[:shared]
        for coefficients, series in zip(fit.params[shared:], own, strict=True):
            rows -= coefficients * series[here]
        done += len(rows)
        if len(rows):
            yield rows
