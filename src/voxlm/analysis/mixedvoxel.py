"""The random terms of a fit in statsmodels' MixedLM.

MixedLM has one grouping factor, with correlated coefficients, and within it variance components.
One factor with others nested in it is said so; crossed intercepts are components of one group that
holds all maps. What has correlated slopes beside a factor that is not nested cannot be said.

Axes: n rows, K variance components.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import lazy_loader
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.design.columns import RandomBlock
from voxlm.errors import DataError

if TYPE_CHECKING:
    from voxlm.analysis.groupfit import GroupFit

api = lazy_loader.load("statsmodels.api", suppress_warning=True)
mixed = lazy_loader.load("statsmodels.regression.mixed_linear_model", suppress_warning=True)

Floats = NDArray[np.float64]


def refit_mixed(fit: GroupFit, rows: NDArray[np.bool_], y: Floats, X: pd.DataFrame) -> Any:
    """Fit one voxel's maps by MixedLM.

    Raises
    ------
    DataError
        Terms that MixedLM has no words for.
    """
    outer, main, parts = _plan(fit.design.random)
    groups = np.zeros(int(rows.sum())) if outer is None else outer.codes[rows]
    root = np.ones(rows.size) if fit.root is None else fit.root
    exog = None if main is None else (main.matrix * root[:, None])[rows]
    names, columns, levels = [], [], []
    for k, block in parts:
        made, called = _cut(block, rows, groups, root)
        names.append(f"{k}: {block.text}")
        columns.append(made)
        levels.append(called)
    components = mixed.VCSpec(names, levels, columns) if parts else None
    y, X = y * root[rows], X.mul(root[rows], axis=0)
    model = api.MixedLM(y, X, groups, exog_re=exog, exog_vc=components)
    # The best of several searches: each alone stops early on some data.
    found = [model.fit(reml=fit.options["reml"], method=[name]) for name in ("bfgs", "powell")]
    return max(found, key=lambda result: result.llf)


def components_of(fit: GroupFit, theirs: Any) -> Floats:
    """Return MixedLM's variances in the order of ``fit.components``."""
    _, main, parts = _plan(fit.design.random)
    own = {f"{k}: {block.text}": k for k, block in parts}
    said = dict(zip(theirs.model.exog_vc.names, theirs.vcomp, strict=True)) if parts else {}
    by_term = {own[name]: [value] for name, value in said.items()}
    found: list[float] = []
    for k, block in enumerate(fit.design.random):
        found += list(np.diag(np.asarray(theirs.cov_re))) if block is main else by_term[k]
    return np.array(found)


def _plan(
    random: tuple[RandomBlock, ...],
) -> tuple[RandomBlock | None, RandomBlock | None, list[tuple[int, RandomBlock]]]:
    """Return the outer factor, the term with correlated coefficients, and the components."""
    whole = [block for block in random if len(block.names) > 1]
    if len(whole) > 1:
        raise DataError(_cannot(random))
    for outer in whole or sorted(random, key=lambda block: len(block.levels)):
        if all(_within(block, outer) for block in random):
            main = whole[0] if whole else outer
            parts = [(k, block) for k, block in enumerate(random) if block is not main]
            return outer, main, parts
    if whole:
        raise DataError(_cannot(random))
    return None, None, list(enumerate(random))


def _cannot(random: tuple[RandomBlock, ...]) -> str:
    terms = " + ".join(block.text for block in random)
    return (
        f"statsmodels' MixedLM has no words for {terms}: its variance components lie within the "
        f"groups of the correlated coefficients; use to_r, which writes lines for lme4"
    )


def _within(block: RandomBlock, outer: RandomBlock) -> bool:
    """Tell whether every group of one factor lies in one group of the other."""
    pairs = np.unique(np.stack([block.codes, outer.codes]), axis=1)
    return bool(pairs.shape[1] == np.unique(block.codes).size)


def _cut(
    block: RandomBlock, rows: NDArray[np.bool_], groups: NDArray[Any], root: Floats
) -> tuple[list[Floats], list[list[str]]]:
    """Return a component's columns within every group, and what they are called."""
    columns, names = [], []
    codes, values = block.codes[rows], (block.matrix[:, 0] * root)[rows]
    for group in np.unique(groups):
        inside = groups == group
        present, place = np.unique(codes[inside], return_inverse=True)
        made = np.zeros((int(inside.sum()), present.size))
        made[np.arange(len(made)), place] = values[inside]
        columns.append(made)
        names.append([str(block.levels[k]) for k in present])
    return columns, names
