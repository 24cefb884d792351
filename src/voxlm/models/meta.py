"""Maps whose own variances are known: mixed effects, fixed effects, Knapp and Hartung's t.

Axes: n maps, V voxels, P columns, Q contrast rows, G groups with variances of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxlm.errors import DataError
from voxlm.kernels.knownvariance import METHODS, KnownVariance, fit_known_variance
from voxlm.kernels.rank import rank
from voxlm.kernels.variancegroups import fit_variance_groups
from voxlm.models.pieces import FullRank

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class MetaEstimate(FullRank):
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
    groups : ndarray of int, shape (n,), or None
        The group of each map, where groups have variances between maps of their own.
    """

    X: Floats
    fit: KnownVariance
    method: str
    knapp_hartung: bool
    groups: Ints | None = None

    @property
    def params(self) -> Floats:
        """Coefficients, shape ``(P, V)``."""
        return self.fit.params

    @property
    def tau2(self) -> Floats:
        """Variance between maps, shape ``(V,)``, or ``(G, V)``: NaN for a group without a map."""
        return self.fit.tau2

    def between(self, voxel: int) -> Floats:
        """Return the variance between maps that each map has at a voxel, shape ``(n,)``."""
        tau2 = self.tau2[..., voxel]
        return np.broadcast_to(tau2 if self.groups is None else tau2[self.groups], (self.nobs,))

    @property
    def i2(self) -> Floats:
        """Share of the variance that is between maps, Higgins' I², from 0 to 1, shape ``(V,)``."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.maximum(1.0 - self.df_resid / self.fit.cochran, 0.0)

    @property
    def converged(self) -> NDArray[np.bool_]:
        """Whether τ² settled, shape ``(V,)``."""
        return self.fit.converged & np.isfinite(self.fit.heterogeneity)

    @property
    def deviance(self) -> Floats:
        """−2 log L at τ², restricted for ``reml``, shape ``(V,)``."""
        n, P = self.X.shape
        N = n - P if self.method == "reml" else n
        value = N * np.log(2 * np.pi) + self.fit.log_dets[0] + self.fit.heterogeneity
        return value + self.fit.log_dets[1] if self.method == "reml" else value

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
    groups: Ints | None = None,
    n_groups: int | None = None,
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
    groups : ndarray of int, shape (n,), optional
        0 … G - 1: groups of maps, each with a variance between maps of its own.
    n_groups : int, optional
        G, where the last groups have no map.

    Returns
    -------
    MetaEstimate

    Raises
    ------
    DataError
        Variances that are not positive, an unknown method, no degrees of freedom; groups with a
        method that they do not go with.

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
    scaled = method != "fe" if knapp_hartung is None else knapp_hartung
    if groups is None:
        fit = fit_known_variance(X, data, variance, METHODS[method])
    else:
        found, converged = _by_group(X, data, variance, groups, method)
        tau2 = np.full((n_groups or len(found), data.shape[1]), np.nan)
        tau2[: len(found)] = found
        fit = fit_known_variance(X, data, variance + tau2[groups], METHODS["fe"])
        cochran = fit_known_variance(X, data, variance, METHODS["fe"]).cochran
        fit = replace(fit, tau2=tau2, cochran=cochran, converged=converged)
    return MetaEstimate(X, fit, method, scaled, groups)


def _by_group(
    X: Floats, data: NDArray[Any], variance: NDArray[Any], groups: Ints, method: str
) -> tuple[Floats, NDArray[np.bool_]]:
    """Estimate each group's τ², ``(G, V)``, and tell where all settled.

    Where every column can be made to belong to one group, the likelihood is a product and each
    group is fitted alone, by any method; else all τ² at once, by likelihood.
    """
    if method == "fe":
        raise DataError("method='fe' has no variance between maps, so none by variance_groups=")
    present, codes = np.unique(groups, return_inverse=True)
    members = [codes == k for k in range(present.size)]
    tau2 = np.full((int(groups.max()) + 1, data.shape[1]), np.nan)
    if sum(rank(X[here]) for here in members) == X.shape[1]:
        converged = np.ones(data.shape[1], dtype=np.bool_)
        for k, here in zip(present, members, strict=True):
            own = np.linalg.svd(X[here], full_matrices=False)[0][:, : rank(X[here])]
            fit = fit_known_variance(own, data[here], variance[here], METHODS[method])
            tau2[k] = fit.tau2
            converged &= fit.converged
        return tau2, converged
    if method in ("dl", "pm"):
        raise DataError(
            f"method={method!r} with variance_groups= needs columns that belong to one group each, "
            f"such as ~ 0 + group + group:age; the groups share columns here: use 'reml' or 'ml'"
        )
    tau2[present], converged = fit_variance_groups(
        X, data, variance, codes.astype(np.int64), method == "reml"
    )
    return tau2, converged
