"""Pictures of maps: axial slices over a mean image, or nilearn's template for MNI space."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from voxlm import report
from voxlm.errors import DataError
from voxlm.report.canvas import new_figure, owner

#: The NIfTI code of a transform into MNI space.
MNI_CODE = 4
#: Width of one slice in a mosaic of many, and least width of all slices together.
PANEL_INCHES = 1.4
LEAST_INCHES = 4.0
#: Letters of a title on an inch.
LETTERS = 11
#: Brighter with size on either side of zero, so that peaks stand out on grey.
COLD_HOT = LinearSegmentedColormap.from_list(
    "cold_hot",
    [
        (0.0, "#b5f4ff"),
        (0.25, "#1e7bff"),
        (0.4999, "#0a1f66"),
        (0.5001, "#66100a"),
        (0.75, "#ff4b1e"),
        (1.0, "#ffec80"),
    ],
)


class Image(Protocol):
    """A 3-D image, as nibabel gives it and as ``Contrast.image`` returns it."""

    affine: Any
    dataobj: Any
    header: Any


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A volume turned so that its axes run right, front and up.

    Parameters
    ----------
    values : ndarray, shape (I, J, K)
        NaN where transparent.
    brain : ndarray of bool, shape (I, J, K)
        What the window has to hold.
    grey : ndarray, shape (I, J, K), or None
        The background.
    heights : ndarray, shape (K,)
        Millimetres of the slices.
    sizes : ndarray, shape (3,)
        Edges of a voxel in millimetres.
    limit, threshold : float
        Ends of the colours; 0 where nothing is hidden.
    signed : bool
        Whether the colours are symmetric about 0.
    """

    values: NDArray[np.float64]
    brain: NDArray[np.bool_]
    grey: NDArray[np.float64] | None
    heights: NDArray[np.float64]
    sizes: NDArray[np.float64]
    limit: float
    threshold: float
    signed: bool


def plot_stat_map(
    image: Image,
    background: Image | None = None,
    *,
    threshold: float | None = None,
    label: str = "z",
    title: str = "",
    n_slices: int = 12,
    signed: bool = True,
    ax: Axes | None = None,
) -> Figure | Axes:
    """Draw a signed map in axial slices with a symmetric colour bar.

    Parameters
    ----------
    image : image
        The map; NaN and 0 are transparent.
    background : image, optional
        Drawn in grey under the map, on the same grid: the mean image. Without it, a map in MNI
        space lies on nilearn's template, and any other on white.
    threshold : float, optional
        Absolute values below it are transparent.
    label : str
        What the colours mean, with its unit.
    title : str
    n_slices : int
        At most so many slices, evenly spread over the brain.
    signed : bool
        Whether colours are symmetric about 0; else they run from 0 to the largest value.
    ax : Axes, optional
        The place to draw in; a new figure where not given.

    Returns
    -------
    Figure, or ``ax``

    Raises
    ------
    DataError
        If the map has no finite value, or the two images lie on different grids.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> values = np.zeros((8, 8, 6)); values[2:6, 2:6, 1:5] = 3.0
    >>> image = SimpleNamespace(dataobj=values, affine=np.eye(4), header={"sform_code": 1})
    >>> figure = plot_stat_map(image, n_slices=4, title="a cube")
    >>> len(figure.axes)
    5
    """
    values = np.asarray(image.dataobj, dtype=np.float64)
    if background is None and in_mni(image):
        return report.plot_on_template(
            image,
            limit=_limit(values),
            threshold=threshold,
            label=label,
            title=title,
            n_slices=min(n_slices, 8),
            signed=signed,
            ax=ax,
        )
    under = None if background is None else np.asarray(background.dataobj, dtype=np.float64)
    return plot_mosaic(
        values,
        image.affine,
        under,
        threshold=threshold,
        label=label,
        title=title,
        n_slices=n_slices,
        signed=signed,
        ax=ax,
    )


def in_mni(image: Any) -> bool:
    """Tell whether an image says that it lies in MNI space."""
    header = getattr(image, "header", None)
    return header is not None and "sform_code" in header and int(header["sform_code"]) == MNI_CODE


