"""Pictures of a study whose truth is known."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from voxlm.report.canvas import COLOURS, axes_or_new


def plot_truth(
    true: NDArray[np.float64],
    estimate: NDArray[np.float64],
    labels: NDArray[np.integer],
    regions: tuple[str, ...],
    *,
    unit: str = "% signal change",
    ax: Axes | None = None,
) -> Axes:
    """Draw each voxel's estimate against its true effect, coloured by region.

    Parameters
    ----------
    true, estimate : ndarray, shape (V,)
    labels : ndarray of int, shape (V,)
        0 where nothing responds, else 1 + the place in ``regions``.
    regions : tuple of str
    unit : str
        Of both.
    ax : Axes, optional
        Where to draw; a new figure where not given.

    Returns
    -------
    Axes

    Examples
    --------
    >>> ax = plot_truth(np.array([0.0, 2.0]), np.array([0.1, 1.9]), np.array([0, 1]), ("face",))
    >>> ax.get_xlabel()
    'true effect (% signal change)'
    """
    ax = axes_or_new(ax, 5.6, 4.6)
    for at, colour in zip(range(len(regions) + 1), ("0.65", *COLOURS * len(regions)), strict=False):
        here = (labels == at) & np.isfinite(estimate)
        name = "no response" if at == 0 else f"{regions[at - 1]} region"
        ax.plot(
            true[here],
            estimate[here],
            "o",
            markersize=3,
            alpha=0.25 if at == 0 else 0.7,
            markeredgewidth=0,
            color=colour,
            label=f"{name} ({int(here.sum()):,} voxels)",
            rasterized=True,
        )
    finite = np.concatenate([true, estimate[np.isfinite(estimate)]])
    ends = np.array([finite.min(), finite.max()])
    ax.plot(ends, ends, color="black", linewidth=0.8, label="estimate = truth")
    ax.set_xlabel(f"true effect ({unit})")
    ax.set_ylabel(f"estimated effect ({unit})")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(fontsize=8, frameon=False, loc="upper left")
    return ax
