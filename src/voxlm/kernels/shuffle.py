"""Random sign flips and exchanges, each a function of the seed and its own number alone.

Random words come from Philox 4x32-10 (Salmon, Moraes, Dror and Shaw, 2011): a counter, encrypted.
The counter holds the number of the permutation, so permutation 731 is the same one whoever draws
it, in whatever order, on however many threads.

Axes: K permutations, N observations, M moves, U units that flip as one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int32]

ROUNDS = 10
MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
KEY_STEPS = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
WORD = np.uint64(32)
LOW = np.uint64(0xFFFFFFFF)
# Flips and exchanges of one permutation draw from different streams.
ORDER_STREAM, SIGN_STREAM = 0, 1
# Places in the array that carries a generator: next word, stream, number (2), key (2), words (4).
AT, STREAM, NUMBER, KEY, WORDS, STATE = 0, 1, 2, 4, 6, 10


class Moves(NamedTuple):
    """Which sets of observations may change places.

    Parameters
    ----------
    place : ndarray of int32
        Observations of move after move; in each, those of unit after unit.
    start, units, length : ndarray of int32, shape (M,)
        Where a move starts in ``place``, how many units it exchanges, observations a unit.
    """

    place: Ints
    start: Ints
    units: Ints
    length: Ints


def make_moves(blocks: list[list[list[int]]]) -> Moves:
    """Pack moves, each a list of units, each a list of as many observations.

    Examples
    --------
    >>> make_moves([[[0], [1]], [[2, 3], [4, 5]]]).place
    array([0, 1, 2, 3, 4, 5], dtype=int32)
    """
    flat = [[i for unit in move for i in unit] for move in blocks]
    lengths = np.array([len(move) for move in flat], dtype=np.int32)
    return Moves(
        np.array([i for move in flat for i in move], dtype=np.int32),
        np.r_[0, np.cumsum(lengths)[:-1]].astype(np.int32)[: len(blocks)],
        np.array([len(move) for move in blocks], dtype=np.int32),
        np.array([len(move[0]) for move in blocks], dtype=np.int32),
    )


def draw_orders(seed: int, first: int, n: int, n_observations: int, moves: Moves) -> Ints:
    """Draw exchanges: permutations ``first`` to ``first + n - 1``.

    Parameters
    ----------
    seed : int
        From 0 to 2**64 - 1.
    first, n : int
        Which permutations.
    n_observations : int
        N.
    moves : Moves
        What may be exchanged; moves inside the units of another come before or after it alike.

    Returns
    -------
    ndarray of int32, shape (n, N)
        Uniform draws from the group that the moves generate.

    Examples
    --------
    >>> whole = draw_orders(7, 0, 3, 4, make_moves([[[0, 1], [2, 3]]]))
    >>> bool(np.all(np.diff(whole[:, :2]) == 1))
    True
    >>> bool(np.all(whole[2] == draw_orders(7, 2, 1, 4, make_moves([[[0, 1], [2, 3]]]))))
    True
    """
    orders = np.empty((n, n_observations), dtype=np.int32)
    _orders(np.uint64(seed), first, moves, orders)
    return orders


def draw_signs(seed: int, first: int, n: int, unit: Ints) -> NDArray[np.int8]:
    """Draw sign flips: permutations ``first`` to ``first + n - 1``.

    Parameters
    ----------
    seed, first, n : int
        As for :func:`draw_orders`.
    unit : ndarray of int32, shape (N,)
        Number of the unit that each observation flips with.

    Returns
    -------
    ndarray of int8, shape (n, N)
        1 or -1.

    Examples
    --------
    >>> bool(np.all(np.abs(draw_signs(7, 0, 5, np.arange(3, dtype=np.int32))) == 1))
    True
    """
    signs = np.empty((n, len(unit)), dtype=np.int8)
    _signs(np.uint64(seed), first, unit, signs)
    return signs


@njit(cache=True, nogil=True)
def _orders(seed, first, moves, orders):  # type: ignore[no-untyped-def]
    n, N = orders.shape
    state = np.empty(STATE, np.uint64)
    held = np.empty(N, np.int32)
    unit = np.empty(N, np.int32)
    for k in range(n):
        start_stream(state, seed, first + k, ORDER_STREAM)
        order = orders[k]
        for i in range(N):
            order[i] = i
        for m in range(moves.start.size):
            start, units, length = moves.start[m], moves.units[m], moves.length[m]
            for u in range(units):
                unit[u] = u
            for u in range(units - 1, 0, -1):
                other = below(state, u + 1)
                unit[u], unit[other] = unit[other], unit[u]
            for i in range(units * length):
                held[i] = order[moves.place[start + i]]
            for u in range(units):
                for i in range(length):
                    order[moves.place[start + u * length + i]] = held[unit[u] * length + i]


@njit(cache=True, nogil=True)
def _signs(seed, first, unit, signs):  # type: ignore[no-untyped-def]
    n, N = signs.shape
    U = 0
    for i in range(N):
        U = max(U, unit[i] + 1)
    state = np.empty(STATE, np.uint64)
    flip = np.empty(U, np.int8)
    for k in range(n):
        start_stream(state, seed, first + k, SIGN_STREAM)
        word = np.uint64(0)
        for u in range(U):
            if u % 32 == 0:
                word = next_word(state)
            flip[u] = -1 if word & np.uint64(1) else 1
            word >>= np.uint64(1)
        for i in range(N):
            signs[k, i] = flip[unit[i]]


@njit(cache=True, nogil=True)
def start_stream(state, seed, number, stream):  # type: ignore[no-untyped-def]
    """Set a generator to the first word of one permutation's stream."""
    wide = np.uint64(number)
    state[AT] = 0
    state[STREAM] = stream
    state[NUMBER], state[NUMBER + 1] = wide & LOW, wide >> WORD
    state[KEY], state[KEY + 1] = seed & LOW, seed >> WORD


@njit(cache=True, nogil=True)
def next_word(state):  # type: ignore[no-untyped-def]
    """Return the next 32 random bits."""
    at = state[AT]
    inside = at & np.uint64(3)
    if inside == 0:
        philox(at >> np.uint64(2), state[STREAM], state[NUMBER], state[NUMBER + 1], state)
    state[AT] = at + np.uint64(1)
    return state[WORDS + np.int64(inside)]


@njit(cache=True, nogil=True)
def below(state, bound):  # type: ignore[no-untyped-def]
    """Return a uniform integer from 0 to ``bound - 1``, without bias (Lemire, 2019)."""
    n = np.uint64(bound)
    product = next_word(state) * n
    if product & LOW < n:
        least = (LOW + np.uint64(1) - n) % n
        while product & LOW < least:
            product = next_word(state) * n
    return np.int64(product >> WORD)


@njit(cache=True, nogil=True)
def philox(c0, c1, c2, c3, state):  # type: ignore[no-untyped-def]
    """Encrypt a counter of four 32-bit words into ``state``."""
    k0, k1 = state[KEY], state[KEY + 1]
    for _ in range(ROUNDS):
        left, right = MULTIPLIERS[0] * c0, MULTIPLIERS[1] * c2
        c0, c1 = (right >> WORD) ^ c1 ^ k0, right & LOW
        c2, c3 = (left >> WORD) ^ c3 ^ k1, left & LOW
        k0, k1 = (k0 + KEY_STEPS[0]) & LOW, (k1 + KEY_STEPS[1]) & LOW
    state[WORDS], state[WORDS + 1], state[WORDS + 2], state[WORDS + 3] = c0, c1, c2, c3
