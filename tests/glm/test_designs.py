"""Designs, responses and events against nilearn in the same process."""

from __future__ import annotations

import warnings

import nilearn.glm.first_level as theirs
import numpy as np
import pandas as pd
import pytest

import voxlm.glm.first_level as ours

# nilearn convolves a fine series, we difference running sums: rounding of a few thousand terms.
SAME = 1e-10
RESPONSES = (
    "spm_hrf",
    "spm_time_derivative",
    "spm_dispersion_derivative",
    "glover_hrf",
    "glover_time_derivative",
    "glover_dispersion_derivative",
)
MODELS = (
    "spm",
    "glover",
    "spm + derivative",
    "glover + derivative + dispersion",
    "spm + derivative + dispersion",
    "fir",
    None,
)
EVENTS = pd.DataFrame(
    {
        "onset": [1.0, 7.3, 20.0, 33.3, 41.0, 60.2, 77.7, -3.0],
        "duration": [0.0, 1.0, 5.0, 12.5, 1.0, 0.4, 30.0, 6.0],
        "trial_type": ["a", "B", "a", "B", "c d", "a", "c d", "B"],
    }
)


@pytest.mark.parametrize("name", RESPONSES)
@pytest.mark.parametrize("t_r", [0.72, 2.0])
def test_response(name, t_r):
    for arguments in ((t_r,), (t_r, 20), (t_r, 50, 25.0, 1.5)):
        np.testing.assert_allclose(
            getattr(ours, name)(*arguments), getattr(theirs, name)(*arguments), atol=SAME, rtol=0
        )


@pytest.mark.parametrize("hrf", MODELS)
@pytest.mark.parametrize("t_r", [0.8, 2.2])
@pytest.mark.parametrize("slice_time_ref", [0.0, 0.5])
@pytest.mark.parametrize("drift", [("cosine", 0.01), ("polynomial", 2), (None, 0)])
def test_design(hrf, t_r, slice_time_ref, drift):
    n = int(110 / t_r)
    times = (np.arange(n) + slice_time_ref) * t_r
    given = {
        "events": EVENTS,
        "hrf_model": hrf,
        "drift_model": drift[0],
        "high_pass": drift[1] if drift[0] == "cosine" else 0.01,
        "drift_order": drift[1] if drift[0] == "polynomial" else 1,
        "fir_delays": [0, 2, 3],
        "add_regs": pd.DataFrame({"motion": np.sin(times)}),
    }
    mine = ours.make_first_level_design_matrix(times, **given)
    theirs_ = theirs.make_first_level_design_matrix(times, **given)
    assert mine.columns.tolist() == theirs_.columns.tolist()
    np.testing.assert_allclose(mine.to_numpy(), theirs_.to_numpy(), atol=SAME, rtol=0)
    np.testing.assert_array_equal(mine.index, theirs_.index)


def test_modulation_is_the_height_of_events():
    events = EVENTS.assign(modulation=np.linspace(-1, 2, 8))
    times = np.arange(60) * 2.0
    np.testing.assert_allclose(
        ours.make_first_level_design_matrix(times, events),
        theirs.make_first_level_design_matrix(times, events),
        atol=SAME,
        rtol=0,
    )


def test_own_response_by_two_arguments():
    def samples(t_r, oversampling):
        return np.ones(int(4 * oversampling / t_r)) / oversampling

    times = np.arange(60) * 2.0
    mine = ours.make_first_level_design_matrix(times, EVENTS, hrf_model=samples)
    theirs_ = theirs.make_first_level_design_matrix(times, EVENTS, hrf_model=samples)
    assert mine.columns.tolist() == theirs_.columns.tolist()
    np.testing.assert_allclose(mine, theirs_, atol=SAME, rtol=0)


