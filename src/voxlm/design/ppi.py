"""Psychophysiological interactions: what a region did, times what was going on.

With ``deconvolve`` the product is taken of the neural series behind the seed, and convolved again;
without, of the measured series and the convolved events. One column a condition, as in gPPI
(McLaren, Ries, Xu & Johnson, NeuroImage 61:1277, 2012).
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.design.clock import Clock
from voxlm.design.columns import Column
from voxlm.design.convolve import Block, event_amplitudes, lay_out, regressors
from voxlm.design.events import RunEvents, in_run
from voxlm.errors import DataError
from voxlm.formula.coding import code, fill, limit
from voxlm.formula.terms import Interaction, Resolved
from voxlm.hrf import as_response
from voxlm.kernels.convolve import place
from voxlm.kernels.deconvolve import deconvolve, filter_and_read

Floats = NDArray[np.float64]

#: Grid steps a scan for neural series, as SPM.
STEPS = 16
#: Columns on that grid at a time: all trials of a run would take hundreds of megabytes.
BLOCK = 32


def interaction_block(
    resolved: Resolved,
    term: Interaction,
    own: RunEvents | None,
    confounds: pd.DataFrame | None,
    clock: Clock,
) -> Block:
    """Make the interaction columns of one seed, one a column of its event terms.

    Parameters
    ----------
    resolved : Resolved
        The meaning of the formula.
    term : Interaction
        The seed and the event terms.
    own : RunEvents or None
        The events of the run.
    confounds : DataFrame or None
        Its confounds.
    clock : Clock
        The scans.

    Raises
    ------
    DataError
        If a table is absent, or the seed has a missing value.
    """
    if own is None or confounds is None:
        raise DataError(f"{term.text} needs events and confounds, and this run lacks one of them")
    seed = seed_series(term, confounds, resolved, clock)
    coded = code([t.factors for t in term.terms], text=resolved.formula.text)
    widest = max(term.terms, key=lambda t: len(t.factors))
    limit(len(coded), clock.n_scans, widest.factors, resolved.formula.text)
    heights = event_amplitudes(coded, own, resolved, term.terms)
    keep, _ = in_run(own.table, clock)
    events, heights = own.table[keep], heights[keep]
    series = neural_products if term.deconvolve else measured_products
    short = Counter(c.alias for c in coded)
    names = [c.alias if short[c.alias] == 1 and c.alias else c.name for c in coded]
    columns = tuple(
        Column(f"ppi[{name}]", term.text, "task", c.condition, "", term.seed.text)
        for c, name in zip(coded, names, strict=True)
    )
    return Block(series(seed, events, heights, resolved, clock), columns)


def seed_series(
    term: Interaction, confounds: pd.DataFrame, resolved: Resolved, clock: Clock
) -> Floats:
    """Return the seed with its mean taken away, shape ``(T,)``."""
    if len(confounds) != clock.n_scans:
        raise DataError(
            f"the confounds have {len(confounds)} rows and the run {clock.n_scans} scans"
        )
    values = fill(code([(term.seed,)]), confounds, resolved.formula.text)
    if values.missing.any():
        raise DataError(f"the seed {term.seed.text} has missing values; fill them")
    seed = values.matrix[:, 0]
    return seed - seed.mean()


def measured_products(
    seed: Floats, events: pd.DataFrame, heights: Floats, resolved: Resolved, clock: Clock
) -> Floats:
    """Multiply the seed with convolved events, shape ``(T, K)``."""
    grid, response = lay_out(events, clock), as_response(resolved.hrf)
    first = [made[:, 0] for made in regressors(grid, heights, response)]
    return seed[:, None] * np.column_stack(first)


def neural_products(
    seed: Floats, events: pd.DataFrame, heights: Floats, resolved: Resolved, clock: Clock
) -> Floats:
    """Multiply the neural series of the seed with the events, and convolve, shape ``(T, K)``."""
    kernel = as_response(resolved.hrf).kernels(clock.tr, STEPS)[0]
    neural = deconvolve(seed, kernel, STEPS, np.ones((clock.n_scans, 1))).series
    grid = clock.times[0] + clock.tr / STEPS * np.arange(clock.n_scans * STEPS)
    onset, duration = events["onset"].to_numpy(), events["duration"].to_numpy()
    # What was over before the first scan has no neural series to multiply.
    heights = np.where((onset >= grid[0]) | (onset + duration > grid[0]), heights.T, 0.0).T
    up, down = place(grid, onset, duration)
    found = []
    for start in range(0, heights.shape[1], BLOCK):
        some = heights[:, start : start + BLOCK]
        train = np.zeros((grid.size, some.shape[1]))
        np.add.at(train, up, some)
        np.add.at(train, down, -some)
        found.append(filter_and_read(neural[:, None] * np.cumsum(train, axis=0), kernel, STEPS))
    return np.hstack(found)
