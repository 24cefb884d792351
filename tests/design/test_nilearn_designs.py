"""Designs against nilearn's make_first_level_design_matrix, column for column."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nilearn.glm.first_level import make_first_level_design_matrix

from voxlm.design.build import build
from voxlm.design.clock import Clock
from voxlm.formula import Schema, parse, resolve

# Regressors are of order one; both sides round some hundred sums of eps.
TOLERANCE = 1e-10
MODELS = [
    f"{name}{more}"
    for name in ("spm", "glover")
    for more in ("", " + derivative", " + derivative + dispersion")
]


def events_of(seed, span, durations=(0.0, 1.0, 4.0, 30.0), n=40):
    """Events from 20 s before the first scan to 10 s after the last, some of them twice."""
    rng = np.random.default_rng(seed)
    onset = np.sort(rng.uniform(-20, span + 10, n))
    frame = pd.DataFrame(
        {
            "onset": onset,
            "duration": rng.choice(durations, n),
            "trial_type": rng.choice(["face", "house", "Tool"], n),
        }
    )
    return pd.concat([frame, frame.iloc[::7]], ignore_index=True)


def oracle(clock, events, **options):
    with warnings.catch_warnings():
        # nilearn warns of duplicated events and of durations of 0; both are meant here.
        warnings.simplefilter("ignore", UserWarning)
        return make_first_level_design_matrix(clock.times, events, **options)


def ours(formula, events, clock, hrf="spm", confounds=None):
    meaning = resolve(parse(formula), Schema.of(events, confounds), hrf)
    return build(meaning, events, confounds, clock)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("slice_time_ref", [0.0, 0.5])
@pytest.mark.parametrize("tr", [0.5, 0.72, 1.0, 1.35, 2.0, 2.5, 3.0])
def test_conditions_drift_and_constant(tr, slice_time_ref, model):
    clock = Clock(120, tr, slice_time_ref)
    events = events_of(3, clock.duration)
    expected = oracle(clock, events, hrf_model=model, high_pass=1 / 128)
    design = ours("y ~ Tool + face + house", events, clock, model)
    assert list(design.names) == list(expected.columns)
    assert np.max(np.abs(design.matrix - expected.to_numpy())) < TOLERANCE


@pytest.mark.parametrize("duration", [0.0, 0.1, 2.0, 7.3, 30.0])
def test_one_duration(duration):
    clock = Clock(100, 2.0, 0.5)
    events = events_of(5, clock.duration, (duration,), 12)
    expected = oracle(clock, events, hrf_model="glover", drift_model=None)
    design = ours("y ~ trial_type - drift", events, clock, "glover")
    assert np.max(np.abs(design.matrix - expected.to_numpy())) < TOLERANCE


def test_trial_type_names_levels_and_aliases():
    clock = Clock(100, 2.0)
    events = events_of(6, clock.duration)
    design = ours("y ~ trial_type", events, clock)
    plain = ours("y ~ Tool + face + house", events, clock)
    assert design.names[:3] == ("trial_type[Tool]", "trial_type[face]", "trial_type[house]")
    assert [column.aliases for column in design.columns[:3]] == [("Tool",), ("face",), ("house",)]
    assert np.array_equal(design.matrix, plain.matrix)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("slice_time_ref", [0.0, 0.5])
def test_polynomial_drift(order, slice_time_ref):
    clock = Clock(90, 1.5, slice_time_ref)
    expected = make_first_level_design_matrix(
        clock.times, drift_model="polynomial", drift_order=order
    )
    design = ours(f"y ~ poly({order})", None, clock)
    assert list(design.names) == list(expected.columns)
    assert np.max(np.abs(design.matrix - expected.to_numpy())) < TOLERANCE


@given(
    n=st.integers(20, 300),
    tr=st.floats(0.5, 3.0),
    cutoff=st.floats(0.002, 0.1),
    ref=st.sampled_from([0.0, 0.5]),
)
@settings(max_examples=60, deadline=None)
def test_cosine_drift(n, tr, cutoff, ref):
    clock = Clock(n, tr, ref)
    expected = make_first_level_design_matrix(clock.times, high_pass=cutoff)
    design = ours(f"y ~ cosine({cutoff!r})", None, clock)
    assert list(design.names) == list(expected.columns)
    assert np.max(np.abs(design.matrix - expected.to_numpy())) < TOLERANCE


def test_confounds_stand_between_conditions_and_drift():
    clock = Clock(80, 2.0)
    events = events_of(8, clock.duration)
    rng = np.random.default_rng(0)
    names = ["trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z"]
    confounds = pd.DataFrame(rng.normal(size=(80, 6)), columns=names)
    expected = oracle(clock, events, hrf_model="spm", high_pass=1 / 128, add_regs=confounds)
    design = ours("y ~ motion + Tool + face + house", events, clock, confounds=confounds)
    assert list(design.names) == list(expected.columns)
    assert np.max(np.abs(design.matrix - expected.to_numpy())) < TOLERANCE


def test_modulation_by_an_event_column():
    clock = Clock(100, 2.0)
    events = events_of(9, clock.duration).assign(rt=lambda t: np.linspace(0.2, 1.4, len(t)))
    face = events[events.trial_type == "face"]
    expected = oracle(
        clock, face.rename(columns={"rt": "modulation"}), hrf_model="spm", high_pass=1 / 128
    )
    design = ours("y ~ face + face:rt", events, clock)
    assert design.names[:2] == ("face", "face:rt")
    found = design.matrix[:, 1] - expected["face"].to_numpy()
    assert np.max(np.abs(found)) < TOLERANCE
    assert design.columns[1].amplitude == "rt"
    assert design.columns[1].condition == "face"


@given(
    seed=st.integers(0, 10_000),
    tr=st.floats(0.5, 3.0),
    n=st.integers(30, 150),
    model=st.sampled_from(MODELS),
    ref=st.sampled_from([0.0, 0.5]),
)
@settings(max_examples=40, deadline=None)
def test_any_run(seed, tr, n, model, ref):
    clock = Clock(n, tr, ref)
    events = events_of(seed, clock.duration, (0.0, 0.3, 2.0, 12.0, 30.0))
    expected = oracle(clock, events, hrf_model=model, high_pass=0.008)
    design = ours("y ~ trial_type + cosine(0.008)", events, clock, model)
    assert np.max(np.abs(design.matrix - expected.to_numpy())) < TOLERANCE


def test_events_long_before_the_run_are_left_out_and_said_so():
    clock = Clock(60, 2.0)
    events = pd.DataFrame(
        {"onset": [-30.0, 20.0], "duration": [4.0, 4.0], "trial_type": ["face", "face"]}
    )
    design = ours("y ~ face", events, clock)
    without = ours("y ~ face", events.iloc[1:], clock)
    assert np.array_equal(design.matrix, without.matrix)
    assert any("more than 24 s before" in note and "row 1" in note for note in design.notes)


def test_derivatives_are_orthogonal_to_their_own_condition():
    clock = Clock(100, 2.0)
    made = ours("y ~ trial_type - drift", events_of(2, 200), clock, "spm + derivative + dispersion")
    for k in range(0, 9, 3):
        gram = made.matrix[:, k : k + 3].T @ made.matrix[:, k : k + 3]
        assert np.max(np.abs(gram - np.diag(np.diag(gram)))) < TOLERANCE
