"""Maps on the cortical surface: shaded meshes seen from several sides, with one colour bar.

Axes: N vertices of a mesh, F triangles.
"""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import TriMesh
from matplotlib.colors import Colormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.tri import Triangulation
from nilearn.datasets import load_fsaverage, load_fsaverage_data
from nilearn.surface import InMemoryMesh, PolyMesh, SurfaceImage
from numpy.typing import NDArray

from voxlm.errors import DataError, did_you_mean
from voxlm.kernels.mesh import folding, vertex_normals
from voxlm.report.canvas import new_figure, owner

Floats = NDArray[np.float64]
Hemisphere = Literal["left", "right", "both"]
Panel = tuple[Mapping[str, "Sheet"], str]

#: The mesh that nilearn carries along: 10,242 vertices a hemisphere.
MESH = "fsaverage5"
#: From where a hemisphere is looked at: the axes that run right, up and towards the eye, each with
#: its direction. Lateral and medial are of the left hemisphere, and mirrored for the right one.
VIEWS = {
    "lateral": ((1, -1), (2, 1), (0, -1)),
    "medial": ((1, 1), (2, 1), (0, 1)),
    "dorsal": ((0, 1), (1, 1), (2, 1)),
    "ventral": ((0, -1), (1, 1), (2, -1)),
    "anterior": ((0, -1), (2, 1), (1, 1)),
    "posterior": ((0, 1), (2, 1), (1, -1)),
}
#: These show one hemisphere each; the others both side by side.
ONE_SIDED = ("lateral", "medial")
FOUR_SIDES = ("lateral", "medial", "dorsal", "ventral")
#: Grey of ridges, of furrows, and of a hidden part of the colour bar.
RIDGE, FURROW, HIDDEN = 0.82, 0.56, 0.7
#: Brightness of what is seen edge on; what faces the eye has 1.
RIM = 0.45
#: A value's colour is darkened less, so that the colour bar stays true.
VALUE_RIM = 0.8
#: Inches of a figure: each column's, the colour bar's, and at most; letters of a title on one.
COLUMN, BAR, WIDEST, LETTERS = 2.8, 1.4, 9.0, 11
#: Between the hemispheres of one view, as a share of their width.
GAP = 0.04


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """A hemisphere to be drawn.

    Parameters
    ----------
    places : ndarray, shape (N, 3)
    faces : ndarray of int, shape (F, 3)
    normals : ndarray, shape (N, 3)
    values : ndarray, shape (N,)
        NaN where nothing is drawn but the folding.
    grey : ndarray, shape (N,)
        Of the folding.
    """

    places: Floats
    faces: NDArray[np.int64]
    normals: Floats
    values: Floats
    grey: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """Colours of values."""

    norm: Normalize
    colours: Colormap

    def rgba(self, sheet: Sheet, facing: Floats) -> Floats:
        """Return the colour of each vertex, shape ``(N, 4)``, darker where seen edge on."""
        plain = np.repeat(sheet.grey[:, None], 3, axis=1) * _lit(facing, RIM)
        known = np.isfinite(sheet.values)
        shown = self.colours(self.norm(sheet.values[known]))[:, :3]
        plain[known] = shown * _lit(facing[known], VALUE_RIM)
        return np.c_[plain, np.ones(len(plain))]


