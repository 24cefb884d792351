"""``lm`` over maps: least squares and M-estimates at every voxel."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from voxlm.analysis.groupdesign import (
    NO_FREEDOM,
    codes_of,
    forbid_random,
    free_groups,
    group_design,
    read_weights,
    warn_of_labels,
)
from voxlm.analysis.groupfit import GroupFit
from voxlm.bids.maps import Maps
from voxlm.design.check import check
from voxlm.design.events import rows_text
from voxlm.errors import DataError, DesignError
from voxlm.models.grouplinear import (
    COV_TYPES,
    LinearBasis,
    LinearEstimate,
    fit_group_linear,
    linear_basis,
)
from voxlm.models.patterns import Pattern
from voxlm.models.pieces import Pieces, fit_pieces
from voxlm.models.robust import RobustEstimate, fit_group_robust

Floats = NDArray[np.float64]


def lm_maps(
    formula: str,
    maps: Maps,
    *,
    weights: str | ArrayLike | None = None,
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
    weights : str or array_like of shape (N,), optional
        Positive weights of the maps, or the column that holds them.
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
    warn_of_labels(design, depth=4)
    forbid_random(design, "lm")
    cov_type, groups, levels = _errors(maps.table, cov_type, cluster, variance_groups)
    known = read_weights(weights, maps)
    if robust is not None:
        if known is not None or cov_type != "nonrobust":
            raise DataError("robust= goes with neither weights nor another covariance")
        check(design)

    def fit(pattern: Pattern, data: NDArray[Any]) -> LinearEstimate | RobustEstimate | None:
        X = design.matrix[pattern.rows]
        if robust is not None:
            return fit_group_robust(X, data, robust)
        some = None
        if groups is not None:
            here = groups[pattern.rows]
            if cov_type == "variance_groups" and not free_groups(X, here, levels, pattern):
                return None
            some = np.unique(here, return_inverse=True)[1]
            if some.max() == 0:  # one cluster says nothing of how clusters differ
                return None
        basis = linear_basis(X, None if known is None else known[pattern.rows])
        if cov_type in ("HC2", "HC3") and not _all_residuals(basis, cov_type, pattern):
            return None
        return fit_group_linear(basis, data, cov_type, some)  # type: ignore[arg-type]

    pieces: Pieces[Any] = fit_pieces(maps.adjusted(design.offset).values, design.matrix, fit)
    apart = groups if cov_type == "variance_groups" else None
    options = {
        "cov_type": cov_type, "robust": robust, "weights": known, "variance_groups": apart,
        "groups": cluster or variance_groups,
    }  # fmt: skip
    return GroupFit("lm" if robust is None else "robust", design, maps, pieces, options)


def _errors(
    table: pd.DataFrame, cov_type: str, cluster: str | None, variance_groups: str | None
) -> tuple[str, NDArray[np.int64] | None, tuple[str, ...]]:
    """Read what is assumed of the errors: its kind, the group of each map, the groups."""
    plain = [kind for kind in COV_TYPES if kind not in ("cluster", "variance_groups")]
    if cov_type not in plain:
        raise DataError(f"cov_type must be one of {', '.join(plain)}, got {cov_type!r}")
    said = [name for name in (cluster, variance_groups) if name is not None]
    if len(said) + (cov_type != "nonrobust") > 1:
        raise DataError("say one of cov_type=, cluster= and variance_groups=")
    if not said:
        return cov_type, None, ()
    codes, levels = codes_of(table, said[0])
    return "cluster" if cluster is not None else "variance_groups", codes, levels


def _all_residuals(basis: LinearBasis, cov_type: str, pattern: Pattern) -> bool:
    """Tell whether every map has a residual of its own; if never, raise."""
    exact = np.flatnonzero(1.0 - basis.leverage < NO_FREEDOM)
    if exact.size and pattern.rows.all():
        raise DesignError(
            f"{cov_type} divides by what is left of each map beside the columns, but these fit "
            f"{rows_text(exact)} of the table exactly; use HC0 or HC1, or leave out the columns "
            "that are of one map alone"
        )
    return not exact.size
