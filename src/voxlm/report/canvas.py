"""Figures without global state: nothing here opens a window or remembers a current axes."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from voxlm.errors import VoxlmError

#: Dots per inch of written pictures.
DPI = 150
#: Told apart by people with any colour vision, in this order.
COLOURS = ("#2e6f95", "#d1495b", "#3d9970", "#8a6fb0", "#e6a23c", "#5c5c5c")


class Band(Protocol):
    """A fitted line with its confidence band, arrays of one length."""

    @property
    def fitted(self) -> NDArray[np.float64]:
        """The fit."""

    @property
    def low(self) -> NDArray[np.float64]:
        """Lower bound of the fit."""

    @property
    def high(self) -> NDArray[np.float64]:
        """Upper bound of the fit."""


def new_figure(width: float, height: float, *, arranged: bool = True) -> Figure:
    """Return an empty figure, sizes in inches; ``arranged`` keeps labels from overlapping."""
    return Figure(figsize=(width, height), layout="constrained" if arranged else None)


def axes_or_new(ax: Axes | None, width: float, height: float) -> Axes:
    """Return ``ax``, or the axes of a new figure of that size in inches."""
    return new_figure(width, height).add_subplot() if ax is None else ax


def legend_above(ax: Axes, columns: int = 3) -> None:
    """Put the legend above what is drawn, in so many columns, where it covers nothing."""
    labels = ax.get_legend_handles_labels()[1]
    rows = -(-len(labels) // columns)
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + (0.04 + 0.1 * rows) * (high - low))
    ax.legend(frameon=False, fontsize=8, loc="upper right", ncols=min(columns, len(labels)))


def owner(ax: Axes) -> Figure:
    """Return the figure of some axes.

    Raises
    ------
    VoxlmError
        If they were removed from it.
    """
    figure = ax.get_figure(root=True)
    if figure is None:
        raise VoxlmError("these axes belong to no figure, so there is no picture")
    return figure


def save_picture(drawn: Figure | Axes, path: str | Path) -> Path:
    """Write a Figure, or the figure of an Axes, as PNG; the same picture gives the same bytes.

    Parameters
    ----------
    drawn : Figure or Axes
    path : path

    Returns
    -------
    Path

    Raises
    ------
    VoxlmError
        If the axes were removed from their figure.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> ax = axes_or_new(None, 2, 2)
    >>> save_picture(ax, pathlib.Path(tempfile.mkdtemp()) / "empty.png").name
    'empty.png'
    """
    figure = drawn if isinstance(drawn, Figure) else owner(drawn)
    target = Path(path)
    figure.savefig(target, dpi=DPI, format="png", facecolor="white", metadata={"Software": None})
    return target
