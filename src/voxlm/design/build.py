"""Meaning and tables to a design matrix."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd

from voxlm.design.check import check
from voxlm.design.clock import Clock
from voxlm.design.columns import Column, Design
from voxlm.design.confounds import scan_block
from voxlm.design.convolve import Block, task_block
from voxlm.design.drift import cosine, polynomial
from voxlm.design.events import run_events
from voxlm.design.ppi import interaction_block
from voxlm.errors import DesignError
from voxlm.formula.terms import Drift, Resolved

__all__ = ["build", "check"]


def build(
    resolved: Resolved,
    events: pd.DataFrame | None,
    confounds: pd.DataFrame | None,
    clock: Clock,
    pooled: pd.DataFrame | None = None,
) -> Design:
    """Make the design of one run.

    Columns stand as nilearn puts them: conditions in the order of the formula, confounds, drift,
    constant. Their values are nilearn's. One definition is kept on purpose, Glover's derivative in
    width (see :class:`voxlm.hrf.DoubleGamma`); one is not: events more than 24 s before the first
    scan are left out with a note, where nilearn lets their response leak into the first scans.

    Parameters
    ----------
    resolved : Resolved
        The meaning of the formula.
    events : DataFrame or None
        One row an event.
    confounds : DataFrame or None
        One row a scan.
    clock : Clock
        The scans.
    pooled : DataFrame, optional
        The events of all runs, with a column ``run``. Means, norms and knots are then learned from
        all of them, and ``trials()`` numbers them through, so that a coefficient means the same in
        every run.

    Returns
    -------
    Design
        Not yet checked; see :func:`voxlm.design.check.check`.

    Raises
    ------
    DataError
        For tables that do not fit the run or miss a value where it counts.
    DesignError
        For two columns of one name.

    Examples
    --------
    >>> from voxlm.formula import Schema, parse, resolve
    >>> events = pd.DataFrame({"onset": [2.0, 30.0], "duration": [5.0, 5.0],
    ...                        "trial_type": ["face", "house"]})
    >>> meaning = resolve(parse("y ~ face + house - drift"), Schema.of(events))
    >>> build(meaning, events, None, Clock(30, 2.0)).names
    ('face', 'house', 'constant')
    """
    own = None if events is None else run_events(events, pooled)
    blocks = [
        task_block(resolved, own, clock),
        *(interaction_block(resolved, t, own, confounds, clock) for t in resolved.interactions),
        scan_block(resolved, confounds, clock),
        drift_block(resolved.drift, clock),
    ]
    if resolved.constant:
        record = Column("constant", "1", "constant")
        blocks.append(Block(np.ones((clock.n_scans, 1)), (record,)))
    columns = tuple(column for block in blocks for column in block.columns)
    varying = tuple(
        Column(r.text, r.text, "confound", aliases=("voxel",)) for r in resolved.regressors
    )
    forbid_same_names(columns + varying)
    notes = resolved.notes + tuple(note for block in blocks for note in block.notes)
    matrix = np.hstack([block.matrix for block in blocks])
    return Design(
        matrix, unique_aliases(columns), clock, str(resolved), notes, resolved, varying=varying
    )


def drift_block(drift: Drift | None, clock: Clock) -> Block:
    """Make the columns of slow drift."""
    if drift is None:
        return Block(np.empty((clock.n_scans, 0)), ())
    if drift.kind == "cosine":
        matrix = cosine(clock.times, drift.value)
    else:
        matrix = polynomial(clock.times, int(drift.value))
    names = (f"drift_{k + 1}" for k in range(matrix.shape[1]))
    return Block(matrix, tuple(Column(name, drift.text, "drift") for name in names))


def forbid_same_names(columns: tuple[Column, ...]) -> None:
    """Require that no two columns have one name."""
    counts = Counter(column.name for column in columns)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise DesignError(
            f"two columns are called {', '.join(twice)}; rename the column in its table, "
            "or leave one of the terms out"
        )


def unique_aliases(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """Keep only aliases that mean one column."""
    counts = Counter(alias for column in columns for alias in column.aliases)
    names = {column.name for column in columns}
    kept = []
    for column in columns:
        aliases = tuple(a for a in column.aliases if counts[a] == 1 and a not in names)
        kept.append(replace(column, aliases=aliases))
    return tuple(kept)
