"""One design for several runs: task columns in common, nuisance columns a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from voxlm.design.columns import Column, Design


def stack_designs(designs: Sequence[Design]) -> Design:
    """Put the designs of several runs end to end.

    Task columns of the same name are one column over all runs, zero where a run has no such
    column. Confounds, drift and constant of each run are columns of their own, zero in the other
    runs, and named ``constant[run=1]``.

    Parameters
    ----------
    designs : sequence of Design
        One a run, at its retained scans.

    Returns
    -------
    Design
        Without a clock: its rows belong to several.

    Examples
    --------
    >>> one = Design(np.ones((2, 1)), (Column("constant", "1", "constant"),))
    >>> both = stack_designs([one, one])
    >>> both.names, both.matrix.tolist()[0]
    (('constant[run=1]', 'constant[run=2]'), [1.0, 0.0])
    """
    first_row = np.cumsum([0, *(design.matrix.shape[0] for design in designs)])
    columns: list[Column] = []
    values: list[np.ndarray] = []
    place: dict[str, int] = {}
    for role in ("task", "confound", "drift", "constant"):
        for run, design in enumerate(designs, start=1):
            rows = slice(first_row[run - 1], first_row[run])
            for k, column in enumerate(design.columns):
                if column.role != role:
                    continue
                own = column if role == "task" else _of_run(column, run)
                if own.name not in place:
                    place[own.name] = len(columns)
                    columns.append(own)
                    values.append(np.zeros(first_row[-1]))
                values[place[own.name]][rows] = design.matrix[:, k]
    notes = dict.fromkeys(note for design in designs for note in design.notes)
    return replace(
        designs[0],
        matrix=np.column_stack(values),
        columns=tuple(columns),
        clock=None,
        notes=tuple(notes),
    )


def _of_run(column: Column, run: int) -> Column:
    return replace(column, name=f"{column.name}[run={run}]", run=str(run))
