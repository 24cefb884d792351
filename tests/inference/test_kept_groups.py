"""Permutations leave the covariance of every random term as it is, or they are refused."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

import voxlm as vx
from voxlm.inference.refits import check_moves
from voxlm.models.terms import RandomTerm

VISITS = 3


def rows(subjects=8, **columns):
    """Visits inside subjects inside sites of two subjects."""
    subject = np.repeat(np.arange(subjects), VISITS)
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "subject": [f"s{i}" for i in subject],
            "site": [f"site{i // 2}" for i in subject],
            "group": np.where(subject % 2, "a", "b"),
            "item": np.tile(list("xyz"), subjects),
            "time": np.tile([0.0, 1.0, 2.0], subjects),
            "jitter": rng.standard_normal(subject.size),
            **columns,
        }
    )


def contrast(formula, name, table=None, V=4):
    table = rows() if table is None else table
    rng = np.random.default_rng(1)
    Y = rng.standard_normal((len(table), V))
    for factor in ("subject", "site"):
        codes = pd.factorize(table[factor])[0]
        Y += rng.standard_normal((codes.max() + 1, V))[codes]
    return vx.lmer(formula, vx.Maps(table, data=Y)).contrast(name)


SLOPES = "~ time + (1 + time | subject)"
NESTED = "~ time + group + (1 | site) + (1 | site:subject)"
FEW = {"n_perm": 15, "alpha": 0.2}


def test_flips_inside_groups_with_slopes_are_refused():
    con = contrast(SLOPES, "time")
    with pytest.raises(vx.DesignError, match=r"groups whole.*\(1 \+ time \| subject\)"):
        con.correct("maxt", blocks=None, **FEW)


@pytest.mark.parametrize("permute", ["flip", "shuffle"])
def test_the_widest_of_nested_groups_stays_whole(permute):
    con = contrast(NESTED, "group[T.b]")
    with pytest.raises(vx.DesignError, match=r"groups whole.*\(1 \| site\)"):
        con.correct("maxt", blocks="subject", permute=permute, **FEW)


def test_sites_change_places_only_if_their_subjects_do():
    # Every subject has three visits; then one site has subjects of two and four.
    even = rows(10, arm=np.repeat(list("aabbb"), 2 * VISITS))
    con = contrast("~ arm + (1 | site) + (1 | site:subject)", "arm[T.b]", even)
    assert "all 9 exchanges" in repr(con.correct("maxt", permute="shuffle", **FEW))
    uneven = even.assign(subject=np.where(even.index == 2, "s1", even["subject"]))
    con = contrast("~ arm + (1 | site) + (1 | site:subject)", "arm[T.b]", uneven)
    with pytest.raises(vx.DesignError, match=r"groups whole.*\(1 \| site:subject\)"):
        con.correct("maxt", permute="shuffle", **FEW)


def test_groups_that_join_into_a_larger_one_are_refused():
    # As blocks, subjects of 1 and 2 visits are as large as one of 3.
    table = rows(8, pair=np.repeat(np.arange(8), VISITS), arm=np.repeat(list("ab"), 12))
    table["subject"] = np.where(table.index < 1, "early", table["subject"])
    con = contrast("~ arm + (1 | subject)", "arm[T.b]", table)
    with pytest.raises(vx.DesignError, match="groups whole"):
        con.correct("maxt", blocks="pair", permute="shuffle", **FEW)


def test_subjects_with_slopes_change_places_only_at_equal_times():
    table = rows(arm=np.repeat(list("ab"), 12))
    same = contrast("~ arm + time + (1 + time | subject)", "arm[T.b]", table)
    assert "exchanges" in repr(same.correct("maxt", permute="shuffle", **FEW))
    unequal = contrast("~ arm + jitter + (1 + jitter | subject)", "arm[T.b]", table)
    with pytest.raises(vx.DesignError, match=r"\(1 \+ jitter \| subject\) differ.*flip signs"):
        unequal.correct("maxt", permute="shuffle", **FEW)
    assert "sign flips" in repr(unequal.correct("maxt", **FEW))


def test_nested_groups_written_as_crossed_are_nested():
    written = "~ time + group + (1 | site) + (1 | subject)"
    table = rows(12)
    apart, inside = (contrast(f, "time", table) for f in (written, NESTED))
    found, expected = (con.correct("maxt", n_perm=31) for con in (apart, inside))
    assert "31 random sign flips" in repr(found)
    np.testing.assert_array_equal(found.p, expected.p)


def test_crossed_factors_that_fall_into_parts_flip_part_by_part():
    # Items of their own in every site: subjects and items are crossed within sites.
    table = rows(12)
    table["item"] = table["site"] + table["item"]
    con = contrast("~ time + (1 | subject) + (1 | item)", "time", table)
    verdict = con.correct("maxt", n_perm=100)
    assert "all 63 sign flips" in repr(verdict)


def test_crossed_throughout_is_refused_with_a_reason_and_a_way():
    con = contrast("~ time + (1 | subject) + (1 | item)", "time")
    with pytest.raises(vx.DataError, match=r"crossed throughout.*blocks='subject'"):
        con.correct("maxt")


def test_crossed_subjects_of_equal_items_change_places():
    table = rows(8, arm=np.repeat(list("ab"), 12))
    con = contrast("~ arm + (1 | subject) + (1 | item)", "arm[T.b]", table)
    verdict = con.correct("maxt", blocks="subject", n_perm=100)
    assert "all 69 exchanges" in repr(verdict)
    turned = table.assign(item=[*"yxz", *table["item"][3:]])
    other = contrast("~ arm + (1 | subject) + (1 | item)", "arm[T.b]", turned)
    with pytest.raises(vx.DesignError, match=r"groups whole.*\(1 \| item\)"):
        other.correct("maxt", blocks="subject", n_perm=100)


def test_all_exchanges_of_crossed_subjects_by_brute_force():
    formula, n = "~ arm + (1 | subject) + (1 | item)", 6
    table = rows(n, arm=np.repeat(list("ab"), n // 2 * VISITS))
    con = contrast(formula, "arm[T.b]", table)
    verdict = con.correct("maxt", alpha=0.2, blocks="subject")
    centred = con.resampling.maps.values - con.resampling.maps.values.mean(axis=0)
    largest = []
    for chosen in combinations(range(n), n // 2):
        order = [*(s for s in range(n) if s not in chosen), *chosen]
        moved = centred.reshape(n, VISITS, -1)[order].reshape(centred.shape)
        t = vx.lmer(formula, vx.Maps(table, data=moved)).contrast("arm[T.b]").t
        largest.append(np.abs(t).max())
    expected = [np.mean(np.array(largest) >= np.abs(t) * (1 - 1e-6)) for t in con.t]
    np.testing.assert_allclose(verdict.p, expected)


@pytest.mark.parametrize("seed", range(30))
def test_what_is_let_through_leaves_the_covariance_as_it_is(seed):
    rng = np.random.default_rng((seed, 4))
    n = 6
    codes = rng.integers(0, 3, n)
    matrix = np.c_[np.ones(n), rng.integers(0, 2, n).astype(float)]
    terms = [RandomTerm(codes, matrix, "g", "(1 + x | g)")]
    order = np.array([rng.permutation(n)], dtype=np.int32)
    sign = rng.choice([-1, 1], (1, n)).astype(np.int8)
    if seed % 2:  # signs by group, and rows that stay: let through
        sign = rng.choice([-1, 1], 3)[codes][None].astype(np.int8)
        order = np.arange(n, dtype=np.int32)[None]
    move = np.zeros((n, n))
    move[order[0], np.arange(n)] = sign[0]
    kept = all(
        np.allclose(move @ cov @ move.T, cov)
        for cov in (
            (codes[:, None] == codes) * (matrix @ D @ matrix.T)
            for D in (np.eye(2), np.diag([1.0, 0]), np.array([[0, 1.0], [1, 0]]))
        )
    )
    try:
        check_moves(terms, order, sign)
    except vx.DesignError:
        return
    assert kept
