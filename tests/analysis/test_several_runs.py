"""Several runs: fixed effects against nilearn and against one dense least squares."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from nilearn.glm.contrasts import compute_fixed_effects
from scipy import stats
from scipy.linalg import block_diag
from small_study import make_study

import voxlm as vx
from voxlm.errors import ContrastError, DataError, VoxlmError

FORMULA = "y ~ face + house + motion"
# The same arithmetic in another order.
EXACT = 1e-10
# Maps pass through float32 images, as nilearn's do.
IMAGES = 1e-5


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    made = [make_study(tmp_path_factory.mktemp(f"run{k}"), seed=k) for k in range(3)]
    inside = made[0].inside
    return [type(one)(**{**vars(one), "inside": inside, "mask": made[0].mask}) for one in made]


@pytest.fixture(scope="module", params=["lm", "glsar"])
def fixed(request: pytest.FixtureRequest, studies: list[Any]) -> Any:
    return getattr(vx, request.param)(FORMULA, [study.run() for study in studies])


@pytest.mark.parametrize("weighting", ["unweighted", "precision"])
def test_fixed_effects_equal_nilearns(fixed: Any, weighting: str) -> None:
    asked = [fit.contrast("face - house") for fit in fixed]
    effects = [con.image("effect") for con in asked]
    variances = [con.space.image(con.se**2) for con in asked]
    theirs = compute_fixed_effects(
        effects,
        variances,
        mask=fixed.space.mask_image(),
        precision_weighted=weighting == "precision",
        dofs=[fit.df_resid for fit in fixed],
    )
    con = fixed.contrast("face - house", weighting=weighting)
    inside = fixed.space.mask
    for ours, image in zip((con.effect, con.se**2, con.t, con.z), theirs, strict=True):
        expected = np.asarray(image.dataobj)[inside]
        if ours is con.z:  # nilearn's z is one-sided; both keep the sign of t
            expected = np.asarray(theirs[2].dataobj)[inside]
            ours = stats.t.isf(stats.norm.sf(con.z), con.df)
        np.testing.assert_allclose(ours, expected, rtol=IMAGES, atol=IMAGES)
    assert con.df == sum(fit.df_resid for fit in fixed) == fixed.df_resid


def test_precision_is_the_dense_least_squares_of_stacked_runs(studies: list[Any]) -> None:
    """Runs that share two effects, each whitened by its own variance: one regression."""
    fixed = vx.lm(FORMULA, [study.run() for study in studies])
    joint = fixed.f_test("face, house")
    assert joint.df_num == 2
    con = fixed.f_test(np.eye(len(fixed[0].params))[:2], weighting="precision")
    for v in (0, 11):
        rows, own, target = [], [], []
        for study, fit in zip(studies, fixed, strict=True):
            sd = np.sqrt(fit.scale[v])
            X = fit.design.matrix / sd
            rows.append(X[:, :2])
            own.append(X[:, 2:])
            target.append(study.percent[:, v] / sd)
        X = np.hstack([np.vstack(rows), block_diag(*own)])
        dense = sm.OLS(np.concatenate(target), X).fit()
        np.testing.assert_allclose(con.effect[:, v], dense.params[:2], rtol=1e-8)
        # Known variances: the covariance of the dense fit at scale one.
        cov = dense.normalized_cov_params[:2, :2]
        F = dense.params[:2] @ np.linalg.solve(cov, dense.params[:2]) / 2
        np.testing.assert_allclose(con.F[v], F, rtol=1e-8)
        np.testing.assert_allclose(con.p[v], stats.f.sf(F, 2, fixed.df_resid), rtol=1e-6)


def test_unweighted_is_the_mean_of_the_runs(fixed: Any) -> None:
    for text in ("face", "face - house = 0.3", "(face + house)/2"):
        con = fixed.contrast(text)
        parts = [fit.contrast(text) for fit in fixed]
        np.testing.assert_allclose(con.effect, np.mean([p.effect for p in parts], axis=0))
        variance = np.sum([p.se**2 for p in parts], axis=0) / 9
        np.testing.assert_allclose(con.se, np.sqrt(variance), rtol=EXACT)
    null = fixed.contrast("face - house = 0.3")
    np.testing.assert_allclose(null.t, (null.effect - 0.3) / null.se, rtol=EXACT)


def test_one_run_in_a_list_is_that_run(studies: list[Any]) -> None:
    run = studies[0].run()
    one, alone = vx.glsar(FORMULA, [run]), vx.glsar(FORMULA, run)
    for weighting in ("unweighted", "precision"):
        con = one.contrast("face", weighting=weighting)
        np.testing.assert_allclose(con.t, alone.contrast("face").t, rtol=EXACT)
    assert len(one) == 1
    assert next(iter(one)) is one[0]


def test_a_voxel_missing_in_one_run_is_missing(studies: list[Any]) -> None:
    rows = [study.rows for study in studies]
    rows[1] = rows[1].copy()
    rows[1][:, 4] = 0.0
    runs = [
        vx.Run(y, study.events, study.confounds, tr=study.tr)
        for y, study in zip(rows, studies, strict=True)
    ]
    con = vx.lm(FORMULA, runs).contrast("face")
    assert np.flatnonzero(np.isnan(con.t)).tolist() == [4]


def test_the_runs_are_printed(fixed: Any) -> None:
    text = repr(fixed)
    assert text.startswith(
        f"3 runs, one fit a run, combined by fixed effects; df {fixed.df_resid:g}"
    )
    assert text.count("formula") == 3
    assert fixed.summary() == text


def test_designs_are_checked_before_an_image_is_read(studies: list[Any]) -> None:
    good, bad = studies[0].run(), studies[1].run(events=None)
    with pytest.raises(DataError, match=r"run 2 \(.*bold\.nii\.gz\): face needs events, and"):
        vx.lm(FORMULA, [good, bad])
    with pytest.raises(VoxlmError, match="unknown name 'fce'"):
        vx.lm("y ~ fce", [good, good])


def test_contrasts_name_the_run_that_cannot_answer(studies: list[Any]) -> None:
    fixed = vx.lm(FORMULA, [study.run() for study in studies])
    with pytest.raises(ContrastError, match=r"bold\.nii\.gz: .*'fce'(.|\n)*did you mean 'face'"):
        fixed.contrast("fce - house")
    with pytest.raises(ContrastError, match="weighting must be"):
        fixed.contrast("face", weighting="precise")


def test_runs_in_different_places(studies: list[Any], new_study: Any) -> None:
    other = new_study(9).run()
    with pytest.raises(DataError, match=r"run 2 .* different masks, of .* pass the same mask="):
        vx.lm(FORMULA, [studies[0].run(), other])
    few = vx.Run(studies[1].rows[:, :5], studies[1].events, studies[1].confounds, tr=2.0)
    with pytest.raises(DataError, match=r"run 2 \(array\) and run 1 \(array\) .* have 5 and"):
        vx.lm(FORMULA, [studies[0].array_run(), few])
    with pytest.raises(DataError, match="one is an image and one an array"):
        vx.lm(FORMULA, [studies[0].run(), studies[1].array_run()])
