"""What a field of a record may hold: read, written and described by one kind each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any, Protocol

from voxlm.errors import DataError, TextError, did_you_mean

Path = tuple[str | int, ...]


class FieldError(DataError):
    """A value that a field cannot hold.

    Parameters
    ----------
    message : str
        What is wrong.
    path : tuple of str or int
        Keys from the outermost record to the value.
    source : str
        The file and line, where they are known.
    """

    def __init__(self, message: str, path: Path = (), source: str = "") -> None:
        self.message, self.path, self.source = message, path, source
        where = ": ".join(part for part in (source, dotted(path)) if part)
        super().__init__(f"{where}: {message}" if where else message)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.message, self.path, self.source)


def dotted(path: Path) -> str:
    """Write a path as a file would.

    Examples
    --------
    >>> dotted(("group", 0, "formula"))
    'group[1].formula'
    """
    text = ""
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else f"{'.' * bool(text)}{part}"
    return text


class Entries(Mapping[str, Any]):
    """A mapping that stays as it is: it compares, hashes, prints and pickles as its items.

    Examples
    --------
    >>> Entries({"a": 1}) == {"a": 1}, Entries({"a": 1})
    (True, {'a': 1})
    """

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, Any] | None = None) -> None:
        self._items: dict[str, Any] = dict(items or {})

    def __getitem__(self, key: str) -> Any:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(tuple(sorted(self._items)))

    def __repr__(self) -> str:
        return repr(self._items)


class Kind(Protocol):
    """What a field may hold."""

    def read(self, value: Any, path: Path) -> Any:
        """Return the value as the record keeps it, or raise FieldError."""

    def plain(self, value: Any, whole: bool = False) -> Any:
        """Return the value as a file holds it; with ``whole``, its parts with their defaults."""

    def schema(self) -> dict[str, Any]:
        """Describe it as JSON schema."""


class AsIs:
    """Values that a file holds as they are."""

    __slots__ = ()

    def plain(self, value: Any, whole: bool = False) -> Any:
        """Return it as it is."""
        del whole
        return value


@dataclass(frozen=True, slots=True)
class Text(AsIs):
    """A text; ``check`` may refuse it."""

    check: Callable[[str], object] | None = None
    paths: bool = False

    def read(self, value: Any, path: Path) -> str:
        """Return the text."""
        if self.paths and isinstance(value, PathLike):
            value = fspath(value)
        if not isinstance(value, str):
            raise FieldError(f"expected a text, got {value!r}", path)
        if self.check is not None:
            checked(self.check, value, path)
        return value

    def schema(self) -> dict[str, Any]:
        """Describe a text."""
        return {"type": "string"}


def checked(check: Callable[[str], object], value: str, path: Path) -> None:
    """Run a check, saying at which place it failed."""
    try:
        check(value)
    except TextError as error:
        message = f"{dotted(path)}: {error.message}"
        raise type(error)(message, error.text, error.span, error.hint) from error
    except FieldError:
        raise
    except DataError as error:
        raise FieldError(str(error), path) from error


@dataclass(frozen=True, slots=True)
class Choice(AsIs):
    """One of some words."""

    words: tuple[str, ...]

    def read(self, value: Any, path: Path) -> str:
        """Return the word; None is ``"none"`` where that is one of them."""
        if value is None and "none" in self.words:
            return "none"
        if value not in self.words:
            known = did_you_mean(str(value), self.words)
            raise FieldError(
                f"expected one of {', '.join(self.words)}, got {value!r}; {known}", path
            )
        return str(value)

    def schema(self) -> dict[str, Any]:
        """Describe the words."""
        return {"enum": list(self.words)}


@dataclass(frozen=True, slots=True)
class Real(AsIs):
    """A number between bounds."""

    least: float = -math.inf
    most: float = math.inf
    above: bool = False
    whole: bool = False

    def read(self, value: Any, path: Path) -> float:
        """Return the number."""
        try:
            number = value if isinstance(value, bool) else float(value)
            good = not isinstance(value, (bool, str)) and math.isfinite(number)
        except (TypeError, ValueError):
            good = False
        if good:
            good = number > self.least if self.above else number >= self.least
            good = good and number <= self.most and not (self.whole and number % 1)
        if not good:
            raise FieldError(f"expected {self._words()}, got {value!r}", path)
        return int(number) if self.whole else number

    def _words(self) -> str:
        words = "a whole number" if self.whole else "a number"
        if math.isfinite(self.least):
            words += f" above {self.least:g}" if self.above else f" of at least {self.least:g}"
        return words + (f" and at most {self.most:g}" if math.isfinite(self.most) else "")

    def schema(self) -> dict[str, Any]:
        """Describe the number."""
        found: dict[str, Any] = {"type": "integer" if self.whole else "number"}
        if math.isfinite(self.least):
            found["exclusiveMinimum" if self.above else "minimum"] = self.least
        if math.isfinite(self.most):
            found["maximum"] = self.most
        return found


@dataclass(frozen=True, slots=True)
class Flag(AsIs):
    """True or false."""

    def read(self, value: Any, path: Path) -> bool:
        """Return the truth."""
        if not isinstance(value, bool):
            raise FieldError(f"expected true or false, got {value!r}", path)
        return value

    def schema(self) -> dict[str, Any]:
        """Describe a truth."""
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Listed:
    """Several of a kind; one alone may stand for a list of one, and is written so if ``lone``."""

    of: Kind
    lone: bool = False

    def read(self, value: Any, path: Path) -> tuple[Any, ...]:
        """Return them as a tuple."""
        several = isinstance(value, Sequence) and not isinstance(value, str)
        if not several:
            return (self.of.read(value, path),)
        return tuple(self.of.read(item, (*path, at)) for at, item in enumerate(value))

    def plain(self, value: Any, whole: bool = False) -> Any:
        """Return a list, or the one."""
        found = [self.of.plain(item, whole) for item in value]
        return found[0] if self.lone and len(found) == 1 and not whole else found

    def schema(self) -> dict[str, Any]:
        """Describe one, or a list."""
        one = self.of.schema()
        return {"anyOf": [one, {"type": "array", "items": one}]}


@dataclass(frozen=True, slots=True)
class Named:
    """Values of a kind by name; ``names`` gives names to values that come as a list."""

    of: Kind
    names: Callable[[Any], str] | None = None

    def read(self, value: Any, path: Path) -> Entries:
        """Return them as entries."""
        if self.names is not None and not isinstance(value, Mapping):
            items = [value] if isinstance(value, str) or not isinstance(value, Sequence) else value
            found: dict[str, Any] = {}
            for at, item in enumerate(items):
                text = self.of.read(item, (*path, at))
                if self.names(text) in found:
                    raise FieldError(f"{self.names(text)!r} would be there twice", (*path, at))
                found[self.names(text)] = text
            return Entries(found)
        if not isinstance(value, Mapping):
            raise FieldError(f"expected names with values, got {value!r}", path)
        for name in value:
            if not isinstance(name, str):
                raise FieldError(f"expected a text as a name, got {name!r}", path)
        return Entries({name: self.of.read(item, (*path, name)) for name, item in value.items()})

    def plain(self, value: Any, whole: bool = False) -> Any:
        """Return a dict."""
        return {name: self.of.plain(item, whole) for name, item in value.items()}

    def schema(self) -> dict[str, Any]:
        """Describe a table, or a list of what names itself."""
        one = self.of.schema()
        table = {"type": "object", "additionalProperties": one}
        if self.names is None:
            return table
        return {"anyOf": [table, one, {"type": "array", "items": one}]}


@dataclass(frozen=True, slots=True)
class Either:
    """The first kind that a value fits; texts, or names with values."""

    text: Kind
    table: Kind

    def read(self, value: Any, path: Path) -> Any:
        """Return it by its kind."""
        return (self.table if isinstance(value, Mapping) else self.text).read(value, path)

    def plain(self, value: Any, whole: bool = False) -> Any:
        """Return it by its kind."""
        return (self.table if isinstance(value, Mapping) else self.text).plain(value, whole)

    def schema(self) -> dict[str, Any]:
        """Describe both."""
        return {"anyOf": [self.text.schema(), self.table.schema()]}


@dataclass(frozen=True, slots=True)
class Anything:
    """Whatever JSON holds, but null."""

    def read(self, value: Any, path: Path) -> Any:
        """Return it, frozen."""
        if isinstance(value, Mapping):
            return Entries({str(key): self.read(item, (*path, key)) for key, item in value.items()})
        if isinstance(value, Sequence) and not isinstance(value, str):
            return tuple(self.read(item, (*path, at)) for at, item in enumerate(value))
        if isinstance(value, float) and not math.isfinite(value):
            raise FieldError(f"expected a finite number, got {value!r}", path)
        if not isinstance(value, (str, bool, int, float)):
            raise FieldError(f"{value!r} is no data that a file could hold", path)
        return value

    def plain(self, value: Any, whole: bool = False) -> Any:
        """Return dicts and lists."""
        del whole
        if isinstance(value, Mapping):
            return {key: self.plain(item) for key, item in value.items()}
        return [self.plain(item) for item in value] if isinstance(value, tuple) else value

    def schema(self) -> dict[str, Any]:
        """Describe anything."""
        return {"type": ["string", "number", "boolean", "array", "object"]}
