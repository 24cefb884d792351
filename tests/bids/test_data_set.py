"""The runs of a data set are found with what goes with them, by the layout rules of BIDS."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import voxlm as vx
from voxlm.errors import DataError

MNI = "MNI152NLin2009cAsym"


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Two people, one run each, in one space."""
    return vx.simulate.bids_dataset(tmp_path_factory.mktemp("plain"), n_subjects=2, n_scans=50)


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    """Two people, two sessions of two runs, two spaces in two resolutions."""
    return vx.simulate.bids_dataset(
        tmp_path_factory.mktemp("rich"),
        n_subjects=2,
        sessions=["a", "b"],
        n_runs=2,
        n_scans=50,
        spaces=[MNI, "native"],
        resolutions={"2": 10.0, "3": 12.0},
    )


def names(frame, column):
    return [path and Path(path).name for path in frame[column]]


def test_runs_carry_their_tables_timing_and_entities(plain):
    found = vx.bids.runs(plain.folder)
    assert list(found) == ["sub-01", "sub-02"]
    (run,) = found["sub-02"]
    assert run.entities == {"sub": "02", "task": "faces", "space": MNI, "desc": "preproc"}
    assert (run.tr, run.clock.slice_time_ref) == (2.0, 0.5)
    roles = {"bold", "mask", "sidecar", "events", "confounds", "confounds sidecar"}
    assert {file.role for file in run.inputs} == roles
    assert "trans_x" in run.confounds
    assert run.confounds.attrs["sidecar"]["a_comp_cor_00"]["Mask"] == "combined"


def test_a_hand_made_run_has_no_entities():
    assert vx.Run(np.ones((5, 2)), tr=2.0).entities == {}


def test_the_truth_comes_back(plain):
    runs = vx.bids.runs(plain.folder)
    truth = plain.truths[MNI]
    where = truth.labels == 1 + truth.regions.index("face")
    for person, amplitude in zip(runs, plain.participants.amplitude, strict=True):
        fit = vx.lm("y ~ face + house + motion", runs[person][0])
        effect = np.asarray(fit.contrast("face").effect)[where].mean()
        assert effect == pytest.approx(amplitude * truth.effects["face"][where].mean(), abs=0.5)


def test_sessions_runs_and_resolutions(rich):
    found = vx.bids.runs(rich.folder, space="native", filters={"res": 2})
    assert list(found) == [f"sub-{s}_ses-{t}" for s in ("01", "02") for t in "ab"]
    assert [run.entities["run"] for run in found["sub-01_ses-a"]] == ["1", "2"]
    grids = {run.scans.source.grid for runs in found.values() for run in runs}
    coarse = vx.bids.runs(rich.folder, space="native", filters={"res": 3}, sessions="ses-b")
    assert list(coarse) == ["sub-01_ses-b", "sub-02_ses-b"]
    assert grids != {run.scans.source.grid for runs in coarse.values() for run in runs}


def test_a_space_has_to_be_named_where_there_are_several(rich):
    with pytest.raises(DataError, match=rf"2 spaces, {MNI} \(16\), native \(16\): say which"):
        vx.bids.runs(rich.folder)


def test_two_resolutions_are_said_once(rich):
    with pytest.raises(DataError, match=r"each of 8 runs .* differ in res: .*\{'res': '2'\}"):
        vx.bids.runs(rich.folder, space="native")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"task": "face"}, "no image of task 'face'; did you mean 'faces'"),
        ({"space": "T1w"}, f"no image of space 'T1w'; known names: {MNI}"),
        ({"subjects": ["01", "3"]}, "no subject '3'; known names: 01, 02"),
        ({"sessions": "a"}, "no image of session 'a'"),
        ({"filters": {"rez": "2"}}, "'rez' is no entity of BIDS; did you mean 'res'"),
        ({"filters": {"desc": "smoothed"}}, r"has desc 'smoothed'. There are desc: preproc \(2\)"),
        ({"filters": [("res", "2")]}, "filters is a dict"),
        ({"derivatives": "fmripep"}, "did you mean 'fmriprep'"),
        ({"missing": "skip"}, "missing must be"),
        ({"space": ["a", "b"]}, "space is one label"),
    ],
)
def test_what_cannot_be_found_is_said(plain, asked, said):
    with pytest.raises(DataError, match=said):
        vx.bids.runs(plain.folder, **asked)


def test_derivatives_as_the_data_set(plain):
    inside = vx.bids.files(plain.derivatives)
    assert inside.equals(vx.bids.files(plain.folder))


def test_derivatives_elsewhere(plain, tmp_path):
    shutil.copytree(plain.derivatives, tmp_path / "prep")
    found = vx.bids.files(plain.folder, derivatives=tmp_path / "prep")
    assert all(str(path).startswith(str(tmp_path)) for path in found.bold)
    assert names(found, "events") == [f"sub-0{n}_task-faces_events.tsv" for n in (1, 2)]


def test_raw_images_on_request(plain):
    found = vx.bids.runs(plain.folder, derivatives=False, subjects="01")
    (run,) = found["sub-01"]
    assert run.tr == 2.0  # from the sidecar at the top
    assert (run.entities, run.confounds) == ({"sub": "01", "task": "faces"}, None)
