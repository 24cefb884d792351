"""What can go wrong, said so that it can be put right.

Every error of this package is a :class:`VoxlmError` (and a ``ValueError``, so ordinary ``except``
clauses work). A message says what is wrong, where, what was expected, and what to do next; errors
about a formula or a contrast carry the text and a span, and draw a caret under it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class VoxlmError(ValueError):
    """Base of every error that voxlm raises on purpose."""


class DataError(VoxlmError):
    """A file, table or array is not what it has to be."""


class DesignError(VoxlmError):
    """A design matrix cannot answer: rank, empty columns, too few scans."""


class VoxlmWarning(UserWarning):
    """Something was left out or assumed; the sentence says what."""


class TextError(VoxlmError):
    """An error at a place in a text, drawn with a caret under that place.

    Parameters
    ----------
    message : str
        What is wrong, in one sentence.
    text : str
        The whole formula or contrast.
    span : tuple of int
        Start and stop of the place in ``text``, in characters.
    hint : str
        The next step; printed on a line of its own.
    """

    def __init__(
        self, message: str, text: str = "", span: tuple[int, int] = (0, 0), hint: str = ""
    ) -> None:
        self.message, self.text, self.span, self.hint = message, text, span, hint
        super().__init__(draw(message, text, span, hint))

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.message, self.text, self.span, self.hint)


class FormulaError(TextError):
    """A formula cannot be read, or names what the tables do not have."""


class ContrastError(TextError):
    """A contrast cannot be read, or the design cannot estimate it."""


def draw(message: str, text: str, span: tuple[int, int], hint: str) -> str:
    """Lay a message, the text, a caret line and a hint one under the other.

    Examples
    --------
    >>> print(draw("unknown name 'fce'", "y ~ fce", (4, 7), "did you mean 'face'?"))
    unknown name 'fce'
      y ~ fce
          ^^^
    did you mean 'face'?
    """
    lines = [message]
    if text:
        start, stop = span
        above = text.rfind("\n", 0, start) + 1  # of several lines, the one with the place
        line = text[above:].partition("\n")[0].expandtabs(1)
        marks = "^" * max(1, min(stop - above, len(line)) - (start - above))
        lines += [f"  {line}", "  " + " " * (start - above) + marks]
    if hint:
        lines.append(hint)
    return "\n".join(lines)


def nearest(name: str, known: Iterable[str], n: int = 3) -> list[str]:
    """Return the known names most like ``name``, best first.

    Examples
    --------
    >>> nearest("fce", ["house", "face", "rt"])
    ['face']
    """
    return difflib.get_close_matches(name, list(known), n=n, cutoff=0.6)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Phrase the nearest names as a question, or list what is known.

    Examples
    --------
    >>> did_you_mean("fce", ["house", "face"])
    "did you mean 'face'?"
    >>> did_you_mean("zzz", ["house", "face"])
    'known names: house, face'
    """
    names = list(known)
    near = nearest(name, names)
    if near:
        return "did you mean " + " or ".join(repr(word) for word in near) + "?"
    shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    return f"known names: {shown}" if names else "no names are known here"
