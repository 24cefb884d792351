"""A run: what it takes, what it refuses, what it says of itself."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pickle
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from voxlm.bids.run import Run, check_sample_mask
from voxlm.errors import DataError
from voxlm.images import stream
from voxlm.images.scans import Scans
from voxlm.images.space import Table, Volume

SHAPE, N_SCANS = (6, 5, 4), 12
EVENTS = pd.DataFrame({"onset": [2.0, 8.0], "duration": 2.0, "trial_type": ["face", "house"]})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run with a sidecar, a mask, events and confounds, by BIDS names."""
    rng = np.random.default_rng(0)
    bold = nib.Nifti1Image(
        rng.normal(1000, 10, (*SHAPE, N_SCANS)).astype(np.float32), np.diag([3.0, 3, 3, 1])
    )
    bold.header.set_xyzt_units("mm", "sec")
    bold.header["pixdim"][4] = 2.0
    nib.save(bold, tmp_path / "sub-01_bold.nii.gz")
    inside = (rng.random(SHAPE) < 0.5).astype(np.uint8)
    nib.save(nib.Nifti1Image(inside, bold.affine), tmp_path / "mask.nii.gz")
    (tmp_path / "sub-01_bold.json").write_text(json.dumps({"RepetitionTime": 2.0}))
    EVENTS.to_csv(tmp_path / "events.tsv", sep="\t", index=False)
    motion = pd.DataFrame(rng.normal(size=(N_SCANS, 2)), columns=["trans_x", "rot_x"])
    motion.to_csv(tmp_path / "confounds.tsv", sep="\t", index=False)
    return tmp_path


def made(folder: Path, **changes: object) -> Run:
    given: dict[str, object] = {
        "bold": folder / "sub-01_bold.nii.gz",
        "events": folder / "events.tsv",
        "confounds": folder / "confounds.tsv",
        "mask": folder / "mask.nii.gz",
    }
    return Run(**(given | changes))  # type: ignore[arg-type]


def test_a_run_from_files(folder: Path) -> None:
    run = made(folder)
    assert (run.name, run.n_scans, run.tr) == ("sub-01_bold.nii.gz", N_SCANS, 2.0)
    np.testing.assert_array_equal(run.clock.times, 2.0 * np.arange(N_SCANS))
    assert run.events["trial_type"].tolist() == ["face", "house"]
    assert list(run.confounds.columns) == ["trans_x", "rot_x"]
    assert isinstance(run.scans, Scans)
    assert isinstance(run.space, Volume)
    assert run.notes == ()
    inside = nib.load(folder / "mask.nii.gz").get_fdata() > 0
    expected = nib.load(folder / "sub-01_bold.nii.gz").get_fdata()[inside].T
    np.testing.assert_array_equal(
        np.concatenate([rows for _, rows in run.scans.blocks()]), expected
    )


def test_paths_as_text_and_images_give_the_same(folder: Path) -> None:
    by_path, by_image = (
        made(folder, bold=bold, mask=mask)
        for bold, mask in [
            (str(folder / "sub-01_bold.nii.gz"), str(folder / "mask.nii.gz")),
            (nib.load(folder / "sub-01_bold.nii.gz"), nib.load(folder / "mask.nii.gz")),
        ]
    )
    np.testing.assert_array_equal(by_path.scans.read([0, 3]), by_image.scans.read([0, 3]))


def test_no_voxel_is_read_before_it_is_needed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("voxels were read")

    monkeypatch.setattr(stream, "_open_stream", refuse)
    run = made(folder, mask=None)
    assert "mask computed" in repr(run)
    with pytest.raises(AssertionError, match="voxels were read"):
        run.scans  # noqa: B018


def test_the_header_is_put_right_in_memory(folder: Path) -> None:
    (folder / "sub-01_bold.json").unlink()
    with pytest.raises(DataError, match=r"contradictory: 3 s .*, 2 s "):
        made(folder, tr=3.0)
    image = nib.load(folder / "sub-01_bold.nii.gz")
    image.header["pixdim"][4] = 3.0
    run = made(folder, bold=image, tr=3.0)
    assert run.tr == 3.0
    assert run.scans.source.path is not None


