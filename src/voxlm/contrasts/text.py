"""Contrast text: a reader of linear combinations of column names.

The text is read character by character against the names that the design has; nothing of it is
ever evaluated. Where a name is expected the longest exact name wins, so that brackets, colons and
hyphens inside names need no quoting unless a second reading exists.

The language::

    contrast := equation ("," equation)*
    equation := sum ("=" sum)*
    sum      := product (("+" | "-") product)*
    product  := factor (("*" | "/") factor)*
    factor   := ("+" | "-") factor | NUMBER | NAME | `NAME` | "(" sum ")"
              | term(TERM) | basis(CONDITION) | joint(contrast) | F(contrast)
              | emm(...) | level(...)    see :mod:`voxlm.contrasts.means`
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

from voxlm.contrasts.cursor import POWER, Cursor
from voxlm.contrasts.linear import Block, Linear, number, single
from voxlm.contrasts.means import CALLS as MEANS
from voxlm.contrasts.means import read_means
from voxlm.contrasts.names import Lexicon, Names, Span
from voxlm.errors import ContrastError

MAX_LENGTH = 4_000
NUMBER = re.compile(r"(\d{1,17}\.?\d{0,17}|\.\d{1,17})([eE][+-]?\d{1,2})?")
SIGNS = re.compile(r"[-+*/=,]")
CALLS = ("joint", "F", "term", "basis", *MEANS)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a hypothesis: ``weights . beta = null``.

    Parameters
    ----------
    weights : Linear
        The columns and their weights; its constant is 0.
    null : Fraction
        The value under the null hypothesis.
    span : tuple of int
        Where in the text it stands.
    """

    weights: Linear
    null: Fraction
    span: Span


@dataclass(frozen=True, slots=True)
class Parsed:
    """A contrast text as rows; ``joint`` where its words ask for an F."""

    rows: tuple[Row, ...]
    joint: bool


def parse_contrast(text: str, names: Names) -> Parsed:
    """Read a contrast text.

    Parameters
    ----------
    text : str
        Such as ``(face + house)/2 - tool``.
    names : Names
        What it may speak of.

    Returns
    -------
    Parsed
        Its rows, with exact weights.

    Raises
    ------
    ContrastError
        Unknown or ambiguous names, anything that is not linear, comparisons, a contrast without
        columns, text that is too long or too deep; each with a caret.

    Examples
    --------
    >>> from voxlm.contrasts.names import name_columns
    >>> from voxlm.design.columns import Column
    >>> names = name_columns([Column(n, n, "task", n) for n in ("face", "house", "tool")])
    >>> parsed = parse_contrast("face = house = tool", names)
    >>> [dict(row.weights.weights) for row in parsed.rows][0]
    {0: Fraction(1, 1), 1: Fraction(-1, 1)}
    """
    if len(text) > MAX_LENGTH:
        raise ContrastError(
            f"the contrast text has {len(text)} characters; at most {MAX_LENGTH} are read",
            hint="pass the weights as a vector or a dict",
        )
    reader = _Reader(text, names, names.words)
    reader.skip()
    if reader.at == len(text):
        raise ContrastError("the contrast is empty", text, (0, 1), "write for instance `a - b`")
    rows, joint = reader.contrast()
    if reader.at < len(text):
        raise reader.no_operator()
    return Parsed(tuple(rows), joint or len(rows) > 1)


