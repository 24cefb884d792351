"""The verbs of the group level: a formula and maps in, a fit out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from voxlm.analysis.groupfit import GroupFit
from voxlm.bids.mapfiles import check_positive
from voxlm.bids.maps import Maps
from voxlm.design.check import check
from voxlm.design.columns import Design, RandomBlock
from voxlm.design.table import build_table
from voxlm.errors import DataError, DesignError
from voxlm.formula import Schema, parse, resolve_group
from voxlm.kernels.randomintercept import intercept_basis
from voxlm.models.grouplinear import COV_TYPES, LinearEstimate, fit_group_linear, linear_basis
from voxlm.models.intercept import InterceptEstimate, fit_intercept
from voxlm.models.kenward import kenward_roger
from voxlm.models.meta import MetaEstimate, fit_meta
from voxlm.models.mixed import MixedEstimate, fit_mixed
from voxlm.models.patterns import Pattern
from voxlm.models.pieces import Pieces, fit_pieces
from voxlm.models.robust import RobustEstimate, fit_group_robust
from voxlm.models.terms import RandomTerm, lay_out, varies

Floats = NDArray[np.float64]


def group_design(formula: str, maps: Maps) -> Design:
    """Compile a group formula for a table of maps, without opening an image.

    Parameters
    ----------
    formula : str
        R's: ``"effect ~ group * age + (1 | subject)"``.
    maps : Maps
        Their table is used.

    Returns
    -------
    Design
    """
    images = [name for name in (maps.effect, maps.variance) if isinstance(name, str)]
    frame = maps.table.drop(columns=[name for name in images if name in maps.table])
    meaning = resolve_group(parse(formula), Schema.table(frame))
    return build_table(meaning, frame)


def lmer(
    formula: str,
    maps: Maps,
    *,
    reml: bool = True,
    df: Literal["satterthwaite", "kenward-roger"] = "satterthwaite",
) -> GroupFit:
    """Fit a mixed model at every voxel.

    Parameters
    ----------
    formula : str
        With random terms as in lme4: ``"effect ~ group * age + (1 | subject)"``,
        ``(1 + time | subject)``, ``(time || subject)``, ``(1 | site/subject)``,
        ``(1 | subject) + (1 | item)``. Slopes may vary over one factor.
    maps : Maps
        One row a map.
    reml : bool
        Restricted likelihood, or likelihood.
    df : {"satterthwaite", "kenward-roger"}
        Degrees of freedom of tests; Kenward and Roger's, which adjust the covariance too, are for
        one random intercept by REML.

    Returns
    -------
    GroupFit

    Raises
    ------
    FormulaError
        The formula cannot be read, or names what the table does not have.
    DataError
        Kenward and Roger's tests of another model.
    DesignError
        No random term, groups that tell nothing, slopes in two factors, columns that are not
        independent.

    Notes
    -----
    Equal to lme4's ``lmer`` at its optimum, with lmerTest's degrees of freedom.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"subject": np.repeat(list("abcdef"), 3), "time": [0, 1, 2.5] * 6})
    >>> fit = lmer("~ time + (1 | subject)", Maps(table, data=rng.normal(size=(18, 4))))
    >>> fit.params.shape, fit.contrast("time").df.shape
    ((2, 4), (4,))
    """
    design = group_design(formula, maps)
    if not design.random:
        raise DesignError(
            "lmer needs a random term, such as (1 | subject); without one, use lm over the maps"
        )
    check(design)
    for block in design.random:
        _check_groups(block, maps.n_maps)
    one = len(design.random) == 1 and design.random[0].names == ("Intercept",)
    if df not in ("satterthwaite", "kenward-roger"):
        raise DataError(f"df must be 'satterthwaite' or 'kenward-roger', got {df!r}")
    adjusted = df == "kenward-roger"
    if adjusted and not (one and reml):
        raise DataError("df='kenward-roger' is for one random intercept, by REML")
    fit = _intercept(design, reml, adjusted) if one else _several(design, reml)
    pieces = fit_pieces(maps.values, design.matrix, fit)
    return GroupFit("lmer", design, maps, pieces, {"reml": reml, "df": df})


Fitter = Callable[[Pattern, NDArray[Any]], Any]


def _intercept(design: Design, reml: bool, adjusted: bool) -> Fitter:
    """Fit one random intercept: exactly, along one dimension."""
    block = design.random[0]

    def fit(pattern: Pattern, data: NDArray[Any]) -> InterceptEstimate | None:
        codes = np.unique(block.codes[pattern.rows], return_inverse=True)[1]
        basis = intercept_basis(design.matrix[pattern.rows], codes.astype(np.int64))
        if not basis.identified:
            if pattern.rows.all():
                raise DesignError(_told_apart(block.group))
            return None
        found = fit_intercept(basis, data, reml)
        return kenward_roger(found) if adjusted else found

    return fit


def _several(design: Design, reml: bool) -> Fitter:
    """Fit slopes, nested and crossed factors."""
    terms = [RandomTerm(b.codes.astype(np.int64), b.matrix, b.group, b.text) for b in design.random]
    _check_terms(design.matrix, terms)

    def fit(pattern: Pattern, data: NDArray[Any]) -> MixedEstimate | None:
        X = design.matrix[pattern.rows]
        some = [t.rows(pattern.rows) for t in terms]
        if not pattern.rows.all() and not all(varies(X, term) for term in some):
            return None
        return fit_mixed(lay_out(X, some), data, reml)

    return fit


def _check_terms(X: Floats, terms: list[RandomTerm]) -> None:
    for term in terms:
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


def meta(
    formula: str,
    maps: Maps,
    *,
    method: Literal["reml", "ml", "dl", "pm", "fe"] = "reml",
    knapp_hartung: bool | None = None,
) -> GroupFit:
    """Fit maps whose variances are known: mixed effects, as FLAME 1 and 3dMEMA have them.

    Parameters
    ----------
    formula : str
        Without random terms: the variance between maps is implied.
    maps : Maps
        With ``variance=``.
    method : {"reml", "ml", "dl", "pm", "fe"}
        Estimator of the variance between maps; ``fe`` takes it as 0.
    knapp_hartung : bool, optional
        Knapp and Hartung's t; on by default but for ``fe``, which has z.

    Returns
    -------
    GroupFit

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> maps = Maps(pd.DataFrame({"age": np.arange(9.0)}), data=rng.normal(size=(9, 4)),
    ...             variance=np.ones((9, 4)))
    >>> meta("~ age", maps).tau2.shape
    (4,)
    """
    design = group_design(formula, maps)
    _forbid_random(design, "meta")
    check(design)
    variances = maps.variances
    if variances is None:
        raise DataError(
            "meta needs the variance of each map: Maps(…, variance=…); without them, use lm"
        )
    check_positive(maps.values, variances)

    def fit(pattern: Pattern, data: NDArray[Any]) -> MetaEstimate:
        known = variances[np.ix_(pattern.rows, pattern.voxels)]
        return fit_meta(design.matrix[pattern.rows], data, known, method, knapp_hartung)

    pieces = fit_pieces(maps.values, design.matrix, fit, also=variances)
    scaled = method != "fe" if knapp_hartung is None else knapp_hartung
    return GroupFit("meta", design, maps, pieces, {"method": method, "knapp_hartung": scaled})


def _forbid_random(design: Design, verb: str) -> None:
    if design.random:
        terms = " + ".join(block.text for block in design.random)
        raise DesignError(f"{verb} has no random terms, but the formula has {terms}; use lmer")


def lm_maps(
    formula: str,
    maps: Maps,
    *,
    weights: ArrayLike | None = None,
    cov_type: str = "nonrobust",
    cluster: str | None = None,
    variance_groups: str | None = None,
    robust: Literal["huber", "bisquare"] | None = None,
) -> GroupFit:
    """Fit least squares, or an M-estimate, over maps at every voxel.

    Parameters
    ----------
    formula : str
        R's, without random terms. Columns may depend on each other: contrasts are then checked
        for being estimable.
    maps : Maps
        One row a map.
    weights : array_like, shape (N,), optional
        Positive weights of the maps.
    cov_type : {"nonrobust", "HC0", "HC1", "HC2", "HC3"}
        What is assumed of the errors.
    cluster : str, optional
        The column whose groups have errors of their own; statsmodels' ``cluster``.
    variance_groups : str, optional
        The column whose groups have residual variances of their own; Welch and Satterthwaite's
        degrees of freedom.
    robust : {"huber", "bisquare"}, optional
        Fit as statsmodels' RLM does.

    Returns
    -------
    GroupFit

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> maps = Maps(pd.DataFrame({"group": list("aaaabbbb")}), data=rng.normal(size=(8, 3)))
    >>> lm_maps("~ group", maps).contrast("group[T.b]").df
    array([6., 6., 6.])
    """
    design = group_design(formula, maps)
    _forbid_random(design, "lm")
    cov_type, groups = _errors(maps.table, cov_type, cluster, variance_groups)
    known = _weights(weights, maps.n_maps)
    if robust is not None:
        if known is not None or cov_type != "nonrobust":
            raise DataError("robust= goes with neither weights nor another covariance")
        check(design)

    def fit(pattern: Pattern, data: NDArray[Any]) -> LinearEstimate | RobustEstimate:
        X = design.matrix[pattern.rows]
        if robust is not None:
            return fit_group_robust(X, data, robust)
        some = None if groups is None else np.unique(groups[pattern.rows], return_inverse=True)[1]
        basis = linear_basis(X, None if known is None else known[pattern.rows])
        return fit_group_linear(basis, data, cov_type, some)  # type: ignore[arg-type]

    pieces: Pieces[Any] = fit_pieces(maps.values, design.matrix, fit)
    options = {"cov_type": cov_type, "robust": robust, "weights": known}
    return GroupFit("lm" if robust is None else "robust", design, maps, pieces, options)


def _errors(
    table: pd.DataFrame, cov_type: str, cluster: str | None, variance_groups: str | None
) -> tuple[str, NDArray[np.int64] | None]:
    """Read what is assumed of the errors."""
    plain = [kind for kind in COV_TYPES if kind not in ("cluster", "variance_groups")]
    if cov_type not in plain:
        raise DataError(f"cov_type must be one of {', '.join(plain)}, got {cov_type!r}")
    said = [name for name in (cluster, variance_groups) if name is not None]
    if len(said) + (cov_type != "nonrobust") > 1:
        raise DataError("say one of cov_type=, cluster= and variance_groups=")
    if not said:
        return cov_type, None
    if said[0] not in table:
        raise DataError(f"{said[0]!r} is not a column of the table")
    codes, levels = pd.factorize(table[said[0]])
    if (codes < 0).any() or len(levels) < 2:
        raise DataError(f"{said[0]} must be given in every row and have two levels at least")
    return "cluster" if cluster is not None else "variance_groups", codes.astype(np.int64)


def _weights(weights: ArrayLike | None, n_maps: int) -> Floats | None:
    if weights is None:
        return None
    known = np.asarray(weights, dtype=np.float64)
    if known.shape != (n_maps,) or not (np.isfinite(known) & (known > 0)).all():
        raise DataError(f"weights are {n_maps} positive numbers, one a map; got {weights!r}")
    return known