def test_the_sidecar_contradicts(folder: Path) -> None:
    (folder / "sub-01_bold.json").write_text(json.dumps({"RepetitionTime": 2.5}))
    with pytest.raises(DataError, match=r"2\.5 s \(sidecar sub-01_bold\.json\), 2 s \(header"):
        made(folder)


def test_start_time_is_pointed_out(folder: Path) -> None:
    content = {"RepetitionTime": 2.0, "StartTime": 1.0}
    (folder / "sub-01_bold.json").write_text(json.dumps(content))
    assert "suggests slice_time_ref=0.5; 0 is used" in made(folder).notes[0]
    assert made(folder, slice_time_ref=0.5).notes == ()


def test_a_computed_mask_is_told(folder: Path) -> None:
    data = np.zeros((20, 20, 20, 5), dtype=np.float32)
    data[5:15, 5:15, 5:15] = 100
    image = nib.Nifti1Image(data, np.eye(4))
    run = Run(image, tr=2.0)
    assert f"one computed from the mean image has {run.space.n_voxels:,} of 8,000" in run.notes[-1]
    assert run.scans is run.scans


def test_inputs_have_sizes_and_hashes(folder: Path) -> None:
    run = made(folder)
    assert [record.role for record in run.inputs] == [
        "bold",
        "mask",
        "sidecar",
        "events",
        "confounds",
    ]
    for record in run.inputs:
        content = record.path.read_bytes()
        assert record.size == len(content)
        assert record.sha256 == hashlib.sha256(content).hexdigest()
    run.inputs[3].path.write_text("changed")
    with pytest.raises(DataError, match="has changed since it was opened"):
        run.inputs[3].sha256  # noqa: B018


def test_arrays() -> None:
    data = np.random.default_rng(0).normal(100, 1, (N_SCANS, 9))
    run = Run(data, EVENTS, tr=2.0)
    assert run.space == Table(9)
    assert run.scans.array is not None
    assert (run.name, run.inputs, run.notes) == ("array", (), ())
    assert Run(data).tr is None
    assert Run(data).clock.n_scans == N_SCANS
    assert "as if they were 1 s apart" in Run(data).notes[0]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"events": EVENTS}, "an array needs tr="),
        ({"mask": "mask.nii.gz"}, "mask= goes with images"),
        ({"smoothing_fwhm": 6}, "smoothing_fwhm= goes with images"),
    ],
)
def test_what_arrays_cannot_have(changes: dict[str, object], says: str) -> None:
    with pytest.raises(DataError, match=says):
        Run(np.ones((N_SCANS, 3)), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"scaling": "precent"}, r"scaling must be .*did you mean 'percent'"),
        ({"slice_time_ref": 1.5}, "slice_time_ref is a fraction"),
        ({"smoothing_fwhm": -3}, "smoothing_fwhm is one width"),
        ({"tr": 0.0}, "tr must be a positive number"),
        ({"bold": ["a.nii", "b.nii"]}, "list of 2 files; a Run is one run"),
        ({"bold": None}, r"bold must be a path .* got NoneType"),
        ({"mask": np.ones(SHAPE)}, r"wrap it: nibabel\.Nifti1Image"),
        ({"bold": "/nowhere/bold.nii.gz"}, "there is no folder /nowhere"),
        ({"bold": "nowhere.nii.gz"}, r"nowhere\.nii\.gz does not exist"),
        ({"mask": "nowhere.nii.gz"}, r"mask nowhere\.nii\.gz does not exist"),
        ({"events": "nowhere.tsv"}, r"events nowhere\.tsv does not exist"),
        ({"confounds": pd.DataFrame({"a": np.ones(5)})}, "has 5 rows, but the run has 12 scans"),
        ({"sample_mask": np.ones(5, dtype=bool)}, "has 5 booleans, but the run has 12"),
    ],
)
def test_what_is_refused_when_a_run_is_made(
    folder: Path, changes: dict[str, object], says: str
) -> None:
    with pytest.raises(DataError, match=says):
        made(folder, **changes)


