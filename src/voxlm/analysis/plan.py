"""Before any image is read: every run's design, checked, and the scans it keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.analysis.design import Design
from voxlm.bids.regressor import Own
from voxlm.bids.run import Run
from voxlm.design.build import build
from voxlm.design.censor import take_out
from voxlm.design.check import check
from voxlm.design.columns import Column
from voxlm.design.columns import Design as Columns
from voxlm.design.stack import leave_out_empty
from voxlm.errors import DataError, DesignError, VoxlmError
from voxlm.formula import Schema, parse, resolve

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """One run's design as it will be fitted.

    Parameters
    ----------
    run : Run or StackedRun
        The data.
    design : Design
        The columns that the run can answer for.
    kept : ndarray of bool, shape (T,), or None
        The retained scans; all when None.
    asked : tuple of Column
        The columns of the formula, those without events in this run included.
    own : tuple of Own
        The files of the columns that differ by voxel, once they are looked for.
    """

    run: Any
    design: Design
    kept: Bools | None
    asked: tuple[Column, ...]
    own: tuple[Own, ...] = ()


def named_responses(hrf: Any) -> tuple[Any, dict[str, Any]]:
    """Part the response of untagged terms from those that ``hrf(face, name)`` may call by name.

    Examples
    --------
    >>> named_responses({"default": "glover", "mine": "spm"})
    ('glover', {'mine': 'spm'})
    >>> named_responses("glover")
    ('glover', {})
    """
    if not isinstance(hrf, Mapping):
        return hrf, {}
    named = {str(name): value for name, value in hrf.items()}
    return named.pop("default", "spm"), named


def compile_design(
    formula: str,
    run: Run,
    events: pd.DataFrame | None,
    hrf: Any,
    known: pd.DataFrame | None = None,
) -> Design:
    """Compile a formula for one run, over the levels and columns of the ``known`` events."""
    schema = Schema.of(events if known is None else known, run.confounds)
    default, named = named_responses(hrf)
    meaning = resolve(parse(formula), schema, hrf=default, responses=named)
    if run.tr is None and meaning.drift is not None and meaning.drift.kind == "cosine":
        raise DataError(
            f"{meaning.drift.text} is a frequency in Hz, and {run.name} has no seconds: give tr= "
            "to the Run, or take the implied drift away with `- drift`"
        )
    return Design.of(build(meaning, events, run.confounds, run.clock, known))


def plan_runs(formula: str | Columns, runs: Sequence[Run], hrf: Any, order: int) -> list[Plan]:
    """Compile and check the designs of all runs.

    Parameters
    ----------
    formula : str or Design
        A formula over the words of all runs together, or one design for every run.
    runs : sequence of Run
        With several, a condition that some run lacks is left out of that run's design, with a
        note; with one, it is an error.
    hrf : str or HRF
        The response of event terms that carry no tag.
    order : int
        Order of the AR noise, which scrubbed scans are taken out for.

    Returns
    -------
    list of Plan

    Raises
    ------
    DesignError, FormulaError
        Naming the run where there are several.
    """
    plans = []
    for number, (run, planned) in enumerate(
        zip(runs, plan_each(formula, runs, hrf, order), strict=True), start=1
    ):
        if isinstance(planned, (DataError, DesignError)):
            where = f"run {number} ({run.name}): " if len(runs) > 1 else ""
            raise type(planned)(f"{where}{planned}") from planned
        if isinstance(planned, VoxlmError):
            raise planned
        plans.append(planned)
    return plans


def plan_each(
    formula: str | Columns, runs: Sequence[Run], hrf: Any, order: int
) -> list[Plan | VoxlmError]:
    """Compile and check the designs of all runs, with the error where one has no plan."""
    tables = _numbered(runs)
    several = [table for table in tables if table is not None and len(runs) > 1]
    pooled = pd.concat(several, ignore_index=True) if several else None
    plans: list[Plan | VoxlmError] = []
    for run, table in zip(runs, tables, strict=True):
        try:
            plans.append(_plan(formula, run, table, pooled, hrf, order))
        except VoxlmError as error:
            plans.append(error)
    return plans


def _numbered(runs: Sequence[Run]) -> list[pd.DataFrame | None]:
    """Return the events of each run; with several, ``run`` is a column that numbers them."""
    tables: list[pd.DataFrame | None] = []
    for number, run in enumerate(runs, start=1):
        table = run.events
        if table is not None and len(runs) > 1 and "run" not in table:
            table = table.assign(run=str(number))
        tables.append(table)
    return tables


def _plan(
    formula: str | Columns,
    run: Run,
    events: pd.DataFrame | None,
    pooled: pd.DataFrame | None,
    hrf: Any,
    order: int,
) -> Plan:
    if isinstance(formula, Columns):
        made = Design.of(formula)
    else:
        made = compile_design(formula, run, events, hrf, pooled)
    asked = made.coefficients
    if pooled is not None:
        made = leave_out_empty(made)
    made, kept = take_out(made, run.sample_mask, order)
    check_design(made, run, kept)
    return Plan(run, made, kept, asked)


def check_design(columns: Design, run: Run, kept: Bools | None) -> None:
    """Check a design at the scans that are kept."""
    if columns.matrix.shape[0] != run.n_scans:
        raise DesignError(
            f"the design has {columns.matrix.shape[0]} rows and {run.name} {run.n_scans} scans; "
            "make it from this run: vx.design(formula, run)"
        )
    check(columns if kept is None else replace(columns, matrix=columns.matrix[kept]))
