"""Raw volumes off the disk, a few at a time, while others compute.

A thread reads (and decompresses) into a handful of buffers that go round; it waits when all are
full, so memory does not depend on the number of scans, and stops when its reader does.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from isal import igzip
from numpy.typing import NDArray

from voxlm.errors import DataError
from voxlm.images.opening import READ_ERRORS, Opened

CHUNK_BYTES = 3_000_000  # of raw data handed over at once: large against the cost of handing over
BUFFERS = 3  # one being filled, one being used, one so that neither side waits for the other


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Some raw volumes.

    Parameters
    ----------
    start : int
        Scan number of the first.
    volumes : ndarray, shape (t, X * Y * Z)
        Raw values, x fastest, native byte order. Overwritten once the next chunk is asked for.
    """

    start: int
    volumes: NDArray[Any]


def chunks(opened: Opened, largest: int | None = None) -> Generator[Chunk, None, None]:
    """Give the volumes of a run in order.

    Parameters
    ----------
    opened : Opened
        A run with four axes.
    largest : int, optional
        Most volumes in a chunk.

    Yields
    ------
    Chunk

    Raises
    ------
    DataError
        If the file ends early or is damaged; the message says how many volumes could be read.
    """
    n_bytes = int(np.prod(opened.grid)) * opened.dtype.itemsize
    size = max(1, min(CHUNK_BYTES // max(1, n_bytes), opened.n_scans, largest or opened.n_scans))
    if opened.data is not None:
        return _memory_chunks(opened, opened.data, size)
    return _file_chunks(opened, size)


def only_volume(opened: Opened) -> NDArray[Any]:
    """Read an image of one volume in the calling thread.

    Parameters
    ----------
    opened : Opened
        With three axes, or a fourth of length 1.

    Returns
    -------
    ndarray, shape (X * Y * Z,)
        Raw values, x fastest, native byte order.

    Raises
    ------
    DataError
        If the file ends early or is damaged.
    """
    if opened.data is not None:
        return next(_memory_chunks(opened, opened.data, 1)).volumes[0]
    buffer = np.empty(int(np.prod(opened.grid)) * opened.dtype.itemsize, dtype=np.uint8)
    try:
        with closing(_open_stream(opened)) as stream:
            _skip(stream, opened.offset)
            if _read_into(stream, memoryview(buffer.data)) < buffer.size:
                raise EOFError("the file ends early")
            stream.read(1)  # reaches the checksum of a compressed file
    except READ_ERRORS as error:
        raise _cut_short(opened, 0, error) from error
    return _as_volumes(buffer, opened, 1)[0]


def _memory_chunks(opened: Opened, data: NDArray[Any], size: int) -> Generator[Chunk, None, None]:
    shaped = data.reshape((*opened.grid, opened.n_scans))
    native = opened.dtype.newbyteorder("=")
    for start in range(0, opened.n_scans, size):
        part = shaped[..., start : start + size].T.astype(native, order="C", copy=False)
        yield Chunk(start, np.ascontiguousarray(part).reshape(part.shape[0], -1))


def _file_chunks(opened: Opened, size: int) -> Generator[Chunk, None, None]:
    free: queue.SimpleQueue[NDArray[np.uint8] | None] = queue.SimpleQueue()
    ready: queue.SimpleQueue[tuple[NDArray[np.uint8], int] | BaseException] = queue.SimpleQueue()
    n_bytes = int(np.prod(opened.grid)) * opened.dtype.itemsize
    for _ in range(BUFFERS):
        free.put(np.empty(size * n_bytes, dtype=np.uint8))
    reader = threading.Thread(target=_fill, args=(opened, size, n_bytes, free, ready), daemon=True)
    reader.start()
    try:
        for start in range(0, opened.n_scans, size):
            got = ready.get()
            if isinstance(got, BaseException):
                raise got
            buffer, n_volumes = got
            yield Chunk(start, _as_volumes(buffer[: n_volumes * n_bytes], opened, n_volumes))
            free.put(buffer)
        ended = ready.get()
        if isinstance(ended, DataError):
            raise ended
    finally:
        free.put(None)
        reader.join()


def _as_volumes(buffer: NDArray[np.uint8], opened: Opened, n_volumes: int) -> NDArray[Any]:
    volumes = buffer.view(opened.dtype).reshape(n_volumes, -1)
    if not opened.dtype.isnative:
        volumes = volumes.byteswap(inplace=True).view(opened.dtype.newbyteorder("="))
    return volumes


def _fill(
    opened: Opened,
    size: int,
    n_bytes: int,
    free: queue.SimpleQueue[NDArray[np.uint8] | None],
    ready: queue.SimpleQueue[Any],
) -> None:
    """Read the file into buffers until it ends, fails, or nobody wants more (thread)."""
    done = 0
    try:
        with closing(_open_stream(opened)) as stream:
            _skip(stream, opened.offset)
            for start in range(0, opened.n_scans, size):
                buffer = free.get()
                if buffer is None:
                    return
                n_volumes = min(size, opened.n_scans - start)
                got = _read_into(stream, memoryview(buffer.data)[: n_volumes * n_bytes])
                done += got // n_bytes
                if got < n_volumes * n_bytes:
                    raise EOFError("the file ends early")
                ready.put((buffer, n_volumes))
            stream.read(1)  # reaches the checksum of a compressed file, which is then compared
        ready.put(EOFError())
    except READ_ERRORS as error:
        ready.put(_cut_short(opened, done, error))
    except BaseException as error:
        ready.put(error)


def _open_stream(opened: Opened) -> BinaryIO:
    if opened.compressed:
        stream: BinaryIO = igzip.open(opened.path, "rb")
        return stream
    assert opened.path is not None
    return opened.path.open("rb", buffering=0)


def _skip(stream: BinaryIO, n_bytes: int) -> None:
    if len(stream.read(n_bytes)) < n_bytes:
        raise EOFError("the file ends within its header")


def _read_into(stream: BinaryIO, buffer: memoryview) -> int:
    """Fill a buffer as far as the stream goes; return the number of bytes."""
    total = 0
    while total < len(buffer):
        got = stream.readinto(buffer[total:])  # type: ignore[attr-defined]
        if not got:
            break
        total += got
    return total


def _cut_short(opened: Opened, done: int, error: BaseException) -> DataError:
    return DataError(
        f"{opened.name} is cut short or damaged: {done} of {opened.n_scans} volumes could be "
        f"read ({error or type(error).__name__}). Copy or download it again"
    )
