"""Fields of a record that is data: declared, checked and described in one place.

A record is a frozen dataclass whose fields are made by :func:`declared`. The same declaration
checks what a constructor is given, reads a file, and becomes the JSON schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from dataclasses import field as dataclass_field
from typing import Any

from voxlm.analysis.kinds import Anything, FieldError, Kind, Path, dotted
from voxlm.errors import TextError, did_you_mean


@dataclass(frozen=True, slots=True)
class Part:
    """Another record; ``short`` names the field that a text alone stands for."""

    of: type
    short: str = ""

    def read(self, value: Any, path: Path) -> Any:
        """Return the record."""
        if isinstance(value, self.of):
            return value
        if self.short and isinstance(value, str):
            value = {self.short: value}
        if not isinstance(value, Mapping):
            raise FieldError(f"expected a table of {self.of.__name__.lower()}, got {value!r}", path)
        return make(self.of, value, path)

    def plain(self, value: Any, whole: bool = False) -> Any:
        """Return what differs from the defaults; the short field alone as its text."""
        found = plain(value, whole)
        if self.short and not whole and not found.keys() - {self.short}:
            return getattr(value, self.short)
        return found

    def schema(self) -> dict[str, Any]:
        """Describe it, by its own fields."""
        table = schema_of(self.of)
        return {"anyOf": [{"type": "string"}, table]} if self.short else table


def declared(kind: Kind, about: str, **default: Any) -> Any:
    """Declare a field: what it holds and what it is for."""
    return dataclass_field(metadata={"kind": kind, "about": about}, **default)


def settle(record: Any) -> None:
    """Check and freeze every field; for ``__post_init__``."""
    for each in fields(record):
        value = getattr(record, each.name)
        if value is None and each.default is None:
            continue
        settled = each.metadata["kind"].read(value, (each.name,))
        object.__setattr__(record, each.name, settled)


def make(of: type, given: Mapping[str, Any], path: Path = ()) -> Any:
    """Make a record from a table, naming the place of what is wrong.

    Raises
    ------
    FieldError
        For keys that are unknown or lacking, and values that do not fit.
    """
    known = {each.name: each for each in fields(of)}
    rest = getattr(of, "OTHER", None)
    other = {key: value for key, value in given.items() if key not in known or key == rest}
    if other and rest is None:
        key = next(iter(other))
        raise FieldError(f"unknown key; {did_you_mean(str(key), known)}", (*path, str(key)))
    for name, each in known.items():
        if each.default is MISSING and each.default_factory is MISSING and name not in given:
            raise FieldError(f"{name} is missing: {each.metadata['about']}", path)
    values = {key: value for key, value in given.items() if key in known and key != rest}
    try:
        return of(**values, **({rest: other} if rest else {}))
    except FieldError as error:
        raise FieldError(error.message, (*path, *error.path)) from error
    except TextError as error:
        message = f"{dotted(path)}.{error.message}" if path else error.message
        raise type(error)(message, error.text, error.span, error.hint) from error


def plain(record: Any, whole: bool = False) -> dict[str, Any]:
    """Return a record as dicts, lists, texts and numbers; without its defaults unless ``whole``."""
    found: dict[str, Any] = {}
    rest = getattr(type(record), "OTHER", None)
    for each in fields(record):
        value = getattr(record, each.name)
        if value is None or (not whole and value == default_of(each)):
            continue
        item = each.metadata["kind"].plain(value, whole)
        found |= item if each.name == rest else {each.name: item}
    return found


def default_of(each: Any) -> Any:
    """Return the default of a field as the record keeps it."""
    if each.default_factory is not MISSING:
        return each.default_factory()
    if each.default is MISSING or each.default is None:
        return each.default
    return each.metadata["kind"].read(each.default, (each.name,))


def schema_of(of: type) -> dict[str, Any]:
    """Describe a record as JSON schema."""
    rest = getattr(of, "OTHER", None)
    properties: dict[str, Any] = {}
    required = []
    for each in fields(of):
        if each.name == rest:
            continue
        kind: Kind = each.metadata["kind"]
        found = {"description": each.metadata["about"], **kind.schema()}
        if each.default is MISSING and each.default_factory is MISSING:
            required.append(each.name)
        elif (default := default_of(each)) is not None and (default or default == 0):
            found["default"] = kind.plain(default)
        properties[each.name] = found
    table: dict[str, Any] = {"type": "object", "properties": properties}
    table["additionalProperties"] = Anything().schema() if rest else False
    return table | ({"required": required} if required else {})
