"""GIFTI files: a row of vertices for each scan, read as they come; maps and surfaces; writing.

Axes: T scans (data arrays), N vertices.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from xml.parsers.expat import ExpatError, ParserCreate

import nibabel as nib
import numpy as np
from isal import igzip
from nibabel.gifti.parse_gifti_fast import GiftiImageParser, GiftiParseError
from numpy.typing import ArrayLike, NDArray

from voxlm.errors import DataError
from voxlm.images.intent import intent_of
from voxlm.images.nifti import storable
from voxlm.images.opening import READ_ERRORS, check_file

GEOMETRY = (1008, 1009)  # intents of places of vertices and of triangles
PIECE = 1 << 18  # bytes of text handed to the parser at once
MILLISECONDS = 100.0  # a time step above this is not seconds
# What nibabel and expat raise for text that is no GIFTI.
XML_ERRORS: tuple[type[Exception], ...] = (
    ExpatError,
    GiftiParseError,
    KeyError,
    ValueError,
    AssertionError,
)
HEMISPHERE = re.compile(r"hemi-([LR])(?=[_.])|(?:^|[._-])([lr])h(?=[._-])|\.([LR])\.")
STRUCTURES = {"left": "CortexLeft", "right": "CortexRight"}


@dataclass(frozen=True, slots=True, eq=False)
class GiftiFile:
    """A GIFTI file of data, opened as far as its first array.

    Parameters
    ----------
    name : str
        What messages call it.
    n_scans, n_vertices : int
        T and N.
    time_step : float or None
        Seconds from scan to scan, where it says so.
    path : Path or None
        The file; None for an image in memory.
    rows : ndarray, shape (T, N), or None
        Of an image in memory.
    declared : tuple
        NIfTI code of the first array's intent, and its parameters.
    """

    name: str
    n_scans: int
    n_vertices: int
    time_step: float | None = None
    path: Path | None = None
    rows: NDArray[Any] | None = None
    declared: tuple[int, tuple[float, ...]] = (0, ())


class _Arrays(GiftiImageParser):  # type: ignore[misc]
    """nibabel's parser, giving each array away once it is read."""

    def __init__(self, fname: str) -> None:
        super().__init__()
        self.fname = fname
        self.ready: list[Any] = []
        self.ended = False

    def EndElementHandler(self, name: str) -> None:  # noqa: N802
        if name == "GIFTI":
            self.ended = True
            return
        super().EndElementHandler(name)
        if name == "DataArray":
            self.ready.append(self.img.darrays.pop())


def is_gifti(source: object) -> bool:
    """Tell whether something is a GIFTI file, by its name, or a GIFTI image.

    Examples
    --------
    >>> is_gifti("lh.func.gii"), is_gifti("bold.nii.gz")
    (True, False)
    """
    if isinstance(source, str | os.PathLike):
        return Path(source).name.endswith((".gii", ".gii.gz"))
    return isinstance(source, nib.GiftiImage)


def side_of(source: object) -> str | None:
    """Return the hemisphere that a file's name, or an image in memory, says it is of.

    Examples
    --------
    >>> side_of("sub-01_hemi-L_bold.func.gii"), side_of("100307.R.midthickness.32k.surf.gii")
    ('left', 'right')
    >>> side_of("rh.pial.surf.gii"), side_of("map.func.gii")
    ('right', None)
    """
    if isinstance(source, nib.GiftiImage):
        said = str(source.meta.get("AnatomicalStructurePrimary", ""))
        if not said:
            said = next((str(a.meta.get("AnatomicalStructurePrimary", "")) for a in source.darrays
                         if a.meta), "")  # fmt: skip
        return next((side for side, name in STRUCTURES.items() if name == said), None)
    if not isinstance(source, str | os.PathLike):
        return None
    found = HEMISPHERE.search(Path(source).name)
    if found is None:
        return None
    letter = next(group for group in found.groups() if group)
    return "left" if letter in "Ll" else "right"


def side_within(path: Path, role: str) -> str | None:
    """Return the hemisphere that a file says inside that it is of.

    Raises
    ------
    DataError
        If it is missing or damaged.
    """
    check_file(path, role, "*.gii*")
    return _first_array(path, role)[2]


