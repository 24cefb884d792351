"""Pieces of brain that data lie on: sheets of vertices and lumps of voxels.

A surface is two sheets; grayordinates are sheets and lumps. What is next to what, how large each
column is and how values diffuse is settled piece by piece: nothing crosses from one to another.

Axes: V columns of all pieces in their order, n columns of one piece, N vertices of a whole mesh.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from voxlm.errors import DataError
from voxlm.images.meshes import Mesh
from voxlm.images.smoothing import FWHM_PER_SIGMA
from voxlm.images.volume import check_connectivity
from voxlm.kernels.diffuse import Diffusion, diffusion, grid_stiffness
from voxlm.kernels.graph import volume_graph
from voxlm.kernels.mesh import mesh_graph, mesh_stiffness, vertex_areas

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NO_MESH = (
    "{name}: nobody said which vertices are next to each other: give the surfaces, "
    "mesh=('lh.surf.gii', 'rh.surf.gii')"
)


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """Vertices of a mesh.

    Parameters
    ----------
    name : str
        ``"left"``, ``"right"``, or a structure such as ``"CORTEX_LEFT"``.
    vertices : ndarray of int, shape (n,)
        Numbers of the vertices that are in, increasing.
    n_vertices : int
        Vertices of the whole mesh, N.
    mesh : Mesh, optional
        Where they lie and who is next to whom.
    """

    name: str
    vertices: Ints
    n_vertices: int
    mesh: Mesh | None = None

    @property
    def n(self) -> int:
        """Number of columns."""
        return self.vertices.size

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Which vertices of the mesh are in, shape ``(N,)``."""
        inside = np.zeros(self.n_vertices, dtype=np.bool_)
        inside[self.vertices] = True
        return inside

    @property
    def places(self) -> Floats | None:
        """Coordinates, shape ``(n, 3)``, in millimetres."""
        return None if self.mesh is None else self.mesh.coordinates[self.vertices]

    @property
    def sizes(self) -> Floats | None:
        """Areas in mm², shape ``(n,)``: of each triangle a third goes to each corner."""
        if self.mesh is None:
            return None
        return vertex_areas(self.mesh.coordinates, self.mesh.faces)[self.vertices]

    def graph(self, connectivity: int) -> scipy.sparse.csr_array:
        """Return which vertices share an edge; the ``connectivity`` is of voxels."""
        del connectivity
        return mesh_graph(self._mesh().faces, self.inside)

    def stiffness(self) -> tuple[scipy.sparse.csr_array, Floats]:
        """Return the Laplacian and the masses that values diffuse by."""
        mesh = self._mesh()
        return mesh_stiffness(mesh.coordinates, mesh.faces, self.inside)

    def only(self, kept: NDArray[np.bool_]) -> Sheet:
        """Return the same mesh with some of the vertices."""
        return replace(self, vertices=self.vertices[kept])

    def _mesh(self) -> Mesh:
        if self.mesh is None:
            raise DataError(NO_MESH.format(name=self.name))
        return self.mesh


