"""Pictures of a design: its columns, and how they correlate."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from voxlm.design.columns import Design
from voxlm.report.canvas import axes_or_new

#: Correlations are written into their cells up to this number of columns.
MOST_ANNOTATED = 14


def plot_design(design: Design, ax: Axes | None = None) -> Axes:
    """Draw the design: a row a scan, a column a column, each scaled to its largest value.

    Confounds are drawn less their mean.

    Parameters
    ----------
    design : Design
    ax : Axes, optional
        Where to draw; a new figure where not given.

    Returns
    -------
    Axes

    Examples
    --------
    >>> from voxlm.design.clock import Clock
    >>> from voxlm.design.columns import Column
    >>> d = Design(np.ones((9, 1)), (Column("constant", "1", "constant"),), Clock(9, 2.0))
    >>> [tick.get_text() for tick in plot_design(d).get_xticklabels()]
    ['constant']
    """
    n_scans, n_columns = design.matrix.shape
    ax = axes_or_new(ax, min(14.0, 2.6 + 0.34 * n_columns), 6.0)
    shown = ax.imshow(
        _scaled(design),
        aspect="auto",
        cmap="RdBu_r",
        vmin=-1,
        vmax=1,
        interpolation="nearest",
        extent=(-0.5, n_columns - 0.5, n_scans - 0.5, -0.5),
    )
    _name_columns(ax, design.names)
    _mark_roles(ax, design)
    ax.set_ylabel("scan" if design.clock is not None else "row")
    if design.clock is not None:
        _seconds_axis(ax, design.clock.tr, design.clock.slice_time_ref)
    bar = ax.figure.colorbar(shown, ax=ax, shrink=0.5, pad=0.03, ticks=[-1, 0, 1])
    bar.set_label("share of the column's largest value")
    return ax


def plot_correlation(design: Design, ax: Axes | None = None) -> Axes:
    """Draw the correlation of every two columns that vary.

    Parameters
    ----------
    design : Design
    ax : Axes, optional
        Where to draw; a new figure where not given.

    Returns
    -------
    Axes

    Examples
    --------
    >>> from voxlm.design.columns import Column
    >>> matrix = np.random.default_rng(0).standard_normal((9, 2))
    >>> d = Design(matrix, (Column("a", "a", "task"), Column("b", "b", "task")))
    >>> [tick.get_text() for tick in plot_correlation(d).get_yticklabels()]
    ['a', 'b']
    """
    varies = np.ptp(design.matrix, axis=0) > 0
    names = tuple(name for name, keep in zip(design.names, varies, strict=True) if keep)
    n = len(names)
    side = min(12.0, 2.8 + 0.36 * n)
    ax = axes_or_new(ax, side + 0.8, side)
    matrix = design.matrix[:, varies]
    correlation = np.atleast_2d(np.corrcoef(matrix, rowvar=False)) if n else np.zeros((0, 0))
    hidden = np.triu(np.ones((n, n), dtype=bool), k=1)
    shown = ax.imshow(
        np.ma.masked_array(correlation, hidden), cmap="RdBu_r", vmin=-1, vmax=1, aspect="equal"
    )
    if n <= MOST_ANNOTATED:
        _write_values(ax, correlation)
    size = _letter_size(n)
    ax.set_xticks(range(n), names, rotation=60, ha="right", rotation_mode="anchor", fontsize=size)
    ax.set_yticks(range(n), names, fontsize=size)
    ax.spines[["top", "right"]].set_visible(False)
    bar = ax.figure.colorbar(shown, ax=ax, shrink=0.6, ticks=[-1, -0.5, 0, 0.5, 1])
    bar.set_label("correlation")
    return ax


def _scaled(design: Design) -> NDArray[np.float64]:
    """Divide each column by its largest absolute value; confounds are centred before."""
    # A tissue signal of 8000 ± 30 would otherwise be one dark bar.
    centred = [column.role == "confound" for column in design.columns]
    matrix = design.matrix - np.where(centred, design.matrix.mean(axis=0), 0.0)
    largest = np.abs(matrix).max(axis=0)
    return np.asarray(matrix / np.where(largest > 0, largest, 1.0))


def _letter_size(n: int) -> float:
    """Return a font size at which ``n`` names stand beside each other."""
    return float(np.clip(260.0 / max(n, 1), 6.0, 9.0))


def _name_columns(ax: Axes, names: tuple[str, ...]) -> None:
    """Write the names over the columns."""
    ax.xaxis.tick_top()
    ax.set_xticks(
        range(len(names)),
        names,
        rotation=60,
        ha="left",
        rotation_mode="anchor",
        fontsize=_letter_size(len(names)),
    )


def _mark_roles(ax: Axes, design: Design) -> None:
    """Separate neighbouring roles by a line and name each below its columns."""
    start = 0
    for role, members in groupby(column.role for column in design.columns):
        stop = start + len(list(members))
        if start > 0:
            ax.axvline(start - 0.5, color="black", linewidth=0.8)
        # A single narrow column has room for its name only upright.
        upright = stop - start < 3
        ax.text(
            (start + stop - 1) / 2,
            -0.015,
            role,
            transform=ax.get_xaxis_transform(),
            rotation=60 if upright else 0,
            rotation_mode="anchor",
            ha="right" if upright else "center",
            va="top",
            fontsize=8,
            color="0.3",
        )
        start = stop


def _seconds_axis(ax: Axes, tr: float, slice_time_ref: float) -> None:
    """Say the time of the scans at the right edge."""

    def seconds(scan: Any) -> Any:
        return (scan + slice_time_ref) * tr

    def scans(time: Any) -> Any:
        return time / tr - slice_time_ref

    right = ax.secondary_yaxis("right", functions=(seconds, scans))
    right.set_ylabel("time (s)")


def _write_values(ax: Axes, correlation: NDArray[np.float64]) -> None:
    """Write each correlation into its cell, white on dark."""
    for row in range(correlation.shape[0]):
        for column in range(row + 1):
            value = correlation[row, column]
            ax.text(
                column,
                row,
                _two_digits(value),
                ha="center",
                va="center",
                fontsize=6.5,
                color="white" if abs(value) > 0.6 else "black",
            )


def _two_digits(value: float) -> str:
    """Write a correlation without its leading zero, and without a signed zero."""
    if abs(value) < 0.005:
        return "0"
    return f"{value:.0f}" if abs(value) >= 0.995 else f"{value:.2f}".replace("0.", ".", 1)