def open_gifti(source: Any, role: str, side: str | None = None) -> GiftiFile:
    """Open a file or image of data on vertices.

    Parameters
    ----------
    source : path or nibabel.GiftiImage
        ``.func.gii``, ``.shape.gii``, ``.label.gii``.
    role : str
        What it is for, in messages.
    side : {"left", "right"}, optional
        The hemisphere it was given for; a file that says otherwise inside is refused.

    Raises
    ------
    DataError
        If it is missing, damaged, has no data, is a surface, or is of the other hemisphere.
    """
    if isinstance(source, nib.GiftiImage):
        arrays, count, name, path = list(source.darrays), len(source.darrays), "GiftiImage", None
        said = side_of(source)
    else:
        path = Path(source).expanduser()
        check_file(path, role, "*.gii*")
        name = str(path)
        arrays, count, said = _first_array(path, role)
    if not arrays:
        raise DataError(f"{role} {name} holds no data array")
    if arrays[0].intent in GEOMETRY:
        raise DataError(f"{role} {name} is a surface, not data on one; a surface goes to mesh=")
    if side is not None and said not in (None, side):
        raise DataError(
            f"{role}: the hemispheres are swapped: {name} is given as the {side} one and says "
            f"that it is {STRUCTURES[said]}. A pair is (left, right)"
        )
    shape = _shape(arrays[0], count, f"{role} {name}")
    rows = None
    if path is None:
        rows = np.stack([row for array in arrays for row in _rows_of(array, shape[1], name)])
    return GiftiFile(name, *shape, _time_step(arrays[0]), path, rows, _intent_of(arrays[0]))


def _intent_of(array: Any) -> tuple[int, tuple[float, ...]]:
    """Return the intent of an array and the parameters that :func:`gifti_image` keeps beside it."""
    about = array.meta or {}
    said = [about.get(f"Intent_p{k}") for k in (1, 2)]
    return int(array.intent), tuple(float(value) for value in said if value is not None)


def gifti_rows(opened: GiftiFile) -> Iterator[NDArray[Any]]:
    """Give the T rows ``(N,)`` of a file in order; one is in memory at a time.

    Raises
    ------
    DataError
        If the file ends early or is damaged; the message says how many rows could be read.
    """
    if opened.rows is not None:
        yield from opened.rows
        return
    assert opened.path is not None
    done = 0
    try:
        for array in _arrays(opened.path):
            for row in _rows_of(array, opened.n_vertices, opened.name):
                yield row
                done += 1
    except (*XML_ERRORS, *READ_ERRORS) as error:
        raise _damaged(opened.name, done, opened.n_scans, error) from error
    if done != opened.n_scans:
        raise _damaged(opened.name, done, opened.n_scans, None)


