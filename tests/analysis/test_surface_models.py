"""A model file over surfaces and over grayordinates: subjects, group and pages."""

import json
import re

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nibabel.cifti2 import BrainModelAxis, Cifti2Image, SeriesAxis

import voxlm as vx

T, N, SHAPE = 60, 12, (3, 3, 2)
MODEL = {
    "formula": "y ~ face + house",
    "noise": "ols",
    "contrasts": {"faceVsHouse": "face - house"},
    "group": {"formula": "effect ~ group", "contrasts": {"patients": "group[T.patient]"}},
}


def sheet():
    """A strip of 12 vertices in two rows, and its triangles."""
    i, j = np.divmod(np.arange(N), 2)
    a = np.arange(0, N - 2, 2)
    faces = np.concatenate([np.c_[a, a + 1, a + 2], np.c_[a + 1, a + 3, a + 2]])
    return np.c_[i, j, 0 * i].astype(np.float32), faces.astype(np.int32)


def write_mesh(path):
    points, faces = sheet()
    arrays = [
        nib.gifti.GiftiDataArray(points, intent="NIFTI_INTENT_POINTSET"),
        nib.gifti.GiftiDataArray(faces, intent="NIFTI_INTENT_TRIANGLE"),
    ]
    nib.save(nib.gifti.GiftiImage(darrays=arrays), path)


def write_series(func, sub, rng):
    """Write one person's run on both hemispheres, and as grayordinates."""
    stem, about = f"sub-{sub}_task-faces", json.dumps({"RepetitionTime": 2.0, "StartTime": 1.0})
    rows = rng.normal(100, 1, (T, 2 * N)).astype(np.float32)
    for side, some in (("L", rows[:, :N]), ("R", rows[:, N:])):
        name = f"{stem}_hemi-{side}_space-fsaverage5_bold"
        arrays = [nib.gifti.GiftiDataArray(row) for row in some]
        nib.save(nib.gifti.GiftiImage(darrays=arrays), func / f"{name}.func.gii")
        (func / f"{name}.json").write_text(about)
    whole = np.ones(N, dtype=bool)
    axis = BrainModelAxis.from_mask(whole, "CortexLeft")
    axis = axis + BrainModelAxis.from_mask(whole, "CortexRight")
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    axis = axis + BrainModelAxis.from_mask(np.ones(SHAPE, bool), "thalamus_left", affine)
    below = rng.normal(100, 1, (T, int(np.prod(SHAPE)))).astype(np.float32)
    image = Cifti2Image(np.concatenate([rows, below], axis=1), (SeriesAxis(0, 2.0, T), axis))
    image.nifti_header.set_intent("NIFTI_INTENT_CONNECTIVITY_DENSE_SERIES")
    name = f"{stem}_space-fsLR_den-91k_bold"
    nib.save(image, func / f"{name}.dtseries.nii")
    (func / f"{name}.json").write_text(about)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Four people, each on surfaces and as grayordinates."""
    made = vx.simulate.bids_dataset(tmp_path_factory.mktemp("study"), n_subjects=4, n_scans=T)
    for k in range(1, 5):
        func = made.derivatives / f"sub-{k:02d}" / "func"
        write_series(func, f"{k:02d}", np.random.default_rng([0, k]))
    for side in "LR":
        write_mesh(made.folder / f"hemi-{side}_pial.surf.gii")
    return made.folder


@pytest.mark.parametrize(("space", "end"), [("fsaverage5", ".func.gii"), ("fsLR", ".dscalar.nii")])
@pytest.mark.parametrize("meshed", [False, True], ids=["alone", "meshed"])
def test_subjects_and_their_group_are_what_the_verbs_give(made, tmp_path, space, end, meshed):
    mesh = {"mesh": ["hemi-L_pial.surf.gii", "hemi-R_pial.surf.gii"]} if meshed else {}
    model, out = vx.Model(**MODEL, **mesh, data={"space": space}), tmp_path / "out"
    assert model.check(made).empty
    outcome = model.run(made, out)
    assert outcome.failed == {}
    assert model.run(made, out).table().state.tolist() == ["kept"] * 5
    for folder in (out / "group", out / "sub-01"):
        surfaces = [made / name for name in mesh.get("mesh", ())] or None
        page = vx.report_saved(folder, tmp_path / "r.html", correct="none", mesh=surfaces)
        said = page.read_text(encoding="utf-8")
        assert ("vertices" if space == "fsaverage5" else "grayordinates") + " significant" in said
        assert ("on the surface" in said) == meshed
    listed = pd.read_csv(out / "group" / "maps.tsv", sep="\t")
    runs = vx.bids.runs(made, space=space)
    fits = [vx.lm(MODEL["formula"], runs[f"sub-{k:02d}"][0]) for k in range(1, 5)]
    maps = vx.Maps.from_fits(fits, "face - house", listed[["group"]])
    wanted = vx.lm("effect ~ group", maps).contrast("group[T.patient]").t
    folder = out / "group" / "contrast-faceVsHouse"
    files = sorted(folder.glob(f"*contrast-patients_stat-t_statmap{end}"))
    assert len(files) == (2 if space == "fsaverage5" else 1)
    found = np.concatenate([np.ravel(read(path)) for path in files])
    np.testing.assert_allclose(found, wanted, rtol=1e-4)
    pair = ("effect_left", "effect_right") if space == "fsaverage5" else "effect"
    again = vx.lm("effect ~ group", vx.Maps(out / "group" / "maps.tsv", effect=pair))
    np.testing.assert_allclose(again.contrast("group[T.patient]").t, wanted, rtol=1e-4)


def read(path):
    image = nib.load(path)
    return image.darrays[0].data if path.name.endswith(".gii") else image.get_fdata()


@pytest.mark.parametrize("meshed", [False, True], ids=["alone", "meshed"])
@pytest.mark.parametrize("space", ["fsaverage5", "fsLR"])
def test_pages_draw_what_has_a_place_and_say_what_has_none(made, tmp_path, space, meshed):
    mesh = {"mesh": tuple(made / f"hemi-{side}_pial.surf.gii" for side in "LR")} if meshed else {}
    runs = [
        vx.bids.runs(made, space=space)[f"sub-{k:02d}"][0].reread(**mesh, scaling=None)
        for k in (1, 2, 3)
    ]
    fits = [vx.lm("y ~ face", run) for run in runs]
    group = vx.lm("effect ~ 1", vx.Maps.from_fits(fits, "face"))
    unit = "vertices" if space == "fsaverage5" else "grayordinates"
    for fit, contrast in ((fits[0], "face"), (group, "Intercept")):
        page = fit.report(tmp_path / "r.html", [contrast], correct="none", alpha=0.5)
        said = page.read_text(encoding="utf-8")
        assert f"{unit} significant" in said
        assert re.search(r"\bvoxels significant|\d voxels\b", said) is None
        assert ("on the surface" in said) == meshed
        assert ("The cortex is not drawn" in said) != meshed
        assert ("in axial slices" in said) == (space == "fsLR")
