"""One design a trial: the trial itself against all others, least squares separate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from voxlm.design.columns import Column, Design
from voxlm.errors import DesignError
from voxlm.formula.factors import is_trials

Floats = NDArray[np.float64]


def trial_columns(design: Design) -> list[int]:
    """List the columns of a design that are single trials, by the record of its formula.

    Raises
    ------
    DesignError
        If the formula has no ``trials(…)``, or gives them more than one basis function.
    """
    events = getattr(design.meaning, "events", ())
    terms = {term.text for term in events if any(is_trials(f) for f in term.factors)}
    found = [k for k, column in enumerate(design.columns) if column.term in terms]
    if not found:
        raise DesignError("the formula has no single trials; write y ~ trials(trial_type)")
    if any(design.columns[k].basis for k in found):
        raise DesignError(
            "single trials with several basis functions cannot be put together again: their "
            "columns were made orthogonal one by one; use a response of one function"
        )
    return found


def separate(design: Design) -> Iterator[Design]:
    """Yield one design a trial, in the order of the trials.

    The first column is the trial; then one column a condition for all other trials, the other
    trials of its own condition included; then all other columns of the design (least squares
    separate: Mumford, Turner, Ashby & Poldrack, NeuroImage 59:2636, 2012, with a column for each
    other condition).

    Parameters
    ----------
    design : Design
        Of a formula with ``trials(…)``, columns ``(T, P)``.

    Yields
    ------
    Design
        Columns ``(T, 1 + conditions + others)``; a condition without other trials has none.

    Raises
    ------
    DesignError
        See :func:`trial_columns`.
    """
    trials = trial_columns(design)
    conditions = list(dict.fromkeys(design.columns[k].condition for k in trials))
    rest = [k for k in range(len(design.columns)) if k not in set(trials)]
    # Convolution is linear: the sum of the trials of a condition is its own column.
    sums = {c: design.matrix[:, of(design, trials, c)].sum(axis=1) for c in conditions}
    for k in trials:
        own, trial = design.columns[k], design.matrix[:, k]
        others = [c for c in conditions if c != own.condition or len(of(design, trials, c)) > 1]
        values = [sums[c] - trial if c == own.condition else sums[c] for c in others]
        columns = [own, *(Column(f"other {c}", own.term, "task", c) for c in others)]
        yield replace(
            design,
            matrix=np.column_stack([trial, *values, design.matrix[:, rest]]),
            columns=(*columns, *(design.columns[r] for r in rest)),
        )


def of(design: Design, trials: list[int], condition: str) -> list[int]:
    """List the trials of one condition."""
    return [k for k in trials if design.columns[k].condition == condition]
