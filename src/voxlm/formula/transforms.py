"""Functions of one column that a formula may use; nothing else is ever computed for it.

Missing values stay missing and take no part in a mean, a norm or a knot. What a function learns
from a table (its mean, its knots) goes into a memory, so that other rows are treated alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxlm.errors import FormulaError, did_you_mean
from voxlm.formula.constants import constant, is_constant, whole
from voxlm.formula.engine import spread
from voxlm.formula.schema import labels, numbers
from voxlm.formula.syntax import Call, Name, Node, Number, Product, Sum, children, write
from voxlm.formula.vocabulary import ELEMENTWISE, SPREADING, STATEFUL

Floats = NDArray[np.float64]
Memory = dict[str, Any]

FUNCTIONS: dict[str, Callable[[Floats], Floats]] = {
    "log": np.log,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "I": np.array,
}
# As in R: scale() divides by the sample deviation; standardize() by the population's, as patsy.
DDOF = {"scale": 1, "standardize": 0}
OPTIONS = {
    "poly": ("degree", "raw"),
    "bs": ("df", "degree", "knots", "include_intercept", "lower_bound", "upper_bound"),
    "cr": ("df", "knots", "constraints", "lower_bound", "upper_bound"),
    "cc": ("df", "knots", "constraints", "lower_bound", "upper_bound"),
}
MAX_LAG = 100


def _listed(value: Any) -> bool:
    """Tell whether a value is a list of numbers."""
    return isinstance(value, list) and all(isinstance(one, float) for one in value)


#: What an argument of a spreading function may be.
FITS: dict[str, Callable[[Any], bool]] = {
    "df": lambda value: isinstance(value, int),
    "degree": lambda value: isinstance(value, int),
    "knots": _listed,
    "raw": lambda value: isinstance(value, bool),
    "include_intercept": lambda value: isinstance(value, bool),
    "lower_bound": lambda value: isinstance(value, float),
    "upper_bound": lambda value: isinstance(value, float),
    "constraints": lambda value: value == "center",
}
WHOLE = ("df", "degree")


class Table:
    """A table as a formula sees it: columns by the names it wrote, and the text for carets.

    Parameters
    ----------
    frame : DataFrame
        The rows.
    names : dict
        Column of each name as written.
    text : str
        The formula.
    memory : dict
        What functions learned, by the text of their call.
    """

    __slots__ = ("frame", "memory", "names", "text")

    def __init__(
        self, frame: pd.DataFrame, names: dict[str, str], text: str, memory: Memory
    ) -> None:
        self.frame, self.names, self.text, self.memory = frame, names, text, memory

    def column(self, node: Name) -> pd.Series[Any]:
        """Return the column a name stands for."""
        return self.frame[self.names[node.text]]

    def values(self, node: Name) -> Floats:
        """Return the column a name stands for, as numbers."""
        found = numbers(self.column(node))
        if found is None:
            word, row = first_word(self.column(node))
            raise self.fail(
                f"{node.text!r} holds words, the first is {word!r} in row {row}; a number is "
                "needed here",
                node,
            )
        return found

    def fail(self, message: str, node: Node, hint: str = "") -> FormulaError:
        """Make an error at a node."""
        return FormulaError(message, self.text, node.span, hint)


def first_word(column: pd.Series[Any]) -> tuple[str, int]:
    """Return the first value of a column that is no number, and its row, from 1."""
    words = labels(column)
    at = next(k for k in range(len(column)) if numbers(column.iloc[[k]]) is None)
    return str(words[at]), at + 1


def evaluate(node: Node, table: Table) -> Floats:
    """Compute an expression of numeric columns, shape ``(N,)`` or ``(N, k)``.

    Raises
    ------
    FormulaError
        For an operator or an argument that has no meaning here.
    """
    match node:
        case Name():
            return table.values(node)
        case Number(value=value):
            return np.full(len(table.frame), value)
        case Sum(items=items):
            total = np.zeros(len(table.frame))
            for sign, item in items:
                total = total + sign * single(item, table)
            return total
        case Product(sign=sign, left=left, right=right) if sign in ("*", "/", "^"):
            return combine(sign, single(left, table), single(right, table))
        case Call():
            return call(node, table)
        case Product(sign=sign):
            raise table.fail(
                f"{sign!r} joins terms; inside a function only + - * / ^ compute", node
            )
        case _:
            raise table.fail("a numeric column is needed here", node)


def single(node: Node, table: Table) -> Floats:
    """Compute an expression that must be one column, shape ``(N,)``."""
    values = evaluate(node, table)
    if values.ndim > 1:
        raise table.fail("this has several columns; only one can be computed with", node)
    return values


def combine(sign: str, left: Floats, right: Floats) -> Floats:
    """Compute one operation of two columns; what has no value becomes NaN or infinite."""
    with np.errstate(all="ignore"):
        if sign == "*":
            return left * right
        if sign == "/":
            return np.asarray(left / right)
        return np.asarray(left**right)


def call(node: Call, table: Table) -> Floats:
    """Compute one function of a column."""
    if node.function in SPREADING and is_constant(node.args[0]):
        raise table.fail(f"{node.function}() of a number has no meaning inside a term", node)
    x = single(node.args[0], table)
    memory = table.memory.setdefault(write(node), {})
    if node.function in ELEMENTWISE:
        forbid_rest(node, table, ())
        with np.errstate(all="ignore"):
            return FUNCTIONS[node.function](x)
    if node.function in STATEFUL:
        return moments(node, x, table, memory)
    if node.function == "lag":
        return lag(node, x, table)
    if node.function in SPREADING:
        return spreading(node, x, table, memory)
    raise table.fail(f"{node.function}() has no place inside a term", node)


def forbid_rest(node: Call, table: Table, allowed: tuple[str, ...], positional: int = 1) -> None:
    """Refuse arguments a function does not know."""
    if len(node.args) > positional:
        raise table.fail(f"{node.function}() takes {positional} plain argument(s)", node)
    for word, value in node.keywords:
        if word not in allowed:
            raise table.fail(
                f"{node.function}() knows no {word!r}", value, did_you_mean(word, allowed)
            )


def moments(node: Call, x: Floats, table: Table, memory: Memory) -> Floats:
    """Take the mean away, of all rows or ``within`` the levels of a column, and divide by the sd.

    Parameters
    ----------
    node : Call
        ``center(x)``, ``scale(x, within=group)``, …
    x : ndarray, shape (N,)
        The values; missing ones are left out of mean and sd.
    table : Table
        For the grouping column.
    memory : dict
        Mean and sd of each group.
    """
    forbid_rest(node, table, ("within",))
    groups = group_labels(dict(node.keywords).get("within"), table)
    out = np.full(x.shape, np.nan)
    for group in dict.fromkeys(groups):
        rows = np.array([g == group for g in groups])
        known = x[rows & np.isfinite(x)]
        if group not in memory:
            memory[group] = fit_moments(node, known, table)
        mean, sd = memory[group]
        out[rows] = (x[rows] - mean) / sd
    return out


def group_labels(node: Node | None, table: Table) -> list[str]:
    """Return the group of each row; without a grouping column all rows are one."""
    if node is None:
        return [""] * len(table.frame)
    if not isinstance(node, Name):
        raise table.fail("within= takes the name of one column", node)
    return [word or "" for word in labels(table.column(node))]


def fit_moments(node: Call, known: Floats, table: Table) -> tuple[float, float]:
    """Return mean and divisor of the values that are there."""
    mean = float(known.mean()) if known.size else 0.0
    if node.function == "center":
        return mean, 1.0
    ddof = DDOF[node.function]
    sd = float(known.std(ddof=ddof)) if known.size > ddof else 0.0
    if not sd > 0:
        raise table.fail(f"{write(node)} divides by zero: all its values are equal", node)
    return mean, sd


def lag(node: Call, x: Floats, table: Table) -> Floats:
    """Shift values down by whole rows; the first rows have none."""
    steps = min(steps_of(node, table), len(x))
    return np.concatenate([np.full(steps, np.nan), x[: len(x) - steps]])


def steps_of(node: Call, table: Table) -> int:
    """Read by how many rows ``lag(x, n)`` shifts; by one unless it says."""
    forbid_rest(node, table, (), positional=2)
    return 1 if len(node.args) == 1 else whole(node.args[1], table.text, 0, MAX_LAG)


def spreading(node: Call, x: Floats, table: Table, memory: Memory) -> Floats:
    """Spread a column over several by polynomials or splines, shape ``(N, k)``."""
    options = spreading_options(node, table)
    known = np.isfinite(x)
    try:
        with np.errstate(all="ignore"):
            columns = spread(node.function, x[known], options, memory)
    except (ValueError, IndexError, KeyError, np.linalg.LinAlgError) as error:
        raise table.fail(f"{write(node)} cannot be computed: {error}", node) from error
    if not all(np.isfinite(values).all() for values in columns.values()):
        raise table.fail(f"{write(node)} needs more different values", node.args[0])
    out = np.full((x.size, len(columns)), np.nan)
    for k, values in enumerate(columns.values()):
        out[known, k] = values
    return out


def spreading_options(node: Call, table: Table) -> dict[str, Any]:
    """Read the further arguments of ``poly``, ``bs``, ``cr`` or ``cc``."""
    allowed = OPTIONS[node.function]
    forbid_rest(node, table, allowed, positional=2)
    given = dict(node.keywords)
    if len(node.args) == 2:
        given = {allowed[0]: node.args[1], **given}
    options = {word: constant(value, table.text) for word, value in given.items()}
    for word in WHOLE:
        value = options.get(word)
        if value is None:
            continue
        if not isinstance(value, float) or value != int(value) or not 1 <= value <= 50:
            raise table.fail(f"{word} is a whole number from 1 to 50", given[word])
        options[word] = int(value)
    for word, value in options.items():
        if value is not None and not FITS[word](value):
            raise table.fail(f"{word} of {node.function}() cannot be {value!r}", given[word])
    return options


def check_call(node: Node, text: str) -> None:
    """Check the arguments of a function and of those inside it, without any values.

    Raises
    ------
    FormulaError
        For arguments that a function does not know or cannot use.
    """
    table = Table(pd.DataFrame(), {}, text, {})
    if isinstance(node, Call):
        if node.function in ELEMENTWISE:
            forbid_rest(node, table, ())
        elif node.function in STATEFUL:
            forbid_rest(node, table, ("within",))
        elif node.function == "lag":
            steps_of(node, table)
        elif node.function in SPREADING:
            spreading_options(node, table)
        else:
            raise table.fail(f"{node.function}() has no place inside a term", node)
        check_call(node.args[0], text)
        return
    for child in children(node):
        check_call(child, text)


def width(node: Call, text: str) -> int:
    """Return how many columns a spreading function makes, without any values.

    Parameters
    ----------
    node : Call
        ``poly(x, 2)``, ``bs(x, df=4)``, …
    text : str
        The formula, for carets.
    """
    options = spreading_options(node, Table(pd.DataFrame(), {}, text, {}))
    knots = len(options.get("knots") or [])
    bound = int(options.get("constraints") is not None)
    match node.function:
        case "poly":
            return int(options.get("degree", 1))
        case "bs":
            full = knots + options.get("degree", 3) + int(bool(options.get("include_intercept")))
            return int(options.get("df") or full)
        case "cr":
            return int(options.get("df") or knots + 2 - bound)
        case _:
            return int(options.get("df") or knots + 1 - bound)
