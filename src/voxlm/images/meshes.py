"""Surfaces: meshes of hemispheres, and which file is of which side."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxlm.errors import DataError
from voxlm.images.gifti import is_gifti, read_surface, side_of, side_within

SIDES = ("left", "right")


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """A triangle mesh.

    Parameters
    ----------
    coordinates : ndarray, shape (N, 3)
        Places of the vertices in millimetres.
    faces : ndarray of int, shape (F, 3)
        Vertices of each triangle.
    name : str
        What messages call it.

    Examples
    --------
    >>> Mesh(np.eye(3), np.array([[0, 1, 2]]))
    Mesh(3 vertices, 1 triangles)
    """

    coordinates: NDArray[np.float64]
    faces: NDArray[np.int64]
    name: str = "a mesh"

    def __post_init__(self) -> None:
        places = np.array(self.coordinates, dtype=np.float64)
        faces = np.array(self.faces, dtype=np.int64)
        if places.ndim != 2 or places.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3:
            raise DataError(
                f"{self.name}: a mesh has coordinates (N, 3) and triangles (F, 3); got shapes "
                f"{places.shape} and {faces.shape}"
            )
        if faces.size and not 0 <= faces.min() <= faces.max() < len(places):
            raise DataError(
                f"{self.name}: triangles name vertices {faces.min()} to {faces.max()}, but there "
                f"are {len(places):,}"
            )
        if not np.isfinite(places).all():
            raise DataError(f"{self.name}: coordinates are not finite")
        for array in (places, faces):
            array.setflags(write=False)
        object.__setattr__(self, "coordinates", places)
        object.__setattr__(self, "faces", faces)

    @property
    def n_vertices(self) -> int:
        """Number of vertices, N."""
        return len(self.coordinates)

    def __repr__(self) -> str:
        return f"Mesh({self.n_vertices:,} vertices, {len(self.faces):,} triangles)"


def by_side(given: Any, role: str, side: str | None = None) -> dict[str, Any]:
    """Say which of the sources given is of which hemisphere.

    Parameters
    ----------
    given : pair (left, right), dict, one source, or an object with ``parts``
        Paths or nibabel images.
    role : str
        What they are, in messages.
    side : {"left", "right"}, optional
        Of one source that says nowhere which it is of.

    Returns
    -------
    dict
        By ``"left"`` and ``"right"``, left first; of one source its side alone.

    Raises
    ------
    DataError
        If a side is missing or given twice, or a file says that it is of the other one.

    Examples
    --------
    >>> by_side(("lh.func.gii", "rh.func.gii"), "bold")
    {'left': 'lh.func.gii', 'right': 'rh.func.gii'}
    >>> by_side("sub-01_hemi-R_bold.func.gii", "bold")
    {'right': 'sub-01_hemi-R_bold.func.gii'}
    """
    parts = getattr(given, "parts", None)  # of a path it is a tuple of names
    parts = parts if isinstance(parts, Mapping) else given
    if isinstance(parts, Mapping):
        wrong = [name for name in parts if name not in SIDES]
        if wrong or not parts:
            raise DataError(f"{role} by hemisphere has the keys 'left' and 'right'; got {wrong!r}")
        found = {side: parts[side] for side in SIDES if side in parts}
    elif isinstance(parts, list | tuple):
        if len(parts) != 2:
            raise DataError(
                f"{role} has {len(parts)} hemispheres; give a pair (left, right), or "
                "{'left': …} or {'right': …} for one"
            )
        found = dict(zip(SIDES, parts, strict=True))
    else:
        return {_only_side(parts, role, side): parts}
    for side, source in found.items():
        said = side_of(source)
        if said not in (None, side):
            raise DataError(
                f"{role}: the hemispheres are swapped: {_name(source)} is given as the {side} one "
                f"and says that it is the {said} one. A pair is (left, right)"
            )
    return found


def said_side(source: Any, role: str) -> str | None:
    """Return the hemisphere that a source says it is of, in its name or inside."""
    said = side_of(source)
    if said is None and isinstance(source, str | os.PathLike) and is_gifti(source):
        return side_within(Path(source).expanduser(), role)
    return said


def mesh_side(given: Any) -> str | None:
    """Return the hemisphere that a mesh is of, where it is of one alone and says so."""
    parts = getattr(given, "parts", None)
    parts = parts if isinstance(parts, Mapping) else given
    if isinstance(parts, Mapping):
        return next(iter(parts)) if len(parts) == 1 else None
    return None if isinstance(parts, list | tuple) else said_side(parts, "mesh")


def _only_side(source: Any, role: str, side: str | None) -> str:
    side = said_side(source, role) or side
    if side is None:
        raise DataError(
            f"{role} {_name(source)}: which hemisphere it is of is written neither in its name "
            "(hemi-L, lh., .L.) nor inside; say {'left': …} or {'right': …}, "
            "in a command --hemisphere left or right"
        )
    return side


def _name(source: Any) -> str:
    return str(source) if isinstance(source, str | os.PathLike) else type(source).__name__


def open_meshes(given: Any, side: str | None = None) -> dict[str, Mesh]:
    """Read the surfaces of the hemispheres.

    Parameters
    ----------
    given : as for :func:`by_side`, or None
        ``.surf.gii`` files, nibabel images of them, or objects with ``coordinates`` and ``faces``
        such as nilearn's meshes. ``(coordinates, faces)`` of arrays for one in a dict.
    side : {"left", "right"}, optional
        Of one that says nowhere which it is of.

    Returns
    -------
    dict of Mesh
        Empty for None.
    """
    if given is None:
        return {}
    return {side: open_mesh(one) for side, one in by_side(given, "mesh", side).items()}


def open_mesh(source: Any) -> Mesh:
    """Read one surface."""
    if isinstance(source, Mesh):
        return source
    if is_gifti(source):
        return Mesh(*read_surface(source), name=f"mesh {_name(source)}")
    if hasattr(source, "coordinates") and hasattr(source, "faces"):
        return Mesh(source.coordinates, source.faces, "mesh")
    if isinstance(source, tuple | list) and len(source) == 2:
        return Mesh(np.asarray(source[0]), np.asarray(source[1]), "mesh")
    raise DataError(
        f"mesh= takes .surf.gii files, nibabel images of them, or objects with coordinates and "
        f"faces; got {_name(source)}"
    )


def mesh_files(given: Any) -> list[tuple[str, Path]]:
    """Return the files among what was given, for the record."""
    if given is None:
        return []
    found = by_side(given, "mesh", SIDES[0]).values()  # whichever it is
    return [("mesh", Path(one)) for one in found if isinstance(one, str | os.PathLike)]
