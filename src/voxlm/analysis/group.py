"""``lmer``: mixed models over maps."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxlm.analysis.groupdesign import (
    group_design,
    read_weights,
    scaled_design,
    warn_of_labels,
)
from voxlm.analysis.mixedfit import MixedFit
from voxlm.bids.maps import Maps
from voxlm.design.check import check
from voxlm.design.columns import Design, RandomBlock
from voxlm.errors import DataError, DesignError, VoxlmWarning
from voxlm.kernels.randomintercept import intercept_basis
from voxlm.models.intercept import InterceptEstimate, fit_intercept
from voxlm.models.mixed import MixedEstimate, fit_mixed
from voxlm.models.patterns import Pattern
from voxlm.models.pieces import fit_pieces
from voxlm.models.surface import Tests
from voxlm.models.terms import RandomTerm, lay_out, varies

Floats = NDArray[np.float64]

FAR = 200.0  # mean over spread of a slope's values, from which the optimum is hard to find


def lmer(
    formula: str,
    maps: Maps,
    *,
    reml: bool = True,
    df: Literal["satterthwaite", "kenward-roger"] = "satterthwaite",
    cov: Literal["gls", "hessian"] = "gls",
    weights: str | ArrayLike | None = None,
) -> MixedFit:
    """Fit a mixed model at every voxel.

    Parameters
    ----------
    formula : str
        With random terms as in lme4: ``"effect ~ group * age + (1 | subject)"``,
        ``(1 + time | subject)``, ``(time || subject)``, ``(1 | site/subject)``,
        ``(1 + time | subject) + (1 + time | item)``.
    maps : Maps
        One row a map.
    reml : bool
        Restricted likelihood, or likelihood.
    df : {"satterthwaite", "kenward-roger"}
        Degrees of freedom of tests; Kenward and Roger's, which adjust the covariance too, go with
        REML.
    cov : {"gls", "hessian"}
        Covariance of the fixed effects: that of generalised least squares, as in lme4, or of the
        joint observed information, which is a little larger, as in statsmodels' MixedLM.
    weights : str or array_like of shape (N,), optional
        Prior weights, as lme4's: the residual variance of a map is ``sigma² / w``. Positive
        numbers, or the column that holds them.

    Returns
    -------
    MixedFit

    Raises
    ------
    FormulaError
        The formula cannot be read, or names what the table does not have.
    DataError
        Kenward and Roger's tests by ML, or of ``cov="hessian"``.
    DesignError
        No random term, groups that tell nothing, columns that are not independent.

    Notes
    -----
    Equal to lme4's ``lmer`` at its optimum, with lmerTest's degrees of freedom.

    Examples
    --------
    >>> import pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"subject": np.repeat(list("abcdef"), 3), "time": [0, 1, 2.5] * 6})
    >>> fit = lmer("~ time + (1 | subject)", Maps(table, data=rng.normal(size=(18, 4))))
    >>> fit.params.shape, fit.contrast("time").df.shape
    ((2, 4), (4,))
    """
    design = group_design(formula, maps)
    warn_of_labels(design)
    if not design.random:
        raise DesignError(
            "lmer needs a random term, such as (1 | subject); without one, use lm over the maps"
        )
    check(design)
    for block in design.random:
        _check_groups(block, maps.n_maps)
    tests, known = read_tests(df, cov, reml), read_weights(weights, maps)
    root = None if known is None else np.sqrt(known)
    one = len(design.random) == 1 and design.random[0].names == ("Intercept",)
    if one and root is None:
        fit: Fitter = _intercept(design, reml, tests)
    else:
        fit = _several(design, reml, tests, root)
    values = maps.adjusted(design.offset, root).values
    pieces = fit_pieces(values, scaled_design(design, root).matrix, fit)
    options = {"reml": reml, "df": df, "cov": cov, "weights": known}
    return MixedFit("lmer", design, maps, pieces, options)


def read_tests(df: str, cov: str, reml: bool) -> Tests:
    """Read how contrasts are to be tested."""
    if df not in ("satterthwaite", "kenward-roger"):
        raise DataError(f"df must be 'satterthwaite' or 'kenward-roger', got {df!r}")
    if cov not in ("gls", "hessian"):
        raise DataError(f"cov must be 'gls' or 'hessian', got {cov!r}")
    if df == "kenward-roger":
        if not reml or cov == "hessian":
            raise DataError("df='kenward-roger' adjusts the GLS covariance of a fit by REML")
        return "kenward-roger"
    return "hessian" if cov == "hessian" else "satterthwaite"


Fitter = Callable[[Pattern, NDArray[Any]], Any]


def _intercept(design: Design, reml: bool, tests: Tests) -> Fitter:
    """Fit one random intercept: exactly, along one dimension."""
    block = design.random[0]

    def fit(pattern: Pattern, data: NDArray[Any]) -> InterceptEstimate | None:
        codes = np.unique(block.codes[pattern.rows], return_inverse=True)[1]
        basis = intercept_basis(design.matrix[pattern.rows], codes.astype(np.int64))
        if not basis.identified:
            if pattern.rows.all():
                raise DesignError(_told_apart(block.group))
            return None
        return replace(fit_intercept(basis, data, reml), tests=tests)

    return fit


def _several(design: Design, reml: bool, tests: Tests, root: Floats | None) -> Fitter:
    """Fit slopes, nested and crossed factors, and rows of unequal weights."""
    _check_terms(design.matrix, terms_of(design))
    scaled = scaled_design(design, root)

    def fit(pattern: Pattern, data: NDArray[Any]) -> MixedEstimate | None:
        X = scaled.matrix[pattern.rows]
        some = terms_of(scaled, pattern.rows)
        if not pattern.rows.all() and not all(varies(X, term) for term in some):
            return None
        found = fit_mixed(lay_out(X, some), data, reml, some)
        return replace(found, tests=tests, log_weights=log_weights(root, pattern.rows))

    return fit


def terms_of(design: Design, rows: NDArray[np.bool_] | None = None) -> list[RandomTerm]:
    """Return the random terms of a design, in some rows."""
    whole = [RandomTerm(b.codes.astype(np.int64), b.matrix, b.group, b.text) for b in design.random]
    return whole if rows is None else [term.rows(rows) for term in whole]


def log_weights(root: Floats | None, rows: NDArray[np.bool_]) -> float:
    """Return the sum of the logarithms of some maps' weights, given their roots."""
    return 0.0 if root is None else float(2.0 * np.log(root[rows]).sum())


