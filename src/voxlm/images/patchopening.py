"""Surfaces and grayordinates opened as far as their headers: what they lie on, how to read them.

Axes: T scans, G places of the files (all vertices, all grayordinates), V of them in the mask.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxlm.errors import DataError
from voxlm.images.cifti import CiftiFile, is_cifti, open_cifti, parts_of
from voxlm.images.gifti import GiftiFile, gifti_rows, is_gifti, open_gifti
from voxlm.images.grayordinates import Grayordinates
from voxlm.images.meshes import SIDES, Mesh, by_side, mesh_side, open_meshes
from voxlm.images.parts import Sheet, only_parts
from voxlm.images.surface import Surface

Floats = NDArray[np.float64]
Block = tuple[int, Floats]
PatchSpace = Surface | Grayordinates
AGREE_S = 1e-3  # seconds: time steps of two hemispheres that differ by less are the same


@dataclass(frozen=True, slots=True, eq=False)
class OpenedPatches:
    """Data on a surface or on grayordinates whose values have not been read.

    Parameters
    ----------
    name : str
        What messages call it.
    files : tuple of GiftiFile, or of one CiftiFile
        In the order of the pieces.
    space : Surface or Grayordinates
        All places, without a mask.
    """

    name: str
    files: tuple[GiftiFile, ...] | tuple[CiftiFile]
    space: PatchSpace

    @property
    def n_scans(self) -> int:
        """Number of scans, T."""
        return self.files[0].n_scans

    @property
    def time_step(self) -> float | None:
        """Seconds from scan to scan, where the files say so."""
        return self.files[0].time_step

    @property
    def declared(self) -> tuple[int, tuple[float, ...]]:
        """NIfTI code of what the values are said to be, and its parameters."""
        return self.files[0].declared

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files."""
        return tuple(file.path for file in self.files if file.path is not None)

    @property
    def path(self) -> Path | None:
        """The first file."""
        return self.files[0].path

    def blocks(self, size: int = 16) -> Generator[Block, None, None]:
        """Give ``(start, rows)`` in scan order, rows ``(t, G)``, used again for the next."""
        first = self.files[0]
        if isinstance(first, CiftiFile):
            yield from first.blocks(size)
            return
        G = self.space.n_voxels
        rows = np.empty((min(size, self.n_scans), G))
        filled = start = 0
        for row in _joined(self.files):  # type: ignore[arg-type]
            at = 0
            for part in row:
                rows[filled, at : at + part.size] = part
                at += part.size
            filled += 1
            if filled == len(rows):
                yield start, rows
                start, filled = start + filled, 0
        if filled:
            yield start, rows[:filled]

    @property
    def only_side(self) -> str | None:
        """The hemisphere, where there is one alone."""
        sheets = self.space.parts
        alone = isinstance(self.space, Surface) and len(sheets) == 1
        return sheets[0].name if alone else None  # type: ignore[union-attr]

    def row(self) -> Floats:
        """Read a single map, shape ``(G,)``."""
        with closing(self.blocks(1)) as found:
            return next(found)[1][0].copy()


def _joined(files: tuple[GiftiFile, ...]) -> Iterator[tuple[NDArray[Any], ...]]:
    """Give the rows of all hemispheres together."""
    yield from zip(*(gifti_rows(file) for file in files), strict=True)


def is_patches(source: object) -> bool:
    """Tell whether something is data on a surface or on grayordinates.

    Examples
    --------
    >>> is_patches(("lh.func.gii", "rh.func.gii")), is_patches("bold.nii.gz")
    (True, False)
    """
    if is_gifti(source) or is_cifti(source) or is_surface_image(source):
        return True
    if isinstance(source, dict):
        return True
    pair = isinstance(source, list | tuple) and len(source) == len(SIDES)
    return pair and all(is_gifti(one) for one in source)  # type: ignore[attr-defined]


def is_surface_image(thing: object) -> bool:
    """Tell whether something is data on the vertices of meshes, as nilearn's ``SurfaceImage``."""
    return hasattr(thing, "mesh") and hasattr(getattr(thing, "data", None), "parts")


