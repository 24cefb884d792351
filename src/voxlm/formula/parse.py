"""Tokens to a tree: the grammar of formulas, one function a rule, spans kept.

Operators bind as in R, tightest first: ``^``, ``:``, ``%in%``, ``* /``, ``+ -``. Arguments of calls
use the same grammar; whether ``+`` joins terms or adds numbers is settled by who calls.
"""

from __future__ import annotations

from dataclasses import dataclass

from voxlm.errors import FormulaError, did_you_mean
from voxlm.formula.syntax import (
    Bar,
    Call,
    Formula,
    Listing,
    Name,
    Node,
    Number,
    Product,
    Span,
    String,
    Sum,
)
from voxlm.formula.tokens import CODE_HINT, Token, tokenize
from voxlm.formula.vocabulary import FUNCTIONS, TRANSFORMS

MAX_DEPTH = 32
MAX_CHAIN = 32
ADDITIONS = {"+": 1, "-": -1}


def parse(text: str) -> Formula:
    """Read a formula; no table is needed and nothing is evaluated.

    Parameters
    ----------
    text : str
        ``"y ~ face + house + motion"``. The response is one plain name, or absent.

    Returns
    -------
    Formula
        The words with their places, for :func:`voxlm.formula.resolve.resolve`.

    Raises
    ------
    FormulaError
        Where the text is no formula: unbalanced parentheses, an empty side, code.

    Examples
    --------
    >>> parse("y ~ face + house").response
    'y'
    >>> parse("y ~ face +")
    Traceback (most recent call last):
        ...
    voxlm.errors.FormulaError: a term is missing here
      y ~ face +
                ^
    """
    if not isinstance(text, str):
        raise FormulaError(f"a formula is a text such as 'y ~ face + house', got {text!r}")
    reader = Reader(text, tokenize(text))
    response = reader.response()
    if reader.peek().kind == "end":
        raise FormulaError(
            "the right side is empty", text, reader.peek().span, "write what explains it: y ~ face"
        )
    rhs = reader.addition()
    reader.finish()
    return Formula(text, response, rhs)


