"""Mixed models refitted to every permutation, against fits of the permuted maps from scratch."""

import numpy as np
import pandas as pd
import pytest

import voxlm as vx
from voxlm.inference.exchange import arrange, read_blocks
from voxlm.inference.maxima import permute_statistics
from voxlm.inference.partition import partition
from voxlm.inference.permutation import permutation_test
from voxlm.inference.plan import Plan
from voxlm.inference.refits import FullRefit, make_refits, refit_of
from voxlm.inference.stepdown import permute_counts
from voxlm.kernels.randomintercept import intercept_basis
from voxlm.models.intercept import fit_intercept
from voxlm.models.terms import RandomTerm

# Two paths to the minimum of one deviance: t moves with the square root of its rounding.
REFIT = 1e-7
SHAPE = (5, 4, 3)


def study(sizes, seed=0, V=60, slope=False):
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(len(sizes)), sizes)
    n = groups.size
    X = np.c_[np.ones(n), rng.standard_normal(n), rng.standard_normal(len(sizes))[groups]]
    Y = rng.standard_normal((n, V)) + rng.standard_normal((len(sizes), V))[groups]
    if slope:
        Y += rng.standard_normal((len(sizes), V))[groups] * X[:, 1:2]
    return X, groups, Y + 100.0


def refitted(X, groups, moved, C):
    fit = fit_intercept(intercept_basis(X, groups), moved)
    effect, cov = fit.effect(C), fit.vcov(C)
    if len(C) == 1:
        return effect[0] / np.sqrt(cov[0, 0])
    return np.einsum("qv,qrv,rv->v", effect, np.linalg.inv(cov.T).T, effect) / len(C)


def least_squares_moves(X, Y, C, order, sign):
    """Permute residuals of the nuisance, as Freedman and Lane (1983)."""
    _, s, right = np.linalg.svd(C)
    Z = X @ right[len(s) :].T
    fitted = Z @ np.linalg.pinv(Z) @ Y
    e = (Y - fitted) * (1 if sign is None else sign[:, None])
    moved = np.empty_like(e)
    moved[np.arange(len(Y)) if order is None else order] = e
    return fitted + moved


CASES = {
    "unequal groups, flips": ([3, 2, 4, 3, 5, 2, 3, 3], "whole", False, True),
    "equal groups, exchanges": ([3] * 8, "whole", True, False),
    "equal groups, both": ([3] * 8, "whole", True, True),
    "inside groups": ([3, 2, 4, 3, 5, 2, 3, 3], "within", True, False),
}
CONTRASTS = {"t": [[0, 1, 0]], "mean": [[1, 0, 0]], "F": [[0, 1, 0], [0, 0, 1]]}


@pytest.mark.parametrize("name", list(CONTRASTS))
@pytest.mark.parametrize("case", list(CASES))
def test_permuted_maps_are_fits_from_scratch(case, name):
    sizes, exchange, shuffle, flip = CASES[case]
    X, groups, Y = study(sizes)
    C = np.array(CONTRASTS[name], dtype=float)
    found = arrange(read_blocks(len(Y), groups, exchange), 12, seed=3, shuffle=shuffle, flip=flip)
    estimate = fit_intercept(intercept_basis(X, groups), Y)
    sample = make_refits(Y, partition(X, C), C, refit_of(estimate))
    np.testing.assert_allclose(sample.statistic, refitted(X, groups, Y, C), rtol=REFIT, atol=REFIT)
    largest = np.empty((12, 2))
    maps = sample.maps(found, 0, 12, largest)
    order, sign = found.rows(0, 12)
    for k in range(12):
        at = (None if order is None else order[k]), (None if sign is None else sign[k])
        expected = refitted(X, groups, least_squares_moves(X, Y, C, *at), C)
        np.testing.assert_allclose(maps[k], expected, rtol=REFIT, atol=REFIT)
    np.testing.assert_array_equal(largest[:, 0], maps.max(axis=1))


