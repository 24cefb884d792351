"""Effect, covariance and statistic of a hypothesis at every voxel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from voxlm.contrasts.hypothesis import Hypothesis
from voxlm.errors import ContrastError
from voxlm.kernels import tails
from voxlm.kernels.small import quadratic

Array = NDArray[np.float64]


class Estimates(Protocol):
    """What a fit must answer so that a hypothesis can be tested on it."""

    @property
    def df_resid(self) -> float | Array:
        """Residual degrees of freedom, one number or ``(V,)``."""

    def effect(self, C: Array) -> Array:
        """``C b``, shape ``(Q, V)``."""

    def vcov(self, C: Array) -> Array:
        """Covariance of ``C b``, shape ``(Q, Q, V)``."""


@dataclass(frozen=True, slots=True, eq=False)
class StatMap:
    """A statistic at every voxel and what it was made from.

    Parameters
    ----------
    effect : ndarray, shape (Q, V)
        ``C b``; the null values are not taken off.
    cov : ndarray, shape (Q, Q, V)
        Its covariance.
    stat : ndarray, shape (V,)
        t, or F. NaN where the effect or its covariance is not finite, and where the covariance is
        singular or a variance is 0: a voxel without noise has no statistic.
    kind : {"t", "F"}
        Which.
    df : float or ndarray, shape (V,)
        Degrees of freedom of t, denominator degrees of freedom of F.
    df_num : int
        Numerator degrees of freedom of F: the number of rows, Q.
    null : ndarray, shape (Q,)
        Values under the null hypothesis.

    Examples
    --------
    >>> s = wald(np.array([[2.0, 0.5]]), np.full((1, 1, 2), 0.25), 100.0, "t")
    >>> s.stat, s.se, s.p.round(4)
    (array([4., 1.]), array([0.5, 0.5]), array([1.000e-04, 3.197e-01]))
    """

    effect: Array
    cov: Array
    stat: Array
    kind: Literal["t", "F"]
    df: float | Array
    df_num: int
    null: Array

    @property
    def n_voxels(self) -> int:
        """Number of voxels, V."""
        return int(self.stat.shape[0])

    @property
    def variance(self) -> Array:
        """Variance of the effect: ``(V,)`` for t, of each row ``(Q, V)`` for F."""
        rows = np.einsum("qqv->qv", self.cov)
        return np.asarray(rows[0] if self.kind == "t" else rows)

    @property
    def se(self) -> Array:
        """Standard error of the effect: ``(V,)`` for t, of each row ``(Q, V)`` for F."""
        with np.errstate(invalid="ignore"):
            return np.sqrt(self.variance)

    @property
    def p(self) -> Array:
        """p, shape ``(V,)``: two-sided for t, upper tail for F."""
        if self.kind == "t":
            return tails.t_to_p(self.stat, self.df)
        return tails.f_to_p(self.stat, self.df_num, self.df)

    @property
    def log10p(self) -> Array:
        """Base-10 logarithm of p, shape ``(V,)``; exact where p itself underflows to 0."""
        if self.kind == "t":
            return tails.t_to_log10p(self.stat, self.df)
        return tails.f_to_log10p(self.stat, self.df_num, self.df)

    @property
    def z(self) -> Array:
        """Normal score, shape ``(V,)``.

        For t it has the sign of t; for F it is the normal score of the upper tail, negative where
        F is below the median of its null distribution.
        """
        if self.kind == "t":
            return tails.t_to_z(self.stat, self.df)
        return tails.f_to_z(self.stat, self.df_num, self.df)


def test(estimates: Estimates, hypothesis: Hypothesis) -> StatMap:
    """Test a hypothesis on a fit, at every voxel.

    Parameters
    ----------
    estimates : Estimates
        A fit: ``effect(C)``, ``vcov(C)``, ``df_resid``.
    hypothesis : Hypothesis
        The question. That the design can answer it is for
        :func:`~voxlm.contrasts.estimable.check_estimable` to say.

    Returns
    -------
    StatMap
        ``t = (c b - null) / se``, or the Wald statistic
        ``F = (C b - null)' [C V C']^-1 (C b - null) / Q``.
    """
    effect, cov = estimates.effect(hypothesis.C), estimates.vcov(hypothesis.C)
    return wald(effect, cov, estimates.df_resid, hypothesis.kind, hypothesis.null)


def wald(
    effect: Array,
    cov: Array,
    df: float | Array,
    kind: Literal["t", "F"],
    null: Array | None = None,
) -> StatMap:
    """Make a statistic from an effect and its covariance.

    Parameters
    ----------
    effect : ndarray, shape (Q, V)
        Effects.
    cov : ndarray, shape (Q, Q, V)
        Their covariance.
    df : float or ndarray, shape (V,)
        Residual degrees of freedom.
    kind : {"t", "F"}
        Which statistic.
    null : ndarray, shape (Q,), optional
        Values under the null hypothesis; zeros by default.

    Returns
    -------
    StatMap

    Raises
    ------
    ContrastError
        If shapes do not fit, or a t is asked of several rows.
    """
    Q, V = effect.shape
    if cov.shape != (Q, Q, V):
        raise ContrastError(f"the covariance has shape {cov.shape}, expected {(Q, Q, V)}")
    if kind == "t" and Q != 1:
        raise ContrastError(f"a t tests one row, got {Q}", hint="say kind='F'")
    target = np.zeros(Q) if null is None else np.asarray(null, dtype=np.float64)
    away = effect - target[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        if kind == "t":
            variance = cov[0, 0]
            stat = away[0] / np.sqrt(np.where(variance > 0, variance, np.nan))
        else:
            stat = quadratic(cov, away) / Q
    usable = np.isfinite(stat) & (np.asarray(df) > 0)
    return StatMap(effect, cov, np.where(usable, stat, np.nan), kind, df, Q, target)
