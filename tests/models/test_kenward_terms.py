"""Kenward and Roger's tests of any random terms are pbkrtest's."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from lme4_pinned import MAPS, answers, columns
from test_mixed import terms_of

import voxlm as vx
from voxlm.kernels.randomintercept import intercept_basis
from voxlm.models.intercept import fit_intercept
from voxlm.models.mixed import fit_mixed
from voxlm.models.terms import lay_out

# pbkrtest works at lme4's θ, which is good to 1e-5 at worst.
TOLERANCE = 1e-4
# The two paths' θ differ by what the deviance does not tell.
PATHS = 1e-5


def adjusted(model):
    formula, terms = terms_of(model)
    fit = fit_mixed(lay_out(columns(formula), terms), MAPS, True, terms)
    return replace(fit, tests="kenward-roger")


@pytest.mark.parametrize("model", ["slope", "apart", "nested", "crossed", "mixed", "split"])
def test_equal_to_pbkrtest(model):
    theirs, fit = answers(model, True), adjusted(model)
    same = np.abs(fit.deviance - theirs("deviance")[0]) < 1e-7
    inside = same & ~fit.singular & (np.abs(fit.theta) > 0.05).all(axis=0)
    assert inside.sum() >= 3
    rows = np.eye(len(fit.params))
    variance, df = fit.each(rows)
    np.testing.assert_allclose(df[:, inside], theirs("kr_df")[:, inside], rtol=TOLERANCE)
    se = np.sqrt(variance)
    np.testing.assert_allclose(se[:, inside], theirs("kr_se")[:, inside], rtol=TOLERANCE)
    cov, joint = fit.test_parts(rows[1:3])
    effect = fit.effect(rows[1:3])
    F = np.einsum("qv,vqr,rv->v", effect, np.linalg.inv(np.moveaxis(cov, 2, 0)), effect) / 2
    np.testing.assert_allclose(joint[inside], theirs("kr_F_df")[0, inside], rtol=TOLERANCE)
    np.testing.assert_allclose(F[inside], theirs("kr_F")[0, inside], rtol=TOLERANCE)


def test_an_intercept_by_either_path():
    formula, terms = terms_of("intercept")
    basis = intercept_basis(columns(formula), terms[0].codes)
    one = replace(fit_intercept(basis, MAPS), tests="kenward-roger")
    other = adjusted("intercept")
    rows = np.eye(5)[1:4]
    for ours, theirs in zip(one.test_parts(rows), other.test_parts(rows), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=PATHS)


def test_where_the_information_is_singular_there_is_no_test():
    table = pd.DataFrame(
        {
            "g": list("babbaba"),
            "age": [-0.1, 0.13, -0.05, -0.02, 0.05, 0.04, 0.01],
            "k": list("xzxxyxx"),
            "s": list("0100100"),
        }
    )
    maps = vx.Maps(table, data=np.random.default_rng(0).standard_normal((7, 3)))
    fit = vx.lmer("~ g + g:age + (1 | k/s)", maps, df="kenward-roger")
    assert np.isnan(fit.contrast("g[T.b]").t).all()
    assert np.isfinite(fit.params).all()
