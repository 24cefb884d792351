"""Surface images to vertices and back, for the models: what nilearn's ``SurfaceMasker`` does here.

Axes: T scans, N vertices of a part, V vertices of the mask.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import lazy_loader
import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxlm.errors import VoxlmError, VoxlmWarning
from voxlm.glm.faults import InputTypeError, named_by_nilearn
from voxlm.images.meshes import open_mesh
from voxlm.images.scans import Scans, array_scans
from voxlm.images.smoothing import check_fwhm
from voxlm.kernels.mesh import neighbour_average, steps_of_fwhm, triangle_areas

theirs = lazy_loader.load("voxlm.glm.theirs", suppress_warning=True)


@dataclass(frozen=True, eq=False)
class SurfaceMasker:
    """The vertices of a mask on meshes.

    Parameters
    ----------
    template : SurfaceImage
        An image on the meshes.
    parts : dict of ndarray of bool
        The mask of each part, ``left`` and ``right``.
    smoothing_fwhm : float, optional
        In millimetres: averaging over neighbours, as many times as FreeSurfer's rule has it for
        the mean area of a vertex. All vertices are smoothed, then those of the mask are taken.
    """

    template: Any
    parts: dict[str, NDArray[np.bool_]]
    smoothing_fwhm: float | None = None

    @property
    def mask_img_(self) -> Any:
        """The mask as an image of booleans."""
        return type(self.template)(mesh=self.template.mesh, data=dict(self.parts))

    @property
    def n_elements_(self) -> int:
        """Number of vertices in the mask, V."""
        return sum(int(part.sum()) for part in self.parts.values())

    def of_nilearn(self) -> Any:
        """Return nilearn's masker of the same vertices; where surfaces come from, nilearn is."""
        return theirs.masker_of(self.mask_img_, smoothing_fwhm=self.smoothing_fwhm)

    def scans(self, image: Any, kept: NDArray[np.bool_] | None = None) -> Scans:  # noqa: ARG002
        """Return an image as a source of rows."""
        return array_scans(np.atleast_2d(self.transform(image)))

    def transform(self, imgs: Any, sample_mask: ArrayLike | None = None) -> NDArray[Any]:
        """Return the vertices of one image or of a list, shape ``(V,)`` or ``(T, V)``."""
        if isinstance(imgs, list | tuple):
            return np.vstack([np.atleast_2d(self.transform(image)) for image in imgs])
        check_same_mesh(self.template, imgs)
        picked = [self._part(imgs, name)[mask] for name, mask in self.parts.items()]
        rows = np.concatenate(picked, axis=0).T
        return rows if sample_mask is None else rows[np.asarray(sample_mask)]

    def _part(self, image: Any, name: str) -> NDArray[Any]:
        """Return the data of one part, ``(N,)`` or ``(N, T)``, smoothed if asked."""
        data = np.asarray(image.data.parts[name])
        if not self.smoothing_fwhm:
            return data
        mesh = open_mesh(image.mesh.parts[name])
        area = float(triangle_areas(mesh.coordinates, mesh.faces).sum()) / mesh.n_vertices
        average = neighbour_average(mesh.faces, mesh.n_vertices)
        found = np.where(np.isfinite(data), data, 0.0)
        for _ in range(steps_of_fwhm(self.smoothing_fwhm, area)):
            found = average @ found
        return found

    def inverse_transform(self, values: ArrayLike) -> Any:
        """Return values ``(V,)`` or ``(K, V)`` as an image, 0 outside the mask."""
        data = np.asarray(values, dtype=np.float64)
        parts, start = {}, 0
        for name, mask in self.parts.items():
            stop = start + int(mask.sum())
            full = np.zeros(mask.shape + data.shape[:-1])
            full[mask] = data[..., start:stop].T
            parts[name], start = full, stop
        return type(self.template)(mesh=self.template.mesh, data=parts)


def surface_masker(imgs: Sequence[Any], mask: Any, fwhm: Any) -> SurfaceMasker:
    """Return the masker of surface images; see :func:`voxlm.glm.masking.make_masker`."""
    template = imgs[0]
    if fwhm is not None and np.ndim(fwhm):
        raise InputTypeError("For surface data, 'fwhm' must be a scalar.")
    width = check_fwhm(fwhm)
    if mask is None:
        parts = {name: _finite(imgs, name) for name in template.data.parts}
    elif mask is False:
        parts = {
            name: np.ones(np.shape(part)[0], dtype=np.bool_)
            for name, part in template.data.parts.items()
        }
    else:
        check_same_mesh(mask, template)
        parts = {n: np.ravel(part).astype(np.bool_) for n, part in mask.data.parts.items()}
    return SurfaceMasker(template, parts, None if width is None else width[0])


def _finite(imgs: Sequence[Any], name: str) -> NDArray[np.bool_]:
    """Return the vertices of a part that are finite in all images, with a warning for others."""
    inside = np.ones(np.shape(imgs[0].data.parts[name])[0], dtype=np.bool_)
    for image in imgs:
        data = np.asarray(image.data.parts[name])
        inside &= np.isfinite(data.reshape(len(data), -1)).all(axis=1)
    if not inside.all():
        warnings.warn(
            "Non-finite values detected in the input image. The computed mask will mask out these "
            f"vertices: {int((~inside).sum())} of the {name} part",
            VoxlmWarning,
            stacklevel=4,
        )
    return inside


def check_same_mesh(one: Any, other: Any) -> None:
    """Require that two surface images have the same numbers of vertices in the same parts."""
    kind = named_by_nilearn(VoxlmError, "MeshDimensionError")
    here = {name: part.n_vertices for name, part in one.mesh.parts.items()}
    there = {name: part.n_vertices for name, part in other.mesh.parts.items()}
    if set(here) != set(there):
        raise kind(f"PolyMeshes do not have the same keys: {sorted(here)}, {sorted(there)}")
    if here != there:
        raise kind(f"Number of vertices do not match for between meshes: {here}, {there}")
