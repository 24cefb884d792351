"""Which words a contrast may use, and the columns that each stands for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from voxlm.design.columns import Column
from voxlm.errors import ContrastError, did_you_mean
from voxlm.formula.terms import Resolved

Span = tuple[int, int]
LEVEL = re.compile(r"\[([^\[\]]+)\]")


@dataclass(frozen=True, slots=True, eq=False)
class Lexicon:
    """A set of exact names, found at a place in a text, the longest first.

    Parameters
    ----------
    entries : mapping of str to tuple of int
        Each name and the indices of the columns it stands for.
    lengths : tuple of int
        Lengths of the names, longest first; bare numbers are left to the arithmetic.

    Examples
    --------
    >>> lexicon({"left": (0,), "left-hand": (1,)}).match("left-hand - left", 0)
    'left-hand'
    """

    entries: Mapping[str, tuple[int, ...]]
    lengths: tuple[int, ...]

    def match(self, text: str, at: int) -> str:
        """Return the longest name that stands at ``at`` in ``text``; empty if there is none."""
        for length in self.lengths:
            word = text[at : at + length]
            if word in self.entries and not _continues(text, at + length):
                return word
        return ""

    def without(self, name: str) -> Lexicon:
        """Return the same names but one."""
        return lexicon({key: value for key, value in self.entries.items() if key != name})


def lexicon(entries: Mapping[str, tuple[int, ...]]) -> Lexicon:
    """Make a lexicon of names.

    Examples
    --------
    >>> lexicon({"face": (0,), "2": (1,), "rt": (2,)}).lengths
    (4, 2)
    """
    lengths = {len(name) for name in entries if not _is_number(name)}
    return Lexicon(entries, tuple(sorted(lengths, reverse=True)))


@dataclass(frozen=True, slots=True, eq=False)
class Names:
    """All that a contrast over some columns may say.

    Parameters
    ----------
    columns : tuple of Column
        The columns of the design, in order.
    words : Lexicon
        Column names and aliases; a column's own name hides another column's alias.
    terms : Lexicon
        Terms of the formula, and words such as ``motion``, each with all its columns.
    meaning : object
        The meaning of the design, for marginal means.
    """

    columns: tuple[Column, ...]
    words: Lexicon
    terms: Lexicon
    meaning: Any = None

    @property
    def all(self) -> tuple[str, ...]:
        """The column names, in order."""
        return tuple(column.name for column in self.columns)

    def column(self, word: str, text: str, span: Span) -> int:
        """Return the index of the one column that ``word`` stands for.

        Raises
        ------
        ContrastError
            If no column, or more than one, has that name.
        """
        found = self.words.entries.get(word)
        if found is None:
            raise unknown(word, self.words.entries, text, span)
        if len(found) > 1:
            options = ", ".join(f"`{self.columns[i].name}`" for i in found)
            raise ContrastError(
                f"{word!r} is ambiguous: it stands for {len(found)} columns",
                text,
                span,
                f"write one of them in full: {options}",
            )
        return found[0]

    def term(self, word: str, text: str, span: Span) -> tuple[int, ...]:
        """Return the indices of all columns of a term.

        Raises
        ------
        ContrastError
            If no column comes from such a term.
        """
        found = self.terms.entries.get(word)
        if found is None:
            raise unknown(word, self.terms.entries, text, span, "term")
        return found

    def basis(self, word: str, text: str, span: Span) -> tuple[int, ...]:
        """Return the indices of all basis columns of a condition or of a modulated condition.

        Raises
        ------
        ContrastError
            If the word is neither a condition nor a column made by a response function.
        """
        members = [i for i, c in enumerate(self.columns) if c.condition == word and not c.amplitude]
        if not members:
            anchor = self.columns[self._basis_anchor(word, text, span)]
            key = (anchor.condition, anchor.amplitude, anchor.run)
            members = [
                i
                for i, c in enumerate(self.columns)
                if c.role == "task" and (c.condition, c.amplitude, c.run) == key
            ]
        return tuple(members)

    def _basis_anchor(self, word: str, text: str, span: Span) -> int:
        if word not in self.words.entries:
            known = dict.fromkeys([*self.conditions, *self.words.entries])
            raise unknown(word, known, text, span, "condition")
        index = self.column(word, text, span)
        if self.columns[index].role != "task":
            raise ContrastError(
                f"{word!r} is a {self.columns[index].role} column: it has no response function",
                text,
                span,
                did_you_mean(word, self.conditions),
            )
        return index

    @property
    def conditions(self) -> tuple[str, ...]:
        """The conditions that columns belong to, each once."""
        return tuple(dict.fromkeys(c.condition for c in self.columns if c.condition))

    @property
    def basis_words(self) -> Lexicon:
        """What ``basis()`` may be asked: conditions, column names, aliases."""
        conditions: dict[str, tuple[int, ...]] = dict.fromkeys(self.conditions, ())
        return lexicon({**conditions, **self.words.entries})


def name_columns(columns: Sequence[Column], meaning: Any = None) -> Names:
    """Collect the words that stand for columns.

    Parameters
    ----------
    columns : sequence of Column
        The columns of the design.
    meaning : object, optional
        The meaning of the design: what its words and factors are.

    Examples
    --------
    >>> face = Column("trial_type[face]", "trial_type", "task", "face", aliases=("face",))
    >>> names = name_columns([face, Column("constant", "1", "constant")])
    >>> names.column("face", "face", (0, 4))
    0
    """
    exact = _gather((column.name, i) for i, column in enumerate(columns))
    aliases = _gather((a, i) for i, column in enumerate(columns) for a in column.aliases)
    dotted = _gather((with_dots(column.name), i) for i, column in enumerate(columns))
    terms = _gather((column.term, i) for i, column in enumerate(columns))
    words = _words(meaning, terms)
    known = lexicon({**dotted, **aliases, **exact})
    return Names(tuple(columns), known, lexicon({**words, **terms}), meaning)


def with_dots(name: str) -> str:
    """Write a level as BIDS Stats Models do, with a dot for brackets.

    Examples
    --------
    >>> with_dots("trial_type[face]:rt")
    'trial_type.face:rt'
    """
    return LEVEL.sub(r".\1", name)


def unknown(
    word: str, known: Iterable[str], text: str, span: Span, what: str = "name"
) -> ContrastError:
    """Phrase the error for a word that stands for nothing."""
    hint = did_you_mean(word, known)
    return ContrastError(f"unknown {what} {word!r} in the contrast", text, span, hint)


def _gather(pairs: Iterable[tuple[str, int]]) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for word, index in pairs:
        if word and index not in found.get(word, ()):
            found[word] = (*found.get(word, ()), index)
    return found


def _words(meaning: Any, terms: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """List the words that stand for several terms on scans, such as ``motion``."""
    if not isinstance(meaning, Resolved):
        return {}
    single = {term.factors[0].key: term.text for term in meaning.scans if len(term.factors) == 1}
    found = {}
    for word in meaning.words:
        members = [i for key in word.keys for i in terms.get(single.get(key, ""), ())]
        if members:
            found[word.word] = tuple(members)
    return found


def _continues(text: str, at: int) -> bool:
    """Whether a word that stops at ``at`` would cut a longer word in two."""
    if at >= len(text) or at == 0:
        return False
    return _is_word(text[at - 1]) and _is_word(text[at])


def _is_word(char: str) -> bool:
    return char.isalnum() or char in "_."


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True
