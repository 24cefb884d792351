"""One name, all tables: what a word of a formula may stand for.

There is no search order. Every table that has the name counts, and two of them are an error that
shows how to say which. Only a level gives way to a column of the same name.
"""

from __future__ import annotations

from dataclasses import dataclass

from voxlm.errors import FormulaError, did_you_mean, nearest
from voxlm.formula.schema import Schema, Variable
from voxlm.formula.syntax import Name
from voxlm.formula.vocabulary import PLAIN, SOURCES, WORDS


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a name stands for: a column, or one level of the condition column."""

    variable: Variable
    level: str = ""

    @property
    def clock(self) -> str:
        """The rows the name lives on."""
        return {"events": "events", "confounds": "scans", "participants": "rows"}[
            self.variable.source
        ]


def is_word(node: Name, schema: Schema) -> bool:
    """Tell whether a bare name is a word for a group of confound columns.

    Raises
    ------
    FormulaError
        If a column has the same name.
    """
    if node.quoted or node.text not in WORDS:
        return False
    return not schema.find(node.text)


def find(node: Name, schema: Schema, text: str) -> Meaning:
    """Find what a name stands for.

    Parameters
    ----------
    node : Name
        The name; ``events.rt`` says which table is meant.
    schema : Schema
        The promises of the tables.
    text : str
        The formula, for carets.

    Raises
    ------
    FormulaError
        If no table has it, or more than one.
    """
    found = schema.find(node.text)
    if not found and not node.quoted and "." in node.text:
        source, _, name = node.text.partition(".")
        found = [v for v in schema.find(name) if v.source == source]
    if len(found) > 1:
        ways = " or ".join(f"{variable.source}.{variable.name}" for variable in found)
        raise FormulaError(
            f"{node.text!r} is a column of more than one table", text, node.span, f"write {ways}"
        )
    if found:
        return Meaning(found[0])
    condition = schema.condition
    if condition is not None and node.text in condition.levels:
        return Meaning(condition, node.text)
    raise unknown(node, schema, text)


def unknown(node: Name, schema: Schema, text: str) -> FormulaError:
    """Say that no table has a name, and what it may have been meant for."""
    head, _, tail = node.text.partition(".")
    if tail and not node.quoted and head not in SOURCES:
        hint = "attribute access is not part of a formula; a dot only says which table: events.rt"
        return FormulaError(f"unknown name {node.text!r}", text, node.span, hint)
    return FormulaError(
        f"unknown name {node.text!r}", text, node.span, next_step(node.text, schema)
    )


def next_step(name: str, schema: Schema) -> str:
    """Say what an unknown name may have been meant for, and which tables were not given."""
    odd = [known for known in schema.names if not PLAIN.fullmatch(known)]
    begun = [known for known in odd if known.startswith(name) and known != name]
    if begun:
        return f"a name with other signs than letters is quoted: `{begun[0]}`"
    sources = {variable.source for variable in schema.variables}
    absent = [] if "participants" in sources else [s for s in SOURCES[:2] if s not in sources]
    known = [*schema.names, *sorted(WORDS)]
    if nearest(name, known) or not absent:
        return did_you_mean(name, known)
    return f"{did_you_mean(name, known)}; no {' and no '.join(absent)} were given"