def read_surface(source: Any) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Read coordinates ``(N, 3)`` and triangles ``(F, 3)`` of a surface.

    Raises
    ------
    DataError
        If the file is missing or damaged, or is no surface.
    """
    if isinstance(source, nib.GiftiImage):
        arrays, name = list(source.darrays), "GiftiImage"
    else:
        path = Path(source).expanduser()
        name = str(path)
        check_file(path, "mesh", "*.surf.gii*")
        try:
            arrays = list(_arrays(path))
        except (*XML_ERRORS, *READ_ERRORS) as error:
            raise _damaged(name, 0, 2, error) from error
    found = {array.intent: array.data for array in arrays}
    if any(code not in found for code in GEOMETRY):
        raise DataError(
            f"mesh {name} is no surface: it holds no "
            f"{'coordinates' if GEOMETRY[0] not in found else 'triangles'}. Give a .surf.gii file"
        )
    places, faces = (np.asarray(found[code]) for code in GEOMETRY)
    return places.astype(np.float64), faces.astype(np.int64)


def gifti_image(
    values: ArrayLike, side: str | None = None, intent: str | None = None, df: Any = None
) -> Any:
    """Put maps of all vertices into a GIFTI image.

    Parameters
    ----------
    values : array_like, shape (N,) or (K, N)
        One data array a map.
    side : {"left", "right"}, optional
        Written as ``AnatomicalStructurePrimary``.
    intent, df
        As for :meth:`voxlm.images.volume.Volume.image`; degrees of freedom are kept as
        ``Intent_p1`` and ``Intent_p2``.

    Returns
    -------
    nibabel.GiftiImage
    """
    code, parameters, name = intent_of(intent, df)
    about = {"Name": name} if name else {}
    about |= {f"Intent_p{k}": f"{value:.17g}" for k, value in enumerate(parameters, start=1)}
    arrays = [
        nib.gifti.GiftiDataArray(
            row, intent=code, datatype=_stored(row), meta=nib.gifti.GiftiMetaData(about)
        )
        for row in np.atleast_2d(storable(values))
    ]
    meta = {"AnatomicalStructurePrimary": STRUCTURES[side]} if side else {}
    return nib.GiftiImage(darrays=arrays, meta=nib.gifti.GiftiMetaData(meta))


def _stored(row: NDArray[Any]) -> str:
    """Name the type on disk: the format knows uint8, int32 and float32."""
    return f"NIFTI_TYPE_{row.dtype.name.upper()}"


def _first_array(path: Path, role: str) -> tuple[list[Any], int, str | None]:
    """Return the first array of a file, how many there are, and the side it says it is of."""
    parser = _Arrays(str(path))
    try:
        with closing(_feed(path, parser)) as pieces:
            for _ in pieces:
                if parser.ready:
                    break
    except (*XML_ERRORS, *READ_ERRORS) as error:
        raise DataError(
            f"{role} {path} cannot be read as GIFTI: {error or type(error).__name__}. Check that "
            "the file is complete"
        ) from error
    arrays = parser.ready[:1]
    # Metadata of the whole come before the first array.
    metas = [getattr(parser.img, "meta", {}) or {}, *[array.meta or {} for array in arrays]]
    said = next((m["AnatomicalStructurePrimary"] for m in metas
                 if "AnatomicalStructurePrimary" in m), None)  # fmt: skip
    side = next((side for side, name in STRUCTURES.items() if name == said), None)
    return arrays, int(getattr(parser, "expected_numDA", len(parser.ready))), side


def _arrays(path: Path) -> Iterator[Any]:
    """Give the data arrays of a file one by one, none kept."""
    parser = _Arrays(str(path))
    with closing(_feed(path, parser)) as pieces:
        for _ in pieces:
            yield from parser.ready
            parser.ready.clear()
    if not parser.ended:
        raise EOFError("the file ends early")


def _feed(path: Path, parser: _Arrays) -> Generator[None, None, None]:
    expat = ParserCreate()
    expat.buffer_text = True
    for handler in parser.HANDLER_NAMES:
        setattr(expat, handler, getattr(parser, handler))
    with closing(_open(path)) as stream:
        while piece := stream.read(PIECE):
            expat.Parse(piece)
            yield
        expat.Parse(b"", True)
        yield


def _open(path: Path) -> BinaryIO:
    if path.name.endswith(".gz"):
        stream: BinaryIO = igzip.open(path, "rb")
        return stream
    return path.open("rb")


def _shape(array: Any, count: int, name: str) -> tuple[int, int]:
    """Return T and N, of one array a scan or of one array of them all."""
    data = np.asarray(array.data)
    if data.dtype.kind not in "iuf" or data.size == 0:
        raise DataError(f"{name} holds {data.dtype} values of shape {data.shape}; expected numbers")
    columns = data.size // len(data)
    if columns > 1 and count > 1:
        raise DataError(f"{name} has {count} arrays of shape {data.shape}; expected one row each")
    return max(count, columns), len(data)


def _rows_of(array: Any, n_vertices: int, name: str) -> NDArray[Any]:
    data = np.asarray(array.data)
    if len(data) != n_vertices:
        raise DataError(f"{name}: arrays have {n_vertices:,} and {len(data):,} vertices")
    return np.asarray(data.reshape(n_vertices, -1).T)


def _time_step(array: Any) -> float | None:
    """Return seconds from scan to scan; writers give milliseconds, and 0 for unknown."""
    try:
        value = float((array.meta or {}).get("TimeStep", 0))
    except ValueError:
        return None
    if not np.isfinite(value) or value <= 0:
        return None
    return value / 1000.0 if value > MILLISECONDS else value


def _damaged(name: str, done: int, total: int, error: BaseException | None) -> DataError:
    reason = f" ({error or type(error).__name__})" if error else ""
    return DataError(
        f"{name} is cut short or damaged: {done} of {total} arrays could be read{reason}. Copy or "
        "download it again"
    )
