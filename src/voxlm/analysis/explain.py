"""What each word of a formula means, without opening an image."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from os import PathLike
from typing import Any

import pandas as pd

from voxlm.analysis.plan import named_responses
from voxlm.bids.tables import read_confounds, read_events
from voxlm.formula import Resolved, Schema, parse, resolve

WIDTH = 100  # of what is printed, in characters


@dataclass(frozen=True, slots=True, repr=False)
class Explanation:
    """The resolution table of a formula; printing it shows it.

    Parameters
    ----------
    meaning : Resolved
        The formula with its meaning.
    notes : tuple of str
        What was assumed while the tables were read.
    """

    meaning: Resolved
    notes: tuple[str, ...] = ()

    @property
    def formula(self) -> str:
        """The formula as understood, with what it implies written out."""
        return str(self.meaning)

    def table(self) -> pd.DataFrame:
        """Return one row a word: word, source, rows, columns."""
        return self.meaning.table()

    def __repr__(self) -> str:
        notes = [f"note: {note}" for note in (*self.notes, *self.meaning.notes)]
        return "\n".join(
            [_wrapped(self.formula, 4), "", *_lines(self.table()), "", *notes]
        ).rstrip()


def _wrapped(text: str, indent: int) -> str:
    return textwrap.fill(
        text, WIDTH, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    )


def _lines(table: pd.DataFrame) -> list[str]:
    """Lay out a table whose last column is a list that may need several lines."""
    heads = table.columns[:-1]
    widths = [max(len(head), int(table[head].str.len().max())) for head in heads]
    indent = sum(widths) + 2 * len(widths)
    lines = []
    for row in [list(table.columns), *table.itertuples(index=False)]:
        start = "".join(f"{cell:<{width + 2}}" for cell, width in zip(row, widths, strict=False))
        lines.append(_wrapped(start + str(row[-1]), indent))
    return lines


def explain(
    formula: str,
    events: str | PathLike[str] | pd.DataFrame | None = None,
    confounds: str | PathLike[str] | pd.DataFrame | None = None,
    *,
    hrf: Any = "spm",
) -> Explanation:
    """Say what each word of a formula means.

    Parameters
    ----------
    formula : str
        For instance ``"y ~ face + house + motion"``.
    events, confounds : path or DataFrame, optional
        The tables that the words are looked up in.
    hrf : str, HRF, or dict
        The response of event terms that carry no tag of their own.
        A dict names responses for ``hrf(face, name)``, with ``default`` for the rest.

    Returns
    -------
    Explanation
        Prints as the formula as understood and a table: word, source, rows, columns.

    Raises
    ------
    FormulaError
        The formula cannot be read, or names what the tables do not have.

    Examples
    --------
    >>> events = pd.DataFrame({"onset": [1.0], "duration": [1.0], "trial_type": ["face"]})
    >>> explain("y ~ face", events).table()[["word", "source"]].iloc[0].tolist()
    ['face', 'level of events.trial_type']
    """
    notes: tuple[str, ...] = ()
    if events is not None:
        events, notes, _ = read_events(events)
    if confounds is not None:
        confounds, _ = read_confounds(confounds, None)
    default, named = named_responses(hrf)
    schema = Schema.of(events, confounds)
    return Explanation(resolve(parse(formula), schema, hrf=default, responses=named), notes)