def plot_surface(
    image: Any,
    *,
    hemi: Hemisphere = "both",
    view: str | Sequence[str] = FOUR_SIDES,
    threshold: float | None = None,
    label: str = "z",
    title: str = "",
    signed: bool = True,
    ax: Axes | None = None,
) -> Figure | Axes:
    """Draw a map on the cortical surface, over its folding.

    Parameters
    ----------
    image : nilearn SurfaceImage, or nibabel image in MNI space
        A volume is sampled on the fsaverage5 surface that nilearn carries along, and drawn on
        its inflated mesh.
    hemi : {"left", "right", "both"}
    view : str or sequence of str
        ``"lateral"``, ``"medial"``, ``"dorsal"``, ``"ventral"``, ``"anterior"``, ``"posterior"``.
    threshold : float, optional
        Absolute values below it are transparent, as are NaN and 0.
    label, title : str
        Of the colours, and of the figure.
    signed : bool
        Whether colours are symmetric about 0; else they run from 0 to the largest value.
    ax : Axes, optional
        The place to draw in, for the first view of one hemisphere; a new figure where not given.

    Returns
    -------
    Figure, or ``ax``

    Raises
    ------
    DataError
        If several pictures are to go into one place, a view or hemisphere does not exist, or the
        map has no finite value.
    """
    views = (view,) if isinstance(view, str) else tuple(view)
    for one in views:
        if one not in VIEWS:
            raise DataError(f"no view {one!r}; {did_you_mean(one, VIEWS)}")
    if hemi not in ("left", "right", "both"):
        raise DataError(f"hemi is 'left', 'right' or 'both', got {hemi!r}")
    if ax is not None and hemi == "both":
        raise DataError("one place holds one hemisphere: say hemi='left' or hemi='right'")
    values, meshes, depth = _on_mesh(image)
    sides: list[str] = [
        side for side in ("left", "right") if side in values and hemi in (side, "both")
    ]
    if not sides:
        raise DataError(f"the map has no {hemi} hemisphere; it has {list(values)}")
    if not any(np.isfinite(values[side]).any() for side in sides):
        raise DataError("the map has no finite value to draw")
    sheets = {
        side: _sheet(meshes[side], values[side], depth.get(side), threshold) for side in sides
    }
    scale = _scale([values[side] for side in sides], threshold, signed)
    if ax is not None:
        return _inside(ax, sheets, views[0], scale, f"{title} ({label})" if title else label)
    return _figure(sheets, views, scale, label, title)


def surface_image(sheets: Mapping[str, tuple[Any, Any]]) -> Any:
    """Return a nilearn ``SurfaceImage`` of values on meshes.

    Parameters
    ----------
    sheets : dict by "left" and "right"
        A mesh with ``coordinates`` and ``faces``, and the values of its vertices.
    """
    meshes = {
        side: InMemoryMesh(np.array(mesh.coordinates), np.array(mesh.faces))
        for side, (mesh, _) in sheets.items()
    }
    data = {side: np.asarray(values) for side, (_, values) in sheets.items()}
    return SurfaceImage(mesh=PolyMesh(**meshes), data=data)


def _on_mesh(image: Any) -> tuple[dict[str, Floats], Mapping[str, Any], dict[str, Floats]]:
    """Return values by side, the meshes to draw them on, and the depth of folds where known."""
    if hasattr(image, "mesh"):
        return _by_side(image), image.mesh.parts, {}
    meshes = load_fsaverage(MESH)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # vertices outside the image have no value
        sampled = SurfaceImage.from_volume(meshes["pial"], image)
    folds = load_fsaverage_data(mesh=MESH, data_type="sulcal", mesh_type="inflated")
    return _by_side(sampled), meshes["inflated"].parts, _by_side(folds)


def _by_side(image: Any) -> dict[str, Floats]:
    parts = {side: np.asarray(part, np.float64) for side, part in image.data.parts.items()}
    return {side: part.reshape(len(part), -1)[:, 0] for side, part in parts.items()}


def _sheet(mesh: Any, values: Floats, depth: Floats | None, threshold: float | None) -> Sheet:
    places = np.asarray(mesh.coordinates, dtype=np.float64)
    faces = np.asarray(mesh.faces, dtype=np.int64)
    deep = folding(places, faces) if depth is None else depth
    # Zeros are what masks leave out and corrections set aside.
    seen = np.isfinite(values) & (values != 0) & (np.abs(values) >= (threshold or 0.0))
    grey = 0.5 * (RIDGE + FURROW) - 0.5 * (RIDGE - FURROW) * np.tanh(3 * deep / (deep.std() or 1.0))
    normals = vertex_normals(places, faces)
    return Sheet(places, faces, normals, np.where(seen, values, np.nan), grey)


def _scale(values: Sequence[Floats], threshold: float | None, signed: bool) -> Scale:
    """Return colours up to the largest value of all, grey where the threshold hides them."""
    limit = max(float(np.max(np.abs(part[np.isfinite(part)]), initial=0.0)) for part in values)
    limit = max(limit, 1.25 * (threshold or 0.0)) or 1.0  # a colour is left above the threshold
    norm = Normalize(-limit if signed else 0.0, limit)
    table = np.array(colormaps["RdBu_r" if signed else "viridis"](np.linspace(0, 1, 512)))
    if threshold is not None:
        table[np.abs(np.linspace(norm.vmin or 0.0, limit, 512)) < threshold] = (*[HIDDEN] * 3, 1.0)
    return Scale(norm, ListedColormap(table))


def _lit(facing: Floats, rim: float) -> Floats:
    return (rim + (1 - rim) * facing)[:, None]


