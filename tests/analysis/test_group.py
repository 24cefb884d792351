"""The verbs over maps: their numbers, their words, and what they refuse."""

import shutil
import subprocess

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from voxlm.analysis.group import lmer
from voxlm.analysis.groupdesign import group_design
from voxlm.analysis.lmmaps import lm_maps
from voxlm.analysis.meta import meta
from voxlm.bids.maps import Maps
from voxlm.errors import ContrastError, DataError, DesignError, FormulaError, VoxlmWarning

# The same maps in other words: only rounding differs.
EXACT = 1e-10
# SPM12 and the CANlab toolbox write float32.
WRITTEN = 1e-5
# statsmodels' optimiser stops near the optimum.
MIXED = 1e-4


def study(seed=0, m=20, V=8, missing=0):
    rng = np.random.default_rng(seed)
    visits = rng.integers(2, 5, m)
    subject = np.repeat(np.arange(m), visits)
    table = pd.DataFrame(
        {
            "subject": [f"s{k:02d}" for k in subject],
            "group": np.where(subject % 2, "patient", "control"),
            "age": rng.uniform(20, 70, m)[subject],
            "time": np.concatenate([np.arange(k) for k in visits])
            + rng.uniform(0, 0.2, len(subject)),
        }
    )
    Y = rng.standard_normal((len(table), V)) + rng.standard_normal((m, V))[subject]
    Y += 0.02 * table["age"].to_numpy()[:, None]
    Y[rng.integers(len(table), size=missing), rng.integers(V, size=missing)] = np.nan
    return table, Y


def test_lmer_is_the_fit_of_its_design():
    table, Y = study()
    fit = lmer("effect ~ group * age + (1 | subject)", Maps(table, data=Y))
    checked = fit.check(n=8)
    assert checked.loc["params", "largest_relative"] < MIXED
    assert checked.loc["scale", "largest_relative"] < MIXED
    assert checked.loc["deviance_excess", "largest_absolute"] < 1e-6
    assert fit.params.shape == (4, 8)
    np.testing.assert_allclose(fit.icc, fit.components[0] / (fit.components[0] + fit.scale))
    np.testing.assert_allclose(fit.aic, fit.deviance + 12)
    joint = fit.f_test("age, group[T.patient]:age")
    assert joint.kind == "F"
    assert joint.df.shape == (8,)


def test_lmer_reads_like_lme4():
    table, Y = study()
    said = repr(lmer("effect ~ time + (1 | subject)", Maps(table, data=Y)))
    for words in (
        "Linear mixed model fit by REML",
        "effect ~ 1 + time + (1 | subject)",
        "(Intercept)",
        "groups: subject 20",
        "Std. Error",
    ):
        assert words in said


def test_holes_are_fitted_on_the_maps_that_are_there():
    table, Y = study(1, missing=9)
    fit = lmer("~ time + (1 | subject)", Maps(table, data=Y))
    plain = lm_maps("~ time", Maps(table, data=Y))
    for v in range(Y.shape[1]):
        rows = np.isfinite(Y[:, v])
        alone = Maps(table[rows], data=Y[rows, v : v + 1])
        one = lmer("~ time + (1 | subject)", alone)
        np.testing.assert_allclose(fit.params[:, v], one.params[:, 0], rtol=EXACT)
        np.testing.assert_allclose(fit.bse[:, v], one.bse[:, 0], rtol=EXACT)
        np.testing.assert_allclose(fit.df[:, v], one.df[:, 0], rtol=1e-8)
        assert fit.nobs[v] == rows.sum()
        other = lm_maps("~ time", alone)
        np.testing.assert_allclose(plain.bse[:, v], other.bse[:, 0], rtol=EXACT)
        modes = fit.ranef()["(1 | subject)"][:, v]
        np.testing.assert_allclose(modes[np.isfinite(modes)], one.ranef()["(1 | subject)"][:, 0])
    assert (fit.nobs < len(table)).any()
    assert "fitted on fewer maps" in repr(fit)


