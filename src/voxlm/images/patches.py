"""What surfaces and grayordinates have in common: columns on pieces of brain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from voxlm.errors import DataError, did_you_mean
from voxlm.images.meshes import Mesh
from voxlm.images.nifti import container
from voxlm.images.parts import (
    Lump,
    Part,
    Sheet,
    joined_graph,
    joined_places,
    joined_sizes,
    same_part,
    starts,
)

if TYPE_CHECKING:
    from scipy import sparse

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Patches:
    """Columns on pieces of brain, one piece after the other.

    Parameters
    ----------
    parts : tuple of Sheet or Lump
        The pieces, with the vertices and voxels that are in.
    """

    parts: tuple[Part, ...]

    kind: ClassVar[str] = "patches"
    part_name: ClassVar[str] = "part"
    unit: ClassVar[str] = "vertices"
    counted: ClassVar[str] = "vertices"
    grid: ClassVar[None] = None

    @property
    def n_voxels(self) -> int:
        """Number of columns, V."""
        return sum(part.n for part in self.parts)

    @property
    def sizes(self) -> Floats | None:
        """Area in mm² of each vertex and volume in mm³ of each voxel; None without surfaces."""
        return joined_sizes(self.parts)

    @property
    def linked(self) -> bool:
        """Whether it is known who is next to whom: the surface of every sheet was given."""
        return all(isinstance(part, Lump) or part.mesh is not None for part in self.parts)

    @property
    def places(self) -> Floats | None:
        """Places in millimetres, shape ``(V, 3)``; None without surfaces."""
        return joined_places(self.parts)

    @property
    def mesh(self) -> dict[str, Mesh]:
        """The surfaces that were given, by the name of their piece."""
        return {
            part.name: part.mesh
            for part in self.parts
            if isinstance(part, Sheet) and part.mesh is not None
        }

    def told(self, column: int) -> str:
        """Say where a column is."""
        place = {name: found[0] for name, found in self.where([column]).items()}
        at = [place[axis] for axis in "xyz"] if "x" in place else []
        number = place["vertex"]
        said = f"{place[self.part_name]} vertex {number}"
        if number is pd.NA:
            said = f"voxel of {place[self.part_name]}"
        if not np.isfinite(at).all() or not at:
            return said
        return f"{said} at ({at[0]:.0f}, {at[1]:.0f}, {at[2]:.0f}) mm"

    def volume(self, values: ArrayLike) -> Any:
        """Return what of a map lies in voxels, as an image, NaN as 0; None where nothing does."""
        lumps = [
            (part, start)
            for part, start in zip(self.parts, starts(self.parts), strict=False)
            if isinstance(part, Lump) and part.n
        ]
        if not lumps:
            return None
        shown = np.nan_to_num(np.asarray(values, dtype=np.float64))
        full = np.zeros(lumps[0][0].shape, dtype=np.float32)
        for part, start in lumps:
            full[tuple(part.voxels.T)] = shown[start : start + part.n]
        return container(full, lumps[0][0].affine)

    def sheets(self, values: ArrayLike) -> dict[str, tuple[Mesh, Floats]]:
        """Return a map, shape ``(V,)``, as all vertices of each surface, NaN outside the mask.

        Returns
        -------
        dict
            By ``"left"`` and ``"right"``: the mesh and the values, shape ``(N,)``; empty without
            surfaces.
        """
        found = {}
        for part, start in zip(self.parts, starts(self.parts), strict=False):
            if isinstance(part, Sheet) and part.mesh is not None:
                full = np.full(part.n_vertices, np.nan)
                full[part.vertices] = np.asarray(values)[start : start + part.n]
                found["right" if part.name.lower().endswith("right") else "left"] = part.mesh, full
        return found

    def graph(self, connectivity: int = 6) -> sparse.csr_array:
        """Return who is next to whom, shape ``(V, V)``; pieces are not connected.

        Parameters
        ----------
        connectivity : {6, 18, 26}
            Of voxels; vertices are neighbours if they share an edge.

        Raises
        ------
        DataError
            If a surface is needed and was not given.
        """
        return joined_graph(self.parts, connectivity)

    def where(self, columns: ArrayLike) -> dict[str, NDArray[Any]]:
        """Return what a table says of places: the piece, the vertex, millimetres where known."""
        at = np.atleast_1d(np.asarray(columns, dtype=np.int64))
        edges = starts(self.parts)
        which = np.searchsorted(edges, at, side="right") - 1
        names = np.array([part.name for part in self.parts], dtype=object)[which]
        vertex, places = np.full(at.size, -1), np.full((at.size, 3), np.nan)
        for k, part in enumerate(self.parts):
            here = which == k
            if not here.any():
                continue
            within = at[here] - edges[k]
            if isinstance(part, Sheet):
                vertex[here] = part.vertices[within]
            known = part.places
            if known is not None:
                places[here] = known[within]
        number = pd.array(np.where(vertex < 0, 0, vertex), dtype="Int64")
        number[vertex < 0] = pd.NA
        found: dict[str, Any] = {self.part_name: names, "vertex": number}
        if self.mesh or any(isinstance(part, Lump) for part in self.parts):
            found |= dict(zip("xyz", places.T, strict=True))
        return found

    def extents(
        self, columns: ArrayLike, counts: ArrayLike, sizes: ArrayLike | None = None
    ) -> dict[str, Any]:
        """Return what a table says of clusters: their counts, mm² on sheets and mm³ in lumps."""
        at = np.asarray(columns, dtype=np.int64)
        found: dict[str, Any] = {self.unit: np.asarray(counts)}
        if sizes is None:
            return found
        which = np.searchsorted(starts(self.parts), at, side="right") - 1
        flat = np.array([isinstance(part, Sheet) for part in self.parts], dtype=np.bool_)[which]
        extent = np.asarray(sizes, dtype=np.float64)
        if any(isinstance(part, Sheet) for part in self.parts):
            found["mm2"] = np.where(flat, extent, np.nan)
        if any(isinstance(part, Lump) for part in self.parts):
            found["mm3"] = np.where(flat, np.nan, extent)
        return found

    def differs(self, other: object) -> str:
        """Say how another space differs from this one; empty if it has the same columns."""
        if not isinstance(other, Patches) or type(other) is not type(self):
            return f"one is {self.kind}, the other {other!r}"
        here, there = ([part.name for part in space.parts] for space in (self, other))
        if here != there:
            return f"they have different pieces, {', '.join(there)} and {', '.join(here)}"
        for one, two in zip(self.parts, other.parts, strict=True):
            if not same_part(one, two):
                return (
                    f"they have different {self.unit} of {one.name}, {two.n:,} and {one.n:,} in "
                    "the mask"
                )
        return ""

    def index(self, i: int | str, j: int | None = None, k: int | None = None) -> int:
        """Return a column.

        Parameters
        ----------
        i : str or int
            Name of a piece, or the number of a column; of a voxel its first grid index.
        j : int, optional
            The vertex of a piece that is named; of a voxel its second grid index.
        k : int, optional
            Of a voxel its third grid index.

        Raises
        ------
        DataError
            If there is no such place, or it is outside the mask.
        """
        if k is not None:
            return self._voxel((int(i), int(j or 0), int(k)))
        if isinstance(i, str):
            return self._vertex(i, j)
        if j is not None:
            raise DataError(f"a vertex is a {self.part_name} and a number, such as "
                            f"({self.parts[0].name!r}, {j}); got ({i}, {j})")  # fmt: skip
        if not 0 <= int(i) < self.n_voxels:
            raise DataError(f"column {i} does not exist: columns go from 0 to {self.n_voxels - 1}")
        return int(i)

    def _vertex(self, name: str, number: int | None) -> int:
        sheets = {p.name: (p, at) for p, at in zip(self.parts, starts(self.parts), strict=False)}
        if name not in sheets or not isinstance(sheets[name][0], Sheet):
            raise DataError(f"no {self.part_name} {name!r}; {did_you_mean(name, list(sheets))}")
        part, start = sheets[name]
        assert isinstance(part, Sheet)
        if number is None or not 0 <= number < part.n_vertices:
            raise DataError(f"{name} has the vertices 0 to {part.n_vertices - 1}; got {number}")
        at = int(np.searchsorted(part.vertices, number))
        if at == part.n or part.vertices[at] != number:
            raise DataError(f"vertex {number} of {name} is outside the mask ({part.n:,} vertices)")
        return int(start) + at

    def _voxel(self, place: tuple[int, int, int]) -> int:
        for part, start in zip(self.parts, starts(self.parts), strict=False):
            if isinstance(part, Lump):
                here = np.flatnonzero((part.voxels == np.array(place)).all(axis=1))
                if here.size:
                    return int(start + here[0])
        raise DataError(f"voxel {place} is in none of the {len(self.parts)} pieces")

    def index_mm(self, x: float, y: float, z: float) -> int:
        """Return the column nearest to a place in millimetres.

        Raises
        ------
        DataError
            If the places of vertices are not known.
        """
        places = self.places
        if places is None:
            raise DataError(
                f"({x:g}, {y:g}, {z:g}) mm: vertices have no places without their surfaces; give "
                "mesh=, or the number of a vertex"
            )
        return int(((places - np.array([x, y, z])) ** 2).sum(axis=1).argmin())

    def _spread(self, values: NDArray[Any], at: int, size: int, kept: ArrayLike) -> NDArray[Any]:
        """Put a piece's columns, from ``at`` on, among ``size`` places; 0 elsewhere."""
        where = np.asarray(kept)
        n = int(where.sum()) if where.dtype == np.bool_ else where.size
        full = np.zeros((*values.shape[:-1], size), dtype=values.dtype)
        full[..., where] = values[..., at : at + n]
        return full


def check_values(values: NDArray[Any], space: Any) -> NDArray[Any]:
    """Return maps of shape ``(V,)`` or ``(K, V)``.

    Raises
    ------
    DataError
        For another shape.
    """
    if values.ndim not in (1, 2) or values.shape[-1] != space.n_voxels:
        raise DataError(
            f"values of shape {values.shape} do not fit {space.n_voxels:,} {space.unit}; "
            f"expected ({space.n_voxels},) or (K, {space.n_voxels})"
        )
    return values


def named(parts: Sequence[Part]) -> str:
    """Return pieces and their sizes in words."""
    shown = [f"{part.name} {part.n:,}" for part in parts[:4]]
    return ", ".join(shown) + (f", and {len(parts) - 4} more" if len(parts) > 4 else "")
