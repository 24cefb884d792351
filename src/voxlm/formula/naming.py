"""Names and calls to factors, each made once and remembered with what it was taken for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, cast

from voxlm.errors import FormulaError, did_you_mean
from voxlm.formula.constants import WORDS as CONSTANTS
from voxlm.formula.constants import constant, is_constant
from voxlm.formula.factors import Clock, Factor
from voxlm.formula.lookup import Meaning, find
from voxlm.formula.schema import Schema, Variable, label
from voxlm.formula.syntax import Call, Name, Node, Number, String, children, write
from voxlm.formula.terms import Word
from voxlm.formula.transforms import check_call, width
from voxlm.formula.vocabulary import CODINGS, CONTR, OFFSET, SPREADING, is_difference

SHOWN = {"events": "events", "confounds": "scans", "participants": "rows"}


@dataclass(slots=True)
class Namer:
    """Makes factors of one formula and keeps them by key."""

    schema: Schema
    text: str
    factors: dict[str, Factor] = field(default_factory=dict)
    words: list[Word] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def fail(self, message: str, node: Node, hint: str = "") -> FormulaError:
        """Make an error at a node."""
        return FormulaError(message, self.text, node.span, hint)

    def keep(self, factor: Factor) -> Factor:
        """Give a factor its key; the same text on the same clock is the same factor."""
        for known in self.factors.values():
            if (known.text, known.clock) == (factor.text, factor.clock):
                return known
        kept = replace(factor, key=f"f{len(self.factors)}")
        self.factors[kept.key] = kept
        return kept

    def record(self, word: str, source: str, rows: str, factors: list[Factor]) -> None:
        """Remember what a word was taken for; the first time counts."""
        if all(known.word != word for known in self.words):
            self.words.append(Word(word, source, rows, tuple(f.key for f in factors)))

    def name(self, node: Name) -> Factor:
        """Make the factor of a column or of a level."""
        meaning = find(node, self.schema, self.text)
        variable = meaning.variable
        names = ((node.text, variable.name),)
        clock = cast(Clock, meaning.clock)
        shown = meaning.level or variable.name
        made = Factor(
            "",
            shown,
            clock,
            "numeric" if meaning.level else variable.kind,
            node,
            names,
            node.span,
            levels=() if meaning.level else variable.levels,
            condition=meaning.level,
            gap=int(clock == "scans" and is_difference(variable.name)),
        )
        if clock == "scans" and made.kind == "categorical":
            raise self.fail(f"the confound {node.text!r} holds words, not numbers", node)
        factor = self.keep(made)
        self.record(node.text, origin(meaning), rows_of(meaning), [factor])
        self.note_hidden_level(node, meaning)
        return factor

    def note_hidden_level(self, node: Name, meaning: Meaning) -> None:
        """Say that a name is a column although a condition has it as well."""
        condition = self.schema.condition
        if meaning.level or condition is None or node.text not in condition.levels:
            return
        note = (
            f"{node.text} is the column {origin(meaning)}, not the level of {condition.name}; "
            f"rename one of them to have both"
        )
        if note not in self.notes:
            self.notes.append(note)

    def call(self, node: Call) -> Factor:
        """Make the factor of a function of columns."""
        if node.function == "C":
            return self.categorical(node)
        if node.function == "trials":
            return self.trials(node)
        if node.function == OFFSET:
            raise self.fail(
                "offset() stands by itself in a formula of maps", node, "y ~ age + offset(known)"
            )
        if node.function in CODINGS or node.function in CONTR:
            raise self.fail(f"{node.function} is a coding", node, f"write C(x, {node.function})")
        if is_constant(node.args[0]):
            raise self.fail(f"{node.function}() needs a column", node.args[0])
        check_call(node, self.text)
        found = [(name, find(name, self.schema, self.text)) for name in columns_of(node)]
        for name, meaning in found:
            self.check_numeric(node, name, meaning)
        clocks = {meaning.clock for _, meaning in found}
        if not clocks:
            raise self.fail(f"{node.function}() needs a column", node.args[0])
        if len(clocks) > 1:
            raise self.fail("this mixes events and scans inside one function", node)
        labels = [""]
        if node.function in SPREADING:
            labels = [f"[{k + 1}]" for k in range(width(node, self.text))]
        names = tuple((name.text, meaning.variable.name) for name, meaning in found)
        gap = sum(int(is_difference(column)) for _, column in names) + lags(node, self.text)
        clock = cast(Clock, clocks.pop())
        shown = write(node)
        factor = self.keep(
            Factor("", shown, clock, "numeric", node, names, node.span, tuple(labels), gap=gap)
        )
        source = ", ".join(dict.fromkeys(origin(meaning) for _, meaning in found))
        self.record(shown, f"function of {source}", rows_of(found[0][1]), [factor])
        return factor

    def check_numeric(self, call: Call, name: Name, meaning: Meaning) -> None:
        """Require that a function computes with numbers; ``within=`` may name a factor."""
        grouping = any(value is name for _, value in inner_keywords(call))
        if meaning.level:
            raise self.fail(
                f"{name.text!r} is a level of {meaning.variable.name}, not a number",
                name,
                f"write {name.text}:{call.function}(…) for the events of that level",
            )
        if meaning.variable.kind == "categorical" and not grouping:
            raise self.fail(f"{name.text!r} holds words; {call.function}() needs numbers", name)

    def categorical(self, node: Call) -> Factor:
        """Make the factor of ``C(x)``, ``C(x, Sum)`` or ``C(x, Treatment("b"))``."""
        if not isinstance(node.args[0], Name) or len(node.args) > 2 or node.keywords:
            raise self.fail("C() takes a column and a coding", node, "C(group, Sum)")
        meaning = find(node.args[0], self.schema, self.text)
        if meaning.level or meaning.clock == "scans":
            raise self.fail("C() takes a column of events or of the table", node.args[0])
        known = meaning.variable
        levels = known.levels or known.written or self.values(node.args[0], known)
        coding, base = "Treatment", None
        if len(node.args) == 2:
            coding, base = self.coding(node.args[1], levels)
        names = ((node.args[0].text, meaning.variable.name),)
        factor = self.keep(
            Factor(
                "",
                write(node),
                cast(Clock, meaning.clock),
                "categorical",
                node,
                names,
                node.span,
                levels=levels,
                coding=coding,
                base=base,
            )
        )
        self.record(
            write(node), f"{coding} coding of {origin(meaning)}", rows_of(meaning), [factor]
        )
        return factor

    def trials(self, node: Call) -> Factor:
        """Make the factor of ``trials(x)``: each event is a level, numbered by condition."""
        if len(node.args) != 1 or node.keywords or not isinstance(node.args[0], Name):
            raise self.fail("trials() takes a condition", node, "trials(trial_type)")
        meaning = find(node.args[0], self.schema, self.text)
        variable = meaning.variable
        if meaning.clock != "events" or variable.kind != "categorical":
            raise self.fail("trials() takes a condition of the events", node.args[0])
        wanted = (meaning.level,) if meaning.level else variable.levels
        counts = dict(zip(variable.levels, variable.counts, strict=True))
        levels = tuple(f"{w}_{k + 1:03d}" for w in wanted for k in range(counts[w]))
        names = ((node.args[0].text, variable.name),)
        factor = self.keep(
            Factor("", write(node), "events", "categorical", node, names, node.span, levels=levels)
        )
        source = f"each event of {origin(meaning)}"
        self.record(write(node), source, rows_of(meaning), [factor])
        return factor

    def values(self, node: Node, variable: Variable) -> tuple[str, ...]:
        """Return the values of a numeric column as levels."""
        if not variable.values:
            raise self.fail(f"{variable.name} has too many different numbers to be levels", node)
        return tuple(str(label(value)) for value in variable.values)

    def coding(self, node: Node, levels: tuple[str, ...]) -> tuple[str, str | None]:
        """Read ``Sum``, ``contr.sum`` or ``Treatment("b")``."""
        word = node.function if isinstance(node, Call) else getattr(node, "text", "")
        known = {name.lower(): name for name in CODINGS}
        coding = known.get(word.lower().removeprefix("contr."))
        if coding is None or isinstance(node, String | Number):
            raise self.fail(f"unknown coding {word!r}", node, did_you_mean(word, CODINGS))
        if not isinstance(node, Call) or not (node.args or node.keywords):
            return coding, None
        value = node.args[0] if node.args else node.keywords[0][1]
        base = str(label(constant(value, self.text)))
        if coding != "Treatment":
            raise self.fail(f"{coding} has no reference level", value)
        if base not in levels:
            raise self.fail(f"{base!r} is no level", value, did_you_mean(base, levels))
        return coding, base


def columns_of(node: Call) -> list[Name]:
    """List the names in a call that are columns."""
    found: list[Name] = []

    def visit(child: Node) -> None:
        if isinstance(child, Name) and child.text not in CONSTANTS:
            found.append(child)
        for below in children(child):
            visit(below)

    visit(node)
    return found


def inner_keywords(node: Node) -> list[tuple[str, Node]]:
    """List the named arguments of a call and of the calls inside it."""
    own = list(node.keywords) if isinstance(node, Call) else []
    return own + [pair for child in children(node) for pair in inner_keywords(child)]


def lags(node: Node, text: str) -> int:
    """Add up the rows that the lags of an expression look back."""
    own = 0
    if isinstance(node, Call) and node.function == "lag":
        own = 1 if len(node.args) == 1 else int(cast(Any, constant(node.args[1], text)))
    return own + sum(lags(child, text) for child in children(node))


def origin(meaning: Meaning) -> str:
    """Say where a name comes from."""
    column = f"{meaning.variable.source}.{meaning.variable.name}"
    return f"level of {column}" if meaning.level else column


def rows_of(meaning: Meaning) -> str:
    """Say which rows have a value."""
    variable = meaning.variable
    rows = SHOWN[variable.source]
    if meaning.level:
        count = variable.counts[variable.levels.index(meaning.level)]
        return f"{count} of {variable.rows} {rows}"
    if variable.missing:
        return f"{variable.rows - variable.missing} of {variable.rows} {rows}"
    return f"{variable.rows} {rows}"
