"""Which files went in: paths, sizes, hashes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from voxlm.errors import DataError


@dataclass(frozen=True, slots=True)
class Input:
    """A file as it was when it was opened.

    Parameters
    ----------
    role : str
        ``"bold"``, ``"events"``, ``"confounds"``, ``"mask"``, ``"sidecar"``.
    path : Path
        The file, absolute.
    size : int
        Bytes.
    modified : int
        Time of the last change in nanoseconds, to notice a change since.
    """

    role: str
    path: Path
    size: int
    modified: int

    @property
    def sha256(self) -> str:
        """Hash of the file's bytes, in hexadecimal.

        Raises
        ------
        DataError
            If the file has changed or gone since it was opened.
        """
        now = _stat(self.path)
        if now != (self.size, self.modified):
            raise DataError(
                f"{self.role} {self.path} has changed since it was opened; make the run again"
            )
        return _sha256(self.path, self.size, self.modified)


def input_file(role: str, path: Path) -> Input:
    """Record a file that goes in.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.tsv"
    >>> _ = path.write_text("onset")
    >>> record = input_file("events", path)
    >>> record.size, record.sha256[:8]
    (5, 'fd30b441')
    """
    size, modified = _stat(path)
    return Input(role, path.absolute(), size, modified)


def _stat(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    return stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=256)
def _sha256(path: Path, size: int, modified: int) -> str:
    """Hash a file; the size and time are there so that a changed file is hashed again."""
    del size, modified
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