def open_patches(
    source: Any, role: str, mesh: Any = None, side: str | None = None
) -> OpenedPatches:
    """Open data on a surface or on grayordinates.

    Parameters
    ----------
    source : GIFTI, a pair (left, right) or dict of them, SurfaceImage, or CIFTI
        Paths or images in memory.
    role : str
        What it is for, in messages.
    mesh : as for :func:`voxlm.images.meshes.open_meshes`
        The surfaces; a ``SurfaceImage`` brings its own.
    side : {"left", "right"}, optional
        Of a single file that does not say; left out, that of a single mesh.

    Raises
    ------
    DataError
        If a file cannot be read, hemispheres have other numbers of scans, or a mesh does not fit.
    """
    if is_cifti(source):
        file = open_cifti(source, role)
        parts = parts_of(file.models, open_meshes(mesh), file.name)
        space = Grayordinates(parts, np.ones(file.n_places, dtype=np.bool_), file.models)
        return OpenedPatches(file.name, (file,), space)
    template = source if is_surface_image(source) else None
    mesh = source.mesh if template is not None and mesh is None else mesh
    given = by_side(source.data if template is not None else source, role, side or mesh_side(mesh))
    meshes = open_meshes(mesh, next(iter(given)) if len(given) == 1 else None)
    files = {}
    for part, one in given.items():
        if template is None:
            _check_gifti(one, role)
            files[part] = open_gifti(one, role, part)
        else:
            rows = np.atleast_2d(np.asarray(one).T)
            files[part] = GiftiFile(f"SurfaceImage, {part}", len(rows), rows.shape[1], rows=rows)
    _check_pair(files, role)
    sheets = tuple(_sheet(side, file, meshes.pop(side, None)) for side, file in files.items())
    if meshes:
        raise DataError(f"mesh= gives the {', '.join(meshes)} surface, but {role} has no such side")
    name = " + ".join(file.name for file in files.values())
    return OpenedPatches(name, tuple(files.values()), Surface(sheets, template))


def _check_gifti(source: Any, role: str) -> None:
    if not is_gifti(source):
        kind = source if isinstance(source, str | os.PathLike) else type(source).__name__
        raise DataError(f"{role} of a hemisphere is a .gii file or a GiftiImage; got {kind}")


def _check_pair(files: dict[str, GiftiFile], role: str) -> None:
    counts = {side: file.n_scans for side, file in files.items()}
    if len(set(counts.values())) > 1:
        raise DataError(f"{role}: the hemispheres have different numbers of scans: {counts}")
    steps = [file.time_step for file in files.values() if file.time_step is not None]
    if steps and max(steps) - min(steps) > AGREE_S:
        raise DataError(f"{role}: the hemispheres have different time steps: {steps} s")


def _sheet(side: str, file: GiftiFile, mesh: Mesh | None) -> Sheet:
    N = file.n_vertices
    if mesh is not None and mesh.n_vertices != N:
        raise DataError(
            f"{mesh.name} has {mesh.n_vertices:,} vertices, but {file.name} has {N:,}: they are of "
            f"different surfaces (the {side} hemisphere)"
        )
    return Sheet(side, np.arange(N), N, mesh)


def open_patch_mask(mask: Any, data: OpenedPatches) -> OpenedPatches:
    """Open a mask for data, and check that it lies on the same places.

    Raises
    ------
    DataError
        If it cannot be read, is not one map, or lies on other places.
    """
    if not is_patches(mask):
        kind = mask if isinstance(mask, str | os.PathLike) else type(mask).__name__
        raise DataError(
            f"mask {kind} is no map of {data.space.unit}; data of {data.space.kind} need a mask of "
            "the same kind: a pair of .gii files, or a .dscalar.nii"
        )
    opened = open_patches(mask, "mask", side=data.only_side)
    if opened.n_scans != 1:
        raise DataError(f"mask {opened.name} has {opened.n_scans} maps; a mask is one")
    why = data.space.differs(opened.space)
    if why:
        raise DataError(f"mask {opened.name} does not fit {data.name}: {why}")
    return opened


def read_patch_mask(opened: OpenedPatches) -> NDArray[np.bool_]:
    """Read a mask: places that are neither 0 nor NaN are in, shape ``(G,)``.

    Raises
    ------
    DataError
        If none is.
    """
    values = opened.row()
    inside = (values != 0) & ~np.isnan(values)
    if not inside.any():
        raise DataError(f"mask {opened.name} is empty: all of its {inside.size:,} values are 0")
    return inside


def masked(space: PatchSpace, inside: NDArray[np.bool_]) -> PatchSpace:
    """Return the places of a space that a mask, shape ``(G,)``, has in."""
    parts = only_parts(space.parts, inside)
    if isinstance(space, Grayordinates):
        return replace(space, parts=parts, kept=inside)
    return replace(space, parts=parts)


def columns_of(opened: OpenedPatches, space: PatchSpace) -> NDArray[np.int64]:
    """Return which of the file's places the columns of a masked space are, shape ``(V,)``."""
    if isinstance(space, Grayordinates):
        return np.flatnonzero(space.kept)
    sizes = [part.n_vertices for part in space.parts if isinstance(part, Sheet)]
    edges = np.concatenate([[0], np.cumsum(sizes)])
    assert edges[-1] == opened.space.n_voxels
    found = [
        part.vertices + start
        for part, (start, _) in zip(space.parts, pairwise(edges.tolist()), strict=True)
        if isinstance(part, Sheet)
    ]
    return np.concatenate(found)
