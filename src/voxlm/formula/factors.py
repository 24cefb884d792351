"""Factors: the pieces terms are made of, and the numbers they stand for in a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.errors import DataError
from voxlm.formula.engine import coding
from voxlm.formula.schema import Kind, labels
from voxlm.formula.syntax import Call, Node, Span
from voxlm.formula.transforms import Memory, Table, evaluate

Clock = Literal["events", "scans", "rows"]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor of a term.

    Parameters
    ----------
    key : str
        Our own name for it, the only one the engine sees.
    text : str
        How people read it.
    clock : {"events", "scans", "rows"}
        The table whose rows it lives on.
    kind : {"numeric", "categorical"}
        Whether it has levels.
    node : Node
        The expression.
    names : tuple of (str, str)
        Column of each name in the expression.
    span : (int, int)
        Its place in the formula.
    labels : tuple of str
        What is added to ``text`` for each column of a numeric factor.
    levels : tuple of str
        Levels of a categorical factor.
    coding, base : str
        How it is coded where it loses a level, and the level it loses.
    condition : str
        The level that an indicator factor stands for; empty for other factors.
    gap : int
        How many first rows have no value by nature: differences and lags look back.
    """

    key: str
    text: str
    clock: Clock
    kind: Kind
    node: Node
    names: tuple[tuple[str, str], ...]
    span: Span
    labels: tuple[str, ...] = ("",)
    levels: tuple[str, ...] = ()
    coding: str = "Treatment"
    base: str | None = None
    condition: str = ""
    gap: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """One column of one factor.

    Parameters
    ----------
    factor : Factor
        The factor.
    reduced : bool
        Whether it is coded without one level.
    index : int
        Which of its columns.
    label : str
        How that column is read.
    level : str
        The level it indicates; empty where it indicates none.
    """

    factor: Factor
    reduced: bool
    index: int
    label: str
    level: str = ""


def parts(factor: Factor, reduced: bool) -> list[Part]:
    """List the columns of a factor."""
    if factor.kind == "numeric":
        return [
            Part(factor, False, k, factor.text + label, factor.condition)
            for k, label in enumerate(factor.labels)
        ]
    if is_trials(factor):
        return [
            Part(factor, False, k, level, level.rpartition("_")[0])
            for k, level in enumerate(factor.levels)
        ]
    if not reduced:
        return [
            Part(factor, False, k, f"{factor.text}[{level}]", level)
            for k, level in enumerate(factor.levels)
        ]
    _, words = coding(factor.coding, factor.levels, factor.base)
    return [Part(factor, True, k, factor.text + word) for k, word in enumerate(words)]


def encode(factor: Factor, frame: pd.DataFrame, text: str, memory: Memory) -> Floats:
    """Return the columns of a factor, every level kept, shape ``(N, k)``; NaN where missing.

    Parameters
    ----------
    factor : Factor
        The factor.
    frame : DataFrame
        Its table.
    text : str
        The formula, for carets.
    memory : dict
        What functions learned from an earlier table; written when empty.

    Raises
    ------
    DataError
        If the table holds a level that the formula was not given its meaning with.
    """
    if is_trials(factor):
        return trial_indicators(factor, labels(frame[factor.names[0][1]]))
    if factor.kind == "categorical":
        return indicators(factor, labels(frame[factor.names[0][1]]))
    if factor.condition:
        column = labels(frame[factor.names[0][1]])
        # A missing condition is no condition: such an event is not this one.
        return np.array([[float(word == factor.condition)] for word in column]).reshape(-1, 1)
    values = evaluate(factor.node, Table(frame, dict(factor.names), text, memory))
    # A logarithm of zero has no value either; both are judged where they matter.
    found = np.where(np.isfinite(values), values, np.nan)
    return found[:, None] if found.ndim == 1 else found


def is_trials(factor: Factor) -> bool:
    """Tell whether each event is a level of its own."""
    return isinstance(factor.node, Call) and factor.node.function == "trials"


def trial_indicators(factor: Factor, words: list[str | None]) -> Floats:
    """Return one column an event, shape ``(N, levels)``; events of other conditions are in none."""
    place = {level: k for k, level in enumerate(factor.levels)}
    count: dict[str | None, int] = {}
    out = np.zeros((len(words), len(factor.levels)))
    for row, word in enumerate(words):
        count[word] = count.get(word, 0) + 1
        column = place.get(f"{word}_{count[word]:03d}")
        if column is not None:
            out[row, column] = 1.0
    return out


def indicators(factor: Factor, words: list[str | None]) -> Floats:
    """Return one column a level, 1 where the row has it, shape ``(N, levels)``."""
    place = {level: k for k, level in enumerate(factor.levels)}
    unseen = sorted({word for word in words if word is not None and word not in place})
    if unseen:
        raise DataError(
            f"{factor.text} has levels here that the formula was not read with: "
            f"{', '.join(unseen)}; known are {', '.join(factor.levels)}"
        )
    out = np.zeros((len(words), len(factor.levels)))
    for row, word in enumerate(words):
        if word is None:
            out[row] = np.nan
        else:
            out[row, place[word]] = 1.0
    return out


def reduce(factor: Factor, full: Floats) -> Floats:
    """Return the columns of a categorical factor that has lost a level, shape ``(N, levels - 1)``.

    Parameters
    ----------
    factor : Factor
        The factor.
    full : ndarray, shape (N, levels)
        Its indicators.
    """
    matrix, _ = coding(factor.coding, factor.levels, factor.base)
    return full @ matrix