def test_the_quick_refit_is_the_full_one():
    X, groups, Y = study([3] * 8)
    C = np.array([[0.0, 1.0, 0.0]])
    basis = intercept_basis(X, groups)
    found = arrange(read_blocks(len(Y), groups, "whole"), 9, seed=1, shuffle=True, flip=True)
    part = partition(X, C)
    quick = make_refits(Y, part, C, refit_of(fit_intercept(basis, Y)))
    term = RandomTerm(groups, np.ones((len(Y), 1)), "g", "(1 | g)")
    full = make_refits(
        Y, part, C, lambda rows: FullRefit(lambda y: fit_intercept(basis, y), rows, [term])
    )
    np.testing.assert_allclose(
        permute_statistics(quick, found).share, permute_statistics(full, found).share, rtol=REFIT
    )


def test_step_down_and_single_step_agree_on_the_largest():
    X, groups, Y = study([2] * 9)
    Y[:, 7] += 8 * X[:, 1]
    C = np.array([[0.0, 1.0, 0.0]])
    found = arrange(read_blocks(len(Y), groups, "whole"), 60, seed=1, shuffle=False, flip=True)
    sample = make_refits(
        Y, partition(X, C), C, refit_of(fit_intercept(intercept_basis(X, groups), Y))
    )
    step, alone = permute_counts(sample, found)
    nulls = np.abs(permute_statistics(sample, found).share).max(axis=1)
    single = (1 + (nulls[:, None] >= np.abs(sample.statistic) * (1 - REFIT)).sum(axis=0)) / 61
    assert step[7] == single[7] == alone[7] == 1 / 61
    assert (step <= single).all()
    assert (alone <= step).all()


def table(sizes):
    names = [f"s{i:02d}" for i in range(len(sizes))]
    rng = np.random.default_rng(1)
    n = sum(sizes)
    return pd.DataFrame({"subject": np.repeat(names, sizes), "time": rng.standard_normal(n)})


def group_fit(formula="~ time + (1 | subject)", sizes=(3, 3, 2, 4, 3, 3, 2, 3, 3, 3), V=60, **kw):
    rows = table(sizes)
    rng = np.random.default_rng(2)
    Y = rng.standard_normal((len(rows), V))
    Y += rng.standard_normal((len(sizes), V))[pd.factorize(rows["subject"])[0]]
    Y[:, 5] += 3 * rows["time"]
    return vx.lmer(formula, vx.Maps(rows, data=Y), **kw)


def test_a_contrast_of_a_mixed_model_is_corrected_by_flips_of_subjects():
    fit = group_fit()
    con = fit.contrast("time")
    verdict = con.correct("maxt", n_perm=199, seed=4)
    assert verdict.significant[5]
    assert verdict.significant.sum() == 1
    assert "sign flips" in repr(verdict)
    again = con.correct("maxt", n_perm=199, seed=4, permute="auto")
    np.testing.assert_array_equal(verdict.p, again.p)


def test_all_flips_of_few_subjects_are_enumerated():
    con = group_fit(sizes=(3, 3, 3, 3, 3, 3)).contrast("time")
    verdict = con.correct("maxt", n_perm=500)
    assert "all 63 sign flips" in repr(verdict)
    # Flipping all but those flipped gives the mirror image: every p counts an even number.
    assert set(np.round(verdict.p * 64).astype(int) % 2) == {0}
    np.testing.assert_allclose(verdict.p * 64, np.round(verdict.p * 64))


def test_slopes_are_refitted_too():
    fit = group_fit("~ time + (1 + time | subject)", sizes=(4,) * 7, V=6)
    con = fit.contrast("time")
    verdict = con.correct("maxt", n_perm=9, alpha=0.1)
    np.testing.assert_allclose(np.nanmax(np.abs(con.t)), np.abs(con.t[5]))
    assert verdict.p[5] == np.nanmin(verdict.p)


def test_variance_groups_are_for_least_squares():
    X, groups, Y = study([3] * 8)
    refitter = refit_of(fit_intercept(intercept_basis(X, groups), Y))
    plan = Plan(blocks=groups, exchange="whole", permute="flip", variance_groups=groups % 2)
    with pytest.raises(vx.VoxlmError, match="one residual variance"):
        permutation_test(Y, X, [0.0, 1.0, 0.0], plan, refitter=refitter)
