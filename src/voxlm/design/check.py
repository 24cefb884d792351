"""What makes a design unfit to answer, said with the columns involved."""

from __future__ import annotations

import numpy as np

from voxlm.design.columns import Design
from voxlm.errors import DesignError
from voxlm.kernels.rank import Dependency, dependencies, null_columns, rank


def check(design: Design) -> None:
    """Require that a design can answer: no empty column, enough scans, full rank.

    Raises
    ------
    DesignError
        Naming the condition without events, the columns that repeat each other, or both counts.

    Examples
    --------
    >>> from voxlm.design.columns import Column
    >>> X = np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]])
    >>> check(Design(X, (Column("a", "a", "task"), Column("b", "b", "task"))))
    Traceback (most recent call last):
        ...
    voxlm.errors.DesignError: the design has 2 columns of rank 1: b = 2·a; leave one of them out
    """
    X = design.matrix
    bad = [c.name for c, x in zip(design.columns, X.T, strict=True) if not np.isfinite(x).all()]
    if bad:
        raise DesignError(f"the column {', '.join(bad)} holds values that are not finite")
    forbid_empty(design)
    if X.shape[0] <= X.shape[1]:
        rows, step = ("scans", "use fewer confounds or a slower drift")
        if design.clock is None:
            rows, step = ("rows", "use fewer terms")
        raise DesignError(
            f"{X.shape[0]} {rows} cannot answer for {X.shape[1]} columns: no residual is left; "
            f"{step}"
        )
    found = rank(X)
    if found < X.shape[1]:
        shown = "; ".join(equation(d, design.names) for d in dependencies(X))
        near = ", ".join(design.names[k] for k in null_columns(X)[:8])
        raise DesignError(
            f"the design has {X.shape[1]} columns of rank {found}: "
            f"{shown or f'to rounding, these add up to each other: {near}'}; leave one of them out"
        )


def forbid_empty(design: Design) -> None:
    """Require that every column has a value somewhere."""
    for column, values in zip(design.columns, design.matrix.T, strict=True):
        if np.any(values):
            continue
        if column.role != "task":
            raise DesignError(f"the column {column.name} is zero in every row; leave it out")
        what = column.condition or column.name
        if column.amplitude:
            raise DesignError(
                f"the column {column.name} is zero: {column.amplitude} is 0 in every event "
                f"of {what} in this run; leave the term out"
            )
        raise DesignError(
            f"the condition {what} has no events in this run, so its column {column.name} is zero; "
            "leave it out of the formula, or give this run a model without it"
        )


def equation(dependency: Dependency, names: tuple[str, ...]) -> str:
    """Write a dependency between columns as an equation."""
    pairs = zip(dependency.weights, dependency.others, strict=True)
    right = ""
    for weight, k in pairs:
        sign = (" − " if weight < 0 else " + ") if right else ("−" if weight < 0 else "")
        size = "" if np.isclose(abs(weight), 1.0) else f"{abs(weight):.4g}·"
        right += f"{sign}{size}{names[k]}"
    return f"{names[dependency.column]} = {right or '0'}"
