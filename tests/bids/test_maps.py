"""Maps are read as they lie: grids, holes, zeros, smoothing; what is wrong is said."""

import warnings

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nilearn.image import resample_to_img, smooth_img

import voxlm as vx
from voxlm.errors import DataError, VoxlmWarning

GRID = (9, 8, 7)
AFFINE = np.diag([3.0, 3, 3, 1])
COARSE = np.array([[3.5, 0, 0, 1], [0, 3.5, 0, 1], [0, 0, 4, 1], [0, 0, 0, 1.0]])
# Cubic splines from the same library; images pass through float32.
IMAGES = 1e-5
# Smoothing is in float32 on our side.
SINGLE = 1e-4


def image(values, affine=AFFINE):
    return nib.Nifti1Image(np.asarray(values, dtype=np.float32), affine)


def images(n=8, seed=0, affine=AFFINE, grid=GRID):
    rng = np.random.default_rng(seed)
    return [image(rng.normal(1, 1, grid), affine) for _ in range(n)]


def table_of(maps, **more):
    return pd.DataFrame({"effect": maps, "age": np.arange(len(maps)) * 1.5, **more})


def saved(folder, maps, name="m{}.nii.gz"):
    paths = [folder / name.format(row) for row in range(len(maps))]
    for path, one in zip(paths, maps, strict=True):
        nib.save(one, path)
    return [path.name for path in paths]


def test_other_grids_are_moved_as_nilearn_moves_them():
    maps = images(3)
    other = images(1, 5, COARSE, (6, 6, 5))
    found = vx.Maps(table_of([*maps, *other]), resample=True, zeros="keep")
    assert found.space.shape == GRID
    theirs = resample_to_img(other[0], maps[0], "continuous", force_resample=True, copy_header=True)
    expected = theirs.get_fdata()[found.space.mask]
    there = np.isfinite(found.values[3])
    assert 0.3 < there.mean() < 1
    np.testing.assert_allclose(found.values[3, there], expected[there], rtol=IMAGES, atol=IMAGES)
    np.testing.assert_array_equal(found.values[0], np.asarray(maps[0].dataobj)[found.space.mask])
    assert (expected[~there] == 0).all()  # nilearn puts zeros beyond a map's grid; here are holes


def test_the_mask_or_an_image_says_the_grid():
    maps, mask = images(3), image(np.ones((6, 6, 5)), COARSE)
    assert vx.Maps(table_of(maps), mask=mask, resample=True).space.shape == (6, 6, 5)
    assert vx.Maps(table_of(maps), resample=mask).space.shape == (6, 6, 5)
    with pytest.raises(DataError, match="the mask is on another grid"):
        vx.Maps(table_of(maps), mask=mask)
    fit = vx.lm("~ age", vx.Maps(table_of(images(6)), mask=mask, resample=True))
    assert fit.contrast("age").image("t").shape == (6, 6, 5)


def test_variances_are_moved_linearly_and_stay_positive():
    maps = images(4)
    spread = [image(np.exp(np.asarray(m.dataobj))) for m in images(4, 3)]
    mask = image(np.ones((6, 6, 5)), COARSE)
    found = vx.Maps(table_of(maps, v=spread), variance="v", mask=mask, resample=True)
    assert (found.variances[np.isfinite(found.variances)] > 0).all()
    theirs = resample_to_img(spread[0], mask, "linear", force_resample=True, copy_header=True)
    there = np.isfinite(found.variances[0])
    np.testing.assert_allclose(
        found.variances[0, there], theirs.get_fdata().reshape(-1)[there], rtol=IMAGES
    )


