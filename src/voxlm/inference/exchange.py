"""What may be exchanged or flipped under the null hypothesis: blocks, trees, and all of it at once.

Exchangeability blocks follow Winkler et al. (2014, 2015). Blocks nest; at each level the sub-blocks
of a block may change places as wholes, or may not, and only sub-blocks of the same structure do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from math import factorial, prod
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxlm.errors import DesignError
from voxlm.kernels.shuffle import Moves, draw_orders, draw_signs, make_moves

Ints = NDArray[np.int32]
Signs = NDArray[np.int8]
Unit = list[int]

MAX_SEED = 2**64


class Node(NamedTuple):
    """A block: observation ``leaf`` alone, or sub-blocks that may be exchanged or not."""

    children: tuple[Node, ...]
    exchangeable: bool
    leaf: int = -1


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """The exchanges and flips that blocks allow.

    Parameters
    ----------
    moves : tuple of tuple of list of int
        Each move exchanges units (lists of as many observations). Moves inside units of another
        stand before it.
    units : tuple of list of int
        Observations that flip as one.
    nested : bool
        Whether some move lies inside the units of another.
    """

    moves: tuple[tuple[Unit, ...], ...]
    units: tuple[Unit, ...]
    nested: bool

    @property
    def n_observations(self) -> int:
        """N."""
        return sum(map(len, self.units))

    @property
    def packed(self) -> Moves:
        """The moves for the kernels."""
        return make_moves([list(move) for move in self.moves])

    @property
    def unit(self) -> Ints:
        """Number of each observation's flip unit, shape ``(N,)``."""
        number = np.empty(self.n_observations, dtype=np.int32)
        for u, members in enumerate(self.units):
            number[members] = u
        return number


def read_blocks(
    n: int,
    blocks: ArrayLike | None = None,
    exchange: Literal["within", "whole"] = "within",
) -> Blocks:
    """Read exchangeability blocks.

    Parameters
    ----------
    n : int
        Observations, N.
    blocks : array_like, shape (N,) or (N, L), optional
        One label an observation; or L nested levels of whole numbers, the widest first, as PALM's:
        the sub-blocks of a block change places if its number is positive, and stay if it is
        negative. Observations that share all numbers change places if the last is positive, but
        keep their order where their block moves. Without blocks all observations may change places.
    exchange : {"within", "whole"}
        For one level: observations change places inside their block, or blocks change places
        (with those of equal size), their observations in order.

    Returns
    -------
    Blocks
        Observations flip one by one where they can be exchanged; a block whose inside stays in
        place flips as a whole.

    Raises
    ------
    DesignError
        Labels of another length, a 0 or one number of both signs among nested levels.

    Examples
    --------
    >>> read_blocks(4, ["a", "a", "b", "b"]).moves
    (([0], [1]), ([2], [3]))
    >>> read_blocks(4, ["a", "a", "b", "b"], "whole").moves
    (([0, 1], [2, 3]),)
    >>> read_blocks(4, [[1, -1], [1, -1], [1, -2], [1, -2]]).moves
    (([0, 1], [2, 3]),)
    """
    tree = _plant(n, blocks, exchange)
    moves = tuple(_moves(tree))
    units = tuple(unit for child in tree.children for unit in _units(child))
    return Blocks(moves, units, _nested(moves))


def _plant(n: int, blocks: ArrayLike | None, exchange: str) -> Node:
    leaves = tuple(Node((), False, i) for i in range(n))
    if blocks is None:
        return Node(leaves, True)
    labels = np.asarray(blocks)
    if labels.ndim not in (1, 2) or len(labels) != n:
        raise DesignError(
            f"blocks have shape {labels.shape}, expected ({n},) or ({n}, levels): a label for each "
            "of the observations"
        )
    if labels.ndim == 2:
        return _tree(_levels(labels), np.arange(n))
    if exchange not in ("within", "whole"):
        raise DesignError(f"exchange is 'within' or 'whole' blocks, got {exchange!r}")
    _, first, number = np.unique(labels, return_index=True, return_inverse=True)
    inside = exchange == "within"
    order = np.argsort(first)
    groups = [tuple(leaves[i] for i in np.flatnonzero(number == g)) for g in order]
    return Node(tuple(Node(group, inside) for group in groups), not inside)


