"""What was done to what, so that a finished fit is recognised: hashes of inputs and model."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxlm.images.atomic import write_text
from voxlm.images.inputs import Input

if TYPE_CHECKING:
    from voxlm.analysis.model import Model

RECORD = "desc-model_provenance.json"
#: Seconds after which a temporary folder belongs to nobody who still works.
STALE = 6 * 3600.0
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


def read_record(path: Path, root: Path) -> dict[str, Any] | None:
    """Return the record of a fit that is finished and whose files are all there."""
    record = _load(path)
    whole = record is not None and all((root / name).is_file() for name in record["files"])
    return record if whole else None


def _load(path: Path) -> dict[str, Any] | None:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and "files" in record else None


def write_record(
    path: Path, root: Path, record: Mapping[str, Any], before: Sequence[str] = ()
) -> None:
    """Write the record last, as the sign that all is there, and take away an older fit's files."""
    for name in set(before) - set(record["files"]):
        (root / name).unlink(missing_ok=True)
    write_text(path, json.dumps(record, indent=2, ensure_ascii=False) + "\n")


def forget(path: Path) -> list[str]:
    """Take away the sign that a fit is whole, and return the files it had."""
    record = _load(path)
    path.unlink(missing_ok=True)
    return [] if record is None else list(record["files"])


def sweep(folder: Path) -> None:
    """Take away what a killed run left half-written beside a folder."""
    left = re.compile(rf"\.[0-9a-f]{{12}}\.{re.escape(folder.name)}")
    beside = folder.parent.glob(f".*.{folder.name}") if folder.parent.is_dir() else ()
    for path in beside:
        old = time.time() - path.stat().st_mtime > STALE
        if left.fullmatch(path.name) and path.is_dir() and old:
            shutil.rmtree(path, ignore_errors=True)