def test_moving_does_not_read_through_holes():
    values = np.random.default_rng(0).normal(1, 1, GRID)
    values[4, 4, 3] = np.nan
    target = image(np.ones(GRID), AFFINE + np.array([[0, 0, 0, 0.5]] + [[0] * 4] * 3))
    found = vx.Maps(table_of([image(values), *images(2)]), resample=target)
    holes = np.isnan(found.space.image(found.values[0]).get_fdata())
    assert holes[4, 4, 3]
    flat = np.full(GRID, 2.0)
    flat[:2], flat[5, 5, 5] = np.nan, np.nan
    beside = vx.Maps(table_of([image(flat), *images(2)]), resample=target).values[0]
    assert np.isnan(beside).sum() > 56
    np.testing.assert_allclose(beside[np.isfinite(beside)], 2.0, rtol=IMAGES)
    assert np.isfinite(found.values[1]).mean() > 0.8


@pytest.mark.parametrize("fwhm", [5.0, (4.0, 6.0, 8.0)])
def test_smoothing_is_nilearns(fwhm):
    maps = images(2)
    found = vx.Maps(table_of(maps), smoothing_fwhm=fwhm)
    theirs = np.asarray(smooth_img(maps[0], fwhm).dataobj)[found.space.mask]
    np.testing.assert_allclose(found.values[0], theirs, rtol=SINGLE, atol=IMAGES)


@pytest.mark.parametrize("zeros", ["keep", "missing"])
def test_smoothing_beside_holes_is_of_what_is_there(zeros):
    flat = np.full(GRID, 2.0)
    flat[:3] = np.nan if zeros == "keep" else 0.0
    maps = vx.Maps(table_of([image(flat), *images(2)]), smoothing_fwhm=8.0, zeros=zeros)
    hole = np.isnan(maps.values[0])
    assert hole.sum() == 3 * 8 * 7
    np.testing.assert_allclose(maps.values[0, ~hole], 2.0, rtol=IMAGES)


def test_zeros_of_files_are_values_holes_or_a_warning(tmp_path):
    maps = images(7)
    np.asarray(maps[2].dataobj)[0, 0, 0] = 0
    table = table_of(saved(tmp_path, maps))
    table.to_csv(tmp_path / "maps.tsv", sep="\t", index=False)
    with pytest.warns(VoxlmWarning, match=r"in 1 of 504 voxels some maps are exactly 0.*missing"):
        assert vx.lm("~ age", vx.Maps(tmp_path / "maps.tsv")).nobs[0] == 7
    fit = vx.lm("~ age", vx.Maps(tmp_path / "maps.tsv", zeros="missing"))
    assert fit.nobs[0] == 6
    assert fit.image("nobs").get_fdata()[0, 0, 0] == 6
    np.testing.assert_array_equal(fit.image("df_resid").get_fdata().ravel()[:3], [4, 5, 5])


def test_a_mask_is_every_voxel_that_any_map_has(tmp_path):
    maps = [np.zeros(GRID) for _ in range(3)]
    maps[0][1], maps[1][2], maps[2][3] = 1.0, 2.0, np.nan
    found = vx.Maps(table_of([image(m) for m in maps]), zeros="missing")
    assert np.unique(np.argwhere(found.space.mask)[:, 0]).tolist() == [1, 2]
    with pytest.raises(DataError, match="no value within the mask"):
        _ = found.values
    with pytest.raises(DataError, match="the mask is empty"):
        _ = vx.Maps(table_of([image(np.zeros(GRID))] * 2)).space
    apart = vx.Maps(table_of([image(m) for m in maps[:2]]), zeros="missing")
    with pytest.raises(DataError, match="no voxel has enough maps for 2 columns"):
        vx.lm("~ age", apart)


def test_progress_is_drawn_on_request(capsys):
    _ = vx.Maps(table_of(images(3)), progress=True).values
    shown = capsys.readouterr().err
    assert "mask" in shown
    assert "effect maps" in shown
    assert "3/3" in shown


