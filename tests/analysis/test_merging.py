"""Statistics of parts merge to the fit of all rows."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import voxlm as vx
from voxlm.analysis.statistics import load_statistics, save_statistics
from voxlm.errors import DataError

# The same optimum from statistics that differ by rounding.
MERGED = 1e-7
FORMULAS = [
    "~ time + (1 | subject)",
    "~ center(time) * group + (1 | subject)",
    "~ time + (1 + time | subject)",
    "~ center(time) + (1 + center(time) | subject)",
    "~ time + (1 + time || subject)",
    "~ time + (1 | site/subject)",
    "~ time + (1 | subject) + (1 | item)",
    "~ time + (1 | subject) + (1 + time | item)",
]


def study(seed=0, holes=0, offset=0.0):
    rng = np.random.default_rng(seed)
    visits = rng.integers(2, 6, 27)
    subject = np.repeat(np.arange(27), visits)
    table = pd.DataFrame(
        {
            "subject": [f"s{k:02d}" for k in subject],
            "site": np.array(["a", "b", "c"])[subject // 9],
            "group": np.where(subject % 2, "patient", "control"),
            "item": np.array(["x", "y", "z", "w"])[rng.integers(0, 4, subject.size)],
            "time": np.concatenate([np.arange(k) for k in visits])
            + rng.uniform(0, 0.3, subject.size),
        }
    )
    Y = rng.standard_normal((subject.size, 7)) + 1.5 * rng.standard_normal((27, 7))[subject]
    Y += rng.standard_normal((3, 7))[subject // 9] + offset
    Y += (0.5 * rng.standard_normal((27, 7)))[subject] * table["time"].to_numpy()[:, None]
    for _ in range(holes):
        Y[rng.integers(subject.size), rng.integers(7)] = np.nan
    return table, Y


def parts_of(table, Y, formula, by="site", **options):
    found = []
    for level in table[by].unique():
        rows = (table[by] == level).to_numpy()
        found.append(vx.lmer(formula, vx.Maps(table[rows], data=Y[rows]), **options))
    return found


def assert_same(merged, whole):
    np.testing.assert_allclose(merged.deviance, whole.deviance, rtol=1e-10, atol=1e-8)
    size = np.abs(whole.params).max()
    np.testing.assert_allclose(merged.params, whole.params, rtol=MERGED, atol=MERGED * size)
    np.testing.assert_allclose(merged.bse, whole.bse, rtol=1e-5)
    np.testing.assert_allclose(merged.scale, whole.scale, rtol=1e-5)
    np.testing.assert_array_equal(merged.nobs, whole.nobs)


@pytest.mark.parametrize("holes", [0, 4])
@pytest.mark.parametrize("formula", FORMULAS[:4])
def test_sites_merge_to_the_study(formula, holes):
    table, Y = study(holes=holes)
    merged = vx.merge_statistics(parts_of(table, Y, formula))
    order = pd.concat([table[table["site"] == site] for site in table["site"].unique()]).index
    whole = vx.lmer(formula, vx.Maps(table.loc[order], data=Y[order]))
    assert_same(merged, whole)
    asked, direct = merged.contrast("Intercept"), whole.contrast("Intercept")
    np.testing.assert_allclose(asked.t, direct.t, rtol=1e-5)
    np.testing.assert_allclose(asked.df, direct.df, rtol=1e-4)


@pytest.mark.parametrize("formula", FORMULAS[4:])
def test_several_terms_merge_whatever_the_parts_are(formula):
    table, Y = study(1)
    halves = np.where(np.arange(len(table)) % 2, "odd", "even")
    merged = vx.merge_statistics(parts_of(table.assign(half=halves), Y, formula, by="half"))
    order = np.concatenate([np.flatnonzero(halves == half) for half in ("even", "odd")])
    assert_same(merged, vx.lmer(formula, vx.Maps(table.iloc[order], data=Y[order])))


def test_a_large_baseline_keeps_its_digits():
    table, Y = study(2, offset=1e5)
    merged = vx.merge_statistics(parts_of(table, Y, FORMULAS[0]))
    whole = vx.lmer(FORMULAS[0], vx.Maps(table, data=Y))
    np.testing.assert_allclose(merged.scale, whole.scale, rtol=1e-8)
    np.testing.assert_allclose(merged.params[1], whole.params[1], rtol=1e-6, atol=1e-6)


def test_new_questions_need_neither_maps_nor_tables(tmp_path):
    table, Y = study(3)
    table["group"] = pd.Categorical(table["group"], ["patient", "control"])
    files = [
        save_statistics(fit, tmp_path / f"{k}.npz")
        for k, fit in enumerate(parts_of(table, Y, "~ group * time + (1 | subject)"))
    ]
    merged = vx.merge_statistics([load_statistics(file) for file in files])
    whole = vx.lmer("~ group * time + (1 | subject)", vx.Maps(table, data=Y))
    assert merged.design.names == whole.design.names
    assert "group[T.control]" in merged.design.names
    np.testing.assert_allclose(
        merged.contrast("time + group[T.control]:time").t,
        whole.contrast("time + group[T.control]:time").t,
        rtol=1e-6,
    )
    np.testing.assert_allclose(
        merged.refit(reml=False).deviance, whole.refit(reml=False).deviance, rtol=1e-10
    )
    assert "Linear mixed model fit by REML" in repr(merged)
    with pytest.raises(DataError, match="needs the maps themselves"):
        merged.voxel(0)


def test_the_space_is_kept(tmp_path):
    table, Y = study(4)
    images = [nib.Nifti1Image(np.append(y, 0).reshape(2, 2, 2), np.diag([3.0, 3, 3, 1])) for y in Y]
    fit = vx.lmer("~ time + (1 | subject)", vx.Maps(table.assign(effect=images)))
    again = load_statistics(save_statistics(fit, tmp_path / "kept.npz"))
    np.testing.assert_array_equal(again.space.mask, fit.space.mask)
    ours, theirs = (f.contrast("time").image("t") for f in (again, fit))
    np.testing.assert_array_equal(ours.get_fdata(), theirs.get_fdata())
    np.testing.assert_array_equal(ours.affine, theirs.affine)
    assert again.maps.table.columns.tolist() == table.columns.tolist()


def other_formula(table, Y):
    one, two, _ = parts_of(table, Y, FORMULAS[0])
    return [one, vx.lmer("~ group + (1 | subject)", two.maps)]


def other_voxels(table, Y):
    one, two, _ = parts_of(table, Y, FORMULAS[0])
    return [one, vx.lmer(FORMULAS[0], vx.Maps(two.maps.table, data=two.maps.data[:, 1:]))]


def split_subjects(table, Y):
    odd = np.where(np.arange(len(table)) % 2, "odd", "even")
    return parts_of(table.assign(half=odd), Y, FORMULAS[0], by="half")


def other_knots(table, Y):
    return parts_of(table, Y, "~ bs(time, df=4) + (1 | subject)")


def not_mixed(table, Y):
    return [vx.lm("~ time", vx.Maps(table, data=Y))]


BAD = [
    (other_formula, "only fits of one model merge"),
    (other_voxels, "fit 2 has other voxels"),
    (split_subjects, r"subject s00 has maps in fits 1 and 2"),
    (other_knots, "not combinations of a part's own"),
    (not_mixed, "takes one fit by lmer or more"),
]


@pytest.mark.parametrize(("make", "words"), BAD, ids=[make.__name__ for make, _ in BAD])
def test_fits_that_do_not_merge_are_named(make, words):
    table, Y = study(5)
    with pytest.raises(DataError, match=words):
        vx.merge_statistics(make(table, Y))