def _levels(labels: NDArray[np.generic]) -> NDArray[np.int64]:
    wrong = DesignError("nested blocks are whole numbers other than 0, one column a level")
    try:
        numbers = np.asarray(labels, dtype=np.float64)
    except (TypeError, ValueError):
        raise wrong from None
    whole = np.rint(np.nan_to_num(numbers)).astype(np.int64)
    if not np.array_equal(whole, numbers) or (whole == 0).any():
        raise wrong
    return whole


def _tree(levels: NDArray[np.int64], members: NDArray[np.int64], moves: bool = False) -> Node:
    """Grow the tree under the first level; the first column's sign says what the root allows.

    ``moves`` says whether the block changes places with others.
    """
    signs = set(np.sign(levels[members, 0]).tolist())
    if levels.shape[1] == 1:
        children = tuple(Node((), False, int(i)) for i in members)
    else:
        ids = levels[members, 1]
        order = dict.fromkeys(ids.tolist())
        if len({abs(value) for value in order}) != len(order):
            raise DesignError("a nested block has one number with both signs; a block has one sign")
        inner = levels[:, 1:]
        children = tuple(_tree(inner, members[ids == value], signs == {1}) for value in order)
    if len(signs) != 1:
        raise DesignError("the first level of nested blocks is one block: one number throughout")
    unnumbered = levels.shape[1] == 1 and moves
    return Node(children, signs == {1} and not unnumbered)


def _shape(node: Node) -> tuple[object, ...]:
    """Return what two blocks must share to be exchanged."""
    return (node.exchangeable, *(_shape(child) for child in node.children))


def _members(node: Node) -> Unit:
    if not node.children:
        return [node.leaf]
    return [i for child in node.children for i in _members(child)]


def _moves(node: Node) -> Iterator[tuple[Unit, ...]]:
    for child in node.children:
        yield from _moves(child)
    if not node.exchangeable:
        return
    alike: dict[tuple[object, ...], list[Unit]] = {}
    for child in node.children:
        alike.setdefault(_shape(child), []).append(_members(child))
    yield from (tuple(units) for units in alike.values() if len(units) > 1)


def _units(node: Node) -> list[Unit]:
    if not any(True for _ in _moves(node)):
        return [_members(node)]
    return [unit for child in node.children for unit in _units(child)]


def _nested(moves: Sequence[tuple[Unit, ...]]) -> bool:
    touched = [i for move in moves for unit in move for i in unit]
    return len(touched) != len(set(touched))


@dataclass(frozen=True, slots=True, eq=False)
class Arrangements:
    """The permutations of a test, by number; the data as they are is not one of them.

    Parameters
    ----------
    n : int
        How many, K.
    exhaustive : bool
        Whether they are all that there are.
    seed : int
        Of the random ones.
    order : ndarray of int32, shape (K, N), Moves or None
        Rows of the design for each observation; how to draw them; or None where none move.
    sign : ndarray of int8, shape (K, N), ndarray of int32, shape (N,), or None
        Signs; the flip unit of each observation; or None where none flip.

    Examples
    --------
    >>> found = arrange(read_blocks(3), 100, seed=1, flip=True, shuffle=False)
    >>> found.n, found.exhaustive
    (7, True)
    >>> found.rows(0, 2)[1]
    array([[-1,  1,  1],
           [ 1, -1,  1]], dtype=int8)
    """

    n: int
    exhaustive: bool
    seed: int
    order: Ints | Moves | None
    sign: Signs | Ints | None
    n_observations: int

    def rows(self, first: int, stop: int) -> tuple[Ints | None, Signs | None]:
        """Return orders ``(k, N)`` and signs ``(k, N)`` of some permutations."""
        order, sign = self.order, self.sign
        if isinstance(order, Moves):
            order = draw_orders(self.seed, first, stop - first, self.n_observations, order)
        elif order is not None:
            order = order[first:stop]
        if sign is not None:
            drawn = sign.ndim == 1
            sign = draw_signs(self.seed, first, stop - first, sign) if drawn else sign[first:stop]  # type: ignore[arg-type]
        return order, sign  # type: ignore[return-value]