def test_scaled_integers_are_read_scaled(tmp_path):
    values = np.random.default_rng(0).normal(3, 1, GRID)
    stored = nib.Nifti1Image(values, AFFINE)
    stored.set_data_dtype(np.int16)
    names = saved(tmp_path, [stored, *images(2)])
    table = table_of([str(tmp_path / name) for name in names])
    row = vx.Maps(table).values[0]
    np.testing.assert_array_equal(row, nib.load(tmp_path / names[0]).get_fdata().ravel())


def fits_of(seeds=(0, 1, 2), mask=None):
    events = pd.DataFrame(
        {"onset": np.arange(5.0, 90, 10), "duration": 2.0, "trial_type": list("abc") * 3}
    )
    found = []
    for seed in seeds:
        data = np.random.default_rng(seed).normal(100, 1, (60, 6))
        found.append(vx.lm("y ~ a + b + c", vx.Run(data, events, tr=2.0, mask=mask)))
    return found


def test_first_level_fits_are_maps():
    fits = fits_of(range(6))
    table = pd.DataFrame({"group": list("xyxyxy")})
    maps = vx.Maps.from_fits(fits, contrast="a - b", table=table)
    cons = [fit.contrast("a - b") for fit in fits]
    np.testing.assert_array_equal(maps.values, [con.effect for con in cons])
    np.testing.assert_array_equal(maps.variances, [con.se**2 for con in cons])
    assert vx.meta("~ group", maps).tau2.shape == (6,)
    several = vx.lm("y ~ a + b + c", [fit.run for fit in fits[:2]])
    both = vx.Maps.from_fits([several, fits[2]], contrast="a")
    np.testing.assert_array_equal(both.values[0], several.contrast("a").effect)


def test_fits_that_are_no_maps_are_refused():
    fits = fits_of()
    with pytest.raises(DataError, match="by a contrast of one row"):
        vx.Maps.from_fits(fits, contrast="a, b")
    with pytest.raises(DataError, match="one fit or more"):
        vx.Maps.from_fits([], contrast="a")
    other = vx.lm("y ~ a", vx.Run(np.ones((60, 5)), fits[0].run.events, tr=2.0))
    with pytest.raises(DataError, match="fit 4 has other voxels than the first"):
        vx.Maps.from_fits([*fits, other], contrast="a")
    with pytest.raises(DataError, match="the table has 2 rows"):
        vx.Maps.from_fits(fits, contrast="a", table=pd.DataFrame({"group": ["x", "y"]}))


def gone(tmp_path):
    return vx.Maps(table_of([str(tmp_path / f"sub-{k}.nii.gz") for k in range(3)]))


def elsewhere(tmp_path):
    return vx.Maps(table_of([*images(2), *images(1, 1, COARSE, (6, 6, 5))]))


def another_affine(tmp_path):
    return vx.Maps(table_of(images(3), v=images(3, 1, np.diag([3.0, 3, 4, 1]))), variance="v")


def not_a_map(tmp_path):
    return vx.Maps(table_of([*images(2), image(np.ones((3, 3, 3, 4)))]))


def no_path(tmp_path):
    return vx.Maps(table_of([*images(2), np.nan]))


def covariate_with_nan(tmp_path):
    table = table_of(images(5))
    table.loc[[1, 3], "age"] = np.nan
    return vx.lm("~ age", vx.Maps(table))


def zero_variance(tmp_path):
    spread = images(4, 2)
    for one in spread:
        np.asarray(one.dataobj)[:] = 1.0
    np.asarray(spread[2].dataobj)[0, 0, :2] = 0.0, -1.0
    return vx.meta("~ 1", vx.Maps(table_of(images(4), v=spread), variance="v"))


def few_rows(tmp_path):
    return vx.lm("~ age + I(age**2)", vx.Maps(table_of(images(3))))


def unknown_column(tmp_path):
    return vx.Maps(table_of(images(3)), effect="efect")


def a_grid_for_arrays(tmp_path):
    return vx.Maps(pd.DataFrame({"a": [1, 2]}), data=np.ones((2, 3)), resample=True)


