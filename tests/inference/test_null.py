"""p-values from null distributions against counting and known tails."""

import numpy as np
import pytest
from scipy import stats

from voxlm.inference.null import count_p, fit_tail, tail_p

# The median of 300 fits to samples of 1,000; at p = 0.001 a single one scatters by a factor of 2.
BIAS = 0.2


def test_counting_with_ties_and_slack():
    null = np.array([1.0, 2.0, 2.0, 3.0])
    assert count_p([2.0, 3.0, 3.1, -1.0], null).tolist() == [0.8, 0.4, 0.2, 1.0]
    assert count_p([2.0 + 1e-9], null).tolist() == [0.4]
    assert count_p([2.0 + 1e-9], null, 1e-8).tolist() == [0.8]
    assert np.isnan(count_p([np.nan], null)).all()


def test_infinite_values_tie_and_leave_the_others_their_p():
    null = np.r_[np.inf, np.arange(998.0), np.inf]
    assert count_p([np.inf], null, [np.inf]).tolist() == [3 / 1001]
    assert fit_tail(null) is None
    np.testing.assert_array_equal(tail_p([500.0, np.inf], null), count_p([500.0, np.inf], null))


@pytest.mark.parametrize("law", [stats.expon(), stats.genpareto(-0.2), stats.gumbel_r()])
def test_pareto_tails_are_nearer_than_counts(law):
    rng = np.random.default_rng(0)
    p = np.array([0.05, 0.01, 0.001])
    at = law.isf(p)
    fitted, counted = [], []
    for _ in range(300):
        null = law.rvs(1000, random_state=rng)
        fitted.append(tail_p(at, null))
        counted.append(count_p(at, null))
    fitted, counted = np.array(fitted) / p, np.array(counted) / p
    np.testing.assert_allclose(np.median(fitted, axis=0), 1.0, atol=BIAS)
    assert (
        np.sqrt(((fitted - 1) ** 2).mean(axis=0))[2] < np.sqrt(((counted - 1) ** 2).mean(axis=0))[2]
    )


def test_a_pareto_law_is_found():
    null = stats.genpareto(-0.3).ppf((np.arange(200_000) + 0.5) / 200_000)
    tail = fit_tail(null)
    # Above any point a Pareto law is one again, of the same shape.
    assert tail.shape == pytest.approx(-0.3, abs=1e-3)
    assert tail.share == pytest.approx(0.1)
    assert tail.scale == pytest.approx(1 - 0.3 * tail.start, abs=1e-3)


def test_where_there_is_no_tail_counts_remain():
    few = np.arange(50.0)
    assert fit_tail(few) is None
    assert fit_tail(np.ones(1000)) is None
    np.testing.assert_array_equal(tail_p([40.0, 60.0], few), count_p([40.0, 60.0], few))


def test_p_is_never_zero_and_falls():
    null = stats.genpareto(-0.5).rvs(2000, random_state=1)
    at = np.linspace(0, 5, 200)
    p = tail_p(at, null)
    assert p[-1] > 0
    assert np.all(np.diff(p[at > 0.1]) <= 1e-3)
    assert np.isnan(tail_p([np.nan], null)).all()
