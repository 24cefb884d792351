"""Arguments that are plain values: numbers and their arithmetic, texts, lists, yes and no."""

from __future__ import annotations

import math
from typing import Any

from voxlm.errors import FormulaError
from voxlm.formula.syntax import Call, Listing, Name, Node, Number, Product, String, Sum

WORDS: dict[str, Any] = {"True": True, "False": False, "None": None}
MAX_EXPONENT = 64


def constant(node: Node, text: str) -> Any:
    """Return the value of an argument that names no column.

    Parameters
    ----------
    node : Node
        The argument.
    text : str
        The formula, for the caret.

    Raises
    ------
    FormulaError
        If it is anything but a number, arithmetic of numbers, a text, a list, True, False or None.

    Examples
    --------
    >>> from voxlm.formula.parse import parse
    >>> call = parse("y ~ cosine(1/128)").rhs.items[0][1]
    >>> constant(call.args[0], "cosine(1/128)")
    0.0078125
    """
    match node:
        case String(text=word):
            return word
        case Listing(items=items):
            return [constant(item, text) for item in items]
        case Name(text=word) if word in WORDS:
            return WORDS[word]
        case _:
            return number(node, text)


def number(node: Node, text: str) -> float:
    """Return the value of an argument that must be a number.

    Raises
    ------
    FormulaError
        If it is none, or is not finite.
    """
    value = arithmetic(node, text)
    if not math.isfinite(value):
        raise FormulaError("this is no finite number", text, node.span)
    return value


def whole(node: Node, text: str, least: int, most: int) -> int:
    """Return the value of an argument that must be a whole number between two others."""
    value = number(node, text)
    if value != int(value) or not least <= value <= most:
        raise FormulaError(
            f"expected a whole number from {least} to {most}, got {value:g}", text, node.span
        )
    return int(value)


def arithmetic(node: Node, text: str) -> float:
    """Compute ``+ - * / ^`` of numbers."""
    match node:
        case Number(value=value):
            return value
        case Sum(items=items):
            return sum(sign * arithmetic(item, text) for sign, item in items)
        case Product(sign=sign, left=left, right=right) if sign in ("*", "/", "^"):
            return combine(sign, arithmetic(left, text), arithmetic(right, text), node, text)
        case Name(text=word):
            raise FormulaError(
                f"expected a number, got the name {word!r}",
                text,
                node.span,
                "give the number itself, such as scrub(0.5) or cosine(1/128)",
            )
        case Call(function=word):
            raise FormulaError(f"expected a number, got {word}(…)", text, node.span)
        case _:
            raise FormulaError("expected a number here", text, node.span)


def combine(sign: str, left: float, right: float, node: Node, text: str) -> float:
    """Compute one operation of two numbers."""
    if sign == "*":
        return left * right
    if sign == "/":
        if right == 0:
            raise FormulaError("this divides by zero", text, node.span)
        return left / right
    if abs(right) > MAX_EXPONENT or (left < 0 and right != int(right)) or (left == 0 and right < 0):
        raise FormulaError("this power is no number worth computing", text, node.span)
    try:
        return float(left**right)
    except OverflowError:
        raise FormulaError("this power is too large", text, node.span) from None


def is_constant(node: Node) -> bool:
    """Tell whether a node is a number or arithmetic of numbers.

    Examples
    --------
    >>> is_constant(Number(3.0, "3", (0, 1))), is_constant(Name("rt", (0, 2)))
    (True, False)
    """
    match node:
        case Number():
            return True
        case Sum(items=items):
            return all(is_constant(item) for _, item in items)
        case Product(left=left, right=right):
            return is_constant(left) and is_constant(right)
        case _:
            return False
