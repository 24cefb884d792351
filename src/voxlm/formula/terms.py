"""What a formula means: terms on events, terms on scans, drift and constant."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

from voxlm.formula.coding import code
from voxlm.formula.factors import Factor
from voxlm.formula.schema import Schema
from voxlm.formula.syntax import Formula, Span


@dataclass(frozen=True, slots=True)
class Tag:
    """The response that a call such as ``hrf(face, "spm + derivative")`` gives to its terms.

    Parameters
    ----------
    key : str
        Our own name for it.
    response : object
        A text that names a response, or a response as a value.
    text : str
        As written.
    span : (int, int)
        Its place in the formula.
    """

    key: str
    response: Any
    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class EventTerm:
    """A term whose rows are events; its columns are convolved with a response."""

    factors: tuple[Factor, ...]
    text: str
    span: Span
    tag: Tag | None = None


@dataclass(frozen=True, slots=True)
class ScanTerm:
    """A term whose rows are scans; its columns enter as they are."""

    factors: tuple[Factor, ...]
    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Drift:
    """Slow drift: cosines up to a frequency in Hz, or powers of time up to an order."""

    kind: Literal["cosine", "poly"]
    value: float
    text: str
    implied: bool = False


IMPLIED_DRIFT = Drift("cosine", 1 / 128, "cosine(1/128)", implied=True)


@dataclass(frozen=True, slots=True)
class Word:
    """One row of the resolution table: what a word of the formula was taken for."""

    word: str
    source: str
    rows: str
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resolved:
    """A formula with its meaning; printing it shows what it implies.

    Parameters
    ----------
    formula : Formula
        As written.
    schema : Schema
        The promises it was read against.
    events : tuple of EventTerm
        Terms to be convolved, in the order of the formula.
    scans : tuple of ScanTerm
        Terms that enter as they are.
    drift : Drift or None
        Drift, written or implied.
    constant : bool
        Whether each run has its constant.
    hrf : object
        The response of event terms that name none.
    words : tuple of Word
        What each word was taken for.
    notes : tuple of str
        What was assumed.

    Examples
    --------
    >>> from voxlm.formula import Schema, parse, resolve
    >>> events = pd.DataFrame({"onset": [0.0, 9.0], "duration": [1.0, 1.0],
    ...                        "trial_type": ["house", "face"]})
    >>> print(resolve(parse("y ~ face + house"), Schema.of(events)))
    y ~ 1 + face + house + cosine(1/128)
    """

    formula: Formula
    schema: Schema = field(repr=False)
    events: tuple[EventTerm, ...]
    scans: tuple[ScanTerm, ...]
    drift: Drift | None
    constant: bool
    hrf: Any
    words: tuple[Word, ...] = field(repr=False)
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        pieces = ["1" if self.constant else "0"]
        pieces += [written(term) for term in self.events]
        pieces += [term.text for term in self.scans]
        pieces += [self.drift.text] if self.drift else []
        return f"{self.formula.response or 'y'} ~ {' + '.join(pieces)}"

    def table(self) -> pd.DataFrame:
        """Return the resolution table: word, source, rows, columns; one row a word."""
        columns = column_names(self)
        rows = [
            (word.word, word.source, word.rows, ", ".join(names_of(word, columns)))
            for word in self.words
        ]
        return pd.DataFrame(rows, columns=["word", "source", "rows", "columns"])


def written(term: EventTerm) -> str:
    """Write an event term with its response."""
    if term.tag is None:
        return term.text
    return f"hrf({term.text}, {str(term.tag.response)!r})".replace("'", '"')


def suffixes(response: Any) -> tuple[str, ...]:
    """Return what a response adds to the names of its columns, empty for the canonical one.

    Examples
    --------
    >>> suffixes("spm + derivative")
    ('', '_derivative')
    """
    if isinstance(response, str):
        labels = ["", *(word.strip() for word in response.split("+")[1:])]
    else:
        labels = list(getattr(response, "labels", [""]))
    return tuple(f"_{label}" if label else "" for label in labels)


def column_names(resolved: Resolved) -> list[tuple[frozenset[str], str]]:
    """List the columns of events and scans with the keys of the factors that make them."""
    found: list[tuple[frozenset[str], str]] = []
    for column in code([term.factors for term in resolved.events]):
        term = resolved.events[column.term]
        response = term.tag.response if term.tag else resolved.hrf
        keys = {part.factor.key for part in column.parts} | ({term.tag.key} if term.tag else set())
        found += [(frozenset(keys), column.name + tail) for tail in suffixes(response)]
    for column in code([term.factors for term in resolved.scans]):
        keys = {part.factor.key for part in column.parts}
        found.append((frozenset(keys), column.name))
    return found


def names_of(word: Word, columns: list[tuple[frozenset[str], str]]) -> list[str]:
    """List the columns that a word takes part in."""
    if "drift" in word.keys:
        return ["drift_1, …"]
    if "constant" in word.keys:
        return ["constant"]
    return [name for keys, name in columns if keys & set(word.keys)]
