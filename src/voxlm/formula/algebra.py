"""Terms as lists of keys: sums are joined and taken away here, products are the engine's.

Keeping sums to ourselves is what lets a minus that removes nothing be an error.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from voxlm.errors import FormulaError
from voxlm.formula import engine
from voxlm.formula.constants import whole
from voxlm.formula.engine import Term
from voxlm.formula.syntax import Bar, Listing, Node, Number, Product, String, Sum, write

MAX_TERMS = 1_000
MAX_POWER = 6

Leaf = Callable[[Node], list[Term]]


def expand(node: Node, leaf: Leaf, text: str) -> list[Term]:
    """Expand a node into terms.

    Parameters
    ----------
    node : Node
        Part of a right side.
    leaf : callable
        Gives the terms of a name or a call.
    text : str
        The formula, for carets.

    Raises
    ------
    FormulaError
        For a minus that removes nothing, numbers inside terms, and formulas of absurd size.
    """
    match node:
        case Sum(items=items):
            terms: list[Term] = []
            for sign, item in items:
                found = expand(item, leaf, text)
                terms = join(terms, found) if sign > 0 else remove(terms, found, item, text)
            return terms
        case Product(sign="^"):
            return power(node, leaf, text)
        case Product():
            return product(node, leaf, text)
        case Number(text=word):
            raise FormulaError(
                f"the number {word} stands for no column",
                text,
                node.span,
                "0 and 1 stand alone in a sum: y ~ 0 + face; arithmetic goes into I(…)",
            )
        case String() | Listing():
            raise FormulaError("a text is no term", text, node.span, "names are written bare")
        case Bar():
            raise FormulaError(
                "a random term can only be added",
                text,
                node.span,
                "write … + (1 | subject); products of a random term have no meaning",
            )
        case _:
            return leaf(node)


def join(terms: list[Term], more: list[Term]) -> list[Term]:
    """Add terms that are not there yet."""
    seen = {frozenset(term) for term in terms}
    return terms + [term for term in more if frozenset(term) not in seen]


def remove(terms: list[Term], gone: list[Term], node: Node, text: str) -> list[Term]:
    """Take terms away; each must be there."""
    seen = {frozenset(term) for term in terms}
    if not gone or any(frozenset(term) not in seen for term in gone):
        raise FormulaError(
            f"this minus removes nothing: {write(node)} is not among the terms before it",
            text,
            node.span,
            "remove the minus, or name a term that is there",
        )
    away = {frozenset(term) for term in gone}
    return [term for term in terms if frozenset(term) not in away]


def product(node: Product, leaf: Leaf, text: str) -> list[Term]:
    """Expand ``a:b``, ``a*b``, ``a/b`` or ``a %in% b``."""
    left, right = expand(node.left, leaf, text), expand(node.right, leaf, text)
    if not left or not right:
        raise FormulaError("one side of this product has no terms", text, node.span)
    limit(len(left) * len(right), node, text)
    if node.sign == "%in%":
        # As in R: b %in% a is the interaction a:b and does not bring a along.
        return list(engine.expand(f"({written(right)}):({written(left)})"))
    return list(engine.expand(f"({written(left)}){node.sign}({written(right)})"))


def power(node: Product, leaf: Leaf, text: str) -> list[Term]:
    """Expand ``(a + b + c)^2`` into all products of at most two."""
    base = expand(node.left, leaf, text)
    if not isinstance(node.right, Number):
        raise FormulaError("a power is a whole number", text, node.right.span, "(a + b)^2")
    order = whole(node.right, text, 1, MAX_POWER)
    limit(sum(math.comb(len(base), k) for k in range(1, order + 1)), node, text)
    return list(engine.expand(f"({written(base)})**{order}"))


def limit(count: int, node: Node, text: str) -> None:
    """Refuse products of absurd size before they are made."""
    if count > MAX_TERMS:
        raise FormulaError(
            f"this expands to about {count:,} terms; at most {MAX_TERMS:,} are made",
            text,
            node.span,
        )


def written(terms: list[Term]) -> str:
    """Write terms for the engine."""
    return " + ".join(":".join(term) for term in terms)