@dataclass(slots=True)
class Reader:
    """A place in a list of tokens, and the rules that move it on."""

    text: str
    tokens: list[Token]
    place: int = 0
    depth: int = 0

    def peek(self, ahead: int = 0) -> Token:
        """Return a token without taking it."""
        return self.tokens[min(self.place + ahead, len(self.tokens) - 1)]

    def take(self) -> Token:
        """Return the next token and move past it."""
        token = self.peek()
        self.place += 1
        return token

    def sees(self, *signs: str) -> bool:
        """Tell whether the next token is one of these signs."""
        return self.peek().kind == "op" and self.peek().text in signs

    def fail(self, message: str, span: Span, hint: str = "") -> FormulaError:
        """Make an error at a place of the text."""
        return FormulaError(message, self.text, span, hint)

    def response(self) -> str:
        """Read what stands left of ``~``."""
        tildes = [t for t in self.tokens if t.kind == "op" and t.text == "~"]
        if not tildes:
            whole = self.tokens[0].start, self.tokens[-1].stop
            raise self.fail("a formula needs a ~", whole, "write y ~ face + house")
        if len(tildes) > 1:
            raise self.fail("a formula has one ~", tildes[1].span)
        left = self.tokens[: self.tokens.index(tildes[0])]
        self.place = len(left) + 1
        if not left:
            return ""
        if len(left) > 1 or left[0].kind not in ("name", "quoted"):
            raise self.fail(
                "the left side is one plain name",
                (left[0].start, left[-1].stop),
                "write y ~ …; the data are given to the fit, not to the formula",
            )
        return left[0].text

    def finish(self) -> None:
        """Require that nothing is left."""
        token = self.peek()
        if token.kind == "end":
            return
        if self.sees(")"):
            raise self.fail("this parenthesis was never opened", token.span)
        if self.sees("["):
            raise self.fail("subscripts are not part of a formula", token.span, CODE_HINT)
        if self.sees("|", "||"):
            raise self.fail(
                "a random term stands in parentheses", token.span, "write (1 | subject)"
            )
        raise self.fail("an operator is missing before this", token.span, "join terms with +")

    def addition(self) -> Sum:
        """Read items joined by + and -."""
        start = self.peek().start
        sign = ADDITIONS[self.take().text] if self.sees("+", "-") else 1
        items = [(sign, self.inside())]
        while self.sees("+", "-"):
            sign = ADDITIONS[self.take().text]
            while self.sees("+", "-"):
                sign *= ADDITIONS[self.take().text]
            items.append((sign, self.inside()))
        return Sum(tuple(items), (start, self.tokens[self.place - 1].stop))

    def inside(self) -> Node:
        """Read one item of a sum: factors joined by ``*`` and ``/``."""
        return self.chain(self.nested, "*", "/")

    def nested(self) -> Node:
        """Read factors joined by ``%in%``."""
        return self.chain(self.interaction, "%in%")

    def interaction(self) -> Node:
        """Read factors joined by colons."""
        return self.chain(self.power, ":")

    def chain(self, rule: object, *signs: str) -> Node:
        """Read ``rule (sign rule)*``, grouping from the left."""
        assert callable(rule)
        node: Node = rule()
        count = 1
        while self.sees(*signs):
            sign = self.take().text
            right: Node = rule()
            node = Product(sign, node, right, (node.span[0], right.span[1]))
            count += 1
            if count > MAX_CHAIN:
                raise self.fail(f"more than {MAX_CHAIN} factors in one term", node.span)
        return node

    def power(self) -> Node:
        """Read a factor and its exponent; as in R, a sign before them is of the power."""
        minus = self.take() if self.sees("-") else None
        found = self.factor()
        if self.sees("^", "**"):
            self.take()
            exponent = self.signed()
            found = Product("^", found, exponent, (found.span[0], exponent.span[1]))
        return found if minus is None else negative(minus, found)

    def signed(self) -> Node:
        """Read an exponent: a factor, or one with its sign."""
        minus = self.take() if self.sees("-") else None
        value = self.factor()
        return value if minus is None else negative(minus, value)

    def factor(self) -> Node:
        """Read a name, a number, a text, a call, or what stands in brackets."""
        token = self.peek()
        match token.kind:
            case "number":
                self.take()
                return Number(float(token.text), token.text, token.span)
            case "string":
                self.take()
                return String(token.text, token.span)
            case "quoted":
                self.take()
                return self.unsubscripted(Name(token.text, token.span, quoted=True))
            case "name":
                return self.name()
        if self.sees("("):
            return self.parenthesis()
        if self.sees("["):
            return self.listing()
        if self.sees(")") and self.depth == 0:
            raise self.fail("this parenthesis was never opened", token.span)
        raise self.fail("a term is missing here", token.span)

    def unsubscripted(self, node: Node) -> Node:
        """Refuse a bracket right after a name."""
        if self.sees("["):
            raise self.fail("subscripts are not part of a formula", self.peek().span, CODE_HINT)
        return node

    def name(self) -> Node:
        """Read a name, or a call of a known function."""
        token = self.take()
        if not self.sees("("):
            return self.unsubscripted(Name(token.text, token.span))
        if token.text not in FUNCTIONS:
            raise self.fail(
                f"{token.text!r} is no function of the formula language",
                token.span,
                did_you_mean(token.text, sorted(FUNCTIONS)),
            )
        return self.call(token)

    def enter(self, opening: Token) -> None:
        """Go one bracket deeper."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.fail(f"nested more than {MAX_DEPTH} deep", opening.span)

    def leave(self, opening: Token, closing: str) -> int:
        """Require the closing bracket and return where it ends."""
        if not self.sees(closing):
            token = self.peek()
            if token.kind == "end":
                raise self.fail(f"this {opening.text} is never closed", opening.span)
            raise self.fail(f"expected {closing} or an operator here", token.span)
        self.depth -= 1
        return self.take().stop

    def parenthesis(self) -> Node:
        """Read a group of terms, or a random term."""
        opening = self.take()
        self.enter(opening)
        inner: Sum = self.addition()
        if self.sees("|", "||"):
            correlated = self.take().text == "|"
            group = self.addition()
            stop = self.leave(opening, ")")
            return Bar(inner, single(group), correlated, (opening.start, stop))
        stop = self.leave(opening, ")")
        return self.unsubscripted(Sum(inner.items, (opening.start, stop)))

    def listing(self) -> Node:
        """Read ``[a, b, c]``."""
        opening = self.take()
        self.enter(opening)
        items: list[Node] = []
        while not self.sees("]"):
            items.append(single(self.addition()))
            if not self.sees(","):
                break
            self.take()
        return Listing(tuple(items), (opening.start, self.leave(opening, "]")))

    def call(self, function: Token) -> Node:
        """Read the arguments of a function."""
        opening = self.take()
        self.enter(opening)
        args: list[Node] = []
        keywords: list[tuple[str, Node]] = []
        while not self.sees(")"):
            self.argument(args, keywords)
            if not self.sees(","):
                break
            self.take()
        stop = self.leave(opening, ")")
        node = Call(function.text, tuple(args), tuple(keywords), (function.start, stop))
        if not args and function.text in TRANSFORMS:
            raise self.fail(f"{function.text}() needs a variable", node.span)
        return self.unsubscripted(node)

    def argument(self, args: list[Node], keywords: list[tuple[str, Node]]) -> None:
        """Read ``value`` or ``word=value`` into the right list."""
        token = self.peek()
        if token.kind == "name" and self.peek(1).kind == "op" and self.peek(1).text == "=":
            if token.text in dict(keywords):
                raise self.fail(f"{token.text!r} is given twice", token.span)
            self.place += 2
            keywords.append((token.text, single(self.addition())))
            return
        if keywords:
            raise self.fail("a plain argument stands before the named ones", token.span)
        args.append(single(self.addition()))


def negative(minus: Token, value: Node) -> Sum:
    """Return a node with its sign."""
    return Sum(((-1, value),), (minus.start, value.span[1]))


def single(node: Sum) -> Node:
    """Return the one item of a sum that adds only one."""
    if len(node.items) == 1 and node.items[0][0] == 1:
        return node.items[0][1]
    return node
