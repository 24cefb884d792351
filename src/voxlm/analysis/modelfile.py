"""Models in files: TOML and JSON, errors by line, and the schema that editors read."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import tomli_w

from voxlm.analysis.fields import make, schema_of
from voxlm.analysis.kinds import FieldError
from voxlm.errors import DataError, TextError
from voxlm.images.atomic import write_text

SCHEMA = Path(__file__).with_name("model.schema.json")
SUFFIXES = (".toml", ".json")
HEAD = re.compile(r"\s*\[\[?\s*(?P<path>[^\]]+?)\s*\]\]?\s*(#.*)?$")


def to_toml(model: Any, path: str | PathLike[str] | None = None) -> str:
    """Write a model as TOML; see :meth:`voxlm.Model.to_toml`."""
    return _kept(tomli_w.dumps(model.to_dict()), path)


def to_json(model: Any, path: str | PathLike[str] | None = None) -> str:
    """Write a model as JSON; see :meth:`voxlm.Model.to_json`."""
    return _kept(json.dumps(model.to_dict(), indent=2, ensure_ascii=False) + "\n", path)


def _kept(text: str, path: str | PathLike[str] | None) -> str:
    if path is not None:
        write_text(path, text)
    return text


def from_toml(of: type, source: str | PathLike[str]) -> Any:
    """Read a model from TOML; see :meth:`voxlm.Model.from_toml`."""
    text, name = text_of(source, "=")
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{name}: this is no TOML: {error}") from error
    return _made(of, given, name, text, toml_line)


def from_json(of: type, source: str | PathLike[str]) -> Any:
    """Read a model from JSON; see :meth:`voxlm.Model.from_json`."""
    text, name = text_of(source, "{")
    given = read_json(text, name)
    return _made(of, {k: v for k, v in given.items() if k != "$schema"}, name, text, json_line)


def read_json(text: str, name: str) -> dict[str, Any]:
    """Read a JSON object, naming the place of an error."""
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{name}, line {error.lineno}: this is no JSON: {error.msg}") from error
    if not isinstance(given, Mapping):
        raise DataError(f"{name}: a model is a JSON object, got {type(given).__name__}")
    return dict(given)


def load(of: type, path: str | PathLike[str]) -> Any:
    """Read a model by its file's suffix; see :meth:`voxlm.Model.load`."""
    file = Path(path)
    if file.suffix == ".toml":
        return from_toml(of, file)
    if file.suffix == ".json":
        given = read_json(*text_of(file, "{"))
        if file.name.endswith("_smdl.json") or "BIDSModelVersion" in given:
            return of.from_bids_stats_model(file)  # type: ignore[attr-defined]
        return from_json(of, file)
    raise DataError(f"{file}: a model file ends in .toml, .json or _smdl.json")


def text_of(source: str | PathLike[str], sign: str) -> tuple[str, str]:
    """Return the text of a file, or a text itself where its sign is in it."""
    named = isinstance(source, str) and "\n" not in source and source.endswith(SUFFIXES)
    if isinstance(source, str) and sign in source and not named:
        return source, "model"
    path = Path(fspath(source))
    try:
        return path.read_text(encoding="utf-8-sig"), str(path)
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist; name a model file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def _made(of: type, given: Mapping[str, Any], name: str, text: str, line_of: Any) -> Any:
    """Make the model; what is wrong is told with its line."""
    try:
        return make(of, given)
    except FieldError as error:
        line = line_of(text, error.path)
        source = f"{name}, line {line}" if line else name
        raise FieldError(error.message, error.path, source) from error
    except TextError as error:
        message = f"{name}: {error.message}"
        raise type(error)(message, error.text, error.span, error.hint) from error


def toml_line(text: str, path: tuple[str | int, ...]) -> int | None:
    r"""Return the line of a key in TOML, or of the nearest table above it.

    Examples
    --------
    >>> toml_line('formula = "y ~ a"\n[[group]]\nfromula = "~ 1"', ("group", 0, "fromula"))
    3
    """
    wanted = [str(part) for part in path if isinstance(part, str)]
    number = next((part for part in path if isinstance(part, int)), 0)
    table: list[str] = []
    seen, best, depth = -1, None, 0
    for at, line in enumerate(text.splitlines(), start=1):
        if head := HEAD.match(line):
            table = [_unquoted(part) for part in re.split(r"\s*\.\s*", head["path"])]
            seen += line.strip().startswith("[[") and table == wanted[: len(table)]
            key = table
        elif "=" in line:
            words = re.match(r"\s*((?:\"[^\"]*\"|'[^']*'|[\w-]+)(?:\s*\.\s*[\w-]+)*)\s*=", line)
            key = [*table, *(_unquoted(w) for w in _dotted(words[1]))] if words else []
        else:
            continue
        right = key == wanted[: len(key)] and (seen < 0 or seen == number)
        if right and len(key) > depth:
            best, depth = at, len(key)
    return best


def _dotted(key: str) -> list[str]:
    return [key] if key[:1] in "\"'" else re.split(r"\s*\.\s*", key)


def _unquoted(key: str) -> str:
    return key.strip().strip("\"'")


def json_line(text: str, path: tuple[str | int, ...]) -> int | None:
    r"""Return the line where the last key of a path first stands after the keys before it.

    Examples
    --------
    >>> json_line('{"formula": "y ~ a",\n "group": {\n  "fromula": 1}}', ("group", "fromula"))
    3
    """
    at, found = 0, None
    for part in path:
        if isinstance(part, str):
            place = text.find(json.dumps(part, ensure_ascii=False), at)
            if place < 0:
                break
            at, found = place, text.count("\n", 0, place) + 1
    return found


def schema(of: type) -> dict[str, Any]:
    """Describe model files as JSON schema; the package ships it as ``model.schema.json``."""
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "voxlm model",
        "description": "A model of both levels of an fMRI study, in TOML or JSON.",
    }
    table = schema_of(of)
    table["properties"] = {"$schema": {"type": "string"}} | table["properties"]
    return head | table
