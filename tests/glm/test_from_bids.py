"""Models of everybody in a data set: nilearn's own answers, and the right ones where it errs."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nilearn._utils.data_gen import create_fake_bids_dataset
from nilearn.glm.first_level import first_level_from_bids as theirs

import voxlm as vx
from voxlm.glm.first_level import FirstLevelModel
from voxlm.glm.first_level import first_level_from_bids as ours

PREP = {"derivatives_folder": "derivatives/fmriprep"}
SAME_MAP = 1e-6  # the parity that the face promises


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return vx.simulate.bids_dataset(
        tmp_path_factory.mktemp("study"), n_subjects=2, n_runs=2, n_scans=60, slice_time_ref=0.25
    )


def test_the_same_as_nilearn_and_the_same_maps(made):
    chosen = {"confounds_strategy": ("motion",), "confounds_motion": "basic", **PREP}
    chosen["signal_scaling"] = False  # nilearn scales int16 in single precision
    found, known = (f(made.folder, "faces", **chosen) for f in (ours, theirs))
    for mine, nilearns in zip(found[0], known[0], strict=True):
        assert (mine.t_r, mine.slice_time_ref) == (nilearns.t_r, nilearns.slice_time_ref)
        assert mine.subject_label == nilearns.subject_label
    assert found[1] == known[1]
    for a, b in zip(found[2] + found[3], known[2] + known[3], strict=True):
        for one, other in zip(a, b, strict=True):
            pd.testing.assert_frame_equal(one, other)
    fits = [
        models[0].fit(images[0], events[0], tables[0])
        for models, images, events, tables in (found, known)
    ]
    maps = []
    for fit in fits:
        with pytest.warns(RuntimeWarning, match="same contrast will be used"):
            maps.append(fit.compute_contrast("face - house").get_fdata())
    inside = fits[0].mask_img_.get_fdata() > 0
    np.testing.assert_allclose(maps[0][inside], maps[1][inside], rtol=SAME_MAP, atol=SAME_MAP)


@pytest.mark.parametrize("n_ses", [0, 2])
@pytest.mark.parametrize("asked", [{"space_label": "MNI"}, {"img_filters": [("run", "02")]}])
def test_the_same_files_as_nilearn(tmp_path, n_ses, asked):
    folder = create_fake_bids_dataset(tmp_path, n_sub=2, n_ses=n_ses, tasks=["main"], n_runs=[2])
    asked = {"space_label": "T1w", "slice_time_ref": 0.0, **asked}
    asked["img_filters"] = [*asked.get("img_filters", []), ("desc", "preproc")]
    found, known = (f(folder, "main", **asked) for f in (ours, theirs))
    assert found[1] == known[1]
    for a, b in zip(found[2] + found[3], known[2] + known[3], strict=True):
        for one, other in zip(a, b, strict=True):
            pd.testing.assert_frame_equal(one, other)


def test_every_person_has_their_own_mask(made):
    """02: nilearn gives the first person's mask to all."""
    paths = sorted(made.derivatives.glob("sub-*/func/*_mask.nii.gz"))
    whole = nib.load(paths[0])
    for number, path in enumerate(paths):
        inside = np.asarray(whole.dataobj).astype(np.uint8)
        inside[: 4 + number // 2] = 0  # the second person lacks one slab more
        nib.save(nib.Nifti1Image(inside, whole.affine), path)
    models, *_ = ours(made.folder, "faces", mask_img="derivatives", **PREP)
    sizes = [int(model.mask_img.get_fdata().sum()) for model in models]
    expected = [int(nib.load(paths[k]).get_fdata().sum()) for k in (0, 2)]
    assert sizes == expected
    assert sizes[0] > sizes[1]


def test_scrubbed_scans_are_left_out(made):
    """21: nilearn drops the sample masks that a scrubbing strategy gives."""
    (path, *_) = sorted(made.derivatives.glob("sub-01/func/*confounds_timeseries.tsv"))
    table = pd.read_csv(path, sep="\t")
    table["framewise_displacement"] = np.where(np.isin(np.arange(60), [20, 21, 40]), 3.0, 0.0)
    table.to_csv(path, sep="\t", index=False, na_rep="n/a")
    models, images, events, confounds = ours(
        made.folder,
        "faces",
        confounds_strategy=("motion", "scrub"),
        confounds_scrub=0,
        confounds_fd_threshold=1.0,
        confounds_std_dvars_threshold=100.0,
        **PREP,
    )
    kept = confounds[0][0].attrs["sample_mask"]
    assert set(range(60)) - set(kept) == {20, 21, 40}
    fitted = models[0].fit(images[0], events[0], confounds[0])
    assert [len(design) for design in fitted.design_matrices_] == [57, 60]
    given = FirstLevelModel(t_r=2.0, slice_time_ref=0.25).fit(
        images[0][0], events[0][0], confounds[0][0].copy(), sample_masks=kept
    )
    pd.testing.assert_frame_equal(given.design_matrices_[0], fitted.design_matrices_[0])


def test_no_strategy_and_unknown_options(made):
    with pytest.raises(RuntimeError, match="Unknown keyword arguments"):
        ours(made.folder, "faces", confounds_motion="basic", **PREP)
    with pytest.raises(RuntimeError, match="No subject found"):
        ours(made.folder, "faces", sub_labels=["09"], derivatives_folder="derivatives/fmriprep")
