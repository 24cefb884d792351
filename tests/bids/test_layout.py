"""Which file goes with which, on data sets of empty files: the layout rules of BIDS."""

import json
import sys
from pathlib import Path

import pytest

import voxlm as vx
from voxlm.errors import DataError, VoxlmWarning


@pytest.fixture
def tree(tmp_path):
    """Make a data set of empty files in which each name lies where BIDS wants it."""

    def make(raw=(), derived=(), pipeline="fmriprep"):
        for files, root in ((raw, tmp_path), (derived, tmp_path / "derivatives" / pipeline)):
            for name in files:
                path = root / _place(name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("{}" if name.endswith(".json") else "")
        return tmp_path

    return make


def _place(name):
    if "/" in name or not name.startswith("sub-"):
        return name
    folders = [part for part in name.split("_") if part.startswith(("sub-", "ses-"))]
    return "/".join([*folders, "func", name])


def preproc(stem):
    return f"{stem}_desc-preproc_bold.nii.gz"


def names(frame, column):
    return [path and Path(path).name for path in frame[column]]


def problems(folder, **asked):
    return list(vx.bids.files(folder, **asked).problem)


@pytest.mark.parametrize(
    ("events", "used"),
    [
        (["task-x_events.tsv"], ["task-x_events.tsv"] * 2),
        (
            ["task-x_events.tsv", "sub-01_task-x_run-2_events.tsv"],
            ["task-x_events.tsv", "sub-01_task-x_run-2_events.tsv"],
        ),
        (["sub-01_task-x_events.tsv"], ["sub-01_task-x_events.tsv"] * 2),
        (["sub-01/sub-01_task-x_events.tsv"], ["sub-01_task-x_events.tsv"] * 2),
        (
            ["sub-01_task-x_events.tsv", "sub-01_task-x_run-1_events.tsv"],
            ["sub-01_task-x_run-1_events.tsv", "sub-01_task-x_events.tsv"],
        ),
        (["sub-01_task-x_run-01_events.tsv", "sub-01_task-x_run-02_events.tsv"], None),
    ],
    ids=["top", "top-and-own", "run-absent", "subject", "more-specific", "zeros"],
)
def test_events_are_inherited(tree, events, used):
    folder = tree(events, [preproc(f"sub-01_task-x_run-{run}") for run in (1, 2)])
    found = vx.bids.files(folder)
    assert names(found, "events") == (used or events)
    assert list(found.problem) == ["", ""]


def test_events_of_another_direction_do_not_apply(tree):
    folder = tree(
        ["task-x_dir-AP_events.tsv"],
        [preproc("sub-01_task-x_dir-AP"), preproc("sub-01_task-x_dir-PA")],
    )
    found = vx.bids.files(folder)
    assert names(found, "events") == ["task-x_dir-AP_events.tsv", None]
    assert list(found.dir) == ["AP", "PA"]
    assert found.problem[0] == ""
    assert "no events go with it; looked for sub-01_task-x_dir-PA_events.tsv" in found.problem[1]
    assert "(1 of 2 runs have theirs)" in found.problem[1]


def test_acquisitions_are_runs_of_their_own(tree):
    stems = ["sub-01_task-x_acq-mb", "sub-01_task-x_acq-sb"]
    folder = tree([f"{stem}_events.tsv" for stem in stems], [preproc(stem) for stem in stems])
    assert names(vx.bids.files(folder), "events") == [f"{stem}_events.tsv" for stem in stems]
    one = vx.bids.files(folder, filters={"acq": "sb"})
    assert list(one.acq) == ["sb"]


def test_the_combined_echo_is_taken_unless_one_is_asked_for(tree):
    folder = tree(
        ["sub-01_task-x_events.tsv", "sub-01_task-x_echo-1_bold.nii.gz"],
        [
            preproc("sub-01_task-x"),
            preproc("sub-01_task-x_echo-1"),
            preproc("sub-01_task-x_echo-2"),
        ],
    )
    assert names(vx.bids.files(folder), "bold") == [preproc("sub-01_task-x")]
    second = vx.bids.files(folder, filters={"echo": 2})
    assert names(second, "bold") == [preproc("sub-01_task-x_echo-2")]
    assert names(second, "events") == ["sub-01_task-x_events.tsv"]


def test_echoes_that_nobody_combined_are_doubled(tree):
    folder = tree((), [preproc(f"sub-01_task-x_echo-{echo}") for echo in (1, 2)])
    (problem,) = problems(folder)
    assert "differ in echo: say which with filters={'echo': '1'} ('1' or '2')" in problem


def test_confounds_and_masks(tree):
    stem = "sub-01_task-x_run-1"
    folder = tree(
        (),
        [
            preproc(f"{stem}_space-A_res-2"),
            f"{stem}_space-A_res-2_desc-brain_mask.nii.gz",
            f"{stem}_space-A_res-1_desc-brain_mask.nii.gz",
            f"{stem}_desc-brain_mask.nii.gz",
            f"{stem}_desc-confounds_regressors.tsv",
            f"{stem}_desc-confounds_timeseries.tsv",
        ],
    )
    found = vx.bids.files(folder)
    assert names(found, "mask") == [f"{stem}_space-A_res-2_desc-brain_mask.nii.gz"]
    assert names(found, "confounds") == [f"{stem}_desc-confounds_timeseries.tsv"]
    assert list(found.problem) == [""]  # nobody has events: rest


def test_every_missing_file_is_named(tree):
    stems = [f"sub-0{n}_task-x" for n in (1, 2, 3)]
    folder = tree(
        [f"{stem}_bold.nii.gz" for stem in stems] + [f"{stems[0]}_events.tsv"],
        [preproc(stem) for stem in stems[:2]]
        + [f"{stems[0]}_desc-confounds_timeseries.tsv", f"{stems[1]}_desc-brain_mask.nii.gz"],
    )
    with pytest.raises(DataError) as caught:
        vx.bids.runs(folder)
    said = str(caught.value)
    assert said.startswith(f"3 of 3 runs in {folder} and ")
    for line in (
        "sub-01_task-x_desc-preproc_bold.nii.gz: no mask goes with it; looked for "
        "sub-01_task-x_desc-brain_mask.nii.gz (1 of 2 runs have theirs)",
        "sub-02_task-x_desc-preproc_bold.nii.gz: no events go with it; looked for "
        "sub-02_task-x_events.tsv",
        "sub-02_task-x_desc-preproc_bold.nii.gz: no confounds goes with it; looked for "
        "sub-02_task-x_desc-confounds_timeseries.tsv",
        "sub-03_task-x_bold.nii.gz: no preprocessed image of it fits what was asked for",
    ):
        assert line in said


def test_hemispheres_are_one_run(tree):
    sides = [f"sub-01_task-x_hemi-{side}_space-fsaverage5_bold.func.gii" for side in "LR"]
    found = vx.bids.files(tree((), sides))
    (bold,) = found.bold
    assert [bold["left"].name, bold["right"].name] == sides
    assert (found.space[0], "hemi" in found) == ("fsaverage5", False)


def test_half_a_pair_is_a_problem(tree):
    folder = tree((), ["sub-01_task-x_hemi-L_space-fsaverage5_bold.func.gii"])
    assert "there is no file of hemisphere R beside it" in problems(folder)[0]


def test_surfaces_and_grayordinates_of_one_space_differ_by_extension(tree):
    stem = "sub-01_task-x"
    folder = tree(
        (),
        [f"{stem}_hemi-{side}_space-fsLR_den-91k_bold.func.gii" for side in "LR"]
        + [f"{stem}_space-fsLR_den-91k_bold.dtseries.nii"],
    )
    asked = {"space": "fsLR", "filters": {"extension": ".dtseries.nii"}}
    assert names(vx.bids.files(folder, **asked), "bold") == [
        f"{stem}_space-fsLR_den-91k_bold.dtseries.nii"
    ]
    assert "say which" in problems(folder)[0]


def test_two_pipelines_have_to_be_told_apart(tree):
    tree((), [preproc("sub-01_task-x")])
    folder = tree((), [preproc("sub-01_task-x"), "sub-01_task-x_desc-brain_mask.nii.gz"], "other")
    with pytest.raises(DataError, match="2 data sets of derivatives hold such images"):
        vx.bids.files(folder)
    found = vx.bids.files(folder, derivatives="fmriprep")
    assert names(found, "mask") == [None]


def test_tables_may_come_from_another_pipeline(tree):
    tree((), ["sub-01_task-x_desc-confounds_timeseries.tsv"])
    folder = tree((), ["sub-01_task-x_desc-denoised_bold.nii.gz"], "xcpd")
    found = vx.bids.files(folder, derivatives=["xcpd", "fmriprep"], filters={"desc": "denoised"})
    assert names(found, "confounds") == ["sub-01_task-x_desc-confounds_timeseries.tsv"]


def test_several_tasks_have_to_be_named(tree):
    folder = tree((), [preproc("sub-01_task-x"), preproc("sub-01_task-rest")])
    with pytest.raises(DataError, match=r"2 tasks, rest \(1\), x \(1\): say which"):
        vx.bids.files(folder)
    assert list(vx.bids.files(folder, task=["x", "rest"]).task) == ["rest", "x"]


def test_runs_are_in_natural_order(tree):
    folder = tree((), [preproc(f"sub-{s}_task-x_run-{r}") for s in (10, 9) for r in (10, 2)])
    found = vx.bids.files(folder)
    assert list(zip(found["sub"], found["run"], strict=True)) == [
        ("9", "2"),
        ("9", "10"),
        ("10", "2"),
        ("10", "10"),
    ]


def test_a_folder_with_nothing_in_it(tmp_path):
    with pytest.raises(DataError, match="no folders sub-"):
        vx.bids.runs(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        vx.bids.runs(tmp_path / "gone")


def test_raw_data_alone_want_to_be_asked_for(tree):
    folder = tree(["sub-01_task-x_bold.nii.gz"])
    with pytest.raises(DataError, match="derivatives=False"):
        vx.bids.files(folder)


def test_broken_runs_are_left_out_on_request(tmp_path):
    made = vx.simulate.bids_dataset(tmp_path, n_subjects=2, n_scans=50)
    gone = next(tmp_path.glob("sub-02/func/*events.tsv"))
    gone.unlink()
    with pytest.warns(VoxlmWarning, match=rf"1 of 2 runs .* left out:\n .*{gone.name}"):
        found = vx.bids.runs(made.folder, missing="leave out")
    assert list(found) == ["sub-01"]


def test_shared_events_serve_all(tmp_path):
    made = vx.simulate.bids_dataset(tmp_path, n_subjects=2, n_scans=50, shared_events=True)
    found = vx.bids.runs(made.folder)
    first, second = (runs[0].events for runs in found.values())
    assert first.equals(second)


def test_timing_from_the_raw_sidecar_where_derivatives_do_not_say(tmp_path):
    made = vx.simulate.bids_dataset(tmp_path, n_subjects=1, n_scans=50, slice_time_ref=0.25)
    (sidecar,) = made.derivatives.glob("sub-01/func/*bold.json")
    (run,) = vx.bids.runs(made.folder)["sub-01"]
    assert run.clock.slice_time_ref == 0.25
    sidecar.write_text(json.dumps({"SliceTimingCorrected": True}))
    (run,) = vx.bids.runs(made.folder)["sub-01"]
    assert (run.tr, run.clock.slice_time_ref) == (2.0, 0.5)
    (run,) = vx.bids.runs(made.folder, slice_time_ref=0.0)["sub-01"]
    assert run.clock.slice_time_ref == 0.0


def test_without_bids2table(tmp_path, monkeypatch):
    made = vx.simulate.bids_dataset(tmp_path, n_subjects=1, n_scans=50)
    monkeypatch.setitem(sys.modules, "bids2table", None)
    with pytest.raises(DataError, match=r"pip install 'voxlm\[bids\]'"):
        vx.bids.runs(made.folder)


def test_folders_with_dots_in_their_names(tmp_path):
    made = vx.simulate.bids_dataset(tmp_path / "ds000114-1.0.1", n_subjects=2, n_scans=50)
    folder = made.derivatives.rename(made.derivatives.with_name("fmriprep-23.1.3"))
    for place in (made.folder, folder):
        (run,) = vx.bids.runs(place, subjects="02")["sub-02"]
        assert run.inputs[0].path.is_relative_to(folder)
        assert run.events is not None
