"""Marginal means in a contrast text: what is asked for, and where it stands.

The language::

    means := "emm" "(" STRING ("," STRING)* ("," "at" "=" AT)? ")" (".pairs()")? ("[" STRING "]")?
           | "level" "(" STRING "," VALUE ("," "at" "=" AT)? ")"
    AT    := "{" STRING ":" (VALUE | "[" VALUE ("," VALUE)* "]") ("," ...)* "}"
    VALUE := STRING | NUMBER
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from voxlm.contrasts.cursor import Cursor
from voxlm.contrasts.names import Span
from voxlm.errors import ContrastError

STRING = re.compile(r'"((?:[^"\\]|\\.)*)"|\'((?:[^\'\\]|\\.)*)\'')
NUMBER = re.compile(r"[+-]?(\d{1,17}\.?\d{0,17}|\.\d{1,17})([eE][+-]?\d{1,2})?(?![\w.])")
PAIRS = re.compile(r"\.\s*pairs\s*\(\s*\)")
EXAMPLE = 'emm("group", at={"age": 60})'

Value = tuple[Any, Span]
Fixed = tuple[str, Span, tuple[Value, ...]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request with its places in the text."""

    factors: tuple[tuple[str, Span], ...]
    at: tuple[Fixed, ...]
    paired: bool
    chosen: tuple[str, Span]


def read_call(cursor: Cursor, call: str) -> Asked:
    """Read a call with its arguments, and what follows it.

    Parameters
    ----------
    cursor : Cursor
        Stands at the call; is left behind it.
    call : {"emm", "level"}
        Which one.

    Raises
    ------
    ContrastError
        For anything but names in quotes, numbers and ``at={...}``.
    """
    start = cursor.at
    cursor.at += len(call)
    cursor.open()
    first = _string(cursor)
    factors, level = [first], None
    at: tuple[Fixed, ...] = ()
    while cursor.take(","):
        if cursor.text.startswith("at", cursor.at):
            at = _at(cursor)
            break
        if call == "level" and level is None:
            level = _value(cursor)
        else:
            factors.append(_string(cursor))
    cursor.close(start)
    if call == "level":
        if level is None or len(factors) > 1:
            raise ContrastError(
                "level() takes a factor and one of its levels",
                cursor.text,
                (start, cursor.at),
                'write for instance level("task", "attend")',
            )
        return Asked((first,), (*at, (*first, (level,))), False, ("", (start, cursor.at)))
    paired = PAIRS.match(cursor.text, cursor.at)
    if paired:
        cursor.at = paired.end()
        cursor.skip()
    chosen = ("", (start, cursor.at))
    if cursor.take("["):
        chosen = _string(cursor)
        _expect(cursor, "]")
    return Asked(tuple(factors), at, bool(paired), chosen)


def _at(cursor: Cursor) -> tuple[Fixed, ...]:
    """Read ``at={...}``."""
    cursor.at += len("at")
    _expect(cursor, "=")
    _expect(cursor, "{")
    found = []
    while True:
        name, span = _string(cursor)
        _expect(cursor, ":")
        if cursor.take("["):
            values = [_value(cursor)]
            while cursor.take(","):
                values.append(_value(cursor))
            _expect(cursor, "]")
        else:
            values = [_value(cursor)]
        found.append((name, span, tuple(values)))
        if not cursor.take(","):
            _expect(cursor, "}")
            return tuple(found)


def _expect(cursor: Cursor, sign: str) -> None:
    if not cursor.take(sign):
        raise cursor.error(f"a {sign} should stand here", f"write for instance {EXAMPLE}")


def _string(cursor: Cursor) -> tuple[str, Span]:
    """Read a text in quotes."""
    cursor.skip()
    found = STRING.match(cursor.text, cursor.at)
    if not found:
        raise cursor.error("a name in quotes should stand here", f"write for instance {EXAMPLE}")
    cursor.at = found.end()
    cursor.skip()
    inside = found.group(1) if found.group(1) is not None else found.group(2)
    return re.sub(r"\\(.)", r"\1", inside), found.span()


def _value(cursor: Cursor) -> tuple[Any, Span]:
    """Read a number, or a text in quotes."""
    cursor.skip()
    found = NUMBER.match(cursor.text, cursor.at)
    if not found:
        return _string(cursor)
    cursor.at = found.end()
    cursor.skip()
    return float(found.group()), found.span()
