"""Several runs as one model: shared conditions, nuisance of each run's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from voxlm.design.columns import AnyDesign, Column, Design
from voxlm.errors import DesignError

#: Columns of these roles are estimated once over all runs.
SHARED = frozenset({"task"})


def stack(designs: Sequence[Design], names: Sequence[str]) -> Design:
    """Put the designs of several runs under one another.

    Task columns of one name become one column; a run without that condition has zeros there, and a
    note says so. Confounds (those that differ by voxel too), drift and constants stay a column a
    run, ``constant[run=1]``.

    Parameters
    ----------
    designs : sequence of Design
        One a run, R of them.
    names : sequence of str
        What the runs are called, each differently.

    Returns
    -------
    Design
        All rows, in the order of the runs. It has no clock of its own.

    Raises
    ------
    DesignError
        For no runs, repeated names, or one name with two meanings.

    Examples
    --------
    >>> columns = Column("face", "face", "task"), Column("constant", "1", "constant")
    >>> run = Design(np.array([[0.0, 1.0], [1.0, 1.0]]), columns)
    >>> stack([run, run], ["1", "2"]).names
    ('face', 'constant[run=1]', 'constant[run=2]')
    """
    if not designs or len(names) != len(designs) or len(set(names)) < len(names):
        raise DesignError(f"one different name a run is needed, got {list(names)}")
    shared = shared_columns(designs)
    own = [
        (run, k)
        for run, design in enumerate(designs)
        for k, column in enumerate(design.columns)
        if column.role not in SHARED
    ]
    rows = np.cumsum([0, *(len(design.matrix) for design in designs)])
    matrix = np.zeros((rows[-1], len(shared) + len(own)))
    place = {column.name: k for k, column in enumerate(shared)}
    for run, design in enumerate(designs):
        part = slice(rows[run], rows[run + 1])
        for column, values in zip(design.columns, design.matrix.T, strict=True):
            if column.role in SHARED:
                matrix[part, place[column.name]] = values
    for at, (run, k) in enumerate(own, start=len(shared)):
        matrix[rows[run] : rows[run + 1], at] = designs[run].matrix[:, k]
    columns = [*shared, *(of_run(designs[run].columns[k], names[run]) for run, k in own)]
    notes = [f"{n}: {note}" for n, d in zip(names, designs, strict=True) for note in d.notes]
    notes += absent_notes(designs, names, shared)
    varying = tuple(of_run(c, n) for n, d in zip(names, designs, strict=True) for c in d.varying)
    return Design(
        matrix,
        tuple(columns),
        None,
        designs[0].formula,
        tuple(notes),
        designs[0].meaning,
        varying=varying,
    )


def shared_columns(designs: Sequence[Design]) -> list[Column]:
    """List the task columns of all runs, each once, in the order they first appear."""
    found: dict[str, Column] = {}
    for design in designs:
        for column in design.columns:
            if column.role not in SHARED:
                continue
            known = found.setdefault(column.name, column)
            if known != column:
                raise DesignError(f"the column {column.name} means different things in two runs")
    return list(found.values())


def of_run(column: Column, run: str) -> Column:
    """Return a column as one of a run's own."""
    return replace(column, name=f"{column.name}[run={run}]", run=run, aliases=())


def absent_notes(
    designs: Sequence[Design], names: Sequence[str], shared: Sequence[Column]
) -> list[str]:
    """Say which conditions a run does not have."""
    notes = []
    for name, design in zip(names, designs, strict=True):
        absent = [c.name for c in shared if c.name not in design.names or is_empty(design, c.name)]
        if absent:
            notes.append(f"{name} has no events of {', '.join(absent)}: it says nothing of them")
    return notes


def is_empty(design: Design, name: str) -> bool:
    """Tell whether a column is zero in every row."""
    return not np.any(design.matrix[:, design.names.index(name)])


def leave_out_empty(design: AnyDesign) -> AnyDesign:
    """Leave out task columns that are zero in every row, with a note that names them.

    For a run without events of some condition; contrasts that need such a column cannot be
    estimated from this run.

    Examples
    --------
    >>> columns = Column("face", "face", "task"), Column("tool", "tool", "task")
    >>> left = leave_out_empty(Design(np.array([[1.0, 0.0], [2.0, 0.0]]), columns))
    >>> left.names, left.notes
    (('face',), ('without events in this run and left out: tool',))
    """
    empty = [c.role in SHARED and is_empty(design, c.name) for c in design.columns]
    if not any(empty):
        return design
    gone = [column.name for column, out in zip(design.columns, empty, strict=True) if out]
    kept = [k for k, out in enumerate(empty) if not out]
    return replace(
        design,
        matrix=design.matrix[:, kept],
        columns=tuple(design.columns[k] for k in kept),
        notes=(*design.notes, f"without events in this run and left out: {', '.join(gone)}"),
    )
