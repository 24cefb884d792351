"""What a formula says, before any table is asked: nodes with their place in the text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Name:
    """A word: a column, a level, or a word of the language."""

    text: str
    span: Span
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Number:
    """A number, with the text it was written as."""

    value: float
    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class String:
    """A text in quotes; only arguments are."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Listing:
    """A list in square brackets; only arguments are."""

    items: tuple[Node, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Call:
    """A word of the language with arguments."""

    function: str
    args: tuple[Node, ...]
    keywords: tuple[tuple[str, Node], ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Sum:
    """Items added (+1) or taken away (-1), in order."""

    items: tuple[tuple[int, Node], ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Product:
    """Two nodes joined by ``:``, ``*``, ``/``, ``%in%`` or ``^``."""

    sign: str
    left: Node
    right: Node
    span: Span


@dataclass(frozen=True, slots=True)
class Bar:
    """A random term ``(terms | group)``; ``||`` leaves the terms uncorrelated."""

    terms: Node
    group: Node
    correlated: bool
    span: Span


Node = Name | Number | String | Listing | Call | Sum | Product | Bar


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula that has been read but not yet given a meaning.

    Parameters
    ----------
    text : str
        As written.
    response : str
        The word left of ``~``; empty when there is none.
    rhs : Sum
        The right side.
    """

    text: str
    response: str
    rhs: Sum

    def __str__(self) -> str:
        return self.text


def children(node: Node) -> tuple[Node, ...]:
    """Return the nodes directly below one."""
    match node:
        case Sum(items=items):
            return tuple(item for _, item in items)
        case Product(left=left, right=right):
            return left, right
        case Call(args=args, keywords=keywords):
            return args + tuple(value for _, value in keywords)
        case Listing(items=items):
            return items
        case Bar(terms=terms, group=group):
            return terms, group
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and all below it, in the order of the text."""
    yield node
    for child in children(node):
        yield from walk(child)


def write(node: Node) -> str:
    """Write a node as text with the spacing of the language.

    Examples
    --------
    >>> write(Product(":", Name("face", (0, 4)), Name("rt", (5, 7)), (0, 7)))
    'face:rt'
    """
    match node:
        case Name(text=text, quoted=quoted):
            return f"`{text}`" if quoted else text
        case Number(text=text):
            return text
        case String(text=text):
            return f'"{text}"' if '"' not in text else f"'{text}'"
        case Listing(items=items):
            return "[" + ", ".join(write(item) for item in items) + "]"
        case Call(function=function, args=args, keywords=keywords):
            shown = [write(arg) for arg in args] + [f"{k}={write(v)}" for k, v in keywords]
            return f"{function}({', '.join(shown)})"
        case Sum(items=items):
            return write_sum(items)
        case Product(sign=sign, left=left, right=right):
            glue = " %in% " if sign == "%in%" else sign
            return f"{enclose(left)}{glue}{enclose(right)}"
        case Bar(terms=terms, group=group, correlated=correlated):
            return f"({write(terms)} {'|' if correlated else '||'} {write(group)})"


def write_sum(items: tuple[tuple[int, Node], ...]) -> str:
    """Write the items of a sum with their signs between them."""
    text = ""
    for sign, item in items:
        glue = (" + " if sign > 0 else " - ") if text else ("" if sign > 0 else "-")
        text += glue + (enclose(item) if isinstance(item, Sum) else write(item))
    return text


def enclose(node: Node) -> str:
    """Write a node, in parentheses where it would otherwise be read apart."""
    return f"({write(node)})" if isinstance(node, Sum | Product) else write(node)
