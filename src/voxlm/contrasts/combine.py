"""One effect from several runs: fixed effects over runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from voxlm.errors import ContrastError
from voxlm.kernels.small import inverse

Array = NDArray[np.float64]

# Voxels inverted at a time: their matrices stay in cache.
BLOCK = 2_048


class Effect(NamedTuple):
    """An effect at every voxel.

    Parameters
    ----------
    effect : ndarray, shape (Q, V)
        Effects.
    cov : ndarray, shape (Q, Q, V)
        Their covariance.
    df : float or ndarray, shape (V,)
        Residual degrees of freedom.
    """

    effect: Array
    cov: Array
    df: float | Array


def combine(
    runs: Sequence[tuple[Array, Array, float | Array]],
    weighting: Literal["unweighted", "precision"] = "unweighted",
) -> Effect:
    """Combine the effects of R independent runs.

    Parameters
    ----------
    runs : sequence of (effect (Q, V), cov (Q, Q, V), df)
        One triple a run, of the runs that have the effect.
    weighting : {"unweighted", "precision"}
        ``unweighted`` is the mean of the runs, with covariance ``sum(cov) / R^2``. ``precision``
        weights each run by the inverse of its covariance matrix, the generalised least squares
        estimate of an effect that all runs share: ``cov = (sum W)^-1``, ``effect = cov sum(W e)``.

    Returns
    -------
    Effect
        NaN at voxels where any run is NaN or, with ``precision``, has a singular covariance. The
        degrees of freedom are the sum of the runs'; for ``precision`` that treats the weights as
        known.

    Raises
    ------
    ContrastError
        No runs, shapes that differ, or an unknown weighting.

    Examples
    --------
    >>> one = (np.array([[1.0]]), np.array([[[1.0]]]), 50.0)
    >>> two = (np.array([[4.0]]), np.array([[[2.0]]]), 50.0)
    >>> combine([one, two])
    Effect(effect=array([[2.5]]), cov=array([[[0.75]]]), df=100.0)
    >>> combine([one, two], "precision").effect
    array([[2.]])
    """
    _check(runs, weighting)
    df = sum((run[2] for run in runs[1:]), start=runs[0][2])
    if weighting == "unweighted":
        R = len(runs)
        effect = sum((run[0] for run in runs[1:]), start=runs[0][0]) / R
        cov = sum((run[1] for run in runs[1:]), start=runs[0][1]) / R**2
        return Effect(effect, cov, df)
    effect, cov = np.empty_like(runs[0][0]), np.empty_like(runs[0][1])
    for start in range(0, runs[0][0].shape[1], BLOCK):
        part = slice(start, start + BLOCK)
        effect[:, part], cov[:, :, part] = _precision(
            [(run[0][:, part], run[1][:, :, part]) for run in runs]
        )
    return Effect(effect, cov, df)


def _precision(runs: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Combine a block of voxels with the inverse of each covariance matrix as weight."""
    weight_sum, weighted = np.zeros_like(runs[0][1]), np.zeros_like(runs[0][0])
    with np.errstate(invalid="ignore", divide="ignore"):
        for effect, cov in runs:
            weight = inverse(cov)
            weight_sum += weight
            weighted += np.einsum("ijv,jv->iv", weight, effect)
        cov = inverse(weight_sum)
    return np.einsum("ijv,jv->iv", cov, weighted), cov


def _check(runs: Sequence[tuple[Array, Array, float | Array]], weighting: str) -> None:
    if weighting not in ("unweighted", "precision"):
        raise ContrastError(
            f"weighting must be 'unweighted' or 'precision', got {weighting!r}",
        )
    if not runs:
        raise ContrastError(
            "there are no runs to combine", hint="the contrast is absent from every run"
        )
    first = runs[0][0].shape
    for r, (effect, cov, _) in enumerate(runs):
        if effect.shape != first or cov.shape != (first[0], *first):
            raise ContrastError(
                f"run {r + 1} has effects {effect.shape} and covariances {cov.shape}; "
                f"expected {first} and {(first[0], *first)} as in run 1"
            )
