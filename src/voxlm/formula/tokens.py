"""Text to tokens: the closed lexicon of a formula.

A character, keyword or bracket that a formula has no use for is refused here, before anything is
looked up and long before anything is computed.
"""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass

from voxlm.errors import FormulaError

MAX_CHARACTERS = 10_000
MAX_TOKENS = 2_000

PATTERN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?!\w))
  | (?P<quoted>`[^`]*`)
  | (?P<string>"[^"\\\n]*"|'[^'\\\n]*')
  | (?P<name>[^\W\d]\w*(?:\.\w+)*)
  | (?P<op>\*\*|\|\||%in%|[~+\-*/:^|(),=\[\]])
    """,
    re.VERBOSE,
)

#: Words of programming languages, which no table column is taken for unless it is quoted.
CODE_WORDS = (frozenset(keyword.kwlist) - {"True", "False", "None"}) | {
    "exec",
    "eval",
    "getattr",
    "open",
    "globals",
    "locals",
}
CODE_HINT = "a formula names columns and never runs code; quote a column's odd name with backticks"


@dataclass(frozen=True, slots=True)
class Token:
    """One word or sign of a formula.

    Parameters
    ----------
    kind : {"name", "quoted", "number", "string", "op", "end"}
        What it is; ``quoted`` is a name in backticks.
    text : str
        Its text, without quotes.
    start, stop : int
        Its place in the formula, quotes included.
    """

    kind: str
    text: str
    start: int
    stop: int

    @property
    def span(self) -> tuple[int, int]:
        """The place in the formula."""
        return self.start, self.stop


def tokenize(text: str) -> list[Token]:
    """Split a formula into tokens, the last of kind ``end``.

    Raises
    ------
    FormulaError
        For a sign that is no part of the language, an open quote, code, or too long a text.

    Examples
    --------
    >>> [token.text for token in tokenize("y ~ face + `left-hand`")]
    ['y', '~', 'face', '+', 'left-hand', '']
    """
    if len(text) > MAX_CHARACTERS:
        raise FormulaError(
            f"the formula has {len(text):,} characters; at most {MAX_CHARACTERS:,} are read",
            hint='name groups of columns with a word such as motion24, or match("glob")',
        )
    tokens: list[Token] = []
    place = 0
    while place < len(text):
        token = read(text, place)
        if token.kind != "space":
            tokens.append(token)
        place = token.stop
    if len(tokens) > MAX_TOKENS:
        raise FormulaError(
            f"the formula has {len(tokens):,} words; at most {MAX_TOKENS:,} are read"
        )
    return [*tokens, Token("end", "", len(text), len(text))]


def read(text: str, place: int) -> Token:
    """Read the token that starts at ``place``."""
    found = PATTERN.match(text, place)
    if found is None:
        raise refusal(text, place)
    kind, word = str(found.lastgroup), found.group()
    if kind == "name":
        forbid_code(text, word, found.span())
    if kind in ("quoted", "string"):
        word = word[1:-1]
        if kind == "quoted" and not word:
            raise FormulaError("empty backticks name no column", text, found.span())
    return Token(kind, word, found.start(), found.end())


def forbid_code(text: str, word: str, span: tuple[int, int]) -> None:
    """Refuse words that only a program would hold."""
    pieces = word.split(".")
    if any(piece.startswith("__") for piece in pieces):
        raise FormulaError(f"{word!r} is code", text, span, CODE_HINT)
    if any(piece in CODE_WORDS for piece in pieces):
        raise FormulaError(f"{word!r} is a word of a programming language", text, span, CODE_HINT)


def refusal(text: str, place: int) -> FormulaError:
    """Say why no token starts at ``place``."""
    sign = text[place]
    span = (place, place + 1)
    if sign in "\"'`":
        return FormulaError(f"the quote {sign} is never closed", text, (place, len(text)))
    if sign == ".":
        return FormulaError("attribute access is not part of a formula", text, span, CODE_HINT)
    if sign.isdigit():
        return FormulaError(
            "a number runs into a name", text, span, "quote names that start with a digit: `1back`"
        )
    if sign in "{}@;!&$?\\<>":
        return FormulaError(f"{sign!r} is not part of a formula", text, span, CODE_HINT)
    return FormulaError(f"cannot read {sign!r}", text, span, CODE_HINT)
