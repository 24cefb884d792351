"""Views of whole maps that nilearn draws: three cuts, glass brain, a page to look around.

The images handed in are nibabel's or nilearn's own; nothing here computes a statistic.
"""

from __future__ import annotations

import re
import textwrap
import warnings
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from nilearn import plotting
from nilearn.image import new_img_like

from voxlm.errors import DataError
from voxlm.report.brain_plots import in_mni
from voxlm.report.canvas import new_figure, owner

#: Drawn where no threshold is given: everything but exact zeros.
NO_THRESHOLD = 1e-12
#: Of a title in its size.
LETTERS_PER_INCH = 11
#: A page inside a page asks for nothing outside.
OUTSIDE = re.compile(r"<link[^>]*https?://[^>]*>")


def plot_ortho(
    image: Any,
    background: Any | None = None,
    *,
    threshold: float | None = None,
    cut: tuple[float, float, float] | None = None,
    label: str = "z",
    title: str = "",
    ax: Axes | None = None,
) -> Figure | Axes:
    """Draw a map in three cuts through its largest value.

    Parameters
    ----------
    image : nibabel image
        NaN and 0 are transparent.
    background : nibabel image, optional
        Drawn in grey under the map; without it nilearn's template under a map in MNI space.
    threshold : float, optional
        Absolute values below it are transparent.
    cut : three floats, optional
        Where to cut, in millimetres; through the largest absolute value where not given.
    label, title : str
    ax : Axes, optional
        The place to draw in; a new figure where not given.

    Returns
    -------
    Figure, or ``ax``
    """
    known = _finite(image)
    figure = new_figure(9.0, 3.4, arranged=False) if ax is None else owner(ax)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plotting.plot_stat_map(
            known,
            threshold=_least(threshold),
            cut_coords=_peak(known) if cut is None else cut,
            display_mode="ortho",
            figure=figure,
            axes=(0.0, 0.0, 0.97, 0.9) if ax is None else ax,
            black_bg=False,
            draw_cross=True,
            **_under(image, background),
        )
    return _titled(figure, ax, title, label)


def plot_glass(
    image: Any,
    *,
    threshold: float | None = None,
    label: str = "z",
    title: str = "",
    ax: Axes | None = None,
) -> Figure | Axes:
    """Draw the largest values of a map along three directions, in a glass brain of MNI space.

    Parameters
    ----------
    image : nibabel image
        In MNI space.
    threshold : float, optional
        Absolute values below it are transparent.
    label, title : str
    ax : Axes, optional
        The place to draw in; a new figure where not given.

    Returns
    -------
    Figure, or ``ax``
    """
    known = _finite(image)
    figure = new_figure(9.0, 3.2, arranged=False) if ax is None else owner(ax)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plotting.plot_glass_brain(
            known,
            threshold=_least(threshold),
            display_mode="lyrz" if ax is None else "ortho",
            plot_abs=False,
            colorbar=True,
            figure=figure,
            axes=(0.0, 0.0, 0.97, 0.9) if ax is None else ax,
        )
    return _titled(figure, ax, title, label)


def viewer(
    image: Any, background: Any | None = None, *, threshold: float | None = None, title: str = ""
) -> str:
    """Return a page in which a map can be looked around in, complete in itself.

    Parameters
    ----------
    image, background, threshold, title
        As for :func:`plot_ortho`.

    Returns
    -------
    str
        HTML that loads nothing from outside.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        view = plotting.view_img(
            _finite(image),
            threshold=_least(threshold),
            title=title or None,
            **_under(image, background),
        )
    return OUTSIDE.sub("", str(view.get_standalone()))


def _finite(image: Any) -> Any:
    """Return an image whose NaN are 0."""
    data = np.asarray(image.dataobj, dtype=np.float64)
    if not np.isfinite(data).any():
        raise DataError("the map has no finite value to draw")
    return new_img_like(image, np.nan_to_num(data).astype(np.float32))


def _peak(image: Any) -> tuple[float, float, float]:
    """Return the place of the largest absolute value, in millimetres."""
    data = np.abs(np.asarray(image.dataobj))
    place = np.unravel_index(int(data.argmax()), data.shape)
    x, y, z = (float(at) for at in (image.affine @ [*place, 1.0])[:3])
    return x, y, z


def _under(image: Any, background: Any | None) -> dict[str, Any]:
    """Return what nilearn is told of the background; its own template is for MNI space alone."""
    if background is not None:
        return {"bg_img": background}
    return {} if in_mni(image) else {"bg_img": None}


def _least(threshold: float | None) -> float:
    if threshold is None:
        return NO_THRESHOLD
    return threshold if np.isfinite(threshold) else float(np.finfo(np.float32).max)


def _titled(figure: Figure, ax: Axes | None, title: str, label: str) -> Figure | Axes:
    said = f"{title} ({label})" if title else label
    if ax is None:
        letters = int(LETTERS_PER_INCH * figure.get_figwidth())
        figure.suptitle(textwrap.fill(said, letters), fontsize=11)
        return figure
    ax.set_title(said)
    return ax
