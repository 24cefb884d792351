"""Kenward and Roger's tests are pbkrtest's."""

from dataclasses import replace

import numpy as np
from lme4_pinned import MAPS, answers, codes, columns

from voxlm.kernels.randomintercept import intercept_basis
from voxlm.models.intercept import fit_intercept


def kenward_roger(fit):
    return replace(fit, tests="kenward-roger")


# pbkrtest works at lme4's θ, which is good to 1e-7.
TOLERANCE = 1e-5


def test_equal_to_pbkrtest():
    theirs = answers("intercept", True)
    basis = intercept_basis(columns("group*age + time"), codes("subject"))
    fit = kenward_roger(fit_intercept(basis, MAPS))
    inside = ~fit.singular
    for p, row in enumerate(np.eye(5)):
        cov, df = fit.test_parts(row[None])
        np.testing.assert_allclose(df[inside], theirs("kr_df")[p, inside], rtol=TOLERANCE)
        se = np.sqrt(cov[0, 0])
        np.testing.assert_allclose(se[inside], theirs("kr_se")[p, inside], rtol=TOLERANCE)
    rows = np.eye(5)[1:3]
    cov, df = fit.test_parts(rows)
    effect = fit.effect(rows)
    F = np.einsum("qv,vqr,rv->v", effect, np.linalg.inv(np.moveaxis(cov, 2, 0)), effect) / 2
    np.testing.assert_allclose(df[inside], theirs("kr_F_df")[0, inside], rtol=TOLERANCE)
    np.testing.assert_allclose(F[inside], theirs("kr_F")[0, inside], rtol=TOLERANCE)


def test_balanced_between_columns_are_exact():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(16), 4)
    side = np.repeat([0.0, 1.0], 8)[groups]
    Y = rng.standard_normal((64, 5)) + 2 * rng.standard_normal((16, 5))[groups]
    fit = kenward_roger(fit_intercept(intercept_basis(np.c_[np.ones(64), side], groups), Y))
    cov, df = fit.test_parts(np.array([[0.0, 1.0]]))
    means = Y.reshape(16, 4, 5).mean(axis=1)
    spread = (means[:8].var(axis=0, ddof=1) + means[8:].var(axis=0, ddof=1)) / 2
    np.testing.assert_allclose(df, 14, rtol=1e-8)  # the two-sample t of the groups' means
    np.testing.assert_allclose(cov[0, 0], spread / 4, rtol=1e-8)


def test_joint_rows_and_lost_voxels():
    Y = MAPS.copy()
    Y[:, 0] = 1.0
    basis = intercept_basis(columns("group*age + time"), codes("subject"))
    cov, df = kenward_roger(fit_intercept(basis, Y)).test_parts(np.eye(5)[1:3])
    assert np.isnan(df[0])
    assert np.isnan(cov[:, :, 0]).all()
    assert ((df[1:] > 20) & (df[1:] < 140)).all()
