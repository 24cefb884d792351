"""The response words of a formula: ``hrf(face, "spm + derivative")``, ``fir(face, [0, 1, 2])``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from voxlm.errors import FormulaError, VoxlmError, did_you_mean
from voxlm.formula.constants import constant
from voxlm.formula.syntax import Call, Name, Node, String, Sum
from voxlm.formula.vocabulary import MODIFIERS, RESPONSES, TAGS

HINT = (
    'write "spm" or "glover", or "spm_exact" or "glover_exact", with + derivative or '
    "+ derivative + dispersion"
)
MAX_FUNCTIONS = 100
COMMON = ("lag", "subset", "normalize")
CONDITION = re.compile(r"\s*(`[^`]+`|[^\W\d][\w.]*)\s*(?:(==|!=|<=|>=|<|>)\s*(\S.*?))?\s*")


@dataclass(frozen=True, slots=True)
class Basis:
    """A response as a formula asks for it, to be made by :mod:`voxlm.hrf`.

    Parameters
    ----------
    function : str
        The word: ``hrf``, ``fir``, ``tent``, …
    options : tuple of (str, object)
        Its arguments.
    lag : float
        Seconds by which it comes later.
    normalize : str
        The measure that is brought to one; empty for none.
    """

    function: str
    options: tuple[tuple[str, Any], ...]
    lag: float = 0.0
    normalize: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """What each function adds to a column's name."""
        options = dict(self.options)
        match self.function:
            case "hrf":
                return labels_of(options["response"])
            case "fir":
                return tuple(f"delay_{int(delay)}" for delay in options["delays"])
            case "tent" | "spline":
                return tuple(f"{self.function}_{k}" for k in range(int(options["n"])))
            case _:
                return ("",)

    def written(self, terms: str) -> str:
        """Write the call that gives this response to some terms."""
        shown = [terms]
        for word, value in self.options:
            plain = self.function == "hrf" and word == "response"
            shown.append(f'"{value}"' if plain else f"{word}={show(value)}")
        shown += [f"lag={self.lag:g}"] if self.lag else []
        shown += [f'normalize="{self.normalize}"'] if self.normalize else []
        return f"{self.function}({', '.join(shown)})"

    def __str__(self) -> str:
        return self.written("…")


@dataclass(frozen=True, slots=True)
class Subset:
    """Which events a response is given to: those where a column has, or compares to, a value."""

    column: str
    sign: str
    value: str
    text: str


def show(value: Any) -> str:
    """Write an option as a formula would."""
    if isinstance(value, tuple):
        return "[" + ", ".join(show(item) for item in value) + "]"
    return f"{value:g}" if isinstance(value, float) else repr(value)


def labels_of(response: Any) -> tuple[str, ...]:
    """Return the labels of a response that is a text or a value."""
    if isinstance(response, str):
        return ("", *(word.strip() for word in response.split("+")[1:]))
    return tuple(getattr(response, "labels", ("",)))


def suffixes(response: Any) -> tuple[str, ...]:
    """Return what a response adds to the names of its columns, nothing for the canonical one.

    Examples
    --------
    >>> suffixes("spm + derivative")
    ('', '_derivative')
    """
    return tuple(f"_{label}" if label else "" for label in labels_of(response))


def basis_of(node: Call, text: str, default: Any, own: Mapping[str, Any]) -> Basis:
    """Return the response a tag asks for.

    Parameters
    ----------
    node : Call
        ``hrf(terms, response)``, ``fir(terms, delays=[…])``, …
    text : str
        The formula, for carets.
    default : object
        The response of the model, which ``hrf(terms)`` stands for.
    own : mapping
        Responses the caller has named.

    Raises
    ------
    FormulaError
        For a response nobody knows, and arguments it has no use for.
    """
    given = arguments(node, text)
    lag = constant(given.pop("lag"), text) if "lag" in given else 0.0
    norm = constant(given.pop("normalize"), text) if "normalize" in given else ""
    given.pop("subset", None)
    if not isinstance(lag, float):
        raise FormulaError("lag is a number of seconds", text, node.span)
    if node.function == "hrf":
        response = named_response(given.get("response"), text, default, own)
        return Basis("hrf", (("response", response),), lag, str(norm))
    options = {word: frozen(constant(value, text)) for word, value in given.items()}
    check_options(node, options, text)
    return Basis(node.function, tuple(options.items()), lag, str(norm))


