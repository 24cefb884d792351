"""Pictures of the task: events in time, responses, the weights of a contrast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from voxlm.errors import DataError
from voxlm.hrf import Response
from voxlm.report.canvas import COLOURS, axes_or_new

#: Fineness of drawn responses, in seconds.
STEP = 0.1
#: Briefest bar that can be seen, as a share of the time shown.
BRIEFEST = 1 / 400


def plot_events(events: pd.DataFrame, end: float | None = None, ax: Axes | None = None) -> Axes:
    """Draw the events in time, one row a condition.

    Parameters
    ----------
    events : DataFrame
        ``onset`` and ``duration`` in seconds, and usually ``trial_type``.
    end : float, optional
        Where the run ends, in seconds.
    ax : Axes, optional
        Where to draw; a new figure where not given.

    Returns
    -------
    Axes

    Examples
    --------
    >>> table = pd.DataFrame({"onset": [1.0, 9.0], "duration": 2.0, "trial_type": ["a", "b"]})
    >>> [tick.get_text() for tick in plot_events(table, 20.0).get_yticklabels()]
    ['a', 'b']
    """
    if events.empty:
        raise DataError("there are no events to draw")
    kinds = events["trial_type"] if "trial_type" in events else pd.Series("event", events.index)
    named = kinds.fillna("n/a").astype(str)
    names = list(dict.fromkeys(named))
    stop = float((events["onset"] + events["duration"]).max()) if end is None else end
    ax = axes_or_new(ax, 8.0, 0.9 + 0.35 * len(names))
    for row, name in enumerate(names):
        here = events[named == name]
        widths = np.maximum(here["duration"].to_numpy(float), stop * BRIEFEST)
        bars = list(zip(here["onset"].to_numpy(float), widths, strict=True))
        ax.broken_barh(bars, (row - 0.36, 0.72), color=COLOURS[row % len(COLOURS)])
        ax.annotate(
            f"{len(here)}", (1.0, row), (4, 0), ("axes fraction", "data"), "offset points",
            va="center", fontsize=8, color="0.3",
        )  # fmt: skip
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlim(min(0.0, float(events["onset"].min())), stop)
    ax.set_xlabel("time (s)")
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(left=False)
    return ax


def plot_hrf(
    responses: Sequence[tuple[str, Response]], tr: float = 2.0, ax: Axes | None = None
) -> Axes:
    """Draw responses over seconds, each basis function a line.

    Each response is scaled so that its first function reaches 1.

    Parameters
    ----------
    responses : sequence of (str, Response)
        Names, and responses as :mod:`voxlm.hrf` makes them.
    tr : float
        Seconds from scan to scan, which the delays of a FIR count in.
    ax : Axes, optional
        Where to draw; a new figure where not given.

    Returns
    -------
    Axes

    Examples
    --------
    >>> from voxlm.hrf import spm
    >>> len(plot_hrf([("spm", spm())]).lines)
    2
    """
    ax = axes_or_new(ax, 6.0, 3.6)
    ax.axhline(0.0, color="0.6", linewidth=0.8)
    colour = 0
    for name, response in responses:
        fine = max(1, round(tr / STEP))
        step = tr / fine
        early = response.lead(tr, fine) * step
        kernels = response.kernels(tr, fine)
        largest = float(np.abs(kernels[0]).max()) or 1.0
        for label, kernel in zip(response.labels, kernels, strict=True):
            seconds = np.arange(len(kernel)) * step - early
            said = f"{name}, {label}" if label else name
            ax.plot(seconds, kernel / largest, color=COLOURS[colour % len(COLOURS)], label=said)
            colour += 1
    ax.set_xlabel("time after the event (s)")
    ax.set_ylabel("response (first function to 1)")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=8, ncols=1 + colour // 12)
    return ax


def plot_contrast(
    weights: NDArray[np.float64],
    names: Sequence[str],
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw the weights of a contrast over the columns of a design.

    Parameters
    ----------
    weights : ndarray, shape (Q, P)
        Rows of the contrast.
    names : sequence of str
        The P columns.
    title : str
    ax : Axes, optional
        Where to draw; a new figure where not given.

    Returns
    -------
    Axes

    Examples
    --------
    >>> ax = plot_contrast(np.array([[1.0, -1.0, 0.0]]), ["face", "house", "constant"])
    >>> [text.get_text() for text in ax.texts]
    ['1', '−1']
    """
    rows, columns = weights.shape
    ax = axes_or_new(ax, min(14.0, 2.0 + 0.34 * columns), 1.5 + 0.35 * rows)
    limit = float(np.abs(weights).max()) or 1.0
    ax.imshow(weights, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    for place in zip(*np.nonzero(weights), strict=True):
        ax.text(
            place[1], place[0], _written(weights[place]), ha="center", va="center", fontsize=7,
            color="white" if abs(weights[place]) > 0.6 * limit else "black",
        )  # fmt: skip
    size = float(np.clip(260.0 / max(columns, 1), 6.0, 9.0))
    ax.set_xticks(
        range(columns), names, rotation=60, ha="right", rotation_mode="anchor", fontsize=size
    )
    ax.set_yticks(range(rows), [f"row {k + 1}" for k in range(rows)] if rows > 1 else [""])
    ax.set_xticks(np.arange(columns + 1) - 0.5, minor=True)
    ax.grid(which="minor", axis="x", color="0.85", linewidth=0.6)
    ax.tick_params(which="both", length=0)
    ax.set_title(title, fontsize=10)
    return ax


def _written(value: Any) -> str:
    return f"{value:.3g}".replace("-", "−")
