"""Likelihood-ratio tests between nested mixed models, at every voxel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from voxlm.analysis.groupfit import GroupFit
from voxlm.errors import DataError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LikelihoodRatio:
    """A likelihood-ratio test of a smaller model within a larger one.

    Parameters
    ----------
    smaller, larger : str
        The formulas.
    stat : ndarray, shape (V,)
        The fall of −2 log L from the smaller to the larger model.
    df : int
        How many parameters the larger model has more.
    p : ndarray, shape (V,)
        Its p-value.
    boundary : bool
        Whether one variance alone was tested: the null distribution is then the even mixture of
        χ²₀ and χ²₁.
    """

    smaller: str
    larger: str
    stat: Floats
    df: int
    p: Floats
    boundary: bool

    def __repr__(self) -> str:
        null = "½χ²₀ + ½χ²₁" if self.boundary else f"χ²({self.df})"
        share = 100 * float(np.nanmean(np.where(np.isnan(self.p), np.nan, self.p < 0.05)))
        return (
            f"{self.smaller}\nwithin {self.larger}\n"
            f"likelihood ratio, {null}: median {np.nanmedian(self.stat):.4g}; "
            f"p < 0.05 in {share:.1f} % of {self.stat.size:,} voxels"
        )


def anova(smaller: GroupFit, larger: GroupFit) -> LikelihoodRatio:
    """Compare two nested models of the same maps by likelihood ratio.

    Models with the same fixed effects are compared as they were fitted; with other fixed effects
    both are refitted by maximum likelihood, from the statistics kept.

    Parameters
    ----------
    smaller, larger : GroupFit
        By :func:`voxlm.lmer`.

    Returns
    -------
    LikelihoodRatio

    Raises
    ------
    DataError
        Fits of other maps, models that are not nested, one by REML and one by ML.

    References
    ----------
    Self & Liang (1987), J Am Stat Assoc 82:605.

    Examples
    --------
    >>> import pandas as pd
    >>> from voxlm.analysis.group import lmer
    >>> from voxlm.bids.maps import Maps
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"subject": np.repeat(list("abcdef"), 3), "time": [0, 1, 2.5] * 6})
    >>> maps = Maps(table, data=rng.normal(size=(18, 4)))
    >>> anova(lmer("~ 1 + (1 | subject)", maps), lmer("~ time + (1 | subject)", maps)).df
    1
    """
    _check(smaller, larger)
    inner, outer = smaller.design.matrix, larger.design.matrix
    same = inner.shape[1] == outer.shape[1]
    if not same:
        smaller, larger = smaller.refit(reml=False), larger.refit(reml=False)
    elif smaller.options["reml"] != larger.options["reml"]:
        raise DataError("one fit is by REML and the other by ML; fit both alike")
    df = _parameters(larger) - _parameters(smaller)
    if df < 1:
        raise DataError(f"the second model must have more parameters; it has {df:+d}")
    stat = smaller.deviance - larger.deviance
    boundary = same and df == 1
    p = special.chdtrc(df, np.maximum(stat, 0.0))
    if boundary:
        p = np.where(stat > 0, 0.5 * p, np.where(np.isnan(stat), np.nan, 1.0))
    return LikelihoodRatio(smaller.formula, larger.formula, stat, df, p, boundary)


def _parameters(fit: GroupFit) -> int:
    return next(int(part.n_parameters) for part in fit.pieces.parts if part is not None)


def _check(smaller: GroupFit, larger: GroupFit) -> None:
    """Require two mixed models of the same maps, the columns of one within the other's."""
    for fit in (smaller, larger):
        if fit.model != "lmer":
            raise DataError(f"anova compares fits by lmer; one is by {fit.model}")
    if smaller.maps is not larger.maps:
        raise DataError("the fits are of different Maps; fit both models to the same Maps")
    X, Z = smaller.design.matrix, larger.design.matrix
    Q = np.linalg.qr(Z)[0]
    outside = np.linalg.norm(X - Q @ (Q.T @ X), axis=0) > 1e-8 * np.linalg.norm(X, axis=0)
    if outside.any():
        names = [smaller.design.names[k] for k in np.flatnonzero(outside)]
        raise DataError(
            f"the models are not nested: {', '.join(names)} of the first is not in the second"
        )
    have = [(b.group, *b.names) for b in larger.design.random]
    for block in smaller.design.random:
        within = [h for h in have if h[0] == block.group and set(block.names) <= set(h[1:])]
        if not within:
            raise DataError(f"the models are not nested: {block.text} is not in the second")
