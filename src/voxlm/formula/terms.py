"""What a formula means: terms on events, terms on scans, drift and constant."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

from voxlm.formula.coding import code
from voxlm.formula.factors import Factor
from voxlm.formula.response import Basis, Subset, suffixes
from voxlm.formula.schema import Schema
from voxlm.formula.syntax import Formula, Name, Span, String, write
from voxlm.formula.vocabulary import PLAIN


@dataclass(frozen=True, slots=True)
class Tag:
    """The response that a call such as ``hrf(face, "spm + derivative")`` gives to its terms.

    Parameters
    ----------
    key : str
        Our own name for it.
    response : Basis
        What the call asks for.
    text : str
        As written.
    span : (int, int)
        Its place in the formula.
    subset : Subset or None
        Which events it is given to; all if None.
    """

    key: str
    response: Basis
    text: str
    span: Span
    subset: Subset | None = None


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
class Scrub:
    """One column for each scan that moved too much.

    Parameters
    ----------
    fd, dvars : float or None
        Framewise displacement in mm, and standardised DVARS, above which a scan is taken out.
    text : str
        As written.
    """

    fd: float | None
    dvars: float | None
    text: str


@dataclass(frozen=True, slots=True)
class Interaction:
    """A psychophysiological interaction: a seed on scans times terms on events.

    Parameters
    ----------
    seed : Factor
        The series of a region.
    terms : tuple of EventTerm
        What was going on.
    deconvolve : bool
        Whether the product is taken of the neural series behind the seed.
    text : str
        As written.
    """

    seed: Factor
    terms: tuple[EventTerm, ...]
    deconvolve: bool
    text: str


@dataclass(frozen=True, slots=True)
class Regressor:
    """A regressor with a value a scan and voxel: an image, read when the model is fitted.

    Parameters
    ----------
    path : str
        The file.
    text : str
        As written.
    slicewise : bool
        Whether it is a table with a column a slice instead.
    """

    path: str
    text: str
    slicewise: bool = False


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
    scrubs : tuple of Scrub
        Scans to be taken out, known only from their values.
    shown : tuple of str
        How the scan terms are written: a word such as ``motion24`` stays one.
    interactions : tuple of Interaction
        Psychophysiological interactions; their seeds are scan terms too.
    regressors : tuple of Regressor
        Images with a value a scan and voxel.

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
    scrubs: tuple[Scrub, ...] = ()
    shown: tuple[str, ...] = ()
    interactions: tuple[Interaction, ...] = ()
    regressors: tuple[Regressor, ...] = ()

    def __str__(self) -> str:
        pieces = ["1" if self.constant else "0"]
        pieces += [written(term) for term in self.events]
        pieces += [*self.shown, *(scrub.text for scrub in self.scrubs)]
        pieces += [interaction.text for interaction in self.interactions]
        pieces += [regressor.text for regressor in self.regressors]
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


def product(factors: tuple[Factor, ...]) -> str:
    """Write a term so that it can be read again: odd names in backticks, table names kept."""
    pieces = []
    for factor in factors:
        node = factor.node
        bare = not isinstance(node, Name) or PLAIN.fullmatch(node.text)
        text = node.text if isinstance(node, Name) else factor.text
        pieces.append(text if bare else f"`{text}`")
    return ":".join(pieces)


def written(term: EventTerm) -> str:
    """Write an event term with its response."""
    text = product(term.factors)
    if term.tag is None:
        return text
    call = term.tag.response.written(text)
    if term.tag.subset is None:
        return call
    return f"{call[:-1]}, subset={write(String(term.tag.subset.text, term.span))})"


def column_names(resolved: Resolved) -> list[tuple[frozenset[str], str]]:
    """List the columns of events and scans with the keys of the factors that make them."""
    found: list[tuple[frozenset[str], str]] = []
    for column in code([term.factors for term in resolved.events], text=resolved.formula.text):
        term = resolved.events[column.term]
        response = term.tag.response if term.tag else resolved.hrf
        keys = {part.factor.key for part in column.parts} | ({term.tag.key} if term.tag else set())
        found += [(frozenset(keys), column.name + tail) for tail in suffixes(response)]
    for column in code([term.factors for term in resolved.scans], text=resolved.formula.text):
        keys = {part.factor.key for part in column.parts}
        found.append((frozenset(keys), column.name))
    return found


def names_of(word: Word, columns: list[tuple[frozenset[str], str]]) -> list[str]:
    """List the columns that a word takes part in."""
    if "drift" in word.keys:
        return ["drift_1, …"]
    if "constant" in word.keys:
        return ["constant"]
    if "voxel" in word.keys:
        return [word.word]
    if "ppi" in word.keys:
        return ["ppi[…]"]
    if "scrub" in word.keys:
        return ["scrub[…]"]
    return [name for keys, name in columns if keys & set(word.keys)]