def test_zeros_are_holes_only_when_said():
    table, Y = study(2)
    Y[3, 2] = 0.0
    with pytest.warns(VoxlmWarning, match=r"in 1 of 8 voxels some maps are exactly 0(.|\n)*zeros="):
        assert lm_maps("~ time", Maps(table, data=Y)).nobs[2] == len(table)
    assert lm_maps("~ time", Maps(table, data=Y, zeros="keep")).nobs[2] == len(table)
    assert lm_maps("~ time", Maps(table, data=Y, zeros="missing")).nobs[2] == len(table) - 1


def test_voxels_with_too_few_maps_are_nan():
    table, Y = study(3)
    Y[2:, 0] = np.nan
    fit = lm_maps("~ group + age", Maps(table, data=Y))
    assert np.isnan(fit.params[:, 0]).all()
    assert fit.nobs[0] == 0
    assert "1 too few maps" in repr(fit)


def test_refit_by_ml_needs_no_maps():
    table, Y = study(4)
    maps = Maps(table, data=Y)
    fit = lmer("~ time + (1 | subject)", maps)
    direct = lmer("~ time + (1 | subject)", maps, reml=False)
    np.testing.assert_array_equal(fit.refit(reml=False).deviance, direct.deviance)


@pytest.mark.parametrize(
    "options",
    [{}, {"cov_type": "HC3"}, {"cluster": "subject"}, {"robust": "bisquare"}, {"robust": "huber"}],
)
def test_lm_voxels_are_statsmodels(options):
    table, Y = study(5)
    fit = lm_maps("~ group + age", Maps(table, data=Y), **options)
    found = fit.check(n=8)
    assert (found["largest_relative"] < 1e-8).all()


def test_weights_are_wls():
    table, Y = study(6)
    weights = np.random.default_rng(0).uniform(0.5, 2, len(table))
    fit = lm_maps("~ group + age", Maps(table, data=Y), weights=weights)
    assert (fit.check(n=8)["largest_relative"] < EXACT).all()


def test_variance_groups_have_their_own_df():
    table, Y = study(7)
    fit = lm_maps("~ group", Maps(table, data=Y), variance_groups="group")
    assert np.ptp(fit.df[1]) > 0


def test_dependent_columns_answer_what_they_can():
    table, Y = study(8)
    fit = lm_maps("~ 0 + subject + group", Maps(table, data=Y))
    with pytest.raises(ContrastError, match="cannot be estimated"):
        fit.contrast("group[T.patient]")
    within = fit.contrast("subject[s02] - subject[s00]")
    names = fit.design.names
    keep = [k for k, name in enumerate(names) if name != "group[T.patient]"]
    theirs = sm.OLS(Y[:, 0], fit.design.matrix[:, keep]).fit()
    c = np.zeros(len(keep))
    c[names.index("subject[s02]")], c[names.index("subject[s00]")] = 1, -1
    np.testing.assert_allclose(within.t[0], theirs.t_test(c).tvalue.item(), rtol=1e-9)


@pytest.mark.parametrize("method", ["reml", "dl", "fe"])
def test_meta_voxels_are_weighted_least_squares_at_tau(method):
    table, Y = study(9)
    v = np.random.default_rng(1).uniform(0.5, 2, Y.shape)
    fit = meta("~ group + age", Maps(table, data=Y, variance=v), method=method)
    assert (fit.check(n=8)["largest_relative"] < 1e-8).all()
    assert "tau²" in repr(fit)


def test_tidy_and_intervals():
    table, Y = study(10)
    fit = lmer("~ time + (1 | subject)", Maps(table, data=Y))
    long = fit.tidy([1, 5])
    assert long["voxel"].tolist() == [1, 1, 5, 5]
    np.testing.assert_allclose(long["estimate"], fit.params[:, [1, 5]].T.ravel())
    middle = (long["conf_low"] + long["conf_high"]) / 2
    np.testing.assert_allclose(middle, long["estimate"])
    assert fit.VarCorr(1)["groups"].tolist() == ["subject", "Residual"]