@dataclass(frozen=True, slots=True, eq=False)
class Lump:
    """Voxels of one structure.

    Parameters
    ----------
    name : str
        Such as ``"THALAMUS_LEFT"``.
    voxels : ndarray of int, shape (n, 3)
        Grid indices.
    shape : tuple of int
        The grid.
    affine : ndarray, shape (4, 4)
        Grid indices to millimetres.
    """

    name: str
    voxels: Ints
    shape: tuple[int, int, int]
    affine: Floats

    @property
    def n(self) -> int:
        """Number of columns."""
        return len(self.voxels)

    @property
    def places(self) -> Floats:
        """Centres, shape ``(n, 3)``, in millimetres."""
        return np.asarray(self.voxels @ self.affine[:3, :3].T + self.affine[:3, 3])

    @property
    def voxel_sizes(self) -> Floats:
        """Edge lengths in millimetres, shape ``(3,)``."""
        return np.asarray(np.linalg.norm(self.affine[:3, :3], axis=0))

    @property
    def sizes(self) -> Floats:
        """Volumes in mm³, shape ``(n,)``."""
        return np.full(self.n, np.prod(self.voxel_sizes))

    def graph(self, connectivity: int) -> scipy.sparse.csr_array:
        """Return which voxels are neighbours."""
        flat = np.ravel_multi_index(tuple(self.voxels.T), self.shape)
        order = np.argsort(flat)
        back = np.argsort(order)
        found = volume_graph(self.shape, flat[order], check_connectivity(connectivity))
        return scipy.sparse.csr_array(found[back][:, back])

    def stiffness(self) -> tuple[scipy.sparse.csr_array, Floats]:
        """Return the Laplacian and the masses that values diffuse by."""
        return grid_stiffness(self.graph(6), self.voxels, self.voxel_sizes), self.sizes

    def only(self, kept: NDArray[np.bool_]) -> Lump:
        """Return the same grid with some of the voxels."""
        return replace(self, voxels=self.voxels[kept])


Part = Sheet | Lump


def starts(parts: Sequence[Part]) -> Ints:
    """Return the first column of each piece, and V, shape ``(pieces + 1,)``."""
    return np.concatenate([[0], np.cumsum([part.n for part in parts])]).astype(np.int64)


def joined_graph(parts: Sequence[Part], connectivity: int) -> scipy.sparse.csr_array:
    """Return who is next to whom, shape ``(V, V)``; pieces are not connected."""
    graphs = [part.graph(connectivity) for part in parts if part.n]
    found = scipy.sparse.csr_array(scipy.sparse.block_diag(graphs, format="csr", dtype=np.bool_))
    found.sort_indices()
    return found


def joined_sizes(parts: Sequence[Part]) -> Floats | None:
    """Return areas (mm²) of vertices and volumes (mm³) of voxels; None without all surfaces."""
    sizes = [part.sizes for part in parts]
    known = [size for size in sizes if size is not None]
    return np.concatenate(known) if len(known) == len(sizes) else None


def joined_places(parts: Sequence[Part]) -> Floats | None:
    """Return places in millimetres, shape ``(V, 3)``; None without all surfaces."""
    places = [part.places for part in parts]
    known = [place for place in places if place is not None]
    return np.concatenate(known) if len(known) == len(places) else None


def joined_diffusion(parts: Sequence[Part], fwhm: float) -> Diffusion:
    """Plan smoothing within each piece, by the heat that a Gaussian of a width amounts to.

    Parameters
    ----------
    parts : sequence of Sheet or Lump
    fwhm : float
        Full width at half maximum in millimetres.

    Raises
    ------
    DataError
        If a sheet has no mesh.
    """
    found = [part.stiffness() for part in parts if part.n]
    stiffness = scipy.sparse.block_diag([one for one, _ in found], format="csr")
    mass = np.concatenate([mass for _, mass in found])
    return diffusion(scipy.sparse.csr_array(stiffness), mass, 0.5 * (fwhm / FWHM_PER_SIGMA) ** 2)


def only_parts(parts: Sequence[Part], kept: ArrayLike) -> tuple[Part, ...]:
    """Return the pieces with the columns that are kept, shape ``(V,)``."""
    inside = np.asarray(kept, dtype=np.bool_)
    edges = starts(parts)
    return tuple(
        part.only(inside[start:stop])
        for part, start, stop in zip(parts, edges[:-1], edges[1:], strict=True)
    )


def same_part(one: Part, other: Part) -> bool:
    """Tell whether two pieces have the same columns, whatever mesh they are drawn on."""
    if isinstance(one, Sheet) and isinstance(other, Sheet):
        same = one.n_vertices == other.n_vertices
        return bool(same and np.array_equal(one.vertices, other.vertices))
    if isinstance(one, Lump) and isinstance(other, Lump):
        same = one.shape == other.shape and np.allclose(one.affine, other.affine)
        return bool(same and np.array_equal(one.voxels, other.voxels))
    return False
