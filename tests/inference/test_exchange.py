"""Blocks, trees and exhaustive enumeration against counting by hand and by itertools."""

from itertools import permutations
from math import factorial

import numpy as np
import pytest

from voxlm.errors import DesignError
from voxlm.inference.exchange import arrange, n_orders, read_blocks


def all_orders(blocks, rows=None, n_perm=10**6):
    found = arrange(blocks, n_perm, rows=rows)
    assert found.exhaustive
    order, sign = found.rows(0, found.n)
    assert sign is None
    return order


def test_without_blocks_all_permutations():
    found = all_orders(read_blocks(4))
    expected = set(permutations(range(4))) - {(0, 1, 2, 3)}
    assert {tuple(row) for row in found.tolist()} == expected
    assert len(found) == 23


def test_equal_rows_of_the_design_count_once():
    ids = np.array([0, 0, 1, 1, 1])
    found = all_orders(read_blocks(5), ids)
    assert len(found) == factorial(5) // (2 * 6) - 1
    designs = {tuple(ids[row]) for row in found}
    assert len(designs) == len(found)
    assert tuple(ids) not in designs


def test_within_and_whole():
    labels = ["b", "b", "a", "a", "b"]
    within = read_blocks(5, labels)
    assert n_orders(within, np.arange(5)) == 12
    for row in all_orders(within):
        assert sorted(row[[0, 1, 4]]) == [0, 1, 4]
    assert within.units == ([0], [1], [4], [2], [3])
    whole = read_blocks(6, ["b", "a", "a", "b", "c", "c"], "whole")
    assert whole.moves == (([0, 3], [1, 2], [4, 5]),)
    assert whole.units == ([0, 3], [1, 2], [4, 5])
    assert len(all_orders(whole)) == 5


def test_blocks_of_other_sizes_stay():
    blocks = read_blocks(5, [1, 1, 2, 2, 3], "whole")
    assert blocks.moves == (([0, 1], [2, 3]),)
    assert blocks.units == ([0, 1], [2, 3], [4])


def test_two_levels_written_as_a_tree_are_within_or_whole():
    labels = np.array([1, 1, 2, 2])
    within = read_blocks(4, np.c_[-np.ones(4), labels])
    assert within.moves == read_blocks(4, labels).moves
    assert within.units == read_blocks(4, labels).units
    whole = read_blocks(4, np.c_[np.ones(4), -labels])
    assert whole.moves == read_blocks(4, labels, "whole").moves
    assert whole.units == read_blocks(4, labels, "whole").units


def test_families_of_twins():
    # Two families of a pair of twins and a sibling: twins swap, families swap, siblings stay.
    levels = [
        [1, -1, 1], [1, -1, 1], [1, -1, 2],
        [1, -2, 1], [1, -2, 1], [1, -2, 2],
    ]  # fmt: skip
    blocks = read_blocks(6, levels)
    assert blocks.nested
    found = all_orders(blocks)
    assert len(found) == 2 * 2 * 2 - 1
    for row in found.tolist():
        assert {row[2], row[5]} == {2, 5}
        assert set(row[:2]) in ({0, 1}, {3, 4})
        assert (row[2] == 2) == (set(row[:2]) == {0, 1})
    assert len({tuple(row) for row in found.tolist()}) == len(found)


PALM_FREE = [[1, 1], [1, 2], [1, 3], [1, 4], [1, 5], [1, 6]]
PALM_WITHIN = [[-1, 1], [-1, 1], [-1, 2], [-1, 2], [-1, 3], [-1, 3]]
PALM_WITHIN_LONG = [[-1, 1, 1], [-1, 1, 2], [-1, 2, 1], [-1, 2, 2], [-1, 3, 1], [-1, 3, 2]]
PALM_WHOLE = [[1, 1], [1, 1], [1, 2], [1, 2], [1, 3], [1, 3]]
PALM_WHOLE_LONG = [[1, -1, 1], [1, -1, 2], [1, -2, 1], [1, -2, 2], [1, -3, 1], [1, -3, 2]]


def within(row):
    return all(set(row[2 * k : 2 * k + 2]) == {2 * k, 2 * k + 1} for k in range(3))


def whole(row):
    return all(row[2 * k] % 2 == 0 and row[2 * k + 1] == row[2 * k] + 1 for k in range(3))


