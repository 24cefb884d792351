"""A design in words: the formula as understood, the columns by role, what was assumed."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from voxlm.design.columns import Column, Design

WIDTH = 100  # of what is printed, in characters
ROLES = {
    "group": "columns",
    "task": "task",
    "confound": "confounds",
    "drift": "drift",
    "constant": "constant",
}


def describe_design(design: Design) -> str:
    """Return what ``print(design)`` shows.

    Examples
    --------
    >>> import numpy as np
    >>> print(describe_design(Design(np.ones((3, 1)), (Column("constant", "1", "constant"),))))
    design of 3 rows and 1 column
    constant  1: constant
    """
    rows, columns = len(design.matrix), len(design.coefficients)
    return "\n".join(
        [
            f"design of {rows} {'scans' if design.clock else 'rows'} and {columns} "
            f"column{'s' * (columns != 1)}",
            *([wrapped("formula", design.formula)] if design.formula else []),
            *by_role(design.coefficients),
            *(wrapped("note", note) for note in design.notes),
        ]
    )


def wrapped(label: str, text: str) -> str:
    """Set a labelled text in lines of the width that is printed."""
    return textwrap.fill(
        f"{label:<10}{text}", WIDTH, subsequent_indent=" " * 10, break_long_words=False
    )


def by_role(columns: Sequence[Column]) -> list[str]:
    """List columns by what they are for, a line a role."""
    lines = []
    for role, label in ROLES.items():
        names = [column.name for column in columns if column.role == role]
        if names:
            lines.append(f"{label:<10}{len(names)}: {_list(names)}")
    return lines


def _list(names: list[str], most: int = 8) -> str:
    shown = names if len(names) <= most else [*names[: most - 2], "…", names[-1]]
    return ", ".join(shown)
