"""What was done to what, so that a finished fit is recognised: hashes of inputs and model."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxlm.images.atomic import write_text
from voxlm.images.inputs import Input

if TYPE_CHECKING:
    from voxlm.analysis.model import Model

RECORD = "record.json"
#: What of a model does not change the fit of a subject: its name, the group, and the selection,
#: whose result the inputs are.
ASIDE = ("name", "group", "data")


def digest(content: Any) -> str:
    """Return the hash of plain data.

    Examples
    --------
    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def first_level(model: Model) -> dict[str, Any]:
    """Return what of a model changes the fit of a subject."""
    return {key: value for key, value in model.to_dict(whole=True).items() if key not in ASIDE}


def describe_inputs(files: Iterable[Input], old: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Return the inputs with their hashes; a file that has not been touched keeps its old one."""
    known = {(one["path"], one["bytes"], one["modified"]): one["sha256"] for one in _inputs(old)}
    found = []
    for file in files:
        place = (str(file.path), file.size, file.modified)
        found.append(
            {
                "role": file.role,
                "path": place[0],
                "bytes": place[1],
                "modified": place[2],
                "sha256": known.get(place) or file.sha256,
            }
        )
    return found


def _inputs(record: Mapping[str, Any] | None) -> Sequence[Mapping[str, Any]]:
    return [] if record is None else record.get("inputs", [])


def key_of(what: Any, inputs: Sequence[Mapping[str, Any]]) -> str:
    """Return the hash by which a finished fit is recognised; where the files lie is no part."""
    hashes = [(one["role"], one["sha256"]) for one in inputs]
    return digest({"what": what, "inputs": hashes, "voxlm": version("voxlm")})


def read_record(folder: Path) -> dict[str, Any] | None:
    """Return the record of a finished fit; None where there is none that can be read."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    whole = isinstance(record, dict) and all((folder / name).is_file() for name in record["files"])
    return record if whole else None


def write_record(folder: Path, record: Mapping[str, Any], old: Mapping[str, Any] | None) -> None:
    """Write the record last, as the sign that all is there, and take away an older fit's files."""
    stale = set(() if old is None else old["files"]) - set(record["files"])
    for name in stale:
        (folder / name).unlink(missing_ok=True)
    text = json.dumps(record, indent=2, ensure_ascii=False)
    write_text(folder / RECORD, text + "\n")


def forget(folder: Path) -> None:
    """Take away the sign that a fit is whole, and what an interrupted one left beside it."""
    (folder / RECORD).unlink(missing_ok=True)
    left = re.compile(rf"\.[0-9a-f]{{12}}\.{re.escape(folder.name)}")
    for path in folder.parent.glob(f".*.{folder.name}") if folder.parent.is_dir() else ():
        if left.fullmatch(path.name) and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
