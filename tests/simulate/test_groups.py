"""Simulated maps have the means and the variances that were asked for."""

import numpy as np
import pandas as pd
import pytest

import voxlm as vx
from voxlm.errors import DataError, FormulaError

# Monte Carlo: four standard errors of the moments below.
SAMPLED = 0.06
TABLE = pd.DataFrame(
    {
        "subject": np.repeat([f"s{k}" for k in range(10)], 3),
        "site": np.repeat(["a", "b"], 15),
        "time": np.tile([0.0, 1.0, 2.0], 10),
    }
)
SLOPES = [[1.0, 0.3], [0.3, 0.5]]


def test_moments_are_those_of_the_model():
    made = vx.simulate.group(
        "effect ~ time + (1 + time | subject) + (1 | site)",
        TABLE,
        20_000,
        params={"Intercept": 2.0, "time": -1.0},
        components={"subject": SLOPES, "(1 | site)": 0.7},
        sigma=0.5,
        seed=1,
    )
    np.testing.assert_allclose(made.data.mean(axis=1), 2.0 - TABLE["time"], atol=SAMPLED)
    Z = np.c_[np.ones(30), TABLE["time"]]
    same = np.equal.outer(TABLE["subject"].to_numpy(), TABLE["subject"].to_numpy())
    site = np.equal.outer(TABLE["site"].to_numpy(), TABLE["site"].to_numpy())
    expected = same * (Z @ np.array(SLOPES) @ Z.T) + 0.7 * site + 0.25 * np.eye(30)
    np.testing.assert_allclose(np.cov(made.data), expected, atol=4 * SAMPLED)


def test_known_variances_add_noise():
    made = vx.simulate.group(
        "~ 1", TABLE, 20_000, params={}, sigma=0.5, variance=np.linspace(0.1, 2, 30), seed=2
    )
    np.testing.assert_allclose(
        made.data.var(axis=1), 0.25 + np.linspace(0.1, 2, 30), atol=4 * SAMPLED
    )
    assert made.maps.variances.shape == (30, 20_000)


def test_the_same_seed_gives_the_same_maps():
    one, two, other = (
        vx.simulate.group("~ time", TABLE, 3, params={}, seed=seed).data for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(one, two)
    assert (one != other).all()


def test_coverage_is_of_the_truth():
    made = vx.simulate.group("~ time", TABLE, 4000, params={"time": 0.3}, seed=3)
    shown = made.coverage(vx.lm("~ time", made.maps))
    np.testing.assert_allclose(shown["coverage"], 0.95, atol=0.02)
    np.testing.assert_allclose(shown["estimate"], [0.0, 0.3], atol=0.02)
    assert (made.coverage(vx.lm("~ time", made.maps), 0.5)["coverage"] < 0.6).all()


BAD = [
    ("~ time + (1 | subject)", {}, None, DataError, r"no variance for \(1 \| subject\)"),
    ("~ time", {"tme": 1.0}, None, DataError, "did you mean 'time'"),
    ("~ (1 | subject)", {}, {"subject": [1.0, 2.0, 3.0]}, DataError, "have 3 numbers; expected 1"),
    ("~ tme", {}, None, FormulaError, "time"),
]


@pytest.mark.parametrize(("formula", "params", "parts", "error", "words"), BAD)
def test_bad_requests_are_named(formula, params, parts, error, words):
    with pytest.raises(error, match=words):
        vx.simulate.group(formula, TABLE, 3, params=params, components=parts)