BAD = [
    (gone, r"effect in row 1 of the table .*sub-0\.nii\.gz does not exist"),
    (
        elsewhere,
        r"effect in row 3(.|\n)*another grid(.|\n)*\(6, 6, 5\)(.|\n)*\(9, 8, 7\)(.|\n)*resa",
    ),
    (another_affine, r"variance in row 1 of the table"),
    (not_a_map, r"effect in row 3 of the table.*has shape \(3, 3, 3, 4\); a map has three axes"),
    (no_path, r"effect in row 3 of the table is nan; expected a path"),
    (covariate_with_nan, r"age has no finite value in rows 2, 4 of the table"),
    (zero_variance, r"row 3 of the table: its variance is zero or negative in 2 voxels"),
    (few_rows, r"no voxel has enough maps for 3 columns|3 maps for 3"),
    (unknown_column, r"effect='efect' is not a column of the table; did you mean 'effect'"),
    (a_grid_for_arrays, r"mesh= and resample= go with images"),
]


@pytest.mark.parametrize(("make", "words"), BAD, ids=lambda x: getattr(x, "__name__", ""))
def test_bad_maps_are_named(tmp_path, make, words):
    with pytest.raises(vx.VoxlmError, match=words):
        make(tmp_path)


def test_repeated_maps_are_warned_of(tmp_path):
    names = saved(tmp_path, images(3))
    paths = [str(tmp_path / name) for name in [*names, names[0]]]
    with pytest.warns(VoxlmWarning, match=r"rows 1, 4 of the table have the same map, m0\.nii\.gz"):
        vx.Maps(table_of(paths))
    data = np.random.default_rng(0).normal(size=(4, 40))
    data[3] = data[1]
    with pytest.warns(VoxlmWarning, match="rows 2, 4 of the table have the same map"):
        vx.Maps(pd.DataFrame({"age": [1.0, 2, 3, 4]}), data=data)


LABELLED = pd.DataFrame(
    {
        "site": [1, 2, 3] * 4,
        "code": ["01", "02", "10", "11"] * 3,
        "visit": [1, 2, 3] * 4,
        "arm": [0, 1] * 6,
        "centre": pd.Categorical([1, 2, 3] * 4),
        "subject": np.repeat([1, 2, 3, 4], 3),
        "age": np.arange(12.0),
    }
)


def labelled(variance=None):
    data = np.random.default_rng(0).normal(size=(12, 3))
    return vx.Maps(LABELLED, data=data, variance=variance)


@pytest.mark.parametrize(
    ("fit", "doubt"),
    [
        (lambda: vx.lm("~ site", labelled()), "site holds 3 different whole numbers"),
        (lambda: vx.lm("~ code", labelled()), "code holds text that reads as numbers"),
        (lambda: vx.lmer("~ age + site + (1 | subject)", labelled()), "site holds 3 different"),
        (lambda: vx.meta("~ code", labelled(np.ones((12, 3)))), "code holds text"),
    ],
    ids=["lm", "text", "lmer", "meta"],
)
def test_labels_taken_as_numbers_are_warned_of(fit, doubt):
    with pytest.warns(VoxlmWarning, match=doubt + ".* taken as a number; write C") as heard:
        fit()
    assert heard[0].filename == __file__


@pytest.mark.parametrize(
    "formula",
    ["~ visit", "~ arm", "~ C(site)", "~ C(code)", "~ centre", "~ age + (1 | subject)", "~ age"],
)
def test_numbers_and_declared_labels_are_not_warned_of(formula):
    with warnings.catch_warnings():
        warnings.simplefilter("error", VoxlmWarning)
        (vx.lmer if "|" in formula else vx.lm)(formula, labelled())


def test_few_whole_numbers_are_noted():
    said = repr(vx.lm("~ visit", labelled()))
    assert "visit holds 3 different whole numbers and is taken as a number; write C(visit)" in said
    assert vx.lm("~ C(visit)", labelled()).params.shape == (3, 3)
