"""A hypothesis about the columns of a design: rows of C, their null values, t or F."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from voxlm.contrasts.means import Means
from voxlm.contrasts.names import Names, name_columns
from voxlm.contrasts.text import Row, parse_contrast
from voxlm.design.columns import Column
from voxlm.errors import ContrastError

Kind = Literal["t", "F"]
Array = NDArray[np.float64]

# A row that keeps less than this of its length beside the others says nothing new.
REDUNDANT = 1e-10
LARGEST = 1e100
SPACE = re.compile(r"\s")


@dataclass(frozen=True, slots=True, eq=False)
class Hypothesis:
    """The hypothesis ``C beta = null``.

    Parameters
    ----------
    C : ndarray, shape (Q, P)
        Weights, a row a question, linearly independent; read-only.
    null : ndarray, shape (Q,)
        The values under the null hypothesis; read-only.
    kind : {"t", "F"}
        The statistic that tests it. A t has one row.
    text : str
        The contrast as it was asked.
    names : tuple of str
        The P column names.
    notes : tuple of str
        What was left out, a sentence each: rows of a joint test that follow from the others.

    Examples
    --------
    >>> columns = [Column(n, n, "task", n) for n in ("face", "house", "tool")]
    >>> print(hypothesis("(face + house)/2 - tool", columns))
    t: (face + house)/2 - tool
      1/2*face + 1/2*house - tool = 0
    """

    C: Array
    null: Array
    kind: Kind
    text: str
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field in ("C", "null"):
            value = np.array(getattr(self, field), dtype=np.float64)
            value.setflags(write=False)
            object.__setattr__(self, field, value)

    @property
    def rows(self) -> tuple[str, ...]:
        """The equations, one a row, with their weights written out."""
        return tuple(
            equation(weights, value, self.names)
            for weights, value in zip(self.C, self.null, strict=True)
        )

    def __str__(self) -> str:
        head = f"{self.kind}: {self.text}"
        return "\n".join([head, *(f"  {row}" for row in self.rows), *self.notes])


def hypothesis(
    spec: Any, columns: Sequence[Column], kind: Kind | None = None, meaning: Any = None
) -> Hypothesis:
    """Understand a contrast as rows of weights over the columns of a design.

    Parameters
    ----------
    spec : str, Means, mapping, array_like, list or Hypothesis
        A text (``"face - house"``, ``"face = house = tool"``, ``"face, house"``,
        ``"face - house = 0.5"``, ``"term(trial_type)"``, ``"basis(face)"``, ``"F(face)"``,
        ``'emm("group", at={"age": 60}).pairs()'``); marginal means from
        :func:`voxlm.contrasts.emm`; a mapping of names to weights; a vector ``(P,)`` or matrix
        ``(Q, P)``; or a list of texts, mappings or vectors, tested jointly.
    columns : sequence of Column
        The columns of the design.
    kind : {"t", "F"}, optional
        The statistic. By default t for one row, F for several and for the words ``term``,
        ``basis``, ``joint`` and ``F``.
    meaning : object, optional
        ``design.meaning``, which marginal means need.

    Returns
    -------
    Hypothesis
        Rows that follow from the others are left out, with a note.

    Raises
    ------
    ContrastError
        Unknown or ambiguous names, text that is not linear, a row of zeros, a vector of another
        length than the design, weights that are not finite, null values that contradict each
        other, t for several rows.

    Examples
    --------
    >>> columns = [Column(n, n, "task", n) for n in ("face", "house")]
    >>> hypothesis("face - house", columns).C
    array([[ 1., -1.]])
    >>> hypothesis({"face": 1, "house": -1}, columns).kind
    't'
    >>> hypothesis("face, house", columns).kind
    'F'
    """
    names = name_columns(columns, meaning)
    if isinstance(spec, Hypothesis):
        return _known(spec, names, kind)
    if kind not in (None, "t", "F"):
        raise ContrastError(f"kind must be 't' or 'F', got {kind!r}")
    C, null, joint, text = _read(spec, names)
    _refuse_bad_rows(C, text, names)
    C, null, notes = _independent(C, null, text, names)
    if kind == "t" and len(C) > 1:
        raise ContrastError(
            f"a t tests one row, this contrast has {len(C)}",
            text,
            (0, len(text)),
            "leave kind out, or say kind='F'",
        )
    chosen: Kind = kind or ("F" if joint or len(C) > 1 else "t")
    return Hypothesis(C, null, chosen, text, names.all, notes)


def equation(weights: Array, null: float, names: Sequence[str]) -> str:
    """Write one row as a contrast text.

    Examples
    --------
    >>> equation(np.array([1.0, -0.5, 0.0]), 0.5, ["face", "house", "tool"])
    'face - 1/2*house = 1/2'
    """
    words = ""
    for weight, name in zip(weights, names, strict=True):
        if weight:
            size = "" if abs(weight) == 1 else f"{_written(abs(weight))}*"
            sign = "-" if weight < 0 else "+"
            words += f" {sign} {size}{name}" if words else f"{'-' * (sign == '-')}{size}{name}"
    return f"{words} = {_written(null)}"


def _written(value: float) -> str:
    if not np.isfinite(value) or abs(value) > 1e6:
        return f"{value:.6g}"
    simple = Fraction(float(value)).limit_denominator(100)
    return str(simple) if float(simple) == value else f"{value:.6g}"


def _read(spec: Any, names: Names) -> tuple[Array, Array, bool, str]:
    """Read any kind of spec into C, null, whether it is joint, and a text for it."""
    if isinstance(spec, str | Means):
        text = SPACE.sub(" ", str(spec))
        parsed = parse_contrast(text, names)
        C, null = _rows(parsed.rows, len(names.columns), text)
        return C, null, parsed.joint, text.strip()
    if isinstance(spec, pd.Series) and not isinstance(spec.index, pd.RangeIndex):
        spec = spec.to_dict()
    if spec is None or np.size(spec) == 0:
        raise ContrastError("the contrast is empty", hint="write for instance `a - b`")
    if isinstance(spec, Mapping):
        weights = _from_mapping(spec, names)
        return weights[None], np.zeros(1), False, _text(weights[None], names)
    if _is_list_of_specs(spec):
        parts = [_read(part, names) for part in spec]
        C = np.concatenate([part[0] for part in parts])
        null = np.concatenate([part[1] for part in parts])
        return C, null, True, ", ".join(part[3] for part in parts)
    C = _from_array(spec, names)
    return C, np.zeros(len(C)), len(C) > 1, _text(C, names)


def _is_list_of_specs(spec: Any) -> bool:
    return (
        isinstance(spec, (list, tuple))
        and len(spec) > 0
        and any(isinstance(part, (str, Mapping, Means)) for part in spec)
    )


def _rows(rows: Sequence[Row], P: int, text: str) -> tuple[Array, Array]:
    C, null = np.zeros((len(rows), P)), np.zeros(len(rows))
    for q, row in enumerate(rows):
        try:
            null[q] = float(row.null)
            for index, weight in row.weights.weights.items():
                C[q, index] = float(weight)
        except OverflowError:
            raise ContrastError(
                "a weight is too large for a number", text, row.span, "use smaller weights"
            ) from None
    return C, null


def _from_mapping(spec: Mapping[Any, Any], names: Names) -> Array:
    weights = np.zeros(len(names.columns))
    text = ", ".join(f"{name}: {weight}" for name, weight in spec.items())
    at = 0
    for name, weight in spec.items():
        if not isinstance(name, str):
            raise ContrastError(f"the names of a contrast are text, got {name!r}")
        index = names.column(name, text, (at, at + len(name)))
        try:
            weights[index] += float(weight)
        except (TypeError, ValueError):
            raise ContrastError(
                f"the weight of {name!r} must be a number, got {weight!r}"
            ) from None
        at += len(f"{name}: {weight}, ")
    return weights


def _from_array(spec: ArrayLike, names: Names) -> Array:
    P = len(names.columns)
    try:
        C = np.atleast_2d(np.asarray(spec, dtype=np.float64))
    except (TypeError, ValueError):
        raise ContrastError(
            f"a contrast cannot be a {type(spec).__name__} such as {spec!r:.60}",
            hint="give a text, a dict of names to weights, a vector, a matrix, or a list of texts",
        ) from None
    if C.ndim != 2 or C.shape[1] != P:
        raise ContrastError(
            f"the contrast has shape {np.shape(spec)}, the design has {P} columns",
            hint=f"give one weight for each of: {', '.join(names.all)}",
        )
    return C


def _text(C: Array, names: Names) -> str:
    return ", ".join(equation(row, 0.0, names.all).removesuffix(" = 0") for row in C)


def _refuse_bad_rows(C: Array, text: str, names: Names) -> None:
    for q, row in enumerate(C):
        if not row.any():
            raise ContrastError(
                f"row {q + 1} of the contrast has only zero weights",
                text,
                (0, len(text)),
                f"give at least one weight to: {', '.join(names.all)}",
            )
        bad = np.flatnonzero(~(np.abs(row) <= LARGEST))
        if bad.size:
            raise ContrastError(
                f"row {q + 1} of the contrast: the weight of {names.all[bad[0]]} "
                f"is {row[bad[0]]}, not a usable number",
                hint="weights are finite; null values belong after =",
            )


def _independent(
    C: Array, null: Array, text: str, names: Names
) -> tuple[Array, Array, tuple[str, ...]]:
    """Leave out rows that follow from earlier ones, and say so."""
    size = np.linalg.norm(C, axis=1)
    # Gram-Schmidt, twice for its rounding, carries the null values along with the rows.
    left = np.column_stack([C, null]) / size[:, None]
    basis = np.empty((0, C.shape[1] + 1))
    keep: list[int] = []
    notes: list[str] = []
    for q, row in enumerate(left):
        for _ in range(2):
            row = row - (basis[:, :-1] @ row[:-1]) @ basis
        length = np.linalg.norm(row[:-1])
        if length > REDUNDANT:
            keep.append(q)
            basis = np.vstack([basis, row / length])
            continue
        words = equation(C[q], float(null[q]), names.all)
        if abs(row[-1]) > REDUNDANT * (1 + np.abs(left[:, -1]).max()):
            raise ContrastError(
                f"row {q + 1}, {words}, contradicts the rows before it",
                text,
                (0, len(text)),
                "the null values of a joint test must be possible together",
            )
        notes.append(f"row {q + 1}, {words}, follows from the rows before it and is left out")
    return C[keep], null[keep], tuple(notes)


def _known(spec: Hypothesis, names: Names, kind: Kind | None) -> Hypothesis:
    if spec.names != names.all:
        raise ContrastError(
            f"the contrast {spec.text!r} was made for other columns: {', '.join(spec.names)}",
            hint=f"this design has: {', '.join(names.all)}",
        )
    if kind == "t" and len(spec.C) > 1:
        raise ContrastError(f"a t tests one row, {spec.text!r} has {len(spec.C)}")
    return replace(spec, kind=kind or spec.kind)
