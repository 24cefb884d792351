"""Contrasts as weights: from texts and arrays to rows over the columns of a design.

Axes: P columns, Q contrast rows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxlm.contrasts.names import name_columns
from voxlm.contrasts.text import parse_contrast
from voxlm.design.columns import Column
from voxlm.errors import ContrastError
from voxlm.glm.model import pad_contrast

Floats = NDArray[np.float64]


def check_one_of(value: Any, allowed: Sequence[Any], name: str) -> None:
    """Require one of some values."""
    if value not in allowed:
        raise ContrastError(f"'{name}' must be one of {list(allowed)}.\n'{value}' was provided.")


def expression_to_contrast_vector(expression: str, design_columns: Sequence[str]) -> Floats:
    """Turn a text into weights over the columns of a design.

    Parameters
    ----------
    expression : str
        A column's name, or a sum of columns with weights: ``a - b``, ``(a + b)/2 - c``,
        ```face 1` - b``. An exact name goes before arithmetic. Nothing is ever evaluated.
    design_columns : sequence of str
        The columns.

    Returns
    -------
    ndarray, shape (P,)

    Raises
    ------
    ContrastError
        If the text is no sum of columns; comparisons and products of columns are not.

    Examples
    --------
    >>> expression_to_contrast_vector("task - rest", ["task", "rest"])
    array([ 1., -1.])
    """
    names = [str(name) for name in design_columns]
    if expression in names:
        return np.eye(len(names))[names.index(expression)]
    try:
        words = name_columns([Column(name, name, "task") for name in names])
        rows = parse_contrast(expression, words).rows
        if len(rows) != 1 or rows[0].null != 0:
            raise ContrastError("a text stands for one row; give a matrix for a joint test")
    except ContrastError as error:
        unknown = [word for word in re.findall(r"[A-Za-z_]\w*", expression) if word not in names]
        undefined = f"name '{unknown[0]}' is not defined\n" if unknown else ""
        raise ContrastError(
            f"Contrast not found in design matrix: the expression ({expression}) is not valid.\n"
            f"{undefined}{error}\n"
            "This could be due to defining the contrasts using design matrix columns that are "
            "invalid python identifiers.\n"
            f"Available matrix columns are: {names}"
        ) from error
    out = np.zeros(len(names))
    for index, weight in rows[0].weights.weights.items():
        out[index] = float(weight)
    return out


def as_rows(con_val: ArrayLike, n_columns: int, stat_type: str | None) -> tuple[Floats, str]:
    """Return weights as rows ``(Q, P)`` and the statistic that tests them."""
    weights = np.asarray(con_val, dtype=np.float64)
    if weights.size == 0:
        raise ContrastError("t contrasts cannot be empty: the contrast has no weights")
    dim = weights.shape[0] if weights.ndim > 1 else 1
    kind = ("t" if dim == 1 else "F") if stat_type is None else stat_type
    check_one_of(kind, ["t", "F"], "stat_type")
    if kind == "t" and dim > 1:
        raise ContrastError(f"t contrasts should have only one row: got {con_val!r}.")
    return pad_contrast(np.atleast_2d(weights), n_columns, kind), kind
