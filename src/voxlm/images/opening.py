"""Image files opened as far as their headers, and refused where they cannot be a run."""

from __future__ import annotations

import gzip
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from isal.isal_zlib import IsalError
from nibabel.arrayproxy import ArrayProxy
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError, SpatialImage
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

from voxlm.errors import DataError, nearest

ISAL_ERROR: Any = IsalError
READ_ERRORS: tuple[type[Exception], ...] = (
    EOFError,
    OSError,
    zlib.error,
    ISAL_ERROR,
    gzip.BadGzipFile,
)
FORMAT_ERRORS: tuple[type[Exception], ...] = (ImageFileError, HeaderDataError, WrapStructError)
TYPES = "int8 uint8 int16 uint16 int32 uint32 int64 uint64 float32 float64"


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """An image whose header has been read and whose voxels have not.

    Parameters
    ----------
    name : str
        What messages call it: the path, or what kind of object it is.
    shape : tuple of int
        All axes.
    affine : ndarray, shape (4, 4)
        Voxel indices to millimetres.
    header : nibabel header
        A copy.
    dtype : numpy dtype
        Type of the raw values.
    slope, inter : float
        What turns raw values into data.
    path : Path or None
        The file to stream from; None for images in memory.
    offset : int
        Bytes before the first voxel in the file.
    data : ndarray or None
        Voxels of an image in memory, all axes.
    """

    name: str
    shape: tuple[int, ...]
    affine: NDArray[np.float64]
    header: Any
    dtype: np.dtype[Any]
    slope: float = 1.0
    inter: float = 0.0
    path: Path | None = None
    offset: int = 0
    data: NDArray[Any] | None = None

    @property
    def grid(self) -> tuple[int, int, int]:
        """The three spatial axes."""
        x, y, z = self.shape[:3]
        return x, y, z

    @property
    def n_scans(self) -> int:
        """Length of the fourth axis, 1 if there is none."""
        return self.shape[3] if len(self.shape) > 3 else 1

    @property
    def compressed(self) -> bool:
        """Whether the file is a gzip stream."""
        return self.path is not None and self.path.name.endswith(".gz")


def is_image(source: object) -> bool:
    """Tell whether something is a nibabel image.

    Examples
    --------
    >>> is_image("bold.nii.gz")
    False
    """
    return isinstance(source, SpatialImage)


def open_image(source: object, role: str) -> Opened:
    """Open a NIfTI file or a nibabel image as far as its header.

    Parameters
    ----------
    source : path or nibabel image
        ``.nii`` or ``.nii.gz``, or an image in memory.
    role : str
        What it is for, in messages: ``"bold"``, ``"mask"``.

    Returns
    -------
    Opened

    Raises
    ------
    DataError
        If the file is missing, is not NIfTI, is cut short within its header, or holds values
        that are not real numbers.
    """
    if is_image(source):
        return _from_image(source, role)
    if not isinstance(source, (str, os.PathLike)):
        wrap = "; wrap it: nibabel.Nifti1Image(array, affine)"
        raise DataError(
            f"{role} must be a path (.nii, .nii.gz) or a nibabel image, got "
            f"{type(source).__name__}{wrap if isinstance(source, np.ndarray) else ''}"
        )
    path = Path(source).expanduser()
    check_file(path, role)
    try:
        image = nib.load(path)
    except (*FORMAT_ERRORS, *READ_ERRORS) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{role} {path} cannot be read as NIfTI: {reason}. "
            "Check that the file is complete, and that its name ends as its format asks "
            "(.nii, or .nii.gz if it is compressed)"
        ) from error
    if not isinstance(image, nib.Nifti1Pair):
        raise DataError(
            f"{role} {path} is {type(image).__name__}, not a NIfTI volume; "
            "convert it, e.g. with nibabel.save(nibabel.Nifti1Image.from_image(image), 'x.nii.gz')"
        )
    return _from_image(image, role, path)


