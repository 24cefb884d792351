"""``meta``: maps whose variances are known."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from voxlm.analysis.groupdesign import (
    codes_of,
    forbid_random,
    free_groups,
    group_design,
    warn_of_labels,
)
from voxlm.analysis.groupfit import GroupFit
from voxlm.bids.mapfiles import check_positive
from voxlm.bids.maps import Maps
from voxlm.design.check import check
from voxlm.errors import DataError
from voxlm.models.meta import MetaEstimate, fit_meta
from voxlm.models.patterns import Pattern
from voxlm.models.pieces import fit_pieces


def meta(
    formula: str,
    maps: Maps,
    *,
    method: Literal["reml", "ml", "dl", "pm", "fe"] = "reml",
    knapp_hartung: bool | None = None,
    variance_groups: str | None = None,
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
    variance_groups : str, optional
        The column whose groups have variances between maps of their own. Groups that share columns
        are fitted by ``reml`` or ``ml`` only.

    Returns
    -------
    GroupFit

    Notes
    -----
    ``dl``, ``pm`` and ``fe`` are statsmodels' ``combine_effects`` for one column; ``reml`` and
    ``ml`` PyMARE's, at the global optimum. Variance groups are those of FSL's FLAME.

    Examples
    --------
    >>> import pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> maps = Maps(pd.DataFrame({"age": np.arange(9.0)}), data=rng.normal(size=(9, 4)),
    ...             variance=np.ones((9, 4)))
    >>> meta("~ age", maps).tau2.shape
    (4,)
    """
    design = group_design(formula, maps)
    warn_of_labels(design)
    forbid_random(design, "meta")
    check(design)
    variances = maps.variances
    if variances is None:
        raise DataError(
            "meta needs the variance of each map: Maps(…, variance=…); without them, use lm"
        )
    values = maps.adjusted(design.offset).values
    check_positive(values, variances)

    groups, levels = (
        (None, ()) if variance_groups is None else codes_of(maps.table, variance_groups)
    )

    def fit(pattern: Pattern, data: NDArray[Any]) -> MetaEstimate | None:
        X = design.matrix[pattern.rows]
        some = None if groups is None else groups[pattern.rows]
        if some is not None and not free_groups(X, some, levels, pattern):
            return None
        known = variances[np.ix_(pattern.rows, pattern.voxels)]
        return fit_meta(X, data, known, method, knapp_hartung, some, len(levels) or None)

    pieces = fit_pieces(values, design.matrix, fit, also=variances)
    scaled = method != "fe" if knapp_hartung is None else knapp_hartung
    options = {
        "method": method, "knapp_hartung": scaled, "levels": levels, "groups": variance_groups
    }  # fmt: skip
    return GroupFit("meta", design, maps, pieces, options)
