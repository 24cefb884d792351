"""Event amplitudes to regressors: every column of the algebra, with its response."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.design.clock import Clock
from voxlm.design.columns import Column
from voxlm.design.events import RunEvents, in_run, rows_text
from voxlm.errors import DataError, DesignError, FormulaError, VoxlmError
from voxlm.formula.coding import Coded, code, fill, limit
from voxlm.formula.response import Subset
from voxlm.formula.schema import CONDITION, labels, numbers
from voxlm.formula.terms import EventTerm, Resolved
from voxlm.hrf import Response, as_response, boxcar, fir, gamma, spline, tent
from voxlm.hrf.response import stands_in_seconds
from voxlm.kernels.convolve import (
    OVERSAMPLING,
    Places,
    Reading,
    Steps,
    micro_grid,
    orthogonalise,
    place,
    place_between,
    read_at,
    respond,
)

Floats = NDArray[np.float64]


MAKERS: dict[str, Callable[..., Any]] = {
    "fir": fir,
    "tent": tent,
    "spline": spline,
    "gamma": gamma,
    "boxcar": boxcar,
}
COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Block(NamedTuple):
    """Some columns of a design: values ``(T, K)``, their records, and what was assumed."""

    matrix: Floats
    columns: tuple[Column, ...]
    notes: tuple[str, ...] = ()


class Grid(NamedTuple):
    """Events and scans on the fine grid of one run; ``between`` leaves events off its points."""

    steps: Steps
    between: Places
    reading: Reading
    tr: float


def task_block(resolved: Resolved, own: RunEvents | None, clock: Clock) -> Block:
    """Make the columns of all event terms of one run.

    Parameters
    ----------
    resolved : Resolved
        The meaning of the formula.
    own : RunEvents or None
        The events of the run, from :func:`voxlm.design.events.run_events`.
    clock : Clock
        The scans.

    Raises
    ------
    DataError
        If a value is missing where it decides a column, or there are no events.
    """
    if not resolved.events:
        return Block(np.empty((clock.n_scans, 0)), ())
    if own is None:
        raise DataError(f"{resolved.events[0].text} needs events, and this run has none")
    if own.pooled.empty:
        raise DataError(
            f"{resolved.events[0].text} needs events, and the table of them has no rows"
        )
    events = own.table
    keep, notes = in_run(events, clock)
    coded = code([term.factors for term in resolved.events], text=resolved.formula.text)
    responses = [realise(term, resolved) for term in resolved.events]
    starts = [0]
    for column in coded:
        term = resolved.events[column.term]
        starts.append(starts[-1] + len(responses[column.term].labels))
        limit(starts[-1], clock.n_scans, term.factors, resolved.formula.text)
    amplitudes = event_amplitudes(coded, own, resolved, resolved.events)
    notes += left_out(amplitudes, events) + impulses(amplitudes, events, clock)
    grid = lay_out(events[keep], clock)
    matrix = np.empty((clock.n_scans, starts[-1]))
    for alike in with_one_response(coded, resolved.events):
        response = responses[coded[alike[0]].term]
        own_heights = amplitudes[keep][:, alike]
        for k, made in zip(alike, regressors(grid, own_heights, response), strict=True):
            matrix[:, starts[k] : starts[k + 1]] = made
    columns = [
        record
        for column in coded
        for record in records(column, resolved.events[column.term], responses[column.term])
    ]
    return Block(matrix, tuple(columns), tuple(notes))


def with_one_response(coded: Sequence[Coded], terms: Sequence[EventTerm]) -> list[list[int]]:
    """Group the columns of the algebra by the tag of their terms."""
    found: dict[str, list[int]] = {}
    for k, column in enumerate(coded):
        tag = terms[column.term].tag
        found.setdefault(tag.key if tag else "", []).append(k)
    return list(found.values())


def realise(term: EventTerm, resolved: Resolved) -> Response:
    """Make the response of a term.

    Raises
    ------
    FormulaError
        If the arguments its call gives make no response.
    """
    if term.tag is None:
        return as_response(resolved.hrf)
    basis = term.tag.response
    options = dict(basis.options)
    try:
        if basis.function == "hrf":
            made: Any = as_response(options["response"])
        else:
            made = MAKERS[basis.function](**options)
        made = made.shift(basis.lag) if basis.lag else made
        found: Response = made.normalize(basis.normalize) if basis.normalize else made
    except VoxlmError as error:
        raise FormulaError(str(error), resolved.formula.text, term.tag.span) from error
    return found


def event_amplitudes(
    coded: Sequence[Coded],
    own: RunEvents,
    resolved: Resolved,
    terms: Sequence[EventTerm],
) -> Floats:
    """Return the height of each event in each column of some terms, shape ``(E, K)``.

    Means, norms and the numbers of trials are those of all runs, so that a coefficient means the
    same in each.
    """
    events = own.table
    values = fill(coded, own.pooled, resolved.formula.text)
    matrix, missing = values.matrix[own.rows], values.missing[own.rows]
    chosen = np.ones(matrix.shape, dtype=bool)
    for k, column in enumerate(coded):
        tag = terms[column.term].tag
        if tag is not None and tag.subset is not None:
            chosen[:, k] = in_subset(tag.subset, events)
        bad = np.flatnonzero(missing[:, k] & chosen[:, k])
        if bad.size:
            raise DataError(missing_text(column, bad, events))
    return np.where(chosen, matrix, 0.0)


def in_subset(subset: Subset, events: pd.DataFrame) -> NDArray[np.bool_]:
    """Tell which events a subset holds, shape ``(E,)``; a missing value is in none.

    Raises
    ------
    DataError
        If words are compared by size.
    """
    column = events[subset.column]
    values, bound = numbers(column), numbers(pd.Series([subset.value]))
    if not subset.sign:
        if values is None:
            raise DataError(f"subset={subset.text!r}: {subset.column} holds words; compare it")
        return np.asarray((values != 0) & ~np.isnan(values))
    if values is not None and bound is not None:
        with np.errstate(invalid="ignore"):
            return np.asarray(COMPARE[subset.sign](values, bound[0]) & ~np.isnan(values))
    words = np.array(labels(column), dtype=object)
    known = np.array([word is not None for word in words])
    if subset.sign not in ("==", "!="):
        raise DataError(f"subset={subset.text!r}: words have no order; use == or !=")
    same = np.array([word == subset.value for word in words])
    return known & (same if subset.sign == "==" else ~same)


def missing_text(column: Coded, bad: NDArray[np.intp], events: pd.DataFrame) -> str:
    """Say where a value is missing that a column needs."""
    onsets = ", ".join(f"{onset:g}" for onset in events["onset"].to_numpy()[bad][:6])
    scaled = column.amplitude or column.name
    where = f" where {column.condition} is 1" if column.amplitude and column.condition else ""
    return (
        f"{scaled} is missing in {len(bad)} events{where}: {rows_text(bad)} (onset {onsets} s), "
        f"needed by the column {column.name}; give them a value, or a condition of their own"
    )


def left_out(amplitudes: Floats, events: pd.DataFrame) -> list[str]:
    """Say which events take part in no column and so stay in the baseline."""
    idle = ~np.any(amplitudes != 0, axis=1)
    if not idle.any():
        return []
    if CONDITION not in events.columns:
        return [f"{idle.sum()} events have height 0 in every column"]
    counts: dict[str, int] = {}
    for word in np.array(labels(events[CONDITION]), dtype=object)[idle]:
        counts[word or "n/a"] = counts.get(word or "n/a", 0) + 1
    shown = ", ".join(f"{word} ({count})" for word, count in counts.items())
    return [f"events in no column of the formula stay in the baseline: {shown}"]


def impulses(amplitudes: Floats, events: pd.DataFrame, clock: Clock) -> list[str]:
    """Say which events of the formula have no length, and what that does to their estimates."""
    used = np.any(amplitudes != 0, axis=1)
    count = int(np.sum(used & (events["duration"].to_numpy() == 0)))
    if not count:
        return []
    step = clock.tr / OVERSAMPLING
    return [
        f"{count} of {used.sum()} events last 0 s and are taken as impulses of {step:g} s "
        f"(TR/{OVERSAMPLING}), on which the size of their estimates depends"
    ]


def lay_out(events: pd.DataFrame, clock: Clock) -> Grid:
    """Put the events of a run on its fine grid."""
    times = clock.times
    if times.size < 2:
        raise DesignError("a response needs at least 2 scans to be read at")
    grid = micro_grid(times)
    when = events["onset"].to_numpy(np.float64), events["duration"].to_numpy(np.float64)
    # The spacing of the scan times, not the TR itself: they may differ in the last digit, and the
    # number of kernel samples is rounded.
    tr = float(np.min(np.diff(times)))
    return Grid(place(grid, *when), place_between(grid, *when), read_at(grid, times), tr)


def regressors(
    grid: Grid, heights: Floats, response: Response, oversampling: int = OVERSAMPLING
) -> Iterator[Floats]:
    """Convolve columns of event heights, ``(E, K)``: all basis functions of each, ``(T, B)``."""
    # An event of height 0 adds nothing.
    used = np.any(heights != 0, axis=1)
    found = grid.between if stands_in_seconds(response) else grid.steps
    steps = type(found)(found.up[used], found.down[used])  # type: ignore[arg-type]
    lead = response.lead(grid.tr, oversampling)
    functions = [
        respond(steps, heights[used], kernel, grid.reading, lead)
        for kernel in response.kernels(grid.tr, oversampling)
    ]
    for k in range(heights.shape[1]):
        out = np.stack([values[:, k] for values in functions], axis=1)
        yield orthogonalise(out) if response.orthogonal else out


def records(column: Coded, term: EventTerm, response: Response) -> list[Column]:
    """Describe the columns of one condition, one a basis function."""
    found = []
    for label in response.labels:
        tail = f"_{label}" if label else ""
        name, alias = column.name + tail, column.alias + tail if column.alias else ""
        aliases = (alias,) if alias and alias != name else ()
        found.append(
            Column(name, term.text, "task", column.condition, label, column.amplitude, "", aliases)
        )
    return found