def test_a_mask_on_another_grid_is_refused_at_once(folder: Path) -> None:
    other = nib.Nifti1Image(np.ones(SHAPE, dtype=np.uint8), np.eye(4))
    with pytest.raises(DataError, match="another grid"):
        made(folder, mask=other)


def test_scans_to_keep() -> None:
    assert check_sample_mask(None, 4) is None
    expected = [True, False, True, False]
    for given in ([0, 2], expected, np.array([0, 2])):
        assert check_sample_mask(given, 4).tolist() == expected  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("keep", "says"),
    [
        ([0, 4], "names scan 4; the run's scans go from 0 to 3"),
        ([-1], "names scan -1"),
        ([2, 1], "increasing order"),
        ([1, 1], "increasing order"),
        ([False] * 4, "keeps no scan"),
        ([], "booleans or the numbers"),
        ([0.5], "booleans or the numbers"),
        ([[0, 1]], "booleans or the numbers"),
    ],
)
def test_scans_that_cannot_be_kept(keep: object, says: str) -> None:
    with pytest.raises(DataError, match=says):
        check_sample_mask(keep, 4)  # type: ignore[arg-type]


def test_frozen_and_nothing_given_is_changed(folder: Path) -> None:
    events = EVENTS.copy()
    run = made(folder, events=events)
    with pytest.raises(dataclasses.FrozenInstanceError):
        run.tr = 3.0  # type: ignore[misc]
    assert run.events is not events
    pd.testing.assert_frame_equal(events, EVENTS)


def test_a_run_can_be_sent_to_another_process(folder: Path) -> None:
    run = made(folder, smoothing_fwhm=4)
    again = pickle.loads(pickle.dumps(run))
    np.testing.assert_array_equal(again.scans.read([1]), run.scans.read([1]))
    assert repr(again) == repr(run)


def test_repr_says_what_it_is(folder: Path) -> None:
    assert repr(made(folder, smoothing_fwhm=6, sample_mask=range(3, 12))) == (
        "Run(sub-01_bold.nii.gz: 12 scans of 6×5×4, mask mask.nii.gz, tr 2 s, 2 events of face, "
        "house, 2 confounds, smoothing (6.0, 6.0, 6.0) mm, 9 scans kept, scaling percent)"
    )


@pytest.mark.parametrize("fwhm", [None, 6])
def test_scans_of_nothing_but_nan(folder: Path, fwhm: float | None) -> None:
    data = np.random.default_rng(0).normal(1000, 10, (*SHAPE, N_SCANS))
    data[..., 4] = np.nan
    data[..., 7] = np.inf
    data[0, 0, 0, 2] = np.nan
    image = nib.Nifti1Image(data, np.diag([3.0, 3, 3, 1]))
    mask = nib.Nifti1Image(np.ones(SHAPE, dtype=np.uint8), image.affine)
    with pytest.raises(DataError, match=r"scans 4, 7 \(counted from 0\) hold no finite value"):
        list(Run(image, mask=mask, tr=2.0, smoothing_fwhm=fwhm).scans.blocks())
    kept = [t for t in range(N_SCANS) if t not in (4, 7)]
    run = Run(image, mask=mask, tr=2.0, smoothing_fwhm=fwhm, sample_mask=kept)
    assert sum(len(rows) for _, rows in run.scans.blocks()) == N_SCANS
    if fwhm is None:
        columns = data.reshape(-1, N_SCANS).T
        with pytest.raises(DataError, match="scans 4, 7"):
            Run(columns)
        assert Run(columns, sample_mask=kept).n_scans == N_SCANS
