"""Events, validated: what has to be there, and what cannot be so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.design.clock import Clock
from voxlm.errors import DataError
from voxlm.formula.schema import CONDITION, bare, labels, numbers
from voxlm.kernels.convolve import MIN_ONSET

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]

RUN = "run"
SHOWN_ROWS = 6


def check_events(frame: pd.DataFrame, where: str = "events") -> pd.DataFrame:
    """Validate an events table and return a clean copy.

    Parameters
    ----------
    frame : DataFrame
        One row an event: ``onset`` and ``duration`` in seconds, usually ``trial_type``, and any
        other columns, which are kept.
    where : str
        What to call the table in errors, such as its file name.

    Returns
    -------
    DataFrame
        ``onset`` and ``duration`` as float64, ``trial_type`` as text, rows numbered from 0.

    Raises
    ------
    DataError
        For a missing or duplicated column, an onset or a duration that is missing, not a number or
        not finite, and a negative duration; rows are counted from 1.

    Examples
    --------
    >>> check_events(pd.DataFrame({"onset": [0], "duration": [1]})).dtypes["onset"]
    dtype('float64')
    """
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"{where}: expected a table of events, got {type(frame).__name__}")
    check_heads(frame, where)
    clean = bare(frame).reset_index(drop=True)
    for name in ("onset", "duration"):
        clean[name] = seconds(clean[name], name, where)
    negative = np.flatnonzero(clean["duration"].to_numpy() < 0)
    if negative.size:
        raise DataError(
            f"{where}: duration is negative in {rows_text(negative)}; a duration is 0 s or longer"
        )
    if CONDITION in clean.columns and not isinstance(clean[CONDITION].dtype, pd.CategoricalDtype):
        clean[CONDITION] = pd.Series(labels(clean[CONDITION]), dtype=object)
    return clean


class RunEvents(NamedTuple):
    """The events of one run, and where they stand among those of all runs.

    ``table`` has the run's own rows, ``pooled`` the rows of all runs, and ``rows`` tells which of
    these are the run's.
    """

    table: pd.DataFrame
    pooled: pd.DataFrame
    rows: Integers


def run_events(events: pd.DataFrame, pooled: pd.DataFrame | None = None) -> RunEvents:
    """Validate the events of a run, and find them among those of all runs.

    Parameters
    ----------
    events : DataFrame
        One row an event of this run.
    pooled : DataFrame, optional
        One row an event of any run; a column ``run`` tells which.

    Raises
    ------
    DataError
        For tables that cannot be right, or a pooled one without this run's events.
    """
    table = check_events(events)
    if pooled is None:
        return RunEvents(table, table, np.arange(len(table)))
    everything = check_events(pooled, "events of all runs")
    if RUN not in table.columns or RUN not in everything.columns:
        raise DataError(f"events of several runs need a column {RUN!r} that tells them apart")
    own = set(labels(table[RUN]))
    rows = np.array([k for k, word in enumerate(labels(everything[RUN])) if word in own], dtype=int)
    if not np.array_equal(everything["onset"].to_numpy()[rows], table["onset"].to_numpy()):
        raise DataError(
            f"the events of all runs have {len(rows)} rows of run {', '.join(map(str, own))}, "
            f"which are not the {len(table)} events of this run in their order"
        )
    return RunEvents(table, everything, rows)


def check_heads(frame: pd.DataFrame, where: str) -> None:
    """Require the columns every events table has, each once."""
    names = [str(name) for name in frame.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{where}: the column {', '.join(twice)} is there more than once")
    for needed in ("onset", "duration"):
        if needed in names:
            continue
        hint = ""
        if len(names) == 1 and "," in names[0]:
            hint = "; the head holds commas: save it with tabs, or name it .csv"
        raise DataError(
            f"{where}: events need a column {needed!r} in seconds; "
            f"found {', '.join(names) or 'no columns'}{hint}"
        )


def seconds(column: pd.Series[Any], name: str, where: str) -> Floats:
    """Return a column of finite seconds."""
    values = numbers(column)
    if values is None:
        wrong = [
            (row, word)
            for row, word in enumerate(labels(column))
            if word is not None and not is_number(word)
        ]
        raise DataError(
            f"{where}: {name} holds {wrong[0][1]!r} in {rows_text(row for row, _ in wrong)}; "
            f"seconds are numbers"
        )
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise DataError(
            f"{where}: {name} is missing or not finite in {rows_text(bad)}; "
            "give each event a time in seconds, or leave the row out"
        )
    return values


def is_number(word: str) -> bool:
    """Tell whether a text is a number."""
    try:
        float(word)
    except ValueError:
        return False
    return True


def rows_text(rows: Iterable[int]) -> str:
    """Name rows by their number from 1, the first few of them.

    Examples
    --------
    >>> rows_text([2, 4])
    'rows 3, 5'
    """
    found = [int(row) + 1 for row in rows]
    shown = ", ".join(str(row) for row in found[:SHOWN_ROWS])
    more = f" and {len(found) - SHOWN_ROWS} more" if len(found) > SHOWN_ROWS else ""
    return f"row{'s' if len(found) > 1 else ''} {shown}{more}"


def in_run(events: pd.DataFrame, clock: Clock) -> tuple[NDArray[np.bool_], list[str]]:
    """Tell which events the run can show, and say which it cannot.

    Parameters
    ----------
    events : DataFrame
        From :func:`check_events`.
    clock : Clock
        The scans.

    Returns
    -------
    keep : ndarray of bool, shape (E,)
        False for events that start more than 24 s before the first scan or after the run's end.
    notes : list of str
        A sentence for each kind left out.

    Raises
    ------
    DataError
        If all events start after the run's end.
    """
    onsets = events["onset"].to_numpy()
    end = clock.times[-1] + clock.tr
    late, early = onsets >= end, onsets < clock.times[0] + MIN_ONSET
    if onsets.size and late.all():
        raise DataError(
            f"every event starts after the run's end: the first onset is {onsets.min():g} s, "
            f"the run lasts {end:g} s ({clock.n_scans} scans of {clock.tr:g} s); "
            "onsets are in seconds: divide milliseconds by 1000"
        )
    notes = []
    if late.any():
        notes.append(
            f"{late.sum()} of {onsets.size} events start after the run's end ({end:g} s) "
            f"and were left out: {rows_text(np.flatnonzero(late))}"
        )
    if early.any():
        notes.append(
            f"{early.sum()} of {onsets.size} events start more than {-MIN_ONSET:g} s before the "
            f"first scan and were left out: {rows_text(np.flatnonzero(early))}"
        )
    return ~(late | early), notes