def _figure(
    sheets: Mapping[str, Sheet], views: Sequence[str], scale: Scale, label: str, title: str
) -> Figure:
    """Lay out a column a hemisphere, a row a view, and beside them the views of both at once."""
    alone = [view for view in views if view in ONE_SIDED]
    joint = [view for view in views if view not in ONE_SIDED]
    rows: list[list[Panel]] = [[] for _ in range(max(len(alone), len(joint)))]
    for row, view in zip(rows, alone, strict=False):
        row += [({side: sheet}, view) for side, sheet in sheets.items()]
    for row, view in zip(rows, joint, strict=False):
        row.append((sheets, view))
    widths, drawn = _sizes(sheets, rows)
    wide = min(COLUMN * len(widths) + BAR, WIDEST)
    tall = float(np.clip((wide - BAR) * drawn, 1.2, 9.0))
    lines = textwrap.wrap(title, int(LETTERS * wide))
    figure = new_figure(wide, tall + 0.3 * len(rows) + 0.25 * len(lines))
    grid = figure.subplots(len(rows), len(widths), squeeze=False, width_ratios=widths)
    for places, row in zip(grid, rows, strict=True):
        for place in places:
            place.set_axis_off()
        for place, (parts, view) in zip(places, row, strict=False):
            _draw(place, parts, view, scale)
            said = view if len(parts) > 1 else f"{next(iter(parts))} {view}"
            place.set_title(said, fontsize=9, pad=2)
    _bar(figure, list(grid.flat), scale, label)
    if lines:
        figure.suptitle("\n".join(lines), fontsize=11)
    return figure


def _inside(ax: Axes, sheets: Mapping[str, Sheet], view: str, scale: Scale, said: str) -> Axes:
    ax.set_axis_off()
    _draw(ax, sheets, view, scale)
    _bar(owner(ax), [ax], scale, "")
    ax.set_title(said)
    return ax


def _bar(figure: Figure, places: list[Axes], scale: Scale, label: str) -> None:
    shown = ScalarMappable(scale.norm, scale.colours)
    figure.colorbar(shown, ax=places, shrink=0.7, aspect=22, pad=0.02).set_label(label)


def _sizes(
    sheets: Mapping[str, Sheet], rows: Sequence[Sequence[Panel]]
) -> tuple[list[float], float]:
    """Return the widths of the columns in mm, and the height of all rows over their sum."""
    every = np.vstack([sheet.places for sheet in sheets.values()])
    least = 1e-3 * float(np.ptp(every)) or 1.0
    widths = [least] * max(len(row) for row in rows)
    high = 0.0
    for row in rows:
        for k, (parts, view) in enumerate(row):
            axis = VIEWS[view][0][0]
            each = [float(np.ptp(sheet.places[:, axis])) for sheet in parts.values()]
            widths[k] = max(widths[k], sum(each) * (1 + GAP) if axis == 0 else max(each))
        high += max(float(np.ptp(every[:, VIEWS[view][1][0]])) for _, view in row)
    return widths, high / sum(widths)


def _draw(ax: Axes, parts: Mapping[str, Sheet], view: str, scale: Scale) -> None:
    """Draw hemispheres, far triangles first."""
    (right, along), up, (eye, towards) = VIEWS[view]
    apart = _apart(parts) if right == 0 else dict.fromkeys(parts, 0.0)
    for side, sheet in parts.items():
        mirror = -1 if view in ONE_SIDED and side == "right" else 1
        x = mirror * along * (sheet.places[:, right] + apart[side])
        y = up[1] * sheet.places[:, up[0]]
        depth = mirror * towards * sheet.places[:, eye]
        order = np.argsort(depth[sheet.faces].sum(axis=1), kind="stable")
        colours = scale.rgba(sheet, np.abs(sheet.normals[:, eye]))
        lain = Triangulation(x, y, sheet.faces[order])
        ax.add_collection(TriMesh(lain, facecolors=colours, rasterized=True))
    ax.autoscale_view()
    ax.set_aspect("equal")


def _apart(parts: Mapping[str, Sheet]) -> dict[str, float]:
    """Return how far to move hemispheres that overlap, as inflated ones do."""
    if len(parts) < 2:
        return dict.fromkeys(parts, 0.0)
    left, right = (parts[side].places[:, 0] for side in ("left", "right"))
    gap = GAP * float(np.ptp(left)) - float(right.min() - left.max())
    return {"left": -max(gap, 0.0) / 2, "right": max(gap, 0.0) / 2}
