"""A single map, whatever it lies on: its space, its values, and what its file says they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxlm.errors import DataError
from voxlm.images.intent import INTENTS
from voxlm.images.mask import open_mask, read_mask
from voxlm.images.opening import Opened, open_image
from voxlm.images.patchopening import (
    OpenedPatches,
    columns_of,
    is_patches,
    masked,
    open_patch_mask,
    open_patches,
    read_patch_mask,
)
from voxlm.images.space import Space, Volume
from voxlm.images.volumes import read_row, reader

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Declared = tuple[str | None, tuple[float, ...]]

NAMES = {INTENTS[name].code: name for name in ("z", "t", "F", "p")}


@dataclass(frozen=True, slots=True, eq=False)
class SingleMap:
    """One map that was read.

    Parameters
    ----------
    name : str
        What messages call it.
    space : Space
        Where its voxels lie; V of them.
    values : ndarray, shape (V,)
    kind : {"z", "t", "F", "p"} or None
        What the file says the values are.
    df : tuple of float
        Its degrees of freedom there: one of t, numerator and denominator of F.
    """

    name: str
    space: Space
    values: Floats
    kind: str | None
    df: tuple[float, ...]


def read_single(source: Any, mask: Any = None, mesh: Any = None) -> SingleMap:
    """Read one map.

    Parameters
    ----------
    source : path, image, or pair of them
        A volume; maps of the hemispheres (``.func.gii``); grayordinates (``.dscalar.nii``).
    mask : of the same kind, optional
        Left out, places that are finite and not 0 are in.
    mesh : as for :class:`voxlm.Run`, optional
        The surfaces of the hemispheres.

    Raises
    ------
    DataError
        Several maps, none with a value, a mask or a mesh of another kind.
    """
    if is_patches(source):
        return _on_patches(open_patches(source, "map", mesh), mask)
    if mesh is not None:
        raise DataError("mesh= goes with maps on surfaces (.gii) and grayordinates")
    return _on_grid(open_image(source, "map"), mask)


def _on_grid(found: Opened, mask: Any) -> SingleMap:
    if found.n_scans != 1 or len(found.shape) < 3 or len(found.shape) > 4:
        raise DataError(
            f"threshold takes one map of three axes; {found.name} has shape {found.shape}"
            + (": give one of its volumes" if found.n_scans > 1 else "")
        )
    grid = Volume(np.ones(found.grid, dtype=np.bool_), found.affine, found.header)
    values = np.empty(grid.n_voxels)
    read_row(reader(grid), found, values)
    given = None if mask is None else read_mask(open_mask(mask, found)).ravel()
    inside = _inside(values, given, found.name)
    space = Volume(inside.reshape(found.grid), found.affine, found.header)
    code = int(found.header["intent_code"])
    df = tuple(float(found.header[f"intent_p{k}"]) for k in (1, 2))
    return SingleMap(found.name, space, values[inside], *_declared(code, df))


def _on_patches(found: OpenedPatches, mask: Any) -> SingleMap:
    if found.n_scans != 1:
        raise DataError(
            f"threshold takes one map; {found.name} has {found.n_scans}: give one of them"
        )
    values = found.row()
    given = None if mask is None else read_patch_mask(open_patch_mask(mask, found))
    space = masked(found.space, _inside(values, given, found.name))
    return SingleMap(
        found.name, space, values[columns_of(found, space)], *_declared(*found.declared)
    )


def _inside(values: Floats, given: Bools | None, name: str) -> Bools:
    inside = np.isfinite(values) & (values != 0) if given is None else given
    if not (inside & np.isfinite(values)).any():
        raise DataError(f"{name} has no voxel that is finite and not 0: nothing to correct")
    return inside


def _declared(code: int, df: tuple[float, ...]) -> Declared:
    """Return what a code stands for, with as many degrees of freedom as it has."""
    kind = NAMES.get(code)
    return kind, df[: INTENTS[kind].n_df] if kind else ()
