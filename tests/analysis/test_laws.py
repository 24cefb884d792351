"""What must hold for any data: laws of a linear model, through the public verbs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import voxlm as vx

T, V, TR = 70, 6, 2.0
# Two fits of data that differ by rounding: eps times the condition of the design, some ten steps.
CLOSE = 1e-7
VERBS: dict[str, dict[str, Any]] = {"lm": {}, "glsar": {"rtol": 0.0}}

seeds = st.integers(0, 10_000)


def events(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    onset = np.sort(rng.uniform(0, T * TR - 20, 14))
    kinds = np.where(np.arange(14) % 2, "face", "house")
    return pd.DataFrame({"onset": onset, "duration": 3.0, "trial_type": kinds})


def series(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed + 1)
    y = rng.normal(size=(T, V))
    for t in range(1, T):
        y[t] += 0.5 * y[t - 1]
    return 100 + 3 * y


def fit(verb: str, y: np.ndarray, seed: int, formula: str = "y ~ face + house", **run: Any) -> Any:
    given_run = vx.Run(y, events(seed), tr=TR, **{"scaling": None, **run})
    return getattr(vx, verb)(formula, given_run, **VERBS[verb])


def same(a: np.ndarray, b: np.ndarray) -> None:
    np.testing.assert_allclose(a, b, rtol=CLOSE, atol=CLOSE * np.abs(b).max(initial=0.0))


@pytest.mark.parametrize("verb", VERBS)
@settings(max_examples=15, deadline=None)
@given(seed=seeds, shift=st.floats(-50, 50))
def test_adding_a_column_to_the_data_adds_to_its_coefficient(
    verb: str, seed: int, shift: float
) -> None:
    y = series(seed)
    plain = fit(verb, y, seed)
    moved = fit(verb, y + shift * plain.design.matrix[:, [0]], seed)
    same(moved.params[0], plain.params[0] + shift)
    same(moved.params[1:], plain.params[1:])
    same(moved.bse, plain.bse)
    same(moved.rho, plain.rho)


@pytest.mark.parametrize("verb", VERBS)
@settings(max_examples=15, deadline=None)
@given(seed=seeds, factor=st.floats(1e-6, 1e6), level=st.floats(-1e4, 1e4))
def test_units_do_not_matter(verb: str, seed: int, factor: float, level: float) -> None:
    y = series(seed)
    plain, other = fit(verb, y, seed), fit(verb, factor * (y + level), seed)
    for text in ("face - house", "face, house"):
        same(other.contrast(text).stat, plain.contrast(text).stat)
    same(other.params[0], factor * plain.params[0])


@pytest.mark.parametrize("verb", VERBS)
@settings(max_examples=10, deadline=None)
@given(seed=seeds)
def test_voxels_do_not_know_of_each_other(verb: str, seed: int) -> None:
    y = series(seed)
    order = np.random.default_rng(seed).permutation(V)
    whole, mixed = fit(verb, y, seed), fit(verb, y[:, order], seed)
    same(mixed.params, whole.params[:, order])
    same(mixed.scale, whole.scale[order])
    alone = fit(verb, y[:, :1], seed)
    same(alone.bse[:, 0], whole.bse[:, 0])
    broken = y.copy()
    broken[4, 1:] = np.nan
    same(fit(verb, broken, seed).params[:, 0], whole.params[:, 0])


@pytest.mark.parametrize("verb", VERBS)
@settings(max_examples=10, deadline=None)
@given(seed=seeds)
def test_the_order_of_the_words_does_not_matter(verb: str, seed: int) -> None:
    y = series(seed)
    one, other = (fit(verb, y, seed, text) for text in ("y ~ face + house", "y ~ house + face"))
    for text in ("face - house", "face = house = 0.1", "(face + house)/2"):
        same(one.contrast(text).stat, other.contrast(text).stat)


@pytest.mark.parametrize("verb", VERBS)
@settings(max_examples=10, deadline=None)
@given(seed=seeds, weight=st.floats(0.1, 10))
def test_a_contrast_and_its_multiples(verb: str, seed: int, weight: float) -> None:
    asked = fit(verb, series(seed), seed)
    plain, scaled = (
        asked.contrast("face - house"),
        asked.contrast({"face": weight, "house": -weight}),
    )
    same(scaled.t, plain.t)
    same(scaled.effect, weight * plain.effect)
    turned = asked.contrast("house - face")
    np.testing.assert_array_equal(turned.t, -plain.t)
    same(turned.p, plain.p)
    same(asked.f_test("face - house").p, plain.p)


@pytest.mark.parametrize("verb", VERBS)
@settings(max_examples=10, deadline=None)
@given(seed=seeds)
def test_residuals_and_fitted_values_are_the_data(verb: str, seed: int) -> None:
    y = series(seed)
    one = fit(verb, y, seed)
    same(one.resid + one.fittedvalues, y)
    if verb == "lm":
        assert np.abs(one.design.matrix.T @ one.resid).max() < 1e-6


@settings(max_examples=10, deadline=None)
@given(seed=seeds, runs=st.integers(2, 4))
def test_equal_runs_repeat_the_effect_and_divide_its_variance(seed: int, runs: int) -> None:
    run = vx.Run(series(seed), events(seed), tr=TR)
    one, many = vx.lm("y ~ face + house", run), vx.lm("y ~ face + house", [run] * runs)
    alone = one.contrast("face - house")
    for weighting in ("unweighted", "precision"):
        together = many.contrast("face - house", weighting=weighting)
        same(together.effect, alone.effect)
        same(together.se, alone.se / np.sqrt(runs))
        assert together.df == runs * alone.df