def arguments(node: Call, text: str) -> dict[str, Node]:
    """Match the arguments of a tag, after the terms, with the words they stand for."""
    words = TAGS[node.function]
    if len(node.args) - 1 > len(words):
        raise FormulaError(
            f"{node.function}() takes terms and at most {len(words)} plain arguments",
            text,
            node.args[len(words) + 1].span,
        )
    given = dict(zip(words, node.args[1:], strict=False))
    for word, value in node.keywords:
        if word not in (*words, *COMMON):
            hint = did_you_mean(word, (*words, *COMMON))
            raise FormulaError(f"{node.function}() knows no {word!r}", text, value.span, hint)
        if word in given:
            raise FormulaError(f"{word!r} is given twice", text, value.span)
        given[word] = value
    return given


def frozen(value: Any) -> Any:
    """Return lists as tuples, so that options compare and hash."""
    return tuple(value) if isinstance(value, list) else value


def check_options(node: Call, options: dict[str, Any], text: str) -> None:
    """Require the arguments without which a response has no shape."""
    missing = [w for w in TAGS[node.function] if w not in options and node.function != "gamma"]
    if missing:
        raise FormulaError(
            f"{node.function}() needs {' and '.join(missing)}",
            text,
            node.span,
            f"write {node.function}(face, {', '.join(TAGS[node.function])})",
        )
    for word, value in options.items():
        numbers = value if word == "delays" and isinstance(value, tuple) else (value,)
        if not all(isinstance(item, float) for item in numbers) or not numbers:
            raise FormulaError(f"{word} of {node.function}() is made of numbers", text, node.span)
    count = options.get("n", 1.0)
    if count != int(count) or not 1 <= count <= MAX_FUNCTIONS:
        raise FormulaError(f"n is a whole number from 1 to {MAX_FUNCTIONS}", text, node.span)


def named_response(node: Node | None, text: str, default: Any, own: Mapping[str, Any]) -> Any:
    """Return the response a text or a bare word names."""
    if node is None:
        return default
    words = response_words(node, text)
    if len(words) == 1 and words[0] in own:
        return own[words[0]]
    words = [word.lower() for word in words]
    problem = find_problem(words, own)
    if problem:
        raise FormulaError(problem[0], text, node.span, problem[1])
    return " + ".join(words)


def response_words(node: Node, text: str) -> list[str]:
    """Read ``spm + derivative``, quoted or bare, as words."""
    match node:
        case String(text=written):
            return [word.strip() for word in written.split("+")]
        case Name(text=word):
            return [word]
        case Sum(items=items) if all(s > 0 and isinstance(i, Name) for s, i in items):
            return [item.text for _, item in items if isinstance(item, Name)]
        case _:
            raise FormulaError("a response is a name", text, node.span, HINT)


def find_problem(words: list[str], own: Mapping[str, Any]) -> tuple[str, str] | None:
    """Say what is wrong with the words of a response, and the next step."""
    first, *added = words
    if first not in RESPONSES:
        return f"unknown response {first!r}", did_you_mean(first, (*RESPONSES, *own))
    for word in added:
        if word not in MODIFIERS:
            return f"a response has no {word!r}", did_you_mean(word, MODIFIERS)
    if len(set(added)) < len(added):
        return "a derivative is asked for twice", HINT
    return None


def check_response(response: Any) -> None:
    """Require that a model's response is a known text or may stand for a response.

    Raises
    ------
    VoxlmError
        If it is neither.
    """
    if isinstance(response, str):
        if response == "boxcar":
            return
        problem = find_problem([word.strip().lower() for word in response.split("+")], {})
        if problem:
            raise VoxlmError(f"hrf={response!r}: {problem[0]}; {problem[1]}")
    elif not (hasattr(response, "kernels") or callable(response) or response is None):
        raise VoxlmError(f"hrf={response!r} is no response; {HINT}, or give a value of vx.hrf")


def subset_of(node: Call, text: str) -> Subset | None:
    """Read ``subset="correct"`` or ``subset="rt < 2"``; nothing in it is evaluated.

    Raises
    ------
    FormulaError
        If the text is not one column, or one column compared with one value.
    """
    value = dict(node.keywords).get("subset")
    if value is None:
        return None
    found = CONDITION.fullmatch(value.text) if isinstance(value, String) else None
    if found is None:
        raise FormulaError(
            "subset is a text that names a column, or compares it with one value",
            text,
            value.span,
            'subset="correct" or subset="rt < 2" or subset="task == attend"',
        )
    column, sign, right = found.groups()
    plain = (right or "").strip("'\"")
    return Subset(column.strip("`"), sign or "", plain, found.string.strip())
