"""Maps whose own variances are known: mixed effects, fixed effects, Knapp and Hartung's t.

Axes: n maps, V voxels, P columns, Q contrast rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxlm.errors import DataError
from voxlm.kernels.knownvariance import METHODS, KnownVariance, fit_known_variance

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class MetaEstimate:
    """Random or fixed effects over maps at every voxel.

    Parameters
    ----------
    X : ndarray, shape (n, P)
        Columns.
    fit : KnownVariance
        The numbers.
    method : str
        ``reml``, ``ml``, ``dl``, ``pm`` or ``fe``.
    knapp_hartung : bool
        Whether the covariance is scaled by ``Σ w r² / (n - P)`` and tested by t.
    """

    X: Floats
    fit: KnownVariance
    method: str
    knapp_hartung: bool

    @property
    def params(self) -> Floats:
        """Coefficients, shape ``(P, V)``."""
        return self.fit.params

    @property
    def tau2(self) -> Floats:
        """Variance between maps, shape ``(V,)``."""
        return self.fit.tau2

    @property
    def nobs(self) -> int:
        """Maps used, n."""
        return self.X.shape[0]

    @property
    def df_resid(self) -> float:
        """Maps less columns."""
        return float(self.X.shape[0] - self.X.shape[1])

    @property
    def i2(self) -> Floats:
        """Share of the variance that is between maps, Higgins' I², from 0 to 1, shape ``(V,)``."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.maximum(1.0 - self.df_resid / self.fit.cochran, 0.0)

    @property
    def converged(self) -> NDArray[np.bool_]:
        """Whether τ² settled, shape ``(V,)``."""
        return self.fit.converged & np.isfinite(self.tau2)

    @property
    def deviance(self) -> Floats:
        """−2 log L at τ², restricted for ``reml``, shape ``(V,)``."""
        n, P = self.X.shape
        N = n - P if self.method == "reml" else n
        value = N * np.log(2 * np.pi) + self.fit.log_dets[0] + self.fit.heterogeneity
        return value + self.fit.log_dets[1] if self.method == "reml" else value

    def effect(self, C: Floats) -> Floats:
        """Return ``C b``, shape ``(Q, V)``."""
        effect: Floats = C @ self.params
        return effect

    def vcov(self, C: Floats) -> Floats:
        """Return the covariance of ``C b``, shape ``(Q, Q, V)``."""
        cov: Floats = np.einsum("qp,psv,rs->qrv", C, self.fit.unscaled, C, optimize=True)
        return cov * self.fit.heterogeneity / self.df_resid if self.knapp_hartung else cov

    def bse(self) -> Floats:
        """Return the standard errors of ``params``, shape ``(P, V)``."""
        return np.sqrt(np.einsum("ppv->pv", self.vcov(np.eye(self.X.shape[1]))))

    def test_parts(self, C: Floats) -> tuple[Floats, float]:
        """Return the covariance of ``C b`` and its degrees of freedom: n - P, or infinite."""
        return self.vcov(C), self.df_resid if self.knapp_hartung else np.inf


def fit_meta(
    X: Floats,
    data: NDArray[Any],
    variance: NDArray[Any],
    method: str = "reml",
    knapp_hartung: bool | None = None,
) -> MetaEstimate:
    """Fit effects of known variance at every voxel.

    Parameters
    ----------
    X : ndarray, shape (n, P)
        Columns of full rank.
    data, variance : ndarray, shape (n, V)
        Effects and their variances.
    method : {"reml", "ml", "dl", "pm", "fe"}
        Estimator of τ²; ``fe`` takes it as 0.
    knapp_hartung : bool, optional
        Knapp and Hartung's t; on by default but for ``fe``.

    Returns
    -------
    MetaEstimate

    Raises
    ------
    DataError
        Variances that are not positive, an unknown method, no degrees of freedom.

    Examples
    --------
    >>> fit = fit_meta(np.ones((3, 1)), np.array([[1.0], [3.0], [8.0]]), np.ones((3, 1)), "dl")
    >>> fit.tau2, fit.bse().round(3)
    (array([12.]), array([[2.082]]))
    """
    if method not in METHODS:
        raise DataError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    if X.shape[0] <= X.shape[1]:
        raise DataError(f"{X.shape[0]} maps for {X.shape[1]} columns: nothing is left to test")
    with np.errstate(invalid="ignore"):
        bad = ~(variance > 0)
    if bad.any():
        row = int(np.flatnonzero(bad.any(axis=1))[0])
        raise DataError(
            f"variances must be positive: map {row + 1} has {int(bad[row].sum()):,} voxels that "
            f"are zero, negative or missing; mask them out, or set them to NaN in effect and "
            f"variance"
        )
    fit = fit_known_variance(X, data, variance, METHODS[method])
    scaled = method != "fe" if knapp_hartung is None else knapp_hartung
    return MetaEstimate(X, fit, method, scaled)
