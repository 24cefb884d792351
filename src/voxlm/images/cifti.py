"""CIFTI files: the series of every grayordinate, looked at scan by scan; maps; writing.

Axes: T scans (or maps), G grayordinates of the file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.cifti2 import (
    Cifti2Header,
    Cifti2HeaderError,
    Cifti2Image,
    Cifti2Matrix,
    Cifti2MatrixIndicesMap,
    Cifti2MetaData,
    Cifti2NamedMap,
)
from numpy.typing import NDArray

from voxlm.errors import DataError
from voxlm.images.intent import INTENTS
from voxlm.images.meshes import Mesh
from voxlm.images.opening import FORMAT_ERRORS, READ_ERRORS, check_file
from voxlm.images.parts import Lump, Part, Sheet

SCALARS = "NIFTI_INTENT_CONNECTIVITY_DENSE_SCALARS"
SERIES = "CIFTI_INDEX_TYPE_SERIES"
NAMED = ("CIFTI_INDEX_TYPE_SCALARS", "CIFTI_INDEX_TYPE_LABELS")
MODELS = "CIFTI_INDEX_TYPE_BRAIN_MODELS"
PREFIX = "CIFTI_STRUCTURE_"
CORTEX = {"left": "CORTEX_LEFT", "right": "CORTEX_RIGHT"}
ENDS = (".dtseries.nii", ".dscalar.nii", ".dlabel.nii")


@dataclass(frozen=True, slots=True, eq=False)
class CiftiFile:
    """A CIFTI file of dense data, opened as far as its header.

    Parameters
    ----------
    name : str
        What messages call it.
    n_scans, n_places : int
        T and G.
    time_step : float or None
        Seconds from scan to scan, of a series.
    models : nibabel Cifti2MatrixIndicesMap
        The brain models.
    path : Path or None
        The file; None for an image in memory.
    data : ndarray, shape (T, G)
        Raw values; a file's are mapped, not read.
    slope, inter : float
        What turns raw values into data.
    declared : tuple
        NIfTI code of what the first map is said to be, and its parameters.
    """

    name: str
    n_scans: int
    n_places: int
    time_step: float | None
    models: Any
    path: Path | None
    data: NDArray[Any]
    slope: float = 1.0
    inter: float = 0.0
    declared: tuple[int, tuple[float, ...]] = (0, ())

    def blocks(self, size: int) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """Give ``(start, rows)``, rows ``(t, G)``."""
        for start in range(0, self.n_scans, size):
            raw = np.ascontiguousarray(self.data[start : start + size], dtype=np.float64)
            yield start, raw * self.slope + self.inter


def is_cifti(source: object) -> bool:
    """Tell whether something is a CIFTI file, by its name, or a CIFTI image.

    Examples
    --------
    >>> is_cifti("sub-01_bold.dtseries.nii"), is_cifti("bold.nii.gz")
    (True, False)
    """
    if isinstance(source, str | os.PathLike):
        return Path(source).name.endswith(ENDS)
    return isinstance(source, Cifti2Image)


def open_cifti(source: Any, role: str) -> CiftiFile:
    """Open a dense CIFTI file or image as far as its header.

    Parameters
    ----------
    source : path or nibabel.Cifti2Image
        ``.dtseries.nii``, ``.dscalar.nii`` or ``.dlabel.nii``.
    role : str
        What it is for, in messages.

    Raises
    ------
    DataError
        If it is missing, damaged or cut short, or has other axes.
    """
    if isinstance(source, Cifti2Image):
        data = np.asanyarray(source.dataobj)
        return _described(source, role, "Cifti2Image", None, data)
    path = Path(source).expanduser()
    check_file(path, role, "*.nii")
    try:
        image = nib.load(path)
    except (*FORMAT_ERRORS, *READ_ERRORS, Cifti2HeaderError, ValueError) as error:
        raise DataError(
            f"{role} {path} cannot be read as CIFTI: {error or type(error).__name__}. Check that "
            "the file is complete"
        ) from error
    if not isinstance(image, Cifti2Image):
        raise DataError(f"{role} {path} is {type(image).__name__}, though its name says CIFTI")
    return _described(image, role, str(path), path, _mapped(image, role, path))


def _mapped(image: Any, role: str, path: Path) -> NDArray[Any]:
    """Map the values of a file: on disk the series of one grayordinate follows the other's."""
    proxy = image.dataobj
    T, G = image.shape
    need = int(proxy.offset) + T * G * proxy.dtype.itemsize
    if path.stat().st_size < need:
        raise DataError(
            f"{role} {path} is cut short: {path.stat().st_size:,} of {need:,} bytes. Copy or "
            "download it again"
        )
    return np.memmap(path, dtype=proxy.dtype, mode="r", offset=int(proxy.offset), shape=(G, T)).T


