"""Group formulas: R's algebra over a table with one row a map, and random terms as records."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from voxlm.errors import FormulaError
from voxlm.formula import algebra
from voxlm.formula.coding import Coded, code
from voxlm.formula.engine import Term
from voxlm.formula.factors import Factor
from voxlm.formula.lookup import find
from voxlm.formula.naming import Namer
from voxlm.formula.schema import Schema
from voxlm.formula.syntax import (
    Bar,
    Call,
    Formula,
    Name,
    Node,
    Number,
    Product,
    Span,
    Sum,
    write,
)
from voxlm.formula.terms import Word, product
from voxlm.formula.vocabulary import MACROS, OFFSET, SPREADING, TAGS

# A numeric column with so few different whole numbers may hold labels.
FEW = 12
# Columns of these names hold labels, whatever they are written with.
OF_LABELS = frozenset(
    {
        "sub", "subj", "subject", "participant", "participant_id", "id", "family", "family_id",
        "group", "grp", "cohort", "arm", "site", "centre", "center", "scanner", "batch", "study",
        "stimulus", "item",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RandomTerm:
    """Coefficients that vary from group to group, such as ``(1 + time | subject)``.

    Parameters
    ----------
    groups : tuple of str
        Columns whose combined labels are the groups; ``(1 | site/subject)`` is two terms, of
        ``site`` and of ``site:subject``.
    intercept : bool
        Whether the level varies.
    terms : tuple of tuple of Factor
        What else varies. Within one record all coefficients are correlated; ``||`` makes one
        record a coefficient, as in lme4, where the columns of one factor stay together.
    text : str
        As lme4 would print it.
    """

    groups: tuple[str, ...]
    intercept: bool
    terms: tuple[tuple[Factor, ...], ...]
    text: str

    @property
    def columns(self) -> tuple[Coded, ...]:
        """The columns besides the intercept."""
        return code(self.terms, self.intercept)


@dataclass(frozen=True, slots=True)
class GroupMeaning:
    """A group formula with its meaning; printing it shows what it implies.

    Parameters
    ----------
    formula : Formula
        As written.
    schema : Schema
        The promises it was read against.
    intercept : bool
        Whether there is a constant.
    terms : tuple of tuple of Factor
        Fixed terms, main effects first.
    random : tuple of RandomTerm
        Random terms, in the order of the formula.
    words : tuple of Word
        What each word was taken for.
    notes : tuple of str
        What was assumed.
    offsets : tuple of Factor
        Numbers that are subtracted from the maps: they have no coefficient.

    Examples
    --------
    >>> from voxlm.formula.parse import parse
    >>> maps = pd.DataFrame({"group": ["a", "b"], "age": [30.0, 40.0], "subject": ["s1", "s2"]})
    >>> print(resolve_group(parse("~ group*age + (1 | subject)"), Schema.table(maps)))
    ~ 1 + group + age + group:age + (1 | subject)
    """

    formula: Formula
    schema: Schema = field(repr=False)
    intercept: bool
    terms: tuple[tuple[Factor, ...], ...]
    random: tuple[RandomTerm, ...]
    words: tuple[Word, ...] = field(repr=False)
    notes: tuple[str, ...] = ()
    offsets: tuple[Factor, ...] = ()

    @property
    def columns(self) -> tuple[Coded, ...]:
        """The fixed columns besides the intercept."""
        return code(self.terms, self.intercept, self.formula.text)

    def __str__(self) -> str:
        pieces = ["1" if self.intercept else "0", *(product(term) for term in self.terms)]
        pieces += [f"offset({_inside(factor)})" for factor in self.offsets]
        pieces += [term.text for term in self.random]
        return f"{self.formula.response} ~ {' + '.join(pieces)}".strip()

    def table(self) -> pd.DataFrame:
        """Return the resolution table: word, source, rows, columns; one row a word."""
        rows = []
        for word in self.words:
            keys = set(word.keys)
            names = [c.name for c in self.columns if keys & {p.factor.key for p in c.parts}]
            names += [t.text for t in self.random if word.word in t.groups]
            rows.append((word.word, word.source, word.rows, ", ".join(names)))
        return pd.DataFrame(rows, columns=["word", "source", "rows", "columns"])


def resolve_group(formula: Formula, schema: Schema) -> GroupMeaning:
    """Give the words of a group formula their meaning.

    Parameters
    ----------
    formula : Formula
        From :func:`voxlm.formula.parse`. As in R the intercept is on and factors are coded
        against their first level.
    schema : Schema
        The promises of the table, from :meth:`Schema.table`.

    Raises
    ------
    FormulaError
        For unknown names, a minus that removes nothing, words of the first level, and random
        terms that are multiplied or taken away.

    Examples
    --------
    >>> from voxlm.formula.parse import parse
    >>> maps = pd.DataFrame({"group": ["a", "b"]})
    >>> [c.name for c in resolve_group(parse("~ group"), Schema.table(maps)).columns]
    ['group[T.b]']
    """
    reader = GroupReader(formula.text, Namer(schema, formula.text))
    reader.read(formula.rhs)
    factors = reader.namer.factors
    reader.terms.sort(key=len)
    terms = tuple(tuple(factors[key] for key in term) for term in reader.terms)
    if not (terms or reader.intercept or reader.random):
        raise FormulaError(
            "no column is left", formula.text, (0, len(formula.text)), "add a term, or write ~ 1"
        )
    words, notes = tuple(reader.namer.words), tuple(number_notes(terms, schema))
    return GroupMeaning(
        formula, schema, reader.intercept, terms, tuple(reader.random), words, notes,
        tuple(reader.offsets),
    )  # fmt: skip


@dataclass(slots=True)
class GroupReader:
    """The terms of a right side so far."""

    text: str
    namer: Namer
    intercept: bool = True
    terms: list[Term] = field(default_factory=list)
    random: list[RandomTerm] = field(default_factory=list)
    offsets: list[Factor] = field(default_factory=list)

    def fail(self, message: str, span: Span, hint: str = "") -> FormulaError:
        """Make an error at a place of the formula."""
        return FormulaError(message, self.text, span, hint)

    def read(self, rhs: Sum) -> None:
        """Take the items of a right side into account, one after the other."""
        for sign, item in rhs.items:
            if isinstance(item, Number) and item.value in (0.0, 1.0):
                self.set_intercept(item, (sign > 0) == bool(item.value))
            elif isinstance(item, Bar):
                self.add_random(sign, item)
            elif isinstance(item, Call) and item.function == OFFSET:
                self.add_offset(sign, item)
            else:
                found = algebra.expand(item, self.leaf, self.text)
                if sign > 0:
                    self.terms = algebra.join(self.terms, found)
                else:
                    self.terms = algebra.remove(self.terms, found, item, self.text)

    def set_intercept(self, item: Number, on: bool) -> None:
        """Switch the constant; taking it away twice removes nothing."""
        if not on and not self.intercept:
            raise self.fail("this removes nothing: the intercept is already gone", item.span)
        self.intercept = on

    def leaf(self, node: Node) -> list[Term]:
        """Return the term a name or a call stands for."""
        if isinstance(node, Name):
            return [(self.namer.name(node).key,)]
        assert isinstance(node, Call)
        if node.function in TAGS or node.function in MACROS or node.function == "trials":
            raise self.fail(
                f"{node.function}() belongs to formulas of one run; this table has one row a map",
                node.span,
            )
        return [(self.namer.call(node).key,)]

    def add_offset(self, sign: int, item: Call) -> None:
        """Read ``offset(x)``: one column of numbers."""
        if sign < 0:
            raise self.fail("an offset cannot be taken away", item.span, "write offset(-x)")
        if len(item.args) != 1 or item.keywords:
            raise self.fail("offset() takes one column of numbers", item.span)
        inside = item.args[0]
        if isinstance(inside, Name):
            factor = self.namer.name(inside)
        else:
            factor = self.namer.call(Call("I", (inside,), (), item.span))
        if factor.kind == "categorical":
            raise self.fail(f"{factor.text} holds words; an offset is a number", inside.span)
        if isinstance(inside, Call) and inside.function in SPREADING:
            raise self.fail("an offset is one column, not several", inside.span)
        self.offsets.append(factor)

    def add_random(self, sign: int, bar: Bar) -> None:
        """Read ``(terms | group)`` into one record or several."""
        if sign < 0:
            raise self.fail("a random term cannot be taken away", bar.span, "leave it out")
        inner = GroupReader(self.text, self.namer)
        inside = bar.terms if isinstance(bar.terms, Sum) else Sum(((1, bar.terms),), bar.span)
        inner.read(inside)
        if inner.random:
            raise self.fail("a random term inside a random term", bar.span)
        if inner.offsets:
            raise self.fail("an offset inside a random term", bar.span, "write it outside")
        if not (inner.terms or inner.intercept):
            raise self.fail("nothing varies here", bar.span, "write (1 | subject)")
        terms = [tuple(self.namer.factors[key] for key in term) for term in inner.terms]
        for groups in self.groupings(bar.group):
            self.random += records(groups, inner.intercept, terms, bar.correlated)

    def groupings(self, node: Node) -> list[tuple[str, ...]]:
        """Read ``g``, ``a:b`` or ``a/b``, outer groups first."""
        match node:
            case Name():
                return [(self.grouping(node),)]
            case Product(sign=":", left=left, right=right):
                pairs = [a + b for a in self.groupings(left) for b in self.groupings(right)]
                return [tuple(dict.fromkeys(pair)) for pair in pairs]
            case Product(sign="/", left=left, right=right):
                outer, inner = self.groupings(left), self.groupings(right)
                return outer + [outer[-1] + group for group in inner]
            case _:
                raise self.fail(
                    "a group is a column, a:b or a/b", node.span, "write (1 | site/subject)"
                )

    def grouping(self, node: Name) -> str:
        """Return the column a group name stands for."""
        variable = find(node, self.namer.schema, self.text).variable
        if variable.missing:
            raise self.fail(
                f"{variable.name} is missing in {variable.missing} of {variable.rows} rows",
                node.span,
                "every map belongs to a group",
            )
        self.namer.record(variable.name, "groups of a random term", f"{variable.rows} rows", [])
        return variable.name


def _inside(factor: Factor) -> str:
    """Write what stands in the parentheses of an offset."""
    return write(factor.node.args[0] if isinstance(factor.node, Call) else factor.node)


def records(
    groups: tuple[str, ...], intercept: bool, terms: list[tuple[Factor, ...]], correlated: bool
) -> list[RandomTerm]:
    """Make one record, or one a coefficient where they are not correlated."""
    name = ":".join(groups)
    shown = [product(term) for term in terms]
    if correlated or (intercept + len(terms)) == 1:
        text = " + ".join([str(int(intercept)), *shown])
        return [RandomTerm(groups, intercept, tuple(terms), f"({text} | {name})")]
    first = [RandomTerm(groups, True, (), f"(1 | {name})")] if intercept else []
    return first + [
        RandomTerm(groups, False, (term,), f"(0 + {text} | {name})")
        for term, text in zip(terms, shown, strict=True)
    ]


def label_doubts(meaning: GroupMeaning) -> list[str]:
    """Say which columns are numbers here and labels to anybody who reads their names or values."""
    used = {f.node.text for term in meaning.terms for f in term if isinstance(f.node, Name)}
    doubts = []
    for variable in meaning.schema.variables:
        if variable.name not in used or variable.kind != "numeric":
            continue
        instead = f"and is taken as a number; write C({variable.name}) if they are labels"
        whole = all(value == int(value) for value in variable.values)
        if variable.written:
            doubts.append(f"{variable.name} holds text that reads as numbers {instead}")
        elif variable.name.lower() in OF_LABELS and whole and len(variable.values) > 2:
            doubts.append(
                f"{variable.name} holds {len(variable.values)} different whole numbers {instead}"
            )
    return doubts


def number_notes(terms: tuple[tuple[Factor, ...], ...], schema: Schema) -> list[str]:
    """Say which columns hold numbers that may be labels."""
    used = {f.node.text for term in terms for f in term if isinstance(f.node, Name)}
    notes = []
    for variable in schema.variables:
        values = variable.values
        whole = all(value == int(value) for value in values)
        if variable.name in used and whole and 3 <= len(values) <= min(FEW, variable.rows // 2):
            notes.append(
                f"{variable.name} holds {len(values)} different whole numbers and is taken as a "
                f"number; write C({variable.name}) if they are labels"
            )
    return notes
