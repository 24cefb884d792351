"""``model.formula``, fitted by ``vx.lm`` and ``vx.glsar``, is the same analysis."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from nilearn_study import TR, confounds, events, image, mask_image

import voxlm as vx
from voxlm.design.columns import Column, Design
from voxlm.glm.first_level import FirstLevelModel

SAME = 1e-6  # what is promised; both come from the same engine


def modulated(table):
    return table.assign(modulation=np.linspace(0.4, 2.0, len(table)))


def bump(t):
    return t**2 * np.exp(-t / 1.5) * (t < 20)


def samples(t_r, oversampling):
    return np.hanning(int(12 * oversampling / t_r))


CASES = {
    "glover": ({}, events(0), confounds(0)),
    "spm": ({"hrf_model": "spm", "high_pass": 0.02}, events(0), None),
    "derivative": ({"hrf_model": "spm + derivative"}, events(0), confounds(0)),
    "dispersion": ({"hrf_model": "glover + derivative + dispersion"}, events(0), confounds(0)),
    "fir": ({"hrf_model": "fir", "fir_delays": [0, 1, 3]}, events(0), confounds(0)),
    "boxcar": ({"hrf_model": None}, events(0), confounds(0)),
    "polynomial": ({"drift_model": "polynomial", "drift_order": 3}, events(0), confounds(0)),
    "no drift": ({"drift_model": None}, events(0), confounds(0)),
    "time": ({"slice_time_ref": 0.5, "hrf_model": "spm"}, events(0), None),
    "modulation": ({"hrf_model": "spm"}, modulated(events(0)), confounds(0)),
    "odd names": (
        {},
        events(0).replace({"trial_type": {"tool": "left-hand"}}),
        confounds(0).rename(columns={"x": "a b"}),
    ),
    "own response": ({"hrf_model": vx.hrf.spm(dispersion=True)}, events(0), None),
    "function": ({"hrf_model": bump}, events(0), confounds(0)),
    "samples": ({"hrf_model": samples}, events(0), None),
    "nameless": ({"hrf_model": lambda t: np.exp(-t / 4)}, events(0), None),
    "several": ({"hrf_model": [bump, samples]}, modulated(events(0)), None),
    "value": ({"hrf_model": vx.hrf.tent(0, 14, 5)}, events(0), None),
    "another width": (
        {"hrf_model": replace(vx.hrf.glover(dispersion=True), width_u_dispersion=0.9)},
        events(0),
        None,
    ),
    "designs": ({}, None, None),
}


def fitted(case):
    """Fit a case, and make the run that says the same."""
    given, table, further = CASES[case]
    model = FirstLevelModel(t_r=TR, mask_img=mask_image(), noise_model="ols", **given)
    run = {"mask": mask_image(), "tr": TR, "slice_time_ref": given.get("slice_time_ref", 0.0)}
    if table is None:
        design = FirstLevelModel(t_r=TR, mask_img=mask_image()).fit(image(0), events(0))
        frame = design.design_matrices_[0]
        model.fit(image(0), design_matrices=frame)
        return model, vx.Run(image(0), confounds=frame.reset_index(drop=True), **run)
    model.fit(image(0), table, further)
    return model, vx.Run(image(0), events=table, confounds=further, **run)


@pytest.mark.parametrize("case", CASES)
def test_effects_are_those_of_the_formula(case):
    """Columns are matched by what they are, as names differ; each then has the same effect."""
    model, run = fitted(case)
    fit = vx.lm(model.formula, run, hrf=model.responses)
    frame, other = model.design_matrices_[0], fit.design.frame
    assert frame.shape == other.shape
    effects = model.results_[0][0.0].theta
    errors = np.sqrt(
        np.diag(model.results_[0][0.0].cov)[:, None] * model.results_[0][0.0].dispersion
    )
    for k, name in enumerate(frame.columns):
        mine, theirs = frame[name].to_numpy(), other.to_numpy()
        ratio = theirs.T @ mine / (mine @ mine)  # a drift may have another scale or sign
        gap = np.abs(theirs - mine[:, None] * ratio).max(axis=0) / np.abs(theirs).max(axis=0)
        at = int(np.argmin(gap))
        assert gap[at] < SAME, name
        if name == "constant":
            continue  # percent of the mean, with and without the 100 of the mean itself
        scale = np.abs(errors[k]).max()
        np.testing.assert_allclose(
            fit.params[at] * ratio[at], effects[k], rtol=SAME, atol=SAME * scale, err_msg=name
        )
        np.testing.assert_allclose(fit.bse[at] * abs(ratio[at]), errors[k], rtol=SAME)


@pytest.mark.parametrize("case", ["derivative", "fir", "modulation"])
def test_with_noise_of_its_own(case):
    """On the design of the face and on that of the formula, ``glsar`` finds the same."""
    model, run = fitted(case)
    frame = model.design_matrices_[0]
    columns = tuple(Column(str(name), str(name), "confound") for name in frame.columns)
    given = vx.glsar(Design(frame.to_numpy(), columns), run)
    fit = vx.glsar(model.formula, run)
    np.testing.assert_allclose(fit.rho, given.rho, atol=SAME)
    matrix = fit.design.frame.to_numpy()
    for k in range(3):
        at = int(np.argmin(np.abs(matrix - frame.to_numpy()[:, [k]]).max(axis=0)))
        np.testing.assert_allclose(fit.params[at], given.params[k], rtol=SAME, atol=SAME)


@pytest.mark.parametrize(
    ("hrf_model", "name"),
    [(bump, "bump"), (lambda t: t, "own"), ("spm", None), (vx.hrf.spm(), None)],
)
def test_a_response_without_a_text_has_a_name(hrf_model, name):
    model = FirstLevelModel(t_r=TR, mask_img=mask_image(), hrf_model=hrf_model)
    model.fit(image(0), events(0))
    assert list(model.responses) == ([] if name is None else [name])
    assert f'"{name or "spm"}")' in model.formula
