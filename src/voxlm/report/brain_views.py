"""Views of whole maps that nilearn draws: three cuts, glass brain, surfaces, a page to look around.

The images handed in are nibabel's or nilearn's own; nothing here computes a statistic.
"""

from __future__ import annotations

import re
import textwrap
import warnings
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from voxlm.errors import DataError, VoxlmError
from voxlm.report.brain_plots import MNI_CODE
from voxlm.report.canvas import new_figure, owner

try:
    from nilearn import plotting
    from nilearn.datasets import load_fsaverage, load_fsaverage_data
    from nilearn.image import new_img_like
    from nilearn.surface import InMemoryMesh, PolyMesh, SurfaceImage
except ModuleNotFoundError as missing:
    raise VoxlmError(
        "views of the brain need nilearn, which is not installed; install it with: "
        "pip install 'voxlm[report]'"
    ) from missing

Hemisphere = Literal["left", "right", "both"]

#: Drawn where no threshold is given: everything but exact zeros.
NO_THRESHOLD = 1e-12
#: The mesh that nilearn carries along: 10,242 vertices a hemisphere.
MESH = "fsaverage5"
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


def plot_surface(
    image: Any,
    *,
    hemi: Hemisphere = "both",
    view: str = "lateral",
    threshold: float | None = None,
    label: str = "z",
    title: str = "",
    signed: bool = True,
    ax: Axes | None = None,
) -> Figure | Axes:
    """Draw a map on the cortical surface.

    Parameters
    ----------
    image : nilearn SurfaceImage, or nibabel image in MNI space
        A volume is sampled on the fsaverage5 surface that nilearn carries along, and drawn on
        its inflated mesh.
    hemi : {"left", "right", "both"}
    view : str
        ``"lateral"``, ``"medial"``, ``"dorsal"``, ``"ventral"``, ``"anterior"``, ``"posterior"``.
    threshold : float, optional
        Absolute values below it are transparent.
    label, title : str
    signed : bool
        Whether colours are symmetric about 0; else they run from 0 to the largest value.
    ax : Axes, optional
        The place to draw in, for one hemisphere; a new figure where not given.

    Returns
    -------
    Figure, or ``ax``

    Raises
    ------
    DataError
        If both hemispheres are to go into one place, or the map has no finite value.
    """
    if hemi not in ("left", "right", "both"):
        raise DataError(f"hemi is 'left', 'right' or 'both', got {hemi!r}")
    if ax is not None and hemi == "both":
        raise DataError("one place holds one hemisphere: say hemi='left' or hemi='right'")
    on_mesh, mesh, depth = _on_mesh(image)
    sides = ["left", "right"] if hemi == "both" else [hemi]
    sides = [side for side in sides if side in on_mesh.data.parts]
    if not sides:
        raise DataError(f"the map has no {hemi} hemisphere; it has {list(on_mesh.data.parts)}")
    limit = max(float(np.nanmax(np.abs(on_mesh.data.parts[side]), initial=0.0)) for side in sides)
    figure = new_figure(4.2 * len(sides), 3.1, arranged=False) if ax is None else owner(ax)
    for k, side in enumerate(sides):
        last = k == len(sides) - 1
        place = _place(figure, ax, k, len(sides))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            plotting.plot_surf_stat_map(
                surf_mesh=mesh,
                stat_map=on_mesh,
                bg_map=depth,
                hemi=side,
                view=view,
                threshold=_least(threshold),
                vmin=None if signed else 0.0,
                vmax=limit or 1.0,
                symmetric_cbar=signed,
                cmap="RdBu_r" if signed else "viridis",
                colorbar=last,
                engine="matplotlib",
                axes=place,
                figure=figure,
            )
        place.set_title(f"{side} hemisphere", fontsize=9, y=0.93)
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


def in_mni(image: Any) -> bool:
    """Tell whether an image says that it lies in MNI space."""
    header = getattr(image, "header", None)
    return header is not None and "sform_code" in header and int(header["sform_code"]) == MNI_CODE


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


def _on_mesh(image: Any) -> tuple[Any, Any, Any]:
    """Return a map on a mesh, the mesh to draw it on, and the folding under it."""
    if hasattr(image, "mesh"):
        return image, image.mesh, None
    meshes = load_fsaverage(MESH)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # vertices outside the image have no value
        sampled = SurfaceImage.from_volume(meshes["pial"], _finite(image))
    folding = load_fsaverage_data(mesh=MESH, data_type="sulcal", mesh_type="inflated")
    return sampled, meshes["inflated"], folding


def _place(figure: Figure, ax: Axes | None, k: int, n: int) -> Any:
    """Return axes of three dimensions for one hemisphere."""
    if ax is None:
        return figure.add_subplot(1, n, k + 1, projection="3d")
    ax.set_axis_off()
    return figure.add_axes(ax.get_position().bounds, projection="3d")
