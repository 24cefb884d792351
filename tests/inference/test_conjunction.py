"""Conjunctions against their definitions and their rates under each null hypothesis."""

import numpy as np
import pytest
from scipy import stats

from voxlm.contrasts import wald
from voxlm.errors import VoxlmError
from voxlm.inference import correct
from voxlm.inference.conjunction import conjoin

# Operations in another order.
RTOL = 1e-12
# Binomial standard errors of a rate that is right.
ERRORS = 4


def t_map(values, df=30.0):
    values = np.asarray(values, dtype=float)
    return wald(values[None], np.ones((1, 1, values.size)), df, "t")


def test_the_largest_p_of_one_direction():
    a, b, c = [3.0, 2.0, -4.0, 0.5], [2.5, -2.0, -3.0, 5.0], [9.0, 1.0, -2.2, 6.0]
    found = conjoin([t_map(a), t_map(b), t_map(c, 12.0)])
    p = np.array([2 * stats.t.sf(np.abs(x), df) for x, df in ((a, 30), (b, 30), (c, 12))])
    np.testing.assert_allclose(found.p, np.where([1, 0, 1, 1], p.max(axis=0), 1.0), rtol=RTOL)
    np.testing.assert_allclose(
        found.z, [t_map(b).z[0], 0.0, t_map(c, 12.0).z[2], t_map(a).z[3]], rtol=RTOL
    )
    assert correct(found.p, "none").significant.tolist() == [True, False, True, False]


def test_rates_under_each_null_hypothesis():
    rng = np.random.default_rng(0)
    n, alpha = 200_000, 0.05
    nothing = [t_map(rng.standard_normal(n), np.inf) for _ in range(2)]
    margin = ERRORS * np.sqrt(alpha * (1 - alpha) / n)
    assert abs(np.mean(conjoin(nothing, "global").p <= alpha) - alpha) < margin
    assert np.mean(conjoin(nothing).p <= alpha) < alpha / 10
    one = [t_map(rng.standard_normal(n) + 9, np.inf), nothing[1]]
    # The worst case of the conjunction null: a sure effect beside none; one direction is left.
    assert abs(np.mean(conjoin(one).p <= alpha) - alpha / 2) < margin
    assert np.mean(conjoin(one, "global").p <= alpha) > 2 * alpha


def test_voxels_without_a_test():
    found = conjoin([t_map([1.0, np.nan, 2.0]), t_map([np.nan, 3.0, 2.0])])
    assert np.isnan(found.p).tolist() == [True, True, False]
    assert np.isnan(found.z).tolist() == [True, True, False]


def test_refused():
    two = t_map([1.0, 2.0])
    f = wald(np.ones((2, 2)), np.eye(2)[:, :, None].repeat(2, axis=2), 10.0, "F")
    for maps, null, said in [
        ([two], "conjunction", "two contrasts or more, got 1"),
        ([two, t_map([1.0])], "conjunction", r"different numbers of voxels: \[1, 2\]"),
        ([two, f], "conjunction", "an F has no direction"),
        ([two, two], "both", "null is 'conjunction' or 'global'"),
    ]:
        with pytest.raises(VoxlmError, match=said):
            conjoin(maps, null)
