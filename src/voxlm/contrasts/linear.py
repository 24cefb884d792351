"""Linear combinations of columns with exact rational weights: what a contrast text adds up to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Linear:
    """A weighted sum of columns plus a constant.

    Parameters
    ----------
    weights : mapping of int to Fraction
        Weight of each column that takes part; zeros are dropped.
    constant : Fraction
        The number added to them.

    Examples
    --------
    >>> face, house = Linear({0: Fraction(1)}), Linear({1: Fraction(1)})
    >>> dict((face + house.times(Fraction(-1, 2))).weights)
    {0: Fraction(1, 1), 1: Fraction(-1, 2)}
    """

    weights: Mapping[int, Fraction] = field(default_factory=dict)
    constant: Fraction = Fraction(0)

    def __add__(self, other: Linear) -> Linear:
        keys = dict.fromkeys([*self.weights, *other.weights])
        sums = {k: self.weights.get(k, Fraction(0)) + other.weights.get(k, 0) for k in keys}
        return Linear({k: w for k, w in sums.items() if w}, self.constant + other.constant)

    def times(self, factor: Fraction) -> Linear:
        """Return this sum with every number multiplied by ``factor``."""
        weights = {k: w * factor for k, w in self.weights.items() if factor}
        return Linear(weights, self.constant * factor)

    @property
    def is_number(self) -> bool:
        """Whether no column takes part."""
        return not self.weights


@dataclass(frozen=True, slots=True)
class Block:
    """One or several linear combinations that a word stands for.

    Parameters
    ----------
    rows : tuple of Linear
        The combinations.
    labels : tuple of str
        What tells the rows apart (their basis functions, for ``basis()``); two blocks are added
        row by row only where these agree.
    joint : bool
        Whether the word asks for a joint (F) test.
    """

    rows: tuple[Linear, ...]
    labels: tuple[str, ...] = ("",)
    joint: bool = False

    @property
    def is_number(self) -> bool:
        """Whether it is a plain number."""
        return len(self.rows) == 1 and self.rows[0].is_number

    @property
    def number(self) -> Fraction:
        """The number that it is."""
        return self.rows[0].constant

    def each(self, change: Callable[[Linear], Linear]) -> Block:
        """Return the block with every row changed."""
        return Block(tuple(change(row) for row in self.rows), self.labels, self.joint)

    def fits(self, other: Block) -> bool:
        """Whether the rows of two blocks pair off."""
        return self.labels == other.labels

    def plus(self, other: Block) -> Block:
        """Return the sum, row by row."""
        rows = tuple(a + b for a, b in zip(self.rows, other.rows, strict=True))
        return Block(rows, self.labels, self.joint or other.joint)


def number(value: Fraction) -> Block:
    """Return a plain number as a block."""
    return Block((Linear(constant=value),))


def single(index: int) -> Block:
    """Return one column with weight one."""
    return Block((Linear({index: Fraction(1)}),))
