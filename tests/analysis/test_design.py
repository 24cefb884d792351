"""A design that can be asked: efficiency by name, code for other packages, pictures."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import voxlm as vx

EVENTS = pd.DataFrame(
    {"onset": [4.0, 24.0, 44.0, 64.0], "duration": 4.0, "trial_type": ["face", "house"] * 2}
)


@pytest.fixture
def run():
    return vx.Run(100 + np.random.default_rng(0).standard_normal((60, 3)), EVENTS, tr=2.0)


def test_efficiency_is_that_of_the_variance(run):
    design = vx.design("y ~ face + house", run)
    c = np.zeros(len(design.names))
    c[:2] = 1, -1
    variance = c @ np.linalg.inv(design.matrix.T @ design.matrix) @ c
    np.testing.assert_allclose(design.efficiency("face - house"), 1 / variance)
    table = design.report({"difference": "face - house"})
    np.testing.assert_allclose(table.attrs["efficiency"]["difference"], 1 / variance)


def test_a_contrast_that_the_design_cannot_estimate_is_refused():
    columns = tuple(vx.Column(name, name, "task") for name in ("a", "b"))
    design = vx.Design(np.ones((5, 2)), columns)
    with pytest.raises(vx.ContrastError, match="cannot be estimated"):
        design.efficiency("a - b")
    assert design.efficiency("a + b").shape == (1,)


def test_code_for_statsmodels_gives_our_numbers(run):
    design = vx.design("y ~ face + house", run)
    y = 100 * (run.scans.array[:, 1] / run.scans.array[:, 1].mean() - 1)
    names = {"sm": sm, "y": y, "X": design.frame}
    theirs = eval(design.to_statsmodels(order=1), names)
    ours = vx.glsar(design, run)
    np.testing.assert_allclose(ours.params[:, 1], theirs.params, rtol=1e-9)
    assert design.to_r(order=2) == (
        "nlme::gls(y ~ 0 + ., data = d, correlation = nlme::corARMA(p = 2, form = ~ 1))"
    )


def test_a_design_without_a_formula_has_no_code():
    design = vx.Design(np.ones((5, 1)), (vx.Column("a", "a", "task"),))
    with pytest.raises(vx.DesignError, match="not from a formula"):
        design.to_r()


def test_it_draws_itself(run):
    design = vx.design("y ~ face + house", run)
    assert len(design.plot().get_xticks()) == len(design.names)
    assert design.plot_correlation().figure is not None
