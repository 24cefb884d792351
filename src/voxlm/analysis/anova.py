"""Likelihood-ratio tests between nested mixed models, at every voxel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from voxlm.analysis.group import log_weights
from voxlm.analysis.groupdesign import scaled_design
from voxlm.analysis.groupfit import GroupFit
from voxlm.analysis.mixedfit import MixedFit
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
        Whether one random coefficient was tested, with its correlations: the null distribution is
        then the even mixture of χ² with df - 1 and df (Stram & Lee 1994). Several variances at
        once are held against χ² with df, which is conservative.
    """

    smaller: str
    larger: str
    stat: Floats
    df: int
    p: Floats
    boundary: bool

    def __repr__(self) -> str:
        mixture = f"½χ²({self.df - 1}) + ½χ²({self.df})"
        null = mixture if self.boundary else f"χ²({self.df})"
        share = 100 * float(np.nanmean(np.where(np.isnan(self.p), np.nan, self.p < 0.05)))
        return (
            f"{self.smaller}\nwithin {self.larger}\n"
            f"likelihood ratio, {null}: median {np.nanmedian(self.stat):.4g}; "
            f"p < 0.05 in {share:.1f} % of {self.stat.size:,} voxels"
        )


def anova(smaller: GroupFit, larger: MixedFit) -> LikelihoodRatio:
    """Compare two nested models of the same maps by likelihood ratio.

    Models with the same fixed effects are compared as they were fitted; with other fixed effects
    both are refitted by maximum likelihood, from the statistics kept.

    Parameters
    ----------
    smaller : MixedFit or GroupFit
        By :func:`voxlm.lmer`; or by ordinary :func:`voxlm.lm`, to test the only random term.
    larger : MixedFit
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
    Self & Liang (1987), J Am Stat Assoc 82:605. Stram & Lee (1994), Biometrics 50:1171.

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
    if not same and not isinstance(smaller, MixedFit):
        raise DataError("a fit by lm is compared with one by lmer of the same fixed effects")
    if not same and isinstance(smaller, MixedFit):
        smaller, larger = smaller.refit(reml=False), larger.refit(reml=False)
    elif isinstance(smaller, MixedFit) and smaller.options["reml"] != larger.options["reml"]:
        raise DataError("one fit is by REML and the other by ML; fit both alike")
    df = _parameters(larger) - _parameters(smaller)
    if df < 1:
        raise DataError(f"the second model must have more parameters; it has {df:+d}")
    stat = _deviance(smaller, larger) - larger.deviance
    boundary = same and _coefficients(larger) - _coefficients(smaller) == 1
    with np.errstate(invalid="ignore"):
        high = np.maximum(stat, 0.0)
        p = special.chdtrc(df, high)
        if boundary:
            lower = special.chdtrc(df - 1, high) if df > 1 else np.where(high > 0, 0.0, 1.0)
            p = np.where(np.isnan(stat), np.nan, 0.5 * (p + lower))
    return LikelihoodRatio(smaller.formula, larger.formula, stat, df, p, boundary)


def _parameters(fit: GroupFit) -> int:
    if isinstance(fit, MixedFit):
        return next(int(part.n_parameters) for part in fit.pieces.parts if part is not None)
    return fit.design.matrix.shape[1] + 1


def _coefficients(fit: GroupFit) -> int:
    """Count the random coefficients that have a variance of their own."""
    return sum(len(block.names) for block in fit.design.random)


def _deviance(smaller: GroupFit, larger: MixedFit) -> Floats:
    """Return the smaller model's deviance as the larger counts it."""
    if isinstance(smaller, MixedFit):
        return smaller.deviance
    out = np.full(smaller.n_voxels, np.nan)
    for pattern, part in zip(smaller.pieces.patterns, smaller.pieces.parts, strict=True):
        if part is None:
            continue
        X = scaled_design(smaller.design, smaller.root).matrix[pattern.rows]
        n, P = X.shape
        N = n - larger.options["reml"] * P
        with np.errstate(divide="ignore"):
            value = N * (1.0 + np.log(2.0 * np.pi * part.scale * (n - P) / N))
        if larger.options["reml"]:
            value = value + np.linalg.slogdet(X.T @ X)[1]
        value = value - log_weights(smaller.root, pattern.rows)
        out[pattern.voxels] = value
    return out


def _check(smaller: GroupFit, larger: GroupFit) -> None:
    """Require two mixed models of the same maps, the columns of one within the other's."""
    if not isinstance(larger, MixedFit):
        raise DataError(f"anova compares fits by lmer; the second is by {larger.model}")
    plain = smaller.options.get("cov_type") == "nonrobust"
    if not isinstance(smaller, MixedFit) and not (smaller.model == "lm" and plain):
        raise DataError(
            f"anova compares fits by lmer, or by ordinary lm; one is by {smaller.model}"
        )
    if smaller.maps is not larger.maps:
        raise DataError("the fits are of different Maps; fit both models to the same Maps")
    for what, one, two in (
        ("prior weights", smaller.root, larger.root),
        ("an offset", smaller.design.offset, larger.design.offset),
    ):
        both = one is not None and two is not None and np.array_equal(one, two)
        if not both and not (one is None and two is None):
            raise DataError(f"the models are not nested: one has {what} that the other has not")
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