def arrange(
    blocks: Blocks,
    n_perm: int,
    *,
    seed: int = 0,
    shuffle: bool = True,
    flip: bool = False,
    rows: ArrayLike | None = None,
) -> Arrangements:
    """Choose the permutations of a test: all, where they are at most ``n_perm``, else random ones.

    Parameters
    ----------
    blocks : Blocks
        What may be exchanged and flipped.
    n_perm : int
        At most so many.
    seed : int
        Of the random ones; permutation k depends on the seed and on k alone.
    shuffle, flip : bool
        Whether observations are exchanged, and whether they change sign.
    rows : array_like, shape (N,), optional
        Equal for observations whose rows of the design are equal: exchanging these is no new
        arrangement.

    Returns
    -------
    Arrangements

    Raises
    ------
    DesignError
        If nothing at all may be exchanged or flipped.
    """
    if n_perm < 1:
        raise DesignError(f"n_perm is the number of permutations, at least 1; got {n_perm}")
    if not 0 <= seed < MAX_SEED:
        raise DesignError(f"a seed lies between 0 and 2**64 - 1, got {seed}")
    N = blocks.n_observations
    ids = np.arange(N) if rows is None else np.asarray(rows)
    orders = n_orders(blocks, ids) if shuffle else 1
    signs = 2 ** len(blocks.units) if flip else 1
    if orders * signs == 1:
        raise DesignError(
            "nothing can be permuted: no two observations (or blocks of equal structure) with "
            "different rows of the design may be exchanged; allow more in 'blocks', or flip signs"
        )
    if orders * signs - 1 > n_perm:
        moves = blocks.packed if shuffle else None
        return Arrangements(n_perm, False, seed, moves, blocks.unit if flip else None, N)
    order, sign = _all(blocks, ids, shuffle, flip)
    return Arrangements(orders * signs - 1, True, seed, order, sign, N)


def n_orders(blocks: Blocks, ids: NDArray[np.generic]) -> int:
    """Count the exchanges that change the design; for nested moves, all exchanges.

    Examples
    --------
    >>> n_orders(read_blocks(4), np.array([0, 0, 1, 1]))
    6
    """
    if blocks.nested:
        return prod(factorial(len(move)) for move in blocks.moves)
    return prod(_n_distinct(_symbols(move, ids)) for move in blocks.moves)


def _symbols(move: tuple[Unit, ...], ids: NDArray[np.generic]) -> list[int]:
    """Give units of a move with equal rows of the design equal numbers."""
    known: dict[tuple[object, ...], int] = {}
    return [known.setdefault(tuple(ids[unit].tolist()), len(known)) for unit in move]


def _n_distinct(symbols: list[int]) -> int:
    counts = np.bincount(symbols).tolist()
    return factorial(len(symbols)) // prod(factorial(c) for c in counts)


def _all(
    blocks: Blocks, ids: NDArray[np.generic], shuffle: bool, flip: bool
) -> tuple[Ints | None, Signs | None]:
    """List every arrangement but the one that leaves all as it is."""
    N = blocks.n_observations
    orders = _all_orders(blocks, ids) if shuffle else np.arange(N, dtype=np.int32)[None]
    bits = np.arange(2 ** len(blocks.units) if flip else 1)[:, None]
    signs = (1 - 2 * (bits >> blocks.unit & 1)).astype(np.int8)
    order = np.repeat(orders, len(signs), axis=0)[1:]
    sign = np.tile(signs, (len(orders), 1))[1:]
    return (order if shuffle else None), (sign if flip else None)


def _all_orders(blocks: Blocks, ids: NDArray[np.generic]) -> Ints:
    """List every distinct exchange, shape ``(K, N)``, the one that moves nothing first."""
    ways = [
        list(permutations(range(len(move))) if blocks.nested else _distinct(_symbols(move, ids)))
        for move in blocks.moves
    ]
    found = []
    for chosen in product(*ways):
        order = np.arange(blocks.n_observations, dtype=np.int32)
        for move, way in zip(blocks.moves, chosen, strict=True):
            place = np.array(move)
            order[place] = order[place[list(way)]]
        found.append(order)
    return np.array(found)


def _distinct(symbols: list[int]) -> Iterator[tuple[int, ...]]:
    """List the distinct orders of symbols, as positions; the order as it stands comes first."""
    left: dict[int, list[int]] = {}
    for i, symbol in enumerate(symbols):
        left.setdefault(symbol, []).append(i)

    def extend(depth: int, used: dict[int, int]) -> Iterator[tuple[int, ...]]:
        if depth == len(symbols):
            yield ()
            return
        usual = symbols[depth]
        for symbol in sorted(left, key=lambda s: s != usual):
            at = used.get(symbol, 0)
            if at < len(left[symbol]):
                for rest in extend(depth + 1, {**used, symbol: at + 1}):
                    yield (left[symbol][at], *rest)

    return extend(0, {})
