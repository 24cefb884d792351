"""Statistics of columns that have no place: one point each."""

from __future__ import annotations

import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from voxlm.report.canvas import COLOURS, axes_or_new, legend_above, owner

#: Letters a line of the title.
LETTERS = 90


def plot_columns(
    stat: NDArray[np.float64],
    significant: NDArray[np.bool_],
    threshold: float | None = None,
    *,
    both: bool = True,
    label: str = "t",
    title: str = "",
    ax: Axes | None = None,
) -> Figure | Axes:
    """Draw a statistic column by column, and which of them are significant.

    Parameters
    ----------
    stat : ndarray, shape (V,)
        NaN is left out.
    significant : ndarray of bool, shape (V,)
    threshold : float, optional
        The height from which a column is significant, drawn as a line.
    both : bool
        Whether the same height counts below 0.
    label, title : str
    ax : Axes, optional
        The place to draw in; a new figure where not given.

    Returns
    -------
    Figure, or ``ax``

    Examples
    --------
    >>> figure = plot_columns(np.array([0.3, 4.1, -1.0]), np.array([False, True, False]), 3.0)
    >>> figure.axes[0].get_xlabel()
    'column'
    """
    place = axes_or_new(ax, 7.2, 3.4)
    columns = np.arange(stat.size)
    for chosen, colour, said in (
        (~significant, COLOURS[-1], "not significant"),
        (significant, COLOURS[1], "significant"),
    ):
        shown = chosen & np.isfinite(stat)
        if shown.any():
            size = 22 if stat.size <= 1000 else 6
            place.scatter(columns[shown], stat[shown], size, colour, label=said, linewidths=0)
    place.axhline(0.0, color="0.6", linewidth=0.8)
    for height in () if threshold is None else (threshold, -threshold) if both else (threshold,):
        place.axhline(height, color=COLOURS[1], linewidth=1, linestyle="--")
    place.set(xlabel="column", ylabel=label)
    place.set_title("\n".join(textwrap.wrap(title, LETTERS)), fontsize=10, loc="left")
    legend_above(place)
    return owner(place) if ax is None else place
