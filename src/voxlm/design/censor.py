"""Scans that a design takes out, taken out of the lags as well.

A spike column answers for its own scan. In least squares that is the same as leaving the scan out;
under AR noise it is not, for the neighbours' lag products would still reach across it. Here such
scans are removed instead, so that the series is cut at them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from voxlm.design.columns import AnyDesign

Bools = NDArray[np.bool_]


def take_out(design: AnyDesign, kept: Bools | None, order: int) -> tuple[AnyDesign, Bools | None]:
    """Turn scrubbed scans into removed scans, for AR noise.

    Besides the columns of ``scrub()``, a spike that whitening would leave without a row (one among
    the first ``order`` scans of a run of consecutive scans, as non-steady-state columns are) is
    taken out with its scan.

    Parameters
    ----------
    design : Design
        The columns at every scan.
    kept : ndarray of bool, shape (T,), or None
        The retained scans; all when None.
    order : int
        Order of the AR noise; with 0 nothing changes.

    Returns
    -------
    design : Design
        Without those columns, with a note.
    kept : ndarray of bool, shape (T,), or None
        Without those scans.

    Examples
    --------
    >>> from voxlm.design.columns import Column, Design
    >>> X = np.c_[np.eye(6)[:, :1], np.ones(6)]
    >>> columns = (Column("non_steady_state_outlier00", "nonsteady", "confound"),
    ...            Column("constant", "1", "constant"))
    >>> made, kept = take_out(Design(X, columns), None, order=1)
    >>> made.names, kept.tolist()
    (('constant',), [False, True, True, True, True, True])
    """
    if order == 0:
        return design, kept
    X = design.matrix
    left = np.ones(X.shape[0], dtype=np.bool_) if kept is None else kept.copy()
    spikes = _scrubbed(design)
    left[np.any(X[:, spikes] != 0, axis=1)] = False
    while True:
        lost = [k for k in _annihilated(design, left, order) if k not in spikes]
        if not lost:
            break
        spikes += lost
        left[np.any(X[:, lost] != 0, axis=1)] = False
    if not spikes:
        return design, kept
    rest = [k for k in range(X.shape[1]) if k not in spikes]
    names = ", ".join(design.names[k] for k in sorted(spikes))
    note = f"the scans of {names} were taken out, and no lag of the noise model reaches across them"
    columns = tuple(design.columns[k] for k in rest)
    return replace(design, matrix=X[:, rest], columns=columns, notes=(*design.notes, note)), left


def _scrubbed(design: AnyDesign) -> list[int]:
    """Return the columns that ``scrub()`` made."""
    words = {scrub.text for scrub in getattr(design.meaning, "scrubs", ())}
    return [k for k, column in enumerate(design.columns) if column.term in words]


def _annihilated(design: AnyDesign, left: Bools, order: int) -> list[int]:
    """Return spikes whose scan starts a run of scans, where whitening leaves no row for them."""
    found = []
    for k, column in enumerate(design.columns):
        scans = np.flatnonzero(design.matrix[:, k] * left)
        if column.role == "confound" and scans.size == 1:
            before = left[max(0, scans[0] - order) : scans[0]]
            if before.size < order or not before.all():
                found.append(k)
    return found
