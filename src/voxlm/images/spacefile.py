"""Spaces on disk: what a mask file does not say, as numbers and words beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from voxlm.errors import DataError
from voxlm.images.cifti import open_cifti
from voxlm.images.grayordinates import Grayordinates
from voxlm.images.linked import Linked, linked
from voxlm.images.mask import read_mask
from voxlm.images.meshes import Mesh
from voxlm.images.opening import open_image
from voxlm.images.parts import Lump, Part, Sheet
from voxlm.images.space import Space, Table, Volume
from voxlm.images.surface import Surface

MASK = "mask"  # start of the name of the file that the mask is written to


def pack_space(space: Space, name: str, arrays: dict[str, Any]) -> dict[str, Any]:
    """Turn a space into what JSON can hold, its arrays aside.

    Parameters
    ----------
    space : Space
        Its mask is written as ``mask`` with the space's extension in the same folder.
    name : str
        Start of the names of arrays.
    arrays : dict
        Gets the arrays.

    Raises
    ------
    DataError
        For a space of another kind.

    Examples
    --------
    >>> pack_space(Table(3), "space", {})
    {'space': 'table', 'n_voxels': 3}
    """
    if isinstance(space, Volume):
        arrays[f"{name}.affine"] = space.affine
        return {"space": "volume", "affine": f"{name}.affine"}
    if isinstance(space, Table):
        return {"space": "table", "n_voxels": space.n_voxels}
    if isinstance(space, Linked):
        pairs = space.csr.tocoo()
        arrays[f"{name}.pairs"] = np.stack(pairs.coords)
        sizes = None if space.sizes is None else f"{name}.sizes"
        if sizes:
            arrays[sizes] = space.sizes
        base = pack_space(space.base, f"{name}.base", arrays)
        return {"space": "linked", "base": base, "pairs": f"{name}.pairs", "sizes": sizes}
    if isinstance(space, Surface | Grayordinates):
        parts = [_pack_part(part, f"{name}.{k}", arrays) for k, part in enumerate(space.parts)]
        if isinstance(space, Surface):
            return {"space": "surface", "parts": parts}
        arrays[f"{name}.kept"] = space.kept
        return {"space": "grayordinates", "parts": parts, "kept": f"{name}.kept"}
    raise DataError(f"a verdict over {type(space).__name__} cannot be saved: keep its maps")


def unpack_space(packed: Mapping[str, Any], arrays: Mapping[str, Any], folder: Path) -> Space:
    """Return the space that :func:`pack_space` turned into a dict."""
    kind = packed["space"]
    if kind == "table":
        return Table(packed["n_voxels"])
    if kind == "linked":
        base = unpack_space(packed["base"], arrays, folder)
        rows, columns = arrays[packed["pairs"]]
        ones = np.ones(rows.size, dtype=np.bool_)
        shape = (base.n_voxels, base.n_voxels)
        graph = scipy.sparse.csr_array((ones, (rows, columns)), shape=shape)
        return linked(base, graph, arrays[packed["sizes"]] if packed["sizes"] else None)
    if kind == "volume":
        mask = open_image(folder / f"{MASK}.nii.gz", "mask")
        return Volume(read_mask(mask), arrays[packed["affine"]], mask.header)
    parts = tuple(_unpack_part(part, arrays) for part in packed["parts"])
    if kind == "surface":
        return Surface(parts)
    models = open_cifti(folder / f"{MASK}.dscalar.nii", "mask").models
    return Grayordinates(parts, arrays[packed["kept"]], models)


def _pack_part(part: Part, name: str, arrays: dict[str, Any]) -> dict[str, Any]:
    if isinstance(part, Lump):
        arrays[f"{name}.voxels"], arrays[f"{name}.affine"] = part.voxels, part.affine
        return {"name": part.name, "at": name, "shape": list(part.shape)}
    arrays[f"{name}.vertices"] = part.vertices
    if part.mesh is not None:
        arrays[f"{name}.coordinates"] = part.mesh.coordinates
        arrays[f"{name}.faces"] = part.mesh.faces
    return {"name": part.name, "at": name, "n_vertices": part.n_vertices}


def _unpack_part(packed: Mapping[str, Any], arrays: Mapping[str, Any]) -> Part:
    name, at = packed["name"], packed["at"]
    if "shape" in packed:
        x, y, z = packed["shape"]
        return Lump(name, arrays[f"{at}.voxels"], (x, y, z), arrays[f"{at}.affine"])
    mesh = None
    if f"{at}.faces" in arrays:
        mesh = Mesh(arrays[f"{at}.coordinates"], arrays[f"{at}.faces"])
    return Sheet(name, arrays[f"{at}.vertices"], packed["n_vertices"], mesh)
