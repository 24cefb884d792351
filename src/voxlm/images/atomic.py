"""Files that are written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from voxlm.errors import DataError


def _beside(path: Path) -> Path:
    """Name a temporary neighbour that keeps the suffixes, as writers look at them."""
    return path.with_name(f".{uuid.uuid4().hex[:12]}.{path.name}")


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path that becomes ``path`` when the block ends well.

    Parameters
    ----------
    path : path
        The file to be. Its folder is made if there is none.

    Yields
    ------
    Path
        Where to write, in the same folder and with the same suffixes.

    Raises
    ------
    DataError
        If ``path`` is a folder, or its folder cannot be made.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with replacing(folder / "a.txt") as temporary:
    ...     _ = temporary.write_text("whole")
    >>> [file.name for file in folder.iterdir()]
    ['a.txt']
    """
    target = Path(path)
    if target.is_dir():
        raise DataError(f"{target} is a folder; give the name of a file")
    check_writable(target)
    _make_folder(target.parent)
    temporary = _beside(target)
    try:
        yield temporary
        temporary.replace(target)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


@contextmanager
def staging(folder: str | os.PathLike[str], manifest: str | Path = "") -> Iterator[Path]:
    """Give a temporary folder whose files move into ``folder`` when the block ends well.

    If the block raises, ``folder`` stays as it was. Files of the same name are replaced, others
    are left alone, but for those that an earlier manifest of the same name lists.

    Parameters
    ----------
    folder : path
        The folder to be, made if there is none.
    manifest : path, optional
        A JSON object that the block writes below the temporary folder. ``"files"`` is added to
        it, the names of all files, so that the next time none of them stays behind unrenewed.

    Yields
    ------
    Path
        Where to write.

    Raises
    ------
    DataError
        If ``folder`` is a file, or cannot be made.

    Examples
    --------
    >>> import tempfile
    >>> out = Path(tempfile.mkdtemp()) / "out"
    >>> with staging(out) as temporary:
    ...     _ = (temporary / "a.txt").write_text("whole")
    >>> [file.name for file in out.iterdir()]
    ['a.txt']
    """
    target = Path(folder)
    check_writable(target, folder=True)
    _make_folder(target.parent)
    temporary = _beside(target)
    _make_folder(temporary)
    try:
        yield temporary
        stale = _listed(temporary, target, manifest) if str(manifest) else set()
        if target.exists():
            _merge(temporary, target)
            for name in stale:
                (target / name).unlink(missing_ok=True)
        else:
            temporary.rename(target)  # one step: never half there
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _merge(source: Path, target: Path) -> None:
    for file in sorted(source.rglob("*")):
        if file.is_file():
            place = target / file.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            file.replace(place)


def _listed(source: Path, target: Path, manifest: str | Path) -> set[str]:
    """List the files of ``source`` in its manifest; return those of the last time only."""
    new = {file.relative_to(source).as_posix() for file in source.rglob("*") if file.is_file()}
    record = json.loads((source / manifest).read_text(encoding="utf-8"))
    record["files"] = sorted(new)
    text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    (source / manifest).write_text(text, encoding="utf-8")
    try:
        old = json.loads((target / manifest).read_text(encoding="utf-8")).get("files", [])
    except (OSError, ValueError, AttributeError):
        return set()
    inside = target.resolve()
    return {
        name
        for name in old
        if isinstance(name, str) and (inside / name).resolve().is_relative_to(inside)
    } - new


def write_bytes(path: str | os.PathLike[str], content: bytes) -> Path:
    """Write a file whole or not at all.

    Parameters
    ----------
    path : path
        The file; an existing one is replaced.
    content : bytes
        All of it.

    Returns
    -------
    Path
        ``path``.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return Path(path)


def write_text(path: str | os.PathLike[str], content: str) -> Path:
    """Write a UTF-8 text file whole or not at all; see :func:`write_bytes`."""
    return write_bytes(path, content.encode("utf-8"))


def check_writable(place: Path, folder: bool = False) -> None:
    """Refuse a place that cannot be written, before the work whose result it is for.

    Parameters
    ----------
    place : Path
        A file to be, or with ``folder`` a folder of files.

    Raises
    ------
    DataError
        If it is a file where a folder is needed, or may not be written.
    """
    if folder and place.exists() and not place.is_dir():
        raise DataError(f"{place} is a file; give the name of a folder")
    # Files are moved into place from beside it, so that its parent is written too.
    above = next((one for one in place.absolute().parents if one.exists()), Path("/"))
    if not above.is_dir():
        raise DataError(f"{place} cannot be written: {above} is a file, not a folder")
    for one in (above, place) if folder and place.exists() else (above,):
        if not os.access(one, os.W_OK | os.X_OK):
            raise DataError(
                f"{place} cannot be written: the folder {one} may not be; give another place, or "
                "change its permissions"
            )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot make the folder {folder}: {error.strerror}") from error
