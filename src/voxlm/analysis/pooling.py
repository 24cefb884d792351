"""``fixed_effects``: one effect that fits, or maps of known variance, have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxlm.analysis.contrast import Contrast
from voxlm.analysis.fit import Fit
from voxlm.analysis.fixed import FixedEffects, Weighting
from voxlm.analysis.groupdesign import group_design
from voxlm.analysis.spec import ContrastSpec
from voxlm.bids.mapfiles import check_positive
from voxlm.bids.maps import Maps
from voxlm.contrasts.combine import combine
from voxlm.contrasts.hypothesis import hypothesis
from voxlm.contrasts.statmap import wald
from voxlm.errors import DataError
from voxlm.models.patterns import patterns

Floats = NDArray[np.float64]


@overload
def fixed_effects(
    data: Maps, contrast: None = ..., *, weighting: Weighting = ..., df: ArrayLike | None = ...
) -> Contrast: ...
@overload
def fixed_effects(
    data: Sequence[Fit | FixedEffects], contrast: None = ..., *, weighting: Weighting = ...
) -> FixedEffects: ...
@overload
def fixed_effects(
    data: Sequence[Fit | FixedEffects], contrast: ContrastSpec, *, weighting: Weighting = ...
) -> Contrast: ...
def fixed_effects(
    data: Maps | Sequence[Fit | FixedEffects],
    contrast: ContrastSpec | None = None,
    *,
    weighting: Weighting = "precision",
    df: ArrayLike | None = None,
) -> Contrast | FixedEffects:
    r"""Combine fits of several runs or sessions, or maps of known variance, by fixed effects.

    Parameters
    ----------
    data : sequence of Fit or FixedEffects, or Maps
        First-level fits in one space; or maps with ``variance=``.
    contrast : str, array, dict or list of str, optional
        Fits: the question, read in each fit's own columns.
    weighting : {"precision", "unweighted"}
        Each effect weighted by the inverse of its covariance, or all alike.
    df : float, or array_like of shape (N,), optional
        Maps: degrees of freedom of each map's variance, which add up; left out, the variances
        count as known and the statistic is z.

    Returns
    -------
    Contrast
        For maps, and for fits with a contrast.
    FixedEffects
        For fits without one: ask it.

    Raises
    ------
    DataError
        Fits in different spaces, maps without variances, an option of the other kind of data.

    Notes
    -----
    :math:`\hat\beta = \sum_i w_i b_i / \sum_i w_i`, :math:`w_i = 1 / v_i`, with variance
    :math:`1 / \sum_i w_i`: nilearn's ``compute_fixed_effects(precision_weighted=True)``, FSL's
    fixed effects, ``mean_effect_fe`` of statsmodels' ``combine_effects``. At a voxel that some
    maps lack, the others are combined.

    Examples
    --------
    >>> import pandas as pd
    >>> maps = Maps(pd.DataFrame(index=range(2)), data=[[1.0], [4.0]], variance=[[1.0], [2.0]])
    >>> con = fixed_effects(maps)
    >>> con.effect, con.se.round(4)
    (array([2.]), array([0.8165]))
    """
    if isinstance(data, Maps):
        if contrast is not None:
            raise DataError("contrast= goes with fits; maps have one effect each")
        return _of_maps(data, weighting, df)
    if df is not None:
        raise DataError("df= goes with maps; fits know their degrees of freedom")
    fits: list[Fit] = []
    for one in data:
        fits += one.fits if isinstance(one, FixedEffects) else [one]
    if not fits or not all(isinstance(fit, Fit) for fit in fits):
        raise DataError("fixed_effects needs one first-level fit or more, or maps with variance=")
    fixed = FixedEffects(tuple(fits), weighting)
    return fixed if contrast is None else fixed.contrast(contrast)


def _of_maps(maps: Maps, weighting: Weighting, df: ArrayLike | None) -> Contrast:
    """Combine maps, pattern by pattern of those that are there."""
    values, variances = maps.values, maps.variances
    if variances is None:
        raise DataError("fixed_effects needs the variance of each map: Maps(…, variance=…)")
    check_positive(values, variances)
    each = _each_df(df, maps.n_maps)
    V = values.shape[1]
    effect, cov, total = np.full((1, V), np.nan), np.full((1, 1, V), np.nan), np.full(V, np.nan)
    for pattern in patterns(np.where(np.isfinite(variances), values, np.nan)):
        rows, at = np.flatnonzero(pattern.rows), pattern.voxels
        if rows.size:
            parts = [
                (
                    values[row, at].astype(np.float64)[None],
                    variances[row, at].astype(np.float64)[None, None],
                    each[row],
                )
                for row in rows
            ]
            effect[:, at], cov[:, :, at], total[at] = combine(parts, weighting)
    question = hypothesis("Intercept", group_design("~ 1", maps).columns, "t")
    return Contrast(question, wald(effect, cov, total, "t", np.zeros(1)), maps.space)


def _each_df(df: ArrayLike | None, n_maps: int) -> Floats:
    """Return the degrees of freedom of each map, infinite where they were not given."""
    each = np.asarray(np.inf if df is None else df, dtype=np.float64)
    if each.shape not in ((), (n_maps,)) or not (each > 0).all():
        raise DataError(f"df is one positive number, or {n_maps} of them, one a map; got {df!r}")
    return np.broadcast_to(each, (n_maps,))