def _check_terms(X: Floats, terms: list[RandomTerm]) -> None:
    for k, term in enumerate(terms):
        if any(term.text == other.text for other in terms[:k]):
            raise DesignError(f"{term.text} stands twice in the formula; leave one of them out")
        q, n = term.matrix.shape[1], X.shape[0]
        groups = np.unique(term.codes).size
        if q * groups >= n:
            raise DesignError(
                f"{term.text} has {q * groups} coefficients for {n} maps: its variances cannot be "
                f"told from the residual's; use fewer coefficients or more maps a group"
            )
        constant = np.ptp(term.matrix, axis=0) == 0
        if (constant.sum() > 1) or (not term.matrix.any(axis=0).all()):
            raise DesignError(f"{term.text}: what varies with a slope is the same in every map")
        size = np.abs(term.matrix.mean(axis=0))
        if constant.any() and (size > FAR * term.matrix.std(axis=0))[~constant].any():
            warnings.warn(
                f"{term.text}: a slope's values lie far from 0 beside their spread, so that level "
                f"and slope are hard to tell apart; center() them, and see fit.converged",
                VoxlmWarning,
                stacklevel=4,
            )
        if not varies(X, term):
            raise DesignError(_told_apart(term.group))


def _told_apart(group: str) -> str:
    return (
        f"the columns leave nothing of {group} to estimate a variance from: the fixed effects "
        f"already tell its groups apart, or each has one map"
    )


def _check_groups(block: RandomBlock, n_maps: int) -> None:
    m = len(block.levels)
    if m < 2:
        raise DesignError(
            f"{block.group} has one level, {block.levels[0]}: nothing varies between groups"
        )
    if m == n_maps:
        raise DesignError(
            f"{block.group} has as many levels as there are maps, {m}: its variance cannot be told "
            f"from the residual's; use lm, or a factor with several maps a level"
        )
