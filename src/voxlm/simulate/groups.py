"""Maps of a group with known truth: a formula, its coefficients, its variances.

Axes: N maps, V voxels, P columns, q coefficients of a random term.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from voxlm.bids.maps import Maps
from voxlm.design.columns import Design, RandomBlock
from voxlm.design.table import build_table
from voxlm.errors import DataError, did_you_mean
from voxlm.formula import Schema, parse, resolve_group

Floats = NDArray[np.float64]


class Intervals(Protocol):
    """What a fit answers about its coefficients."""

    @property
    def params(self) -> Floats:
        """Estimates, shape ``(P, V)``."""

    def conf_int(self, alpha: float = 0.05) -> Floats:
        """Bounds, shape ``(P, 2, V)``."""


@dataclass(frozen=True, eq=False)
class GroupTruth:
    """Simulated maps and the truth behind them.

    Parameters
    ----------
    table : DataFrame
        One row a map.
    data : ndarray, shape (N, V)
        The maps.
    design : Design
        Columns and random terms of the formula.
    params : ndarray, shape (P,)
        True coefficients.
    components : dict of str to ndarray, shape (q, q)
        True covariance of each random term's coefficients.
    sigma : float
        True residual standard deviation; with ``variance``, that between maps.
    variance : ndarray, shape (N, V), or None
        Known variances of the maps.
    """

    table: pd.DataFrame
    data: Floats
    design: Design
    params: Floats
    components: Mapping[str, Floats]
    sigma: float
    variance: Floats | None = None

    @cached_property
    def maps(self) -> Maps:
        """The data as maps."""
        return Maps(self.table, data=self.data, variance=self.variance)

    def coverage(self, fit: Intervals, level: float = 0.95) -> pd.DataFrame:
        """Tabulate truth, mean estimate, and how often intervals hold the truth.

        Parameters
        ----------
        fit : GroupFit
            Of these maps, with the same columns.
        level : float
            Of the intervals.

        Returns
        -------
        DataFrame
            One row a coefficient: ``truth estimate coverage``; over voxels.
        """
        bounds = fit.conf_int(1.0 - level)
        held = (bounds[:, 0] <= self.params[:, None]) & (self.params[:, None] <= bounds[:, 1])
        fitted = np.isfinite(fit.params)
        columns = {
            "truth": self.params,
            "estimate": np.nanmean(fit.params, axis=1),
            "coverage": held.sum(axis=1) / fitted.sum(axis=1),
        }
        return pd.DataFrame(columns, index=list(self.design.names))


def group(
    formula: str,
    table: pd.DataFrame,
    n_voxels: int,
    *,
    params: Mapping[str, float],
    components: Mapping[str, ArrayLike] | None = None,
    sigma: float = 1.0,
    variance: ArrayLike | None = None,
    seed: int = 0,
) -> GroupTruth:
    r"""Simulate :math:`y = X\beta + \sum_k Z_k u_k + e` at every voxel of a group of maps.

    Parameters
    ----------
    formula : str
        R's, with random terms: ``"~ group * time + (1 + time | subject)"``.
    table : DataFrame
        One row a map.
    n_voxels : int
        V.
    params : mapping of str to float
        Coefficients by column name; the others are 0.
    components : mapping of str to float or array_like of shape (q, q)
        Variance, or covariance of the coefficients, of each random term, by its grouping factor
        or by its text.
    sigma : float
        Residual standard deviation; with ``variance``, that between maps.
    variance : array_like, shape (N,) or (N, V), optional
        Known variances of the maps: noise of these is added.
    seed : int

    Returns
    -------
    GroupTruth

    Raises
    ------
    DataError
        For names that the formula does not have, and random terms without a variance.

    Examples
    --------
    >>> table = pd.DataFrame({"subject": list("aabbcc"), "time": [0.0, 1, 0, 1, 0, 1]})
    >>> made = group("~ time + (1 | subject)", table, 5, params={"time": 2.0},
    ...              components={"subject": 1.0})
    >>> made.data.shape, made.params
    ((6, 5), array([0., 2.]))
    """
    design = build_table(resolve_group(parse(formula), Schema.table(table)), table)
    unknown = [name for name in params if name not in design.names]
    if unknown:
        raise DataError(f"no column {unknown[0]!r}; {did_you_mean(unknown[0], design.names)}")
    beta = np.array([float(params.get(name, 0.0)) for name in design.names])
    rng = np.random.default_rng(seed)
    n = design.matrix.shape[0]
    data = np.repeat((design.matrix @ beta)[:, None], n_voxels, axis=1)
    if design.offset is not None:
        data += design.offset[:, None]
    found = {block.text: _covariance(block, components or {}) for block in design.random}
    for block in design.random:
        root = np.linalg.cholesky(found[block.text] + 0.0)
        u = rng.standard_normal((len(block.levels), len(block.names), n_voxels))
        own = np.einsum("ab,mbv->mav", root, u)[block.codes]
        data += np.einsum("na,nav->nv", block.matrix, own)
    data += sigma * rng.standard_normal((n, n_voxels))
    known = None
    if variance is not None:
        given = np.asarray(variance, dtype=np.float64)
        known = np.array(np.broadcast_to(given[:, None] if given.ndim == 1 else given, data.shape))
        data += np.sqrt(known) * rng.standard_normal((n, n_voxels))
    return GroupTruth(table, data, design, beta, found, sigma, known)


def _covariance(block: RandomBlock, components: Mapping[str, Any]) -> Floats:
    """Return the covariance of a term's coefficients."""
    given = components.get(block.text, components.get(block.group))
    q = len(block.names)
    if given is None:
        raise DataError(f"components= gives no variance for {block.text}; name it by {block.group}")
    found = np.asarray(given, dtype=np.float64).reshape(-1)
    if found.size == q * q:
        return found.reshape(q, q)
    if found.size == q:
        return np.diag(found)
    raise DataError(
        f"components of {block.text} have {found.size} numbers; expected {q} or {q * q}"
    )
