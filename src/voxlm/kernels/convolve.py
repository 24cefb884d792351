"""Events to responses at scan times.

A train of events is a sum of steps up and down on a fine grid, so its convolution with a kernel is
a sum of differences of the kernel's running sum. Only the two grid points around each scan are
ever needed: no fine series is built and no convolution is run. Axes: T scans, E events, K
amplitude columns, B basis functions, N kernel samples, M grid points.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

OVERSAMPLING = 50
MIN_ONSET = -24.0
# Events are taken in blocks so that a run of thousands of trials needs no more memory than one.
BLOCK = 2_000_000

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]


class Steps(NamedTuple):
    """Events as steps on the grid: up at ``up`` and down at ``down``, each of shape ``(E,)``."""

    up: Integers
    down: Integers


class Places(NamedTuple):
    """Events between the points of the grid: up and down in grid steps, each of shape ``(E,)``."""

    up: Floats
    down: Floats


class Reading(NamedTuple):
    """Linear interpolation at the scans: ``(1 - weight) * y[low] + weight * y[low + 1]``."""

    low: Integers
    weight: Floats


def micro_grid(
    times: Floats, oversampling: int = OVERSAMPLING, min_onset: float = MIN_ONSET
) -> Floats:
    """Return the fine grid that events are placed on, shape ``(M,)``, seconds.

    It starts ``min_onset`` before the first scan and ends one average scan after the last. The
    number of points is rounded, so the step equals TR/oversampling only where that divides the
    span; this is the definition of nilearn 0.14, kept to the digit.

    Parameters
    ----------
    times : ndarray, shape (T,)
        Scan times in seconds, T at least 2.
    oversampling : int
        Grid points a TR.
    min_onset : float
        Seconds before the first scan at which the grid starts, negative.

    Examples
    --------
    >>> micro_grid(np.array([0.0, 2.0, 4.0]), oversampling=1, min_onset=-2.0)
    array([-2.,  0.,  2.,  4.,  6.])
    """
    n, first, last = times.size, times.min(), times.max()
    stop = last * (1 + 1.0 / (n - 1))
    count = (n - 1) * 1.0 / (last - first) * ((stop - first - min_onset) * oversampling) + 1
    return np.linspace(first + min_onset, stop, int(np.rint(count)))


def place(grid: Floats, onsets: Floats, durations: Floats) -> Steps:
    """Put events on the grid; one of no length lasts one grid step.

    Parameters
    ----------
    grid : ndarray, shape (M,)
        The fine grid.
    onsets, durations : ndarray, shape (E,)
        Seconds.
    """
    last = grid.size - 1
    up = np.minimum(np.searchsorted(grid, onsets), last)
    down = np.minimum(np.searchsorted(grid, onsets + durations), last)
    down = down + ((down == up) & (down < last))
    return Steps(up, down)


def place_between(grid: Floats, onsets: Floats, durations: Floats) -> Places:
    """Find the places of events on the grid, between its points; no length is one grid step.

    Parameters
    ----------
    grid : ndarray, shape (M,)
        The fine grid.
    onsets, durations : ndarray, shape (E,)
        Seconds.

    Examples
    --------
    >>> place_between(np.arange(5.0), np.array([1.25, 2.0]), np.array([0.5, 0.0])).down
    array([1.75, 3.  ])
    """
    step = (grid[-1] - grid[0]) / (grid.size - 1)
    lengths = np.where(durations > 0, durations / step, 1.0)
    up = (onsets - grid[0]) / step
    return Places(up, up + lengths)


def read_at(grid: Floats, times: Floats) -> Reading:
    """Return where on the grid each scan lies.

    Parameters
    ----------
    grid : ndarray, shape (M,)
        The fine grid.
    times : ndarray, shape (T,)
        Scan times inside the grid.
    """
    high = np.clip(np.searchsorted(grid, times), 1, grid.size - 1)
    low = high - 1
    return Reading(low, (times - grid[low]) / (grid[high] - grid[low]))


def respond(
    steps: Steps | Places, amplitudes: Floats, kernel: Floats, reading: Reading, lead: int = 0
) -> Floats:
    """Convolve events of given amplitudes with one kernel and read the scans.

    Parameters
    ----------
    steps : Steps or Places
        The events.
    amplitudes : ndarray, shape (E, K)
        The height of each event in each column.
    kernel : ndarray, shape (N,)
        The response, one sample a grid step.
    reading : Reading
        Where the scans lie.
    lead : int
        Grid steps by which the response is read ahead.

    Returns
    -------
    ndarray, shape (T, K)
    """
    total = np.concatenate(([0.0], np.cumsum(kernel)))
    out = np.zeros((reading.low.size, amplitudes.shape[1]))
    block = max(1, BLOCK // max(1, reading.low.size))
    for start in range(0, steps.up.size, block):
        part = slice(start, start + block)
        own = type(steps)(steps.up[part], steps.down[part])  # type: ignore[arg-type]
        gain = difference(total, reading, own, lead)
        out += gain @ amplitudes[part]
    return out


def difference(total: Floats, reading: Reading, events: Steps | Places, lead: int) -> Floats:
    """Response of each scan to each event of height 1, shape ``(T, E)``."""
    weight = reading.weight[:, None]
    # total[0] = 0 stands for "not yet", total[-1] for "all of the kernel is past".
    at, last = reading.low[:, None] + lead + 1, total.size - 1
    if isinstance(events, Places):
        lags = np.arange(total.size)
        rises = [np.interp(at + weight - since, lags, total) for since in events]
        return np.asarray(rises[0] - rises[1])

    def rise(since: Integers) -> Floats:
        before, after = np.clip(at - since, 0, last), np.clip(at + 1 - since, 0, last)
        return (1.0 - weight) * total[before] + weight * total[after]

    return rise(events.up) - rise(events.down)


def orthogonalise(columns: Floats) -> Floats:
    """Make each column orthogonal to those before it; lengths are left as they fall.

    Parameters
    ----------
    columns : ndarray, shape (T, B)
        The responses of one condition, the canonical one first.

    Examples
    --------
    >>> orthogonalise(np.array([[1.0, 1.0], [0.0, 2.0]]))
    array([[1., 0.],
           [0., 2.]])
    """
    out = columns.copy()
    for k in range(1, out.shape[1]):
        before = out[:, :k]
        out[:, k] -= before @ (np.linalg.pinv(before) @ out[:, k])
    return out
