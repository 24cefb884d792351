"""Interactions of a seed with events, against the product they are made of."""

import numpy as np
import pandas as pd
import pytest

from voxlm.design.build import build, check
from voxlm.design.clock import Clock
from voxlm.errors import DataError, FormulaError
from voxlm.formula import Schema, parse, resolve
from voxlm.hrf import spm
from voxlm.kernels.deconvolve import deconvolve, filter_and_read

CLOCK = Clock(200, 2.0)
EVENTS = pd.DataFrame(
    {
        "onset": np.arange(10.0, 380.0, 20.0),
        "duration": 10.0,
        "trial_type": ["face", "house"] * 9 + ["face"],
    }
)


def design(formula, seed):
    confounds = pd.DataFrame({"seed": seed})
    meaning = resolve(parse(formula), Schema.of(EVENTS, confounds))
    return build(meaning, EVENTS, confounds, CLOCK)


def simulate(seed=0, noise=0.02):
    """A slow neural series, what is measured of it, and its true interaction with faces."""
    rng = np.random.default_rng(seed)
    kernel = spm().kernels(2.0, 16)[0]
    smooth = np.convolve(rng.normal(size=200 * 16), np.ones(48) / 48, mode="same")
    grid = np.arange(200 * 16) * 0.125
    on = np.zeros(grid.size)
    for onset in EVENTS.onset[EVENTS.trial_type == "face"]:
        on[(grid >= onset) & (grid < onset + 10)] = 1.0
    measured = filter_and_read(smooth[:, None], kernel, 16)[:, 0]
    truth = filter_and_read((smooth * on)[:, None], kernel, 16)[:, 0]
    return smooth, measured + noise * measured.std() * rng.normal(size=200), truth


def test_columns_of_a_generalised_interaction():
    _, seed, _ = simulate()
    made = design("y ~ trial_type + ppi(seed, trial_type)", seed)
    own = [c.name for c in made.columns if c.role in ("task", "confound")]
    expected = ["trial_type[face]", "trial_type[house]", "ppi[face]", "ppi[house]", "seed"]
    assert own == expected
    assert made.columns[2].amplitude == "seed"
    check(made)


def test_without_deconvolution_it_is_the_plain_product():
    _, seed, _ = simulate()
    made = design("y ~ trial_type + ppi(seed, trial_type, deconvolve=False)", seed)
    expected = made.matrix[:, :2] * (seed - seed.mean())[:, None]
    assert np.array_equal(made.matrix[:, 2:4], expected)


def test_deconvolution_finds_the_neural_interaction():
    _, seed, truth = simulate()
    neural = design("y ~ ppi(seed, face)", seed).matrix[:, 0]
    plain = design("y ~ ppi(seed, face, deconvolve=False)", seed).matrix[:, 0]
    found = np.corrcoef(neural, truth)[0, 1]
    assert found > 0.95
    assert found > np.corrcoef(plain, truth)[0, 1]


def test_deconvolution_explains_what_was_measured_and_shrinks_noise():
    smooth, seed, _ = simulate(noise=0.01)
    kernel = spm().kernels(2.0, 16)[0]
    found = deconvolve(seed, kernel, 16, np.ones((200, 1)))
    again = filter_and_read(found.series[:, None], kernel, 16)[:, 0]
    assert np.corrcoef(again, seed)[0, 1] > 0.995
    assert np.corrcoef(found.series, smooth)[0, 1] > 0.7
    white = np.random.default_rng(1).normal(size=200)
    noise = deconvolve(white, kernel, 16, np.ones((200, 1)))
    assert noise.ratio < found.ratio / 100


@pytest.mark.parametrize(
    ("formula", "sentence"),
    [
        ("y ~ ppi(seed)", "takes a seed and event terms"),
        ("y ~ ppi(face, seed)", "the seed of ppi() is one confound column"),
        ("y ~ ppi(seed, seed)", "takes event terms"),
        ("y ~ ppi(seed, face, deconvolve=3)", "True or False"),
        ("y ~ face*ppi(seed, face)", "stands alone"),
        ("y ~ face:seed", "written ppi(seed, face)"),
    ],
)
def test_what_is_no_interaction(formula, sentence):
    with pytest.raises(FormulaError) as caught:
        design(formula, np.zeros(200))
    assert sentence in str(caught.value)


def test_a_seed_with_missing_values():
    seed = np.ones(200)
    seed[4] = np.nan
    with pytest.raises(DataError, match="missing"):
        design("y ~ ppi(seed, face)", seed)


def test_what_was_over_before_the_first_scan_takes_no_part():
    _, seed, _ = simulate()
    confounds = pd.DataFrame({"seed": seed})
    early = pd.DataFrame({"onset": [-20.0, -5.0], "duration": [3.0, 0.0], "trial_type": "house"})
    longer = pd.DataFrame({"onset": [-4.0], "duration": [8.0], "trial_type": "house"})
    made = []
    for more in (EVENTS.iloc[:0], early, longer):
        events = pd.concat([EVENTS, more], ignore_index=True)
        meaning = resolve(parse("y ~ ppi(seed, trial_type)"), Schema.of(events, confounds))
        made.append(build(meaning, events, confounds, CLOCK).frame["ppi[house]"].to_numpy())
    np.testing.assert_array_equal(made[1], made[0])
    assert np.abs(made[2] - made[0])[:5].max() > 0.01 * np.abs(made[0]).max()
