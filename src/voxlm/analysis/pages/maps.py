"""A map of a report in the ways its space can be drawn: slices of voxels, views of surfaces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxlm import report
from voxlm.images.space import Space

#: What a page says where surfaces are lacking.
UNDRAWN = {
    "vertices": "The cortex is not drawn: the surfaces that the vertices lie on, mesh=, were not "
    "given.",
    "grayordinates": "The cortex is not drawn: the surfaces that its vertices lie on, mesh=, were "
    "not given. Slices show the voxels below it.",
}


def drawn_maps(
    space: Space, values: NDArray[np.float64], label: str, background: Any, *, signed: bool
) -> Iterator[Any]:
    """Yield a map at every voxel in slices, and at every vertex on the surfaces that are known."""
    if not np.any(np.nan_to_num(values)):
        return
    if sheets := space.sheets(values):
        yield from on_surface(sheets, f"{label} at every vertex", label, signed=signed)
    image = space.volume(values)
    if image is not None and np.any(image.dataobj):
        drawn = report.plot_stat_map(image, background, label=label, signed=signed)
        yield report.picture(drawn, f"{label} at every voxel", wide=True)


def on_surface(
    sheets: Mapping[str, Any],
    said: str,
    label: str,
    threshold: float | None = None,
    *,
    signed: bool = True,
) -> Iterator[Any]:
    """Yield a map on its surfaces, seen from four sides."""
    drawn = report.plot_surface(
        report.surface_image(sheets), threshold=threshold, label=label, signed=signed
    )
    yield report.picture(drawn, f"{said} on the surface", wide=True)