def test_maps_from_files_equal_arrays(tmp_path):
    table, Y = study(11, V=24)
    affine = np.diag([3.0, 3, 3, 1])
    paths = []
    for row, y in enumerate(Y):
        nib.save(nib.Nifti1Image(y.reshape(2, 3, 4), affine), tmp_path / f"m{row}.nii.gz")
        paths.append(f"m{row}.nii.gz")
    table.assign(effect=paths).to_csv(tmp_path / "maps.tsv", sep="\t", index=False)
    from_files = lmer("effect ~ time + (1 | subject)", Maps(tmp_path / "maps.tsv"))
    from_array = lmer("effect ~ time + (1 | subject)", Maps(table, data=Y))
    np.testing.assert_allclose(from_files.params, from_array.params, rtol=EXACT)
    image = from_files.contrast("time").image("t")
    np.testing.assert_allclose(image.get_fdata().ravel(), from_array.contrast("time").t, rtol=1e-6)
    images = table.assign(effect=[nib.load(tmp_path / p) for p in paths])
    np.testing.assert_array_equal(Maps(images).values, Maps(tmp_path / "maps.tsv").values)


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")
def test_to_r_runs(tmp_path):
    table, Y = study(12)
    fit = lm_maps("effect ~ group + age", Maps(table, data=Y))
    script = fit.to_r(tmp_path, 3)
    with script.open("a") as file:
        file.write("cat(sprintf('%.12f', coef(fit)))\n")
    command = ["Rscript", script.name]
    out = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    numbers = [float(word) for word in out.splitlines()[-1].split()]
    np.testing.assert_allclose(numbers, fit.params[:, 3], rtol=1e-9)


BAD = [
    (lmer, "~ time", DesignError, "needs a random term"),
    (lmer, "~ (1 + time | subject) + (0 + age | each)", DesignError, "as many levels"),
    (lmer, "~ 1 + (1 + flat | subject)", DesignError, "same in every map"),
    (lmer, "~ 1 + (1 + time + age + wave | subject)", DesignError, "coefficients for"),
    (lmer, "~ time + (1 | one)", DesignError, "one has one level"),
    (lmer, "~ time + (1 | each)", DesignError, "as many levels as there are maps"),
    (lmer, "~ 0 + subject + (1 | subject)", DesignError, "leave nothing of subject"),
    (lmer, "~ time + (1 | subjct)", FormulaError, "subject"),
    (lm_maps, "~ time + (1 | subject)", DesignError, "use lmer"),
    (lm_maps, "~ holey", FormulaError, "holey"),
    (lm_maps, "~ 0 + each", DesignError, "no residual|no voxel has enough"),
    (meta, "~ time", DataError, "needs the variance"),
]


@pytest.mark.parametrize(("verb", "formula", "error", "words"), BAD)
def test_bad_input_is_named(verb, formula, error, words):
    table, Y = study(13)
    table["one"], table["each"] = "a", [f"r{k}" for k in range(len(table))]
    table["flat"], table["wave"] = 3.0, np.sin(table["time"])
    table["holey"] = np.where(np.arange(len(table)) == 4, np.nan, 1.0)
    with pytest.raises((error, DataError), match=words):
        verb(formula, Maps(table, data=Y))


def test_design_needs_no_image(tmp_path):
    table, Y = study(14)
    design = group_design("~ group + (1 | subject)", Maps(table, data=Y))
    assert design.names == ("Intercept", "group[T.patient]")
    assert design.random[0].text == "(1 | subject)"


def test_spm_and_canlab(shared_data):
    folder = shared_data / "wager_group"
    table = pd.read_csv(folder / "participants.tsv", sep="\t")
    name = "{}_contrast-ReappNegVsLookNeg_con.nii.gz"
    table["effect"] = [str(folder / name.format(p)) for p in table["participant_id"]]
    mask = folder / "group_desc-analysis_mask.nii.gz"
    maps = Maps(table, mask=mask)
    formula = "~ center(reappraisal_success)"
    fit = lm_maps(formula, maps)
    inside = nib.load(mask).get_fdata() != 0
    for number, column in ((1, "Intercept"), (2, fit.design.names[1])):
        spm = nib.load(folder / f"reference_spm12_onesample_cov/spmT_000{number}.nii.gz")
        theirs = spm.get_fdata()[inside]
        whole = np.isfinite(theirs) & (fit.nobs == 30)
        assert whole.sum() >= 31_000
        ours = fit.t_test({column: 1.0}).t
        np.testing.assert_allclose(ours[whole], theirs[whole], rtol=WRITTEN, atol=WRITTEN)