def plot_mosaic(
    values: NDArray[np.float64],
    affine: NDArray[np.float64],
    background: NDArray[np.float64] | None = None,
    *,
    threshold: float | None = None,
    label: str = "z",
    title: str = "",
    n_slices: int = 12,
    signed: bool = True,
    ax: Axes | None = None,
) -> Figure | Axes:
    """Draw a volume in axial slices, the reader's left the subject's left.

    Parameters
    ----------
    values : ndarray, shape (I, J, K)
        NaN and 0 are transparent.
    affine : ndarray, shape (4, 4)
        Voxel indices to millimetres; slices are cut along the nearest voxel axes.
    background : ndarray, shape (I, J, K), optional
        Drawn in grey under the map.
    threshold, label, title, n_slices, signed, ax
        As for :func:`plot_stat_map`.

    Returns
    -------
    Figure, or ``ax``

    Raises
    ------
    DataError
        If the map has no finite value, or the two volumes differ in shape.

    Examples
    --------
    >>> len(plot_mosaic(np.ones((6, 6, 6)), np.eye(4), n_slices=3).axes)
    4
    """
    if values.ndim != 3:
        raise DataError(f"a map has three axes, this one has {values.ndim}: {values.shape}")
    if background is not None and background.shape != values.shape:
        raise DataError(
            f"the background's grid {background.shape} is not the map's {values.shape}; "
            "resample it to the map's grid, or leave it out"
        )
    drawn = np.isfinite(values) & (values != 0)
    brain = drawn if background is None else background > 0.1 * np.nanmax(background)
    if threshold is not None:
        drawn = drawn & (np.abs(np.nan_to_num(values)) >= threshold)
    order = _to_ras(affine)
    picture = Picture(
        values=_reorient(np.where(drawn, values, np.nan), order),
        brain=_reorient(brain, order),
        grey=None if background is None else _reorient(background, order),
        heights=_heights(affine, values.shape),
        sizes=np.linalg.norm(affine[:3, :3], axis=0)[[axis for axis, _ in order]],
        limit=_limit(values),
        threshold=threshold or 0.0,
        signed=signed,
    )
    return _mosaic(picture, label, title, n_slices, ax)


def _limit(values: NDArray[np.float64]) -> float:
    """Return the end of the colour bar: the largest absolute value, rounded up to two digits."""
    finite = np.abs(values[np.isfinite(values)])
    if finite.size == 0:
        raise DataError("the map has no finite value to draw")
    largest = float(finite.max())
    if largest == 0.0:
        return 1.0
    step = 10.0 ** (np.floor(np.log10(largest)) - 1)
    return float(np.ceil(largest / step) * step)


def _to_ras(affine: NDArray[np.float64]) -> list[tuple[int, bool]]:
    """Return, for right, front and top, the voxel axis nearest to it and whether it runs back."""
    direction = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    order: list[tuple[int, bool]] = []
    free = [0, 1, 2]
    for world in range(3):
        axis = max(free, key=lambda a: abs(direction[world, a]))
        free.remove(axis)
        order.append((axis, bool(direction[world, axis] < 0)))
    return order


def _reorient(volume: NDArray[Any], order: list[tuple[int, bool]]) -> NDArray[Any]:
    """Turn a volume so that its axes run to the right, the front and the top."""
    turned = np.transpose(volume, [axis for axis, _ in order])
    backwards = tuple(world for world, (_, back) in enumerate(order) if back)
    return np.asarray(np.flip(turned, backwards))


