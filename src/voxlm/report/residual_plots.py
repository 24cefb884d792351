"""Pictures of residuals: quantiles, histograms, scans that stand out, motion."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy.special import ndtri

from voxlm.errors import DataError
from voxlm.report.canvas import COLOURS, axes_or_new, legend_above

Floats = NDArray[np.float64]

#: Points of a quantile plot; the tails are kept whole.
MOST_POINTS = 2000
TAIL = 200


def plot_qq(values: Floats, label: str = "residual (sd)", ax: Axes | None = None) -> Axes:
    """Draw the quantiles of standardised values against those of a normal variable.

    Parameters
    ----------
    values : ndarray
        Of any shape; NaN are left out.
    label : str
        What they are, with the unit.
    ax : Axes, optional
        Where to draw; a new figure where not given.

    Returns
    -------
    Axes

    Raises
    ------
    DataError
        If there are fewer than three finite values.

    Examples
    --------
    >>> ax = plot_qq(np.random.default_rng(0).standard_normal(500))
    >>> len(ax.lines[1].get_xdata())
    500
    """
    known = np.sort(values[np.isfinite(values)], axis=None)
    if known.size < 3:
        raise DataError(f"a quantile plot needs three finite values; there are {known.size}")
    ax = axes_or_new(ax, 4.0, 4.0)
    expected = ndtri((np.arange(known.size) + 0.5) / known.size)
    shown = _thinned(known.size)
    ends = np.array([expected[0], expected[-1]])
    ax.plot(ends, ends, color="0.4", linewidth=0.9, label="normal")
    ax.plot(
        expected[shown], known[shown], "o", markersize=2.5, markeredgewidth=0, color=COLOURS[0],
        label=f"{known.size:,} values", rasterized=True,
    )  # fmt: skip
    ax.set_xlabel("normal quantile")
    ax.set_ylabel(label)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=8, loc="upper left")
    return ax


def _thinned(n: int) -> NDArray[np.int64]:
    """Return places of a sorted array to draw: both tails, and a part of the middle."""
    if n <= MOST_POINTS:
        return np.arange(n)
    middle = np.linspace(TAIL, n - TAIL - 1, MOST_POINTS - 2 * TAIL).astype(np.int64)
    return np.concatenate([np.arange(TAIL), middle, np.arange(n - TAIL, n)])


def plot_histogram(
    values: Floats,
    label: str,
    unit: str = "voxels",
    *,
    marks: dict[str, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how a map's values are spread.

    Parameters
    ----------
    values : ndarray
        NaN are left out.
    label : str
        Of the axis of values.
    unit : str
        What is counted.
    marks : dict of str to float, optional
        Values to mark by a line.
    ax : Axes, optional
        Where to draw; a new figure where not given.

    Returns
    -------
    Axes

    Examples
    --------
    >>> plot_histogram(np.linspace(0, 1, 50), "R²").get_xlabel()
    'R²'
    """
    known = values[np.isfinite(values)]
    if known.size == 0:
        raise DataError(f"{label}: there is no finite value to draw")
    ax = axes_or_new(ax, 4.0, 2.8)
    low, high = np.percentile(known, [0.1, 99.9])
    flat = high - low <= 1e-9 * max(abs(low), abs(high))
    spread = (float(low) - 0.5, float(low) + 0.5) if flat else (float(low), float(high))
    ax.hist(known, bins=60, range=spread, color=COLOURS[0])
    ax.axvline(float(np.median(known)), color="black", linewidth=1, label="median")
    for name, at in (marks or {}).items():
        ax.axvline(at, color=COLOURS[1], linewidth=1, linestyle="--", label=name or None)
    ax.set_xlabel(label)
    ax.set_ylabel(unit)
    ax.spines[["top", "right"]].set_visible(False)
    legend_above(ax)
    return ax


def plot_scans(
    variance: Floats,
    spikes: NDArray[np.int64],
    motion: Floats | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the residual variance of each scan, the scans that stand out, and motion below it.

    Parameters
    ----------
    variance : ndarray, shape (T,)
        Mean over voxels of the squared standardised residual; NaN at scans not in the fit.
    spikes : ndarray of int
        The scans that stand out.
    motion : ndarray, shape (T,), optional
        Framewise displacement in mm.
    ax : Axes, optional
        Where to draw; a new figure where not given.

    Returns
    -------
    Axes

    Examples
    --------
    >>> ax = plot_scans(np.array([1.0, 5.0, 1.0]), np.array([1]))
    >>> ax.get_ylabel()
    'residual variance'
    """
    ax = axes_or_new(ax, 9.0, 2.8)
    scans = np.arange(len(variance))
    ax.plot(scans, variance, color=COLOURS[0], linewidth=1, label="residual variance")
    ax.axhline(1.0, color="0.6", linewidth=0.8)
    if len(spikes):
        ax.plot(
            spikes, variance[spikes], "o", color=COLOURS[1], markersize=5,
            label=f"{len(spikes)} outlying scan{'s' * (len(spikes) != 1)}",
        )  # fmt: skip
    ax.set_xlabel("scan")
    ax.set_ylabel("residual variance")
    ax.set_xlim(-0.5, len(variance) - 0.5)
    ax.spines[["top", "right"]].set_visible(False)
    top = float(np.nanmax(variance)) if np.isfinite(variance).any() else 1.0
    ax.set_ylim(0.0, top * 1.25)
    if motion is not None:
        twin = ax.twinx()
        twin.fill_between(scans, np.nan_to_num(motion), color=COLOURS[4], alpha=0.45, linewidth=0)
        twin.set_ylim(0.0, max(3.0 * float(np.nanmax(motion)), 1e-6))
        twin.set_ylabel("framewise displacement (mm)", fontsize=8)
        twin.spines[["top"]].set_visible(False)
        ax.set_zorder(twin.get_zorder() + 1)
        ax.patch.set_visible(False)
        ax.fill_between([], [], color=COLOURS[4], alpha=0.45, label="framewise displacement")
    ax.legend(frameon=False, fontsize=8, ncols=3, loc="upper left")
    return ax


def plot_motion(motion: Floats, variance: Floats, ax: Axes | None = None) -> Axes:
    """Draw the residual variance of each scan against its framewise displacement.

    Parameters
    ----------
    motion, variance : ndarray, shape (T,)
        Displacement in mm and residual variance; scans where either is NaN are left out.
    ax : Axes, optional
        Where to draw; a new figure where not given.

    Returns
    -------
    Axes

    Examples
    --------
    >>> plot_motion(np.array([0.1, 0.2, 0.4]), np.array([1.0, 2.0, 4.0])).get_title()
    'r = 1.00'
    """
    both = np.isfinite(motion) & np.isfinite(variance)
    ax = axes_or_new(ax, 4.0, 3.4)
    x, y = motion[both], variance[both]
    ax.plot(x, y, "o", markersize=3, markeredgewidth=0, alpha=0.7, color=COLOURS[0])
    if x.size > 2 and np.ptp(x) > 0 and np.ptp(y) > 0:
        slope, level = np.polyfit(x, y, 1)
        ends = np.array([x.min(), x.max()])
        ax.plot(ends, level + slope * ends, color=COLOURS[1], linewidth=1)
        ax.set_title(f"r = {np.corrcoef(x, y)[0, 1]:.2f}", fontsize=10)
    ax.set_xlabel("framewise displacement (mm)")
    ax.set_ylabel("residual variance")
    ax.spines[["top", "right"]].set_visible(False)
    return ax