def _described(
    image: Any, role: str, name: str, path: Path | None, data: NDArray[Any]
) -> CiftiFile:
    matrix = image.header.matrix
    kinds = [matrix.get_index_map(k).indices_map_to_data_type for k in range(len(image.shape))]
    if len(kinds) != 2 or kinds[0] not in (SERIES, *NAMED) or kinds[1] != MODELS:
        axes = " × ".join(kind.removeprefix("CIFTI_INDEX_TYPE_").lower() for kind in kinds)
        raise DataError(
            f"{role} {name} has the axes {axes}; expected series × brain_models (a dtseries) or "
            "scalars × brain_models (a dscalar)"
        )
    if data.dtype.kind not in "iuf":
        raise DataError(f"{role} {name} holds {data.dtype} values; expected real numbers")
    step = None
    if kinds[0] == SERIES:
        step = _seconds(matrix.get_index_map(0), f"{role} {name}")
    proxy = image.dataobj
    slope, inter = (float(proxy.slope), float(proxy.inter)) if path is not None else (1.0, 0.0)
    T, G = data.shape
    said = _intent_of(matrix.get_index_map(0)) if kinds[0] != SERIES else (0, ())
    return CiftiFile(name, T, G, step, matrix.get_index_map(1), path, data, slope, inter, said)


def _intent_of(maps: Any) -> tuple[int, tuple[float, ...]]:
    """Return the intent that the metadata of the first map name, as :func:`cifti_image` has it."""
    about = next((dict(one.metadata or {}) for one in maps.named_maps), {})
    intent = INTENTS.get(about.get("intent", ""))
    df = [about[name] for name in ("df1", "df2") if name in about]
    return (intent.code, tuple(float(value) for value in df)) if intent else (0, ())


def _seconds(series: Any, name: str) -> float | None:
    """Return the time from scan to scan; of a series over anything else, refuse."""
    if series.series_unit != "SECOND":
        raise DataError(f"{name} is a series over {series.series_unit}, not over seconds")
    step = float(series.series_step) * 10.0 ** float(series.series_exponent or 0)
    return round(step, 9) if step > 0 else None


def parts_of(models: Any, meshes: dict[str, Mesh], name: str) -> tuple[Part, ...]:
    """Return the pieces that brain models describe, on the meshes given.

    Raises
    ------
    DataError
        If a mesh has another number of vertices, or its hemisphere is not there.
    """
    by_name = {CORTEX[side]: mesh for side, mesh in meshes.items()}
    parts: list[Part] = []
    for model in models.brain_models:
        structure = model.brain_structure.removeprefix(PREFIX)
        if model.model_type == "CIFTI_MODEL_TYPE_SURFACE":
            N = int(model.surface_number_of_vertices)
            mesh = by_name.pop(structure, None)
            if mesh is not None and mesh.n_vertices != N:
                raise DataError(
                    f"{mesh.name} has {mesh.n_vertices:,} vertices, but {structure} of {name} is "
                    f"on a surface of {N:,}"
                )
            parts.append(Sheet(structure, np.asarray(model.vertex_indices, np.int64), N, mesh))
            continue
        volume = models.volume
        affine = np.array(volume.transformation_matrix_voxel_indices_ijk_to_xyz.matrix)
        if volume.transformation_matrix_voxel_indices_ijk_to_xyz.meter_exponent == 0:
            affine[:3] *= 1000.0
        x, y, z = (int(n) for n in volume.volume_dimensions)
        voxels = np.array(model.voxel_indices_ijk, dtype=np.int64).reshape(-1, 3)
        parts.append(Lump(structure, voxels, (x, y, z), affine))
    if by_name:
        raise DataError(f"mesh= gives a surface for {', '.join(by_name)}, which {name} has not")
    return tuple(parts)


def cifti_image(data: NDArray[Any], models: Any, name: str, about: dict[str, str]) -> Any:
    """Put maps of all grayordinates into a dense scalar image.

    Parameters
    ----------
    data : ndarray, shape (K, G)
        The maps.
    models : nibabel Cifti2MatrixIndicesMap
        The brain models; not changed.
    name : str
        Of the maps.
    about : dict of str
        Metadata of each map.

    Returns
    -------
    nibabel.Cifti2Image
    """
    scalars = Cifti2MatrixIndicesMap([0], NAMED[0])
    for k in range(len(data)):
        label = name if len(data) == 1 else f"{name} {k + 1}"
        scalars.append(Cifti2NamedMap(label, metadata=Cifti2MetaData(about)))
    dense = copy(models)
    dense.applies_to_matrix_dimension = [1]
    matrix = Cifti2Matrix()
    matrix.append(scalars)
    matrix.append(dense)
    image = Cifti2Image(data, header=Cifti2Header(matrix))
    image.nifti_header.set_intent(SCALARS)
    image.nifti_header.set_data_dtype(data.dtype)
    image.update_headers()
    return image