@pytest.mark.parametrize(
    ("files", "simple", "allowed", "n"),
    [
        ([PALM_FREE], {}, lambda row: True, 720),
        ([PALM_WITHIN, PALM_WITHIN_LONG], {"blocks": [1, 1, 2, 2, 3, 3]}, within, 8),
        (
            [PALM_WHOLE, PALM_WHOLE_LONG],
            {"blocks": [1, 1, 2, 2, 3, 3], "exchange": "whole"},
            whole,
            6,
        ),
    ],
    ids=["example 1", "example 2", "example 3"],
)
def test_the_blocks_files_of_palms_documents(files, simple, allowed, n):
    # "Exchangeability blocks" in PALM's documentation: what each file may permute, in words there.
    expected = {row for row in permutations(range(6)) if allowed(row)}
    assert len(expected) == n
    for blocks in [*(read_blocks(6, file) for file in files), read_blocks(6, **simple)]:
        assert n_orders(blocks, np.arange(6)) == n
        found = {tuple(row) for row in all_orders(blocks).tolist()}
        assert found | {tuple(range(6))} == expected


def test_a_tree_that_fixes_all_flips_its_top_blocks():
    blocks = read_blocks(4, [[-1, -1], [-1, -1], [-1, -2], [-1, -2]])
    assert blocks.moves == ()
    assert blocks.units == ([0, 1], [2, 3])
    found = arrange(blocks, 100, shuffle=False, flip=True)
    assert found.rows(0, found.n)[1].tolist() == [[-1, -1, 1, 1], [1, 1, -1, -1], [-1] * 4]
    with pytest.raises(DesignError, match="nothing can be permuted"):
        arrange(blocks, 100)


def test_flips_are_enumerated_when_few():
    found = arrange(read_blocks(5), 31, shuffle=False, flip=True)
    assert found.exhaustive
    signs = found.rows(0, found.n)[1]
    assert len({tuple(row) for row in signs.tolist()}) == found.n == 31
    assert np.all(signs.min(axis=1) == -1)
    assert not arrange(read_blocks(5), 30, shuffle=False, flip=True).exhaustive


def test_flips_and_exchanges_together():
    found = arrange(read_blocks(3), 1000, flip=True)
    order, sign = found.rows(0, found.n)
    both = {(*a, *b) for a, b in zip(order.tolist(), sign.tolist(), strict=True)}
    assert len(both) == found.n == 6 * 8 - 1


def test_random_ones_respect_blocks_and_do_not_depend_on_the_batch():
    labels = np.repeat(np.arange(10), 4)
    found = arrange(read_blocks(40, labels), 500, seed=3, flip=True)
    assert not found.exhaustive
    order, sign = found.rows(0, 500)
    np.testing.assert_array_equal(labels[order], np.tile(labels, (500, 1)))
    for first, stop in [(0, 7), (7, 100), (499, 500)]:
        a, b = found.rows(first, stop)
        np.testing.assert_array_equal(a, order[first:stop])
        np.testing.assert_array_equal(b, sign[first:stop])


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        ([1, 2], r"blocks have shape \(2,\), expected \(4,\)"),
        (np.ones((4, 2, 2)), "shape"),
        (7, r"blocks have shape \(\)"),
        ([["a", "b"]] * 4, "whole numbers other than 0"),
        ([[1, np.nan]] * 4, "whole numbers other than 0"),
        ([[1, 1], [1, 0], [1, 1], [1, 1]], "whole numbers other than 0"),
        ([[1, 1], [1, 1.5], [1, 1], [1, 1]], "whole numbers"),
        ([[1, 1], [1, -1], [1, 2], [1, 2]], "both signs"),
        ([[1, 1], [1, 1], [-1, 2], [-1, 2]], "one number throughout"),
    ],
)
def test_blocks_refused(blocks, said):
    with pytest.raises(DesignError, match=said):
        read_blocks(4, blocks)


def test_refused():
    with pytest.raises(DesignError, match="'within' or 'whole'"):
        read_blocks(2, [1, 2], "across")
    with pytest.raises(DesignError, match="nothing can be permuted"):
        arrange(read_blocks(4, [1, 2, 3, 4]), 100)
    with pytest.raises(DesignError, match="nothing can be permuted"):
        arrange(read_blocks(4), 100, rows=[1, 1, 1, 1])
    with pytest.raises(DesignError, match="at least 1; got 0"):
        arrange(read_blocks(4), 0)
    with pytest.raises(DesignError, match="seed"):
        arrange(read_blocks(4), 10, seed=-1)