def check_file(path: Path, role: str, pattern: str = "*.nii*") -> None:
    """Refuse a file that is missing, empty, a folder, or may not be read.

    Parameters
    ----------
    path : Path
        The file.
    role : str
        What it is for, in messages.
    pattern : str
        Of files to name where it is missing.

    Raises
    ------
    DataError
        Saying which.
    """
    if path.is_dir():
        raise DataError(f"{role} {path} is a folder; give the image file in it")
    if not path.exists():
        raise DataError(f"{role} {path} does not exist; {beside(path, pattern)}")
    if not os.access(path, os.R_OK):
        raise DataError(f"{role} {path} may not be read; check its permissions")
    if path.stat().st_size == 0:
        raise DataError(f"{role} {path} is empty (0 bytes); copy or download it again")


def beside(path: Path, pattern: str) -> str:
    """Say which files lie where a missing one was looked for, the likeliest first.

    Parameters
    ----------
    path : Path
        The missing file.
    pattern : str
        Of the files to name.

    Examples
    --------
    >>> beside(Path("/nowhere/bold.nii.gz"), "*.nii*")
    'there is no folder /nowhere'
    """
    folder = path.absolute().parent
    if not folder.is_dir():
        return f"there is no folder {folder}"
    names = sorted(file.name for file in folder.glob(pattern))
    shown = (nearest(path.name, names) or names)[:5]
    return f"{folder} has {', '.join(shown)}" if shown else f"{folder} has no {pattern}"


def _from_image(image: Any, role: str, path: Path | None = None) -> Opened:
    """Take what streaming needs out of a nibabel image."""
    proxy = image.dataobj
    if path is None and image.get_filename():
        path = Path(image.get_filename())
    name = str(path) if path else f"{type(image).__name__} in memory"
    shape = tuple(int(n) for n in image.shape)
    affine = np.array(image.affine, dtype=np.float64)
    header = image.header.copy()
    if not isinstance(header, nib.Nifti1Header):
        # Other formats know neither units of time nor intents: a NIfTI header says so.
        header = nib.Nifti1Header.from_header(header, check=False)
    common = {"name": name, "affine": affine, "header": header}
    if _streams(image, proxy, path):
        _check_type(proxy.dtype, name, role)
        return Opened(
            shape=shape,
            dtype=proxy.dtype,
            slope=float(proxy.slope),
            inter=float(proxy.inter),
            path=path,
            offset=int(proxy.offset),
            **common,
        )
    data = np.asanyarray(proxy)
    _check_type(data.dtype, name, role)
    return Opened(shape=shape, dtype=data.dtype, data=data, **common)


def _streams(image: Any, proxy: Any, path: Path | None) -> bool:
    """Tell whether the voxels lie in one .nii or .nii.gz file, x fastest, unread."""
    return (
        path is not None
        and path.name.endswith((".nii", ".nii.gz"))
        and isinstance(image, nib.Nifti1Image)
        and isinstance(proxy, ArrayProxy)
        and not image.in_memory
    )


def _check_type(dtype: np.dtype[Any], name: str, role: str) -> None:
    if dtype.newbyteorder("=").name not in TYPES.split():
        raise DataError(
            f"{role} {name} holds {dtype} values; expected real numbers, one of {TYPES}. "
            "Convert it first, e.g. to float32"
        )


def check_bold(opened: Opened) -> None:
    """Refuse an image that cannot be a run.

    Raises
    ------
    DataError
        If it does not have four axes, or one of them is empty.
    """
    shape = opened.shape
    if len(shape) == 3:
        raise DataError(
            f"bold {opened.name} has three axes {shape}: one volume, not a run. "
            "A run needs a fourth axis, the scans; join volumes with nibabel.concat_images"
        )
    if len(shape) != 4:
        raise DataError(f"bold {opened.name} has {len(shape)} axes {shape}; a run has four")
    if shape[3] == 0:
        raise DataError(f"bold {opened.name} has zero volumes: its shape is {shape}")
    if 0 in shape:
        raise DataError(f"bold {opened.name} has an empty grid: its shape is {shape}")
