"""A table with one row a map to a group design: fixed columns, and blocks of random ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.design.build import forbid_same_names, unique_aliases
from voxlm.design.columns import Column, Design, RandomBlock
from voxlm.design.events import rows_text
from voxlm.errors import DataError
from voxlm.formula.coding import Coded, code, fill
from voxlm.formula.group import GroupMeaning, RandomTerm
from voxlm.formula.schema import bare, labels, numbers

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class GroupCoding:
    """How a group formula codes rows: its meaning, and what its functions learned.

    Parameters
    ----------
    meaning : GroupMeaning
        The formula with its meaning.
    memory : dict
        Means, norms and knots of the table the design was made from.
    means : dict of str to float
        The mean of each numeric column that a fixed term reads.
    """

    meaning: GroupMeaning
    memory: dict[str, Any] = field(repr=False)
    means: dict[str, float] = field(repr=False)

    def rows(self, frame: pd.DataFrame) -> Floats:
        """Code new rows as the design's own were coded, shape ``(N, P)``.

        Raises
        ------
        DataError
            For levels the design does not have, and missing values.
        """
        return fixed(self.meaning, bare(frame), self.memory)

    def offset(self, frame: pd.DataFrame) -> Floats | None:
        """Return the offset of new rows, shape ``(N,)``; None where the formula has none."""
        return offset_of(self.meaning, bare(frame), self.memory)

    def __str__(self) -> str:
        return str(self.meaning)


def build_table(meaning: GroupMeaning, frame: pd.DataFrame) -> Design:
    """Make the design of a group formula.

    Parameters
    ----------
    meaning : GroupMeaning
        From :func:`voxlm.formula.group.resolve_group`.
    frame : DataFrame
        One row a map.

    Returns
    -------
    Design
        Columns of role ``group``; ``design.random`` holds the random blocks, and
        ``design.meaning.rows(frame)`` codes further rows. Not yet checked.

    Raises
    ------
    DataError
        Naming the rows where a value is missing; no row is dropped.

    Examples
    --------
    >>> from voxlm.formula import Schema, parse, resolve_group
    >>> maps = pd.DataFrame({"group": ["a", "b", "b"], "subject": ["s1", "s2", "s2"]})
    >>> meaning = resolve_group(parse("~ group + (1 | subject)"), Schema.table(maps))
    >>> design = build_table(meaning, maps)
    >>> design.names, design.random[0].codes.tolist()
    (('Intercept', 'group[T.b]'), [0, 1, 1])
    """
    frame = bare(frame)
    memory: dict[str, Any] = {}
    matrix = fixed(meaning, frame, memory)
    columns = [Column("Intercept", "1", "constant")] if meaning.intercept else []
    columns += [record(coded, meaning) for coded in meaning.columns]
    forbid_same_names(tuple(columns))
    random = tuple(random_block(term, frame, meaning, memory) for term in meaning.random)
    coding = GroupCoding(meaning, memory, numeric_means(meaning, frame))
    kept = unique_aliases(tuple(columns))
    return Design(
        matrix, kept, None, str(meaning), meaning.notes, coding, random,
        offset=offset_of(meaning, frame, memory),
    )  # fmt: skip


def offset_of(meaning: GroupMeaning, frame: pd.DataFrame, memory: dict[str, Any]) -> Floats | None:
    """Return the sum of the offsets, shape ``(N,)``; None where there is none."""
    if not meaning.offsets:
        return None
    terms = [(factor,) for factor in meaning.offsets]
    return values(code(terms), frame, meaning, memory).sum(axis=1)


def numeric_means(meaning: GroupMeaning, frame: pd.DataFrame) -> dict[str, float]:
    """Return the mean of each numeric column that a fixed term reads."""
    read = {column for term in meaning.terms for factor in term for _, column in factor.names}
    found = {name: numbers(frame[name]) for name in sorted(read)}
    return {name: float(np.nanmean(x)) for name, x in found.items() if x is not None}


def fixed(meaning: GroupMeaning, frame: pd.DataFrame, memory: dict[str, Any]) -> Floats:
    """Compute the fixed columns of some rows, shape ``(N, P)``."""
    ones = np.ones((len(frame), int(meaning.intercept)))
    return np.hstack([ones, values(meaning.columns, frame, meaning, memory)])


def values(
    columns: tuple[Coded, ...], frame: pd.DataFrame, meaning: GroupMeaning, memory: dict[str, Any]
) -> Floats:
    """Compute coded columns; every value has to be there."""
    found = fill(columns, frame, meaning.formula.text, memory)
    for k, column in enumerate(columns):
        bad = np.flatnonzero(found.missing[:, k])
        if bad.size:
            raise DataError(
                f"{column.name} has no finite value in {rows_text(bad)} of the table; "
                "fill it, or leave these maps out"
            )
    return found.matrix


def record(coded: Coded, meaning: GroupMeaning) -> Column:
    """Describe one fixed column."""
    term = ":".join(factor.text for factor in meaning.terms[coded.term])
    aliases = (coded.alias,) if coded.alias and coded.alias != coded.name else ()
    return Column(coded.name, term, "group", coded.condition, "", coded.amplitude, aliases=aliases)


def random_block(
    term: RandomTerm, frame: pd.DataFrame, meaning: GroupMeaning, memory: dict[str, Any]
) -> RandomBlock:
    """Compute the columns and the groups of one random term."""
    columns = term.columns
    ones = np.ones((len(frame), int(term.intercept)))
    matrix = np.hstack([ones, values(columns, frame, meaning, memory)])
    names = (["Intercept"] if term.intercept else []) + [column.name for column in columns]
    codes, levels = group_codes(term.groups, frame)
    return RandomBlock(matrix, tuple(names), codes, levels, ":".join(term.groups), term.text)


def group_codes(
    groups: tuple[str, ...], frame: pd.DataFrame
) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """Return the number of each row's group, and the groups in the order they appear.

    Raises
    ------
    DataError
        Naming the rows that belong to no group.
    """
    lists = [labels(frame[name]) for name in groups]
    for name, words in zip(groups, lists, strict=True):
        bad = [row for row, word in enumerate(words) if word is None]
        if bad:
            raise DataError(f"{name} is missing in {rows_text(bad)}; every map has a group")
    # Tuples, for labels may hold colons themselves.
    rows = list(zip(*lists, strict=True))
    place = {words: k for k, words in enumerate(dict.fromkeys(rows))}
    levels = tuple(":".join(map(str, words)) for words in place)
    if len(set(levels)) < len(levels):
        levels = tuple(":".join(map(repr, words)) for words in place)
    return np.array([place[words] for words in rows], dtype=np.intp), levels
