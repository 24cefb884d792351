"""Confound columns: as they are, with first rows that look back, and spikes for scrubbed scans."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.design.clock import Clock
from voxlm.design.columns import Column
from voxlm.design.convolve import Block
from voxlm.design.events import rows_text
from voxlm.errors import DataError
from voxlm.formula.coding import Coded, code, fill
from voxlm.formula.confounds import DVARS_COLUMNS, FD_COLUMNS
from voxlm.formula.schema import bare, numbers
from voxlm.formula.terms import Resolved, Scrub

Floats = NDArray[np.float64]


def scan_block(resolved: Resolved, confounds: pd.DataFrame | None, clock: Clock) -> Block:
    """Make the columns of all scan terms of one run."""
    if not (resolved.scans or resolved.scrubs):
        return Block(np.empty((clock.n_scans, 0)), ())
    if confounds is None:
        first = [t.text for t in resolved.scans] + [s.text for s in resolved.scrubs]
        raise DataError(f"{first[0]} needs confounds, and this run has none")
    if len(confounds) != clock.n_scans:
        raise DataError(
            f"the confounds have {len(confounds)} rows and the run {clock.n_scans} scans; "
            "both need one row a scan: were volumes removed from one of them?"
        )
    confounds = bare(confounds)
    coded = code([term.factors for term in resolved.scans], text=resolved.formula.text)
    values = fill(coded, confounds, resolved.formula.text)
    filled = [check_rows(column, values.missing[:, k]) for k, column in enumerate(coded)]
    columns = tuple(Column(c.name, resolved.scans[c.term].text, "confound") for c in coded)
    names = [column.name for column, known in zip(coded, filled, strict=True) if known]
    note = f"the first rows of {', '.join(names)} look back before the run and were set to 0"
    block = Block(values.matrix, columns, (note,) if names else ())
    for scrub in resolved.scrubs:
        block = add_spikes(block, scrub, confounds)
    return block


def check_rows(column: Coded, missing: NDArray[np.bool_]) -> bool:
    """Tell whether first rows were missing by nature; refuse any other missing row."""
    gap = sum(part.factor.gap for part in column.parts)
    bad = np.flatnonzero(missing)
    if np.any(bad >= gap):
        hint = "" if gap else "; only differences to the scan before may lack their first row"
        raise DataError(
            f"the confound {column.name} is missing in {rows_text(bad[bad >= gap])}{hint}; "
            "fill them, or leave the column out"
        )
    return bool(bad.size)


def add_spikes(block: Block, scrub: Scrub, confounds: pd.DataFrame) -> Block:
    """Add a column for each scan that exceeds a threshold, named by its number from 0.

    A scan that another column already takes out gets none, so that the design keeps its rank.

    Parameters
    ----------
    block : Block
        The other confound columns.
    scrub : Scrub
        The thresholds.
    confounds : DataFrame
        One row a scan.
    """
    found = exceeding(scrub, confounds)
    taken = {spike_of(x) for x in block.matrix.T}
    new = [k for k in np.flatnonzero(found) if k not in taken]
    matrix = np.zeros((len(confounds), len(new)))
    matrix[new, range(len(new))] = 1.0
    columns = tuple(Column(f"scrub[{k}]", scrub.text, "confound") for k in new)
    note = f"{scrub.text} takes out {len(new)} of {len(confounds)} scans"
    if len(new) < found.sum():
        note += f"; {found.sum() - len(new)} more have a column of their own already"
    notes = (*block.notes, note)
    return Block(np.hstack([block.matrix, matrix]), block.columns + columns, notes)


def exceeding(scrub: Scrub, confounds: pd.DataFrame) -> NDArray[np.bool_]:
    """Tell which scans exceed a threshold, shape ``(T,)``; a scan without a value does not."""
    out = np.zeros(len(confounds), dtype=bool)
    for limit, names in ((scrub.fd, FD_COLUMNS), (scrub.dvars, DVARS_COLUMNS)):
        name = next((n for n in names if n in confounds.columns), None)
        if limit is None or name is None:
            continue
        values = numbers(confounds[name])
        if values is None:
            raise DataError(f"the confound {name} holds words, not numbers")
        bad = np.flatnonzero(np.isnan(values[1:])) + 1
        if bad.size:
            raise DataError(f"the confound {name} is missing in {rows_text(bad)}; fill them")
        out |= np.nan_to_num(values, nan=0.0) > limit
    return out


def spike_of(values: Floats) -> int:
    """Return the scan that a column takes out, or -1 if it does anything else."""
    (where,) = np.nonzero(values)
    return int(where[0]) if where.size == 1 else -1
