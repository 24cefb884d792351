"""Tables of regions that an image names: labels, masks and surfaces; how each row was made."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from voxlm.analysis.group import lmer
from voxlm.analysis.lmmaps import lm_maps
from voxlm.analysis.meta import meta
from voxlm.bids.maps import Maps
from voxlm.errors import DataError

AFFINE = np.diag([3.0, 3, 3, 1])
SHAPE = (4, 3, 2)
# The same sums in another order.
EXACT = 1e-10


def study(holes=False):
    rng = np.random.default_rng(0)
    subject = np.repeat([f"s{k}" for k in range(12)], 3)
    table = pd.DataFrame({"subject": subject, "time": np.tile([0.0, 1.0, 2.5], 12)})
    table["group"] = np.where(np.arange(36) // 3 % 2, "patient", "control")
    data = rng.normal(size=(36, *SHAPE)) + rng.normal(size=(12, *SHAPE)).repeat(3, axis=0)
    data[:, 3, 2, 1] = 0.0  # outside the mask
    if holes:
        data[4, 0, :2, 0] = np.nan
    return table, data


def labels():
    values = np.zeros(SHAPE, dtype=np.int16)
    values[:2] = 1
    values[3, 1:] = 7
    return values


def image(values):
    made = np.asarray(values)
    plain = made if made.dtype.kind == "f" else made.astype(np.int16)
    return nib.Nifti1Image(plain, AFFINE)


def maps_of(table, data, **more):
    return Maps(table.assign(effect=[image(row) for row in data]), **more)


VERBS = {
    "lmer": lambda maps: lmer("~ time + (1 | subject)", maps, df="kenward-roger"),
    "weighted": lambda maps: lmer("~ time + (1 | subject)", maps, weights="w"),
    "lm": lambda maps: lm_maps("~ time + group", maps, cov_type="HC3"),
    "clustered": lambda maps: lm_maps("~ time", maps, cluster="subject"),
    "groups": lambda maps: lm_maps("~ time", maps, variance_groups="group"),
    "robust": lambda maps: lm_maps("~ time", maps, robust="huber"),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("holes", [False, True])
def test_a_region_is_the_fit_of_its_mean(verb, holes):
    table, data = study(holes)
    table["w"] = np.linspace(0.5, 2.0, 36)
    fit = VERBS[verb](maps_of(table, data))
    found = fit.tidy(image(labels()), names={1: "left"})
    assert found["region"].unique().tolist() == [1, 7]
    assert found["name"].unique().tolist() == ["left", ""]
    assert found.groupby("region")["n_voxels"].first().tolist() == [12, 3]
    assert found.groupby("region")["n_outside"].first().tolist() == [0, 1]
    assert set(found["summary"]) == {"fit of the mean over voxels"}
    inside = labels() * (data[0] != 0)
    means = np.stack([np.nanmean(data[:, inside == k], axis=1) for k in (1, 7)], axis=1)
    alone = VERBS[verb](Maps(table, data=means)).tidy([0, 1])
    wanted = ["estimate", "std_error", "df", "p_value", "conf_low", "conf_high"]
    np.testing.assert_allclose(found[wanted], alone[wanted], rtol=EXACT)


def test_meta_takes_the_mean_of_the_variances():
    table, data = study()
    spread = np.random.default_rng(1).uniform(0.5, 2.0, data.shape)
    table = table.assign(known=[image(row) for row in spread])
    fit = meta("~ time", maps_of(table, data, variance="known"), variance_groups="group")
    found = fit.tidy(image(labels() == 1))
    here = labels() == 1
    means, known = data[:, here].mean(axis=1)[:, None], spread[:, here].mean(axis=1)[:, None]
    alone = meta("~ time", Maps(table, data=means, variance=known), variance_groups="group")
    np.testing.assert_allclose(found["estimate"], alone.params[:, 0], rtol=EXACT)


def test_medians_and_voxels(tmp_path):
    table, data = study()
    fit = VERBS["lm"](maps_of(table, data))
    path = tmp_path / "atlas.nii.gz"
    nib.save(image(labels().astype(np.float32)), path)
    middle = fit.tidy(path, summary="median")
    inside = fit.space.mask & (labels() == 7)
    columns = [fit.space.index(*place) for place in np.argwhere(inside)]
    own = np.median(fit.params[:, columns], axis=1)
    np.testing.assert_array_equal(middle.loc[middle["region"] == 7, "estimate"], own)
    assert set(middle["summary"]) == {"median over voxels"}
    every = fit.tidy(str(path), summary="voxels")
    part = every[every["region"] == 7].reset_index(drop=True)
    pd.testing.assert_frame_equal(part[list(fit.tidy(0).columns)], fit.tidy(columns))
    mask = fit.anova().tidy(path)
    assert sorted(mask["voxel"].unique()) == np.flatnonzero(labels()[fit.space.mask]).tolist()


def test_a_region_without_a_voxel_is_told():
    table, data = study()
    fit = VERBS["lm"](maps_of(table, data))
    values = labels()
    values[3, 2, 1] = 9
    found = fit.tidy(image(values), summary="mean")
    row = found[found["region"] == 9]
    assert (row["n_voxels"] == 0).all()
    assert (row["n_outside"] == 1).all()
    assert row["estimate"].isna().all()


def test_a_place_is_a_voxel():
    table, data = study()
    fit = VERBS["lm"](maps_of(table, data))
    pd.testing.assert_frame_equal(fit.tidy((1, 2, 0)), fit.tidy(fit.space.index(1, 2, 0)))


def test_regions_of_a_surface(tmp_path):
    table, _ = study()
    rng = np.random.default_rng(2)
    paths = {"left": [], "right": []}
    values = {side: rng.normal(size=(36, 6)).astype(np.float32) for side in paths}

    def gifti(row, name):
        array = nib.gifti.GiftiDataArray(np.asarray(row, dtype=np.float32))
        side = "Left" if "left" in name else "Right"
        meta_data = nib.gifti.GiftiMetaData({"AnatomicalStructurePrimary": f"Cortex{side}"})
        whole = nib.gifti.GiftiImage(darrays=[array], meta=meta_data)
        nib.save(whole, tmp_path / name)
        return str(tmp_path / name)

    for side in paths:
        paths[side] = [gifti(row, f"{side}{k}.func.gii") for k, row in enumerate(values[side])]
    frame = table.assign(left=paths["left"], right=paths["right"])
    fit = lmer("~ time + (1 | subject)", Maps(frame, effect=("left", "right")))
    atlas = (
        gifti([0, 1, 1, 2, 0, 0], "left_a.func.gii"),
        gifti([2, 2, 0, 0, 0, 0], "right_a.func.gii"),
    )
    found = fit.tidy(atlas)
    assert found.groupby("region")["n_voxels"].first().to_dict() == {1: 2, 2: 3}
    assert set(found["summary"]) == {"fit of the mean over vertices"}
    joined = np.hstack([values["left"][:, [3]], values["right"][:, :2]]).mean(axis=1)[:, None]
    alone = lmer("~ time + (1 | subject)", Maps(table, data=joined.astype(float)))
    own = found[found["region"] == 2]["estimate"]
    # The surface's values are of single precision.
    np.testing.assert_allclose(own, alone.params[:, 0], rtol=1e-5)
    pd.testing.assert_frame_equal(fit.tidy(("left", 3)), fit.tidy(3))


def elsewhere():
    return nib.Nifti1Image(labels(), np.diag([2.0, 2, 2, 1]))


BAD = {
    "grid": (elsewhere, {}, "region is on another grid than the maps"),
    "shares": (lambda: image(labels() / 10.0), {}, "is no label: regions are whole numbers"),
    "empty": (lambda: image(labels() * 0), {}, "has no region"),
    "several": (lambda: image(np.stack([labels()] * 2, axis=-1)), {}, "region is one volume"),
    "summary": (lambda: image(labels()), {"summary": "mode"}, "summary is mean, median, voxels"),
    "names": (lambda: image(labels()), {"names": {3: "x"}}, "calls region 3"),
    "voxel": (lambda: 4, {"summary": "mean"}, "are for regions"),
    "position": (lambda: 4000, {}, "names no voxel"),
    "missing": (lambda: "atlas.nii.gz", {}, "atlas.nii.gz"),
    "outside": (
        lambda: image((np.indices(SHAPE).sum(axis=0) == 6).astype(int)),
        {},
        "no region has",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_regions_are_named(case):
    where, options, words = BAD[case]
    fit = VERBS["lm"](maps_of(*study()))
    with pytest.raises(DataError, match=words):
        fit.tidy(where(), **options)


def test_arrays_have_no_regions():
    table, data = study()
    fit = VERBS["lm"](Maps(table, data=data.reshape(36, -1)[:, :5]))
    with pytest.raises(DataError, match="needs maps that are images"):
        fit.tidy(image(labels()))