def _heights(affine: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the millimetres of every axial slice of the turned volume, at its middle."""
    axis, back = _to_ras(affine)[2]
    points = np.tile([*((np.array(shape) - 1) / 2), 1.0], (shape[axis], 1))
    points[:, axis] = np.arange(shape[axis])[:: -1 if back else 1]
    return np.asarray(points @ affine[2])


def _mosaic(
    picture: Picture, label: str, title: str, n_slices: int, ax: Axes | None
) -> Figure | Axes:
    """Lay the slices out in rows, cropped to the brain."""
    crop, slices = _window(picture.brain, n_slices)
    columns = min(6, len(slices))
    rows = -(-len(slices) // columns)
    if ax is None:
        figure, grid, lines = _sheet(picture, crop, rows, columns, title)
    else:
        figure, grid = owner(ax), _panels(ax, rows, columns)
        lines = [title] if title else []
    shown = [_slice(panel, picture, crop, k) for panel, k in zip(grid.flat, slices, strict=False)]
    if ax is not None:  # little room: the number alone
        for panel, k in zip(grid.flat, slices, strict=False):
            panel.set_title(f"{picture.heights[k]:.0f}", fontsize=6, pad=1)
    for panel in grid.flat:
        panel.set_axis_off()
    _mark_sides(grid[0, 0])
    bar = figure.colorbar(shown[0], ax=grid if ax is None else ax, shrink=0.85, aspect=25, pad=0.02)
    bar.set_label(label)
    if picture.threshold:
        bar.ax.axhspan(-picture.threshold, picture.threshold, color="0.6")
    if lines and ax is None:
        figure.suptitle("\n".join(lines), fontsize=11)
    elif ax is not None:
        ax.set_title(title)
    return figure if ax is None else ax


def _sheet(
    picture: Picture, crop: tuple[slice, slice], rows: int, columns: int, title: str
) -> tuple[Figure, NDArray[Any], list[str]]:
    """Return a figure of the size that the slices need, its panels, and the lines of the title."""
    extent = [
        (part.stop - part.start) * size for part, size in zip(crop, picture.sizes, strict=False)
    ]
    width = max(PANEL_INCHES * columns, LEAST_INCHES)
    panel = width / columns * extent[1] / extent[0]
    lines = textwrap.wrap(title, int(LETTERS * (width + 1.15)))
    figure = new_figure(
        width + 1.15, (panel + 0.2) * rows + 0.1 + 0.2 * len(lines) + 0.15 * bool(lines)
    )
    grid = figure.subplots(
        rows, columns, squeeze=False, gridspec_kw={"wspace": 0.02, "hspace": 0.02}
    )
    return figure, grid, lines


def _panels(ax: Axes, rows: int, columns: int) -> NDArray[Any]:
    """Divide the place of some axes into panels."""
    ax.set_axis_off()
    panels = [
        ax.inset_axes((c / columns, 1 - (r + 1) / rows, 0.98 / columns, 0.9 / rows))
        for r in range(rows)
        for c in range(columns)
    ]
    return np.array(panels, dtype=object).reshape(rows, columns)


def _window(brain: NDArray[np.bool_], n_slices: int) -> tuple[tuple[slice, slice], list[int]]:
    """Return the rectangle that holds the brain, and slices evenly spread over its height."""
    if not brain.any():
        brain = np.ones_like(brain)
    bounds = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        inside = np.flatnonzero(brain.any(axis=others))
        bounds.append((int(inside[0]), int(inside[-1]) + 1))
    low, high = bounds[2]
    # The outermost tenth at either end is scalp and stem, with little to see.
    margin = 0.08 * (high - low)
    wanted = np.linspace(low + margin, high - 1 - margin, min(n_slices, high - low))
    crop = tuple(slice(max(0, a - 1), b + 1) for a, b in bounds[:2])
    return (crop[0], crop[1]), sorted({round(float(k)) for k in wanted})


def _slice(ax: Axes, picture: Picture, crop: tuple[slice, slice], k: int) -> Any:
    """Draw one slice, the front up."""
    aspect = float(picture.sizes[1] / picture.sizes[0])
    if picture.grey is not None:
        ax.imshow(
            picture.grey[(*crop, k)].T,
            origin="lower",
            cmap="gray",
            vmin=0,
            # A few bright voxels must not darken the rest.
            vmax=1.15 * float(np.nanpercentile(picture.grey, 99)),
            aspect=aspect,
            interpolation="bilinear",
        )
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_title(f"z = {picture.heights[k]:.0f} mm", fontsize=8, pad=2, y=1.0)
    return ax.imshow(
        np.ma.masked_invalid(picture.values[(*crop, k)].T),
        origin="lower",
        cmap=_colours(picture),
        vmin=-picture.limit if picture.signed else 0.0,
        vmax=picture.limit,
        aspect=aspect,
        interpolation="nearest",
    )


def _colours(picture: Picture) -> Any:
    """Return the colours: strong ones over a grey background."""
    if not picture.signed:
        return "viridis"
    return "coolwarm" if picture.grey is None else COLD_HOT


def _mark_sides(ax: Axes) -> None:
    """Say which side is left."""
    for place, side in ((0.03, "L"), (0.97, "R")):
        ax.text(
            place,
            0.02,
            side,
            transform=ax.transAxes,
            fontsize=8,
            color="0.5",
            ha="left" if side == "L" else "right",
            va="bottom",
        )
