"""What every verb over maps asks first: the design of its formula, and groups of maps.

Axes: N maps, G groups.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.bids.maps import Maps
from voxlm.design.columns import Design
from voxlm.design.events import rows_text
from voxlm.design.table import build_table
from voxlm.errors import DataError, DesignError, VoxlmWarning, did_you_mean
from voxlm.formula import Schema, parse, resolve_group
from voxlm.formula.group import GroupMeaning, label_doubts
from voxlm.formula.schema import numbers
from voxlm.models.patterns import Pattern
from voxlm.models.pieces import group_freedom

Floats = NDArray[np.float64]

# Leverages of one add up to a whole number to rounding.
NO_FREEDOM = 1e-8


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
    frame = covariates(maps)
    meaning = resolve_group(parse(formula), Schema.table(frame))
    _check_factors(meaning, frame)
    return build_table(meaning, frame)


def _check_factors(meaning: GroupMeaning, frame: pd.DataFrame) -> None:
    """Refuse factors that would lose their only level, and dates."""
    terms = [*meaning.terms, *(term for block in meaning.random for term in block.terms)]
    for factor in {factor.key: factor for term in terms for factor in term}.values():
        for _, name in factor.names:
            if frame[name].dtype.kind in "mM":
                raise DataError(
                    f"{name} holds dates or times; make numbers of them first, such as "
                    f"(table[{name!r}] - table[{name!r}].min()).dt.days"
                )
        if factor.kind == "categorical" and len(factor.levels) < 2:
            raise DesignError(
                f"{factor.text} has one level, {', '.join(factor.levels)}: the maps do not differ "
                f"in it; leave it out"
            )


def covariates(maps: Maps) -> pd.DataFrame:
    """Return a copy of the table of maps without the columns that name or hold images."""
    images: list[str] = []
    for name in (maps.effect, maps.variance):
        pair = name if isinstance(name, list | tuple) else [name]
        images += [one for one in pair if isinstance(one, str)]
    return maps.table.drop(columns=[name for name in images if name in maps.table])


def warn_of_labels(design: Design, depth: int = 3) -> None:
    """Warn of columns that are numbers to the formula and labels to anybody else.

    Parameters
    ----------
    design : Design
    depth : int
        Calls between the user's and this one.

    Warns
    -----
    VoxlmWarning
    """
    for doubt in label_doubts(design.meaning.meaning):
        warnings.warn(doubt, VoxlmWarning, stacklevel=depth)


def forbid_random(design: Design, verb: str) -> None:
    """Refuse random terms."""
    if design.random:
        terms = " + ".join(block.text for block in design.random)
        raise DesignError(f"{verb} has no random terms, but the formula has {terms}; use lmer")


def read_weights(weights: Any, maps: Maps) -> Floats | None:
    """Return prior weights, one positive number a map; None where there are none.

    Parameters
    ----------
    weights : str or array_like of shape (N,), or None
        A column of the table, or the numbers.
    maps : Maps

    Raises
    ------
    DataError
        Another number of them, an unknown column, values that are not positive: the rows.
    """
    if weights is None:
        return None
    wanted = f"weights are {maps.n_maps} positive numbers, one a map, or their column"
    given = weights
    if isinstance(weights, str):
        known = [str(name) for name in maps.table.columns]
        if weights not in known:
            hint = did_you_mean(weights, known)
            raise DataError(f"weights={weights!r} is not a column of the table; {hint}")
        given = numbers(maps.table[weights])
    try:
        found = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        found = np.empty(0)
    if found.shape != (maps.n_maps,):
        raise DataError(f"{wanted}; got {weights!r}")
    bad = np.flatnonzero(~(np.isfinite(found) & (found > 0)))
    if bad.size:
        raise DataError(
            f"{wanted}; not so in {rows_text(bad)} ({found[bad[0]]:g}); leave maps without weight "
            "out"
        )
    return found


def scaled_design(design: Design, root: Floats | None) -> Design:
    """Multiply the rows of a design, fixed and random, by the roots of prior weights."""
    if root is None:
        return design
    random = tuple(replace(b, matrix=b.matrix * root[:, None]) for b in design.random)
    return replace(design, matrix=design.matrix * root[:, None], random=random)


def codes_of(table: pd.DataFrame, column: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return the group of each row by a column, and the groups in the order they appear."""
    if column not in table:
        known = [str(name) for name in table.columns]
        raise DataError(f"{column!r} is not a column of the table; {did_you_mean(column, known)}")
    codes, levels = pd.factorize(table[column])
    if (codes < 0).any():
        missing = rows_text(np.flatnonzero(codes < 0))
        raise DataError(f"{column} is missing in {missing} of the table; every map has a group")
    if len(levels) < 2:
        raise DataError(f"{column} has one level, {levels[0]}; groups need two at least")
    return codes.astype(np.int64), tuple(str(level) for level in levels)


def free_groups(
    X: Floats, groups: NDArray[np.int64], levels: tuple[str, ...], pattern: Pattern
) -> bool:
    """Tell whether every group that is there has residuals of its own; if never, raise."""
    left = group_freedom(X, groups)
    short = (left < NO_FREEDOM) & (np.bincount(groups) > 0)
    if short.any() and pattern.rows.all():
        raise DesignError(
            f"variance group {levels[int(np.argmax(short))]} has no residual degrees of freedom of "
            f"its own: the columns fit its maps exactly; join it to another group"
        )
    return not short.any()
