"""Maps in MNI space over nilearn's template."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from nilearn.image import new_img_like
from nilearn.plotting import plot_stat_map

from voxlm.report.canvas import new_figure, owner

#: Drawn where no threshold is given: everything but exact zeros.
NO_THRESHOLD = 1e-12


def plot_on_template(
    image: Any,
    *,
    limit: float,
    threshold: float | None = None,
    label: str = "z",
    title: str = "",
    n_slices: int = 8,
    signed: bool = True,
    ax: Axes | None = None,
) -> Figure | Axes:
    """Draw a map in MNI space in axial slices over the template.

    Parameters
    ----------
    image : nibabel image
    limit : float
        End of the symmetric colour bar.
    threshold : float, optional
        Absolute values below it are transparent.
    label : str
        What the colours mean.
    title : str
    n_slices : int
    signed : bool
        Whether colours are symmetric about 0; else they run from 0 to ``limit``.
    ax : Axes, optional
        The place to draw in; a new figure where not given.

    Returns
    -------
    Figure, or ``ax``
    """
    figure = new_figure(11.0, 2.1, arranged=False) if ax is None else owner(ax)
    known = new_img_like(image, np.nan_to_num(np.asarray(image.dataobj, dtype=np.float64)))
    plot_stat_map(
        known,
        threshold=NO_THRESHOLD if threshold is None else threshold,
        vmax=limit,
        vmin=-limit if signed else 0.0,
        cmap="RdBu_r" if signed else "viridis",
        display_mode="z",
        cut_coords=n_slices,
        figure=figure,
        axes=(0.0, 0.0, 0.97, 0.9) if ax is None else ax,
        draw_cross=False,
    )
    if ax is not None:
        ax.set_title(f"{title} ({label})" if title else label)
        return ax
    figure.suptitle(f"{title} ({label})" if title else label, fontsize=11)
    return figure