def test_own_response_of_seconds():
    """A function of seconds convolved as such: the integral, by brute force."""

    def triangle(t):
        return np.where((t > 0) & (t < 8), 4 - np.abs(t - 4), 0.0)

    times = np.arange(40) * 2.0
    events = pd.DataFrame({"onset": [10.0], "duration": [4.0], "trial_type": ["a"]})
    found = ours.make_first_level_design_matrix(times, events, triangle, None)["a_triangle"]
    fine = np.arange(0, 4, 0.001) + 0.0005
    truth = [triangle(t - 10.0 - fine).sum() * 0.001 for t in times]
    # The grid has steps of 0.04 s, on which an event may start up to one step late.
    np.testing.assert_allclose(found, truth, atol=0.04 * 4 * 2)


def test_duplicates_add_up():
    twice = pd.concat([EVENTS, EVENTS.iloc[[2]]], ignore_index=True)
    times = np.arange(60) * 2.0
    with pytest.warns(UserWarning, match="Duplicated events were detected"):
        mine = ours.make_first_level_design_matrix(times, twice)
    np.testing.assert_allclose(
        mine, theirs.make_first_level_design_matrix(times, twice), atol=SAME, rtol=0
    )


def test_high_pass_beyond_the_fastest():
    times = np.arange(20) * 2.0
    with pytest.warns(UserWarning, match="saturate"):
        mine = ours.make_first_level_design_matrix(times, high_pass=1.0)
    np.testing.assert_allclose(
        mine, theirs.make_first_level_design_matrix(times, high_pass=1.0), atol=SAME, rtol=0
    )


def test_a_singular_design_names_its_columns():
    times = np.arange(60) * 2.0
    further = pd.DataFrame({"one": np.sin(times), "other": 2 * np.sin(times)})
    with pytest.warns(UserWarning, match=r"Design matrix is singular: other = 2·one"):
        ours.make_first_level_design_matrix(times, EVENTS, add_regs=further)


def test_messages_of_bad_tables():
    times = np.arange(60) * 2.0
    make = ours.make_first_level_design_matrix
    with pytest.raises(ValueError, match="no onset column"):
        make(times, EVENTS.drop(columns="onset"))
    with pytest.raises(ValueError, match="must not contain nan values: duration"):
        make(times, EVENTS.assign(duration=np.nan))
    with pytest.raises(ValueError, match="Extra regressors contain NaN values"):
        make(times, EVENTS, add_regs=np.full((60, 1), np.nan))
    with pytest.raises(AssertionError, match="Incorrect specification of additional regressors"):
        make(times, EVENTS, add_regs=np.ones((59, 1)))
    with pytest.raises(ValueError, match="is not a known hrf model"):
        make(times, EVENTS, hrf_model="spn")
    with pytest.raises(NotImplementedError, match="Unknown drift model"):
        make(times, EVENTS, drift_model="wavelet")
    with pytest.raises(ValueError, match="do not have unique names"):
        make(times, EVENTS, add_regs=pd.DataFrame({"a": np.sin(times)}))


def test_mean_scaling():
    data = np.random.default_rng(0).normal(50, 5, size=(30, 6))
    for axis in (0, (0, 1)):
        for mine, one in zip(
            ours.mean_scaling(data, axis), theirs.mean_scaling(data, axis), strict=True
        ):
            np.testing.assert_array_equal(mine, one)
    with pytest.warns(UserWarning, match="Mean values of 0 observed"):
        ours.mean_scaling(np.zeros((3, 2)))


def test_second_level_design():
    confounds = pd.DataFrame(
        {"subject_label": ["s3", "s1", "s2"], "age": [30, 20, 41], "iq": [101.5, 99.0, 120.0]}
    )
    from_us = ours.design_matrix.make_second_level_design_matrix(["s1", "s2", "s3"], confounds)
    from_them = theirs.design_matrix.make_second_level_design_matrix(["s1", "s2", "s3"], confounds)
    pd.testing.assert_frame_equal(from_us, from_them, check_index_type=False)


def test_nothing_is_said_of_a_good_design():
    events = EVENTS.assign(duration=2.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours.make_first_level_design_matrix(np.arange(60) * 2.0, events)