class _Reader(Cursor):
    """Each method reads one rule of the language."""

    def contrast(self) -> tuple[list[Row], bool]:
        rows, joint = self.equation()
        while self.take(","):
            more, also = self.equation()
            rows, joint = rows + more, joint or also
        return rows, joint

    def equation(self) -> tuple[list[Row], bool]:
        start = self.at
        if name := self.call_ahead("joint", "F"):
            return self.joint(name)
        sides = [self.sum()]
        while self.take("="):
            if self.peek() == "=":
                raise self.error("'==' is not read", "a null hypothesis has one =, `a = b`")
            sides.append(self.sum())
        span = (start, len(self.text[: self.at].rstrip()))
        if len(sides) == 1:
            sides.append(self.zero_for(sides[0], span))
        pairs = list(pairwise(sides))
        rows = [row for left, right in pairs for row in self.rows_of(left, right, span)]
        return rows, len(pairs) > 1 or any(side.joint for side in sides)

    def joint(self, name: str) -> tuple[list[Row], bool]:
        start = self.at
        self.at += len(name)
        self.open()
        rows, _ = self.contrast()
        self.close(start)
        return rows, True

    def sum(self) -> Block:
        total = self.product()
        while sign := self.take("+", "-"):
            start = self.at
            term = self.product()
            if not term.fits(total):
                raise ContrastError(
                    f"{len(total.rows)} and {len(term.rows)} rows cannot be added",
                    self.text,
                    (start, self.at),
                    "only blocks with the same basis functions pair off; "
                    "for a joint test use commas",
                )
            total = total.plus(term if sign == "+" else negative(term))
        return total

    def product(self) -> Block:
        start = self.at
        value = self.factor()
        while sign := self.take("*", "/"):
            if self.peek() == "*":
                raise self.error("a power is not linear", POWER)
            value = self.scale(value, self.factor(), sign, (start, self.at))
        return value

    def scale(self, left: Block, right: Block, sign: str, span: Span) -> Block:
        span = (span[0], len(self.text[: span[1]].rstrip()))
        if not (right.is_number or (sign == "*" and left.is_number)):
            raise ContrastError(
                "a contrast is linear: columns cannot multiply or divide one another",
                self.text,
                span,
                "weights are numbers; an interaction is a column of the design, such as `a:b`",
            )
        if not right.is_number:
            left, right = right, left
        if sign == "/" and not right.number:
            raise ContrastError("division by zero", self.text, span, "give another weight")
        ratio = right.number if sign == "*" else 1 / right.number
        return left.each(lambda row: row.times(ratio))

    def factor(self) -> Block:
        self.skip()
        if sign := self.take("+", "-"):
            self.deeper()
            value = self.factor()
            self.depth -= 1
            return negative(value) if sign == "-" else value
        start = self.at
        if self.peek() == "(":
            self.open()
            value = self.sum()
            self.close(start)
            return value
        if self.peek() == "`":
            return single(self.quoted())
        return self.word(start)

    def word(self, start: int) -> Block:
        if call := self.call_ahead(*CALLS):
            return self.group(call)
        if name := self.words.match(self.text, self.at):
            self.at += len(name)
            self.refuse_tail(start)
            if self.second_reading(name):
                raise ContrastError(
                    f"{name!r} can be read in two ways: as the column of that name, or as a sum",
                    self.text,
                    (start, self.at),
                    f"for the column write `{name}` in backticks; "
                    "for the sum put spaces around its signs",
                )
            self.skip()
            return single(self.names.column(name, self.text, (start, start + len(name))))
        if found := NUMBER.match(self.text, self.at):
            self.at = found.end()
            self.refuse_run_on(start)
            self.skip()
            return number(Fraction(found.group()))
        raise self.no_operand()

    def second_reading(self, name: str) -> bool:
        """Whether a name is also a sum of other names, as ``left-hand`` may be."""
        if not SIGNS.search(name):
            return False
        other = _Reader(name, self.names, self.words.without(name))
        try:
            other.contrast()
        except ContrastError:
            return False
        return other.at == len(name)

    def group(self, call: str) -> Block:
        """Read ``term(...)``, ``basis(...)`` or marginal means."""
        if call in MEANS:
            return read_means(self, call, self.names.meaning)
        start = self.at
        if call in ("joint", "F"):
            raise self.error(
                f"{call}() asks for a joint test and cannot stand inside arithmetic",
                "put it alone, or after a comma",
                len(call),
            )
        self.at += len(call)
        self.open()
        lexicon = self.names.terms if call == "term" else self.names.basis_words
        word, span = self.argument(lexicon, call)
        find = self.names.term if call == "term" else self.names.basis
        members = find(word, self.text, span)
        self.close(start)
        rows = tuple(single(i).rows[0] for i in members)
        labels = tuple(self.names.columns[i].basis for i in members)
        if call == "term":
            labels = tuple(self.names.columns[i].name for i in members)
        return Block(rows, labels, joint=True)

    def argument(self, lexicon: Lexicon, call: str) -> tuple[str, Span]:
        self.skip()
        start = self.at
        if self.peek() == "`":
            return self.backticks()
        word = lexicon.match(self.text, start)
        # A name that other text follows is not the argument: read up to the bracket instead.
        if not re.match(r"\s*\)", self.text[start + len(word) :]):
            word = self.text[start:].partition(")")[0].strip()
        if not word:
            raise self.error(f"{call}() needs a name", f"write for instance `{call}(face)`")
        self.at = start + len(word)
        return word, (start, self.at)

    def zero_for(self, side: Block, span: Span) -> Block:
        for row in side.rows:
            if row.constant:
                raise ContrastError(
                    "a number stands alone among the columns",
                    self.text,
                    span,
                    "for a null value other than 0 write `a - b = 0.5`; "
                    "for the constant column write its name",
                )
        return number(Fraction(0))

    def rows_of(self, left: Block, right: Block, span: Span) -> list[Row]:
        if right.is_number:
            right = replace(left, rows=right.rows * len(left.rows))
        elif left.is_number:
            # `0.5 = face` is `face = 0.5`: the columns keep the signs they were written with.
            left, right = right, replace(right, rows=left.rows * len(right.rows))
        if not left.fits(right):
            raise ContrastError(
                f"{len(left.rows)} rows cannot equal {len(right.rows)}",
                self.text,
                span,
                "only blocks with the same basis functions pair off",
            )
        both = left.plus(negative(right))
        for row in both.rows:
            if row.is_number:
                raise ContrastError(
                    "this contrast names no column, or its weights cancel",
                    self.text,
                    span,
                    "a contrast needs at least one column with a weight that is not 0",
                )
        return [Row(Linear(row.weights), -row.constant, span) for row in both.rows]


def negative(block: Block) -> Block:
    """Return the block with every sign turned."""
    return block.each(lambda row: row.times(Fraction(-1)))
