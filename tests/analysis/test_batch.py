"""A model over a data set: what is finished is kept, what fails is named, nothing is half there."""

import re
import shutil
import signal
import subprocess
import sys
import time

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import voxlm as vx
from voxlm.errors import DataError
from voxlm.simulate import bids_dataset

MODEL = {
    "formula": "y ~ face + house + csf",
    "noise": "ols",
    "contrasts": {"faceVsHouse": "face - house", "any": "face, house"},
    "group": {"formula": "effect ~ group", "contrasts": {"patients": "group[T.patient]"}},
}
EFFECT = (
    "sub-{}_task-faces_space-MNI152NLin2009cAsym_contrast-faceVsHouse_stat-effect_statmap.nii.gz"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Four people with two runs each."""
    return bids_dataset(tmp_path_factory.mktemp("study"), n_subjects=4, n_runs=2, n_scans=50).folder


@pytest.fixture(scope="module", autouse=True)
def no_pictures():
    """Pictures are tested elsewhere, and cost more than these fits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("voxlm.report.can_draw", lambda *_: False)
        yield


@pytest.fixture
def study(made, tmp_path):
    """Return a copy that a test may spoil."""
    return shutil.copytree(made, tmp_path / "study")


@pytest.fixture(scope="module")
def finished(made, tmp_path_factory):
    out = tmp_path_factory.mktemp("results") / "out"
    return out, vx.Model(**MODEL).run(made, out)


def states(outcome):
    return [one.state for one in (*outcome.subjects, *outcome.groups)]


def files(out):
    return {p.relative_to(out): p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()}


def test_a_subject_is_what_its_own_fit_gives(made, finished):
    out, outcome = finished
    assert states(outcome) == ["done"] * 5
    assert outcome.failed == {}
    runs = vx.bids.runs(made)["sub-02"]
    con = vx.lm("y ~ face + house + csf", runs).contrast("face - house")
    saved = nib.load(out / "sub-02" / "func" / EFFECT.format("02")).get_fdata()
    np.testing.assert_allclose(saved[con.space.mask], con.effect, rtol=1e-6, atol=1e-6)


def test_the_group_is_what_its_verb_gives_on_the_maps(made, finished):
    out, _ = finished
    table = pd.read_csv(made / "participants.tsv", sep="\t")
    labels = table.participant_id.str.removeprefix("sub-")
    table["effect"] = [str(out / f"sub-{s}" / "func" / EFFECT.format(s)) for s in labels]
    con = vx.lm("effect ~ group", vx.Maps(table)).contrast("group[T.patient]")
    (saved,) = (out / "group" / "contrast-faceVsHouse").glob("*contrast-patients_stat-t_statmap*gz")
    values = nib.load(saved).get_fdata()[con.space.mask]
    good = np.isfinite(con.t)
    np.testing.assert_allclose(values[good], con.t[good], rtol=1e-5)
    listed = out / "group" / "maps.tsv"
    assert vx.Maps(listed, variance="variance").n_maps == 4


def test_what_is_finished_is_kept(made, finished):
    out, _ = finished
    before = files(out)
    assert states(vx.Model(**MODEL, name="other").run(made, out)) == ["kept"] * 5
    changed = {p for p, t in files(out).items() if before.get(p) != t}
    assert {p.name for p in changed} <= {"model.toml"}


def test_what_has_changed_is_done_again_and_leaves_nothing_behind(study, tmp_path):
    out = tmp_path / "out"
    vx.Model(**MODEL).run(study, out)
    for path in study.rglob("sub-03_task-faces_run-1*confounds*.tsv"):
        path.write_text(path.read_text().replace("0.1", "0.2"))
    again = vx.Model(**MODEL).run(study, out)
    assert states(again) == ["kept", "kept", "done", "kept", "done"]
    touched = next(study.rglob("sub-02_task-faces_run-1_events.tsv"))
    touched.write_bytes(touched.read_bytes())  # a new time, the same content
    assert states(vx.Model(**MODEL).run(study, out)) == ["kept"] * 5
    lost = next(out.rglob("sub-04*stat-effect*.nii.gz"))
    lost.unlink()
    assert states(vx.Model(**MODEL).run(study, out, level="subject"))[3] == "done"
    fewer = vx.Model(**{**MODEL, "contrasts": {"faceVsHouse": "face - house"}})
    assert states(fewer.run(study, out)) == ["done"] * 5
    assert not list(out.rglob("*contrast-any*"))


def test_a_subject_that_fails_is_named_and_the_others_go_on(study, tmp_path):
    next(study.rglob("sub-02_task-faces_run-2_events.tsv")).unlink()
    (bold,) = study.rglob("sub-03_task-faces_run-1_space*desc-preproc_bold.nii.gz")
    bold.write_bytes(bold.read_bytes()[:30_000])
    out = tmp_path / "out"
    outcome = vx.Model(**MODEL).run(study, out)
    assert states(outcome) == ["done", "failed", "failed", "done"]
    assert "no events" in outcome.failed["sub-02"]
    assert bold.name in outcome.failed["sub-03"]
    assert "sub-02, sub-03 failed" in outcome.skipped
    assert not list(out.glob("**/sub-02*"))
    assert not list(out.glob("**/sub-03*"))
    assert not list(out.parent.glob(".*.out"))
    there = vx.Model(**{**MODEL, "group": {"formula": "effect ~ 1"}})
    some = there.run(study, out, level="group")
    assert states(some) == ["kept", "failed", "failed", "kept", "done"]


def test_a_model_leaves_subjects_out_and_a_command_names_some(study, tmp_path):
    left_out = vx.Model(**{**MODEL, "data": {"exclude": ["sub-02"]}, "group": []})
    assert [o.name for o in left_out.run(study, tmp_path / "a").subjects] == [
        "sub-01", "sub-03", "sub-04",
    ]  # fmt: skip
    one = vx.Model(**MODEL).run(study, tmp_path / "b", subjects=["sub-01"])
    assert states(one) == ["done"]
    assert "only some subjects" in one.skipped


def test_an_interrupt_leaves_whole_subjects_and_goes_on(made, tmp_path):
    """With two workers, whose files are those of one process."""
    vx.Model(**MODEL, smoothing_fwhm=9).to_toml(tmp_path / "model.toml")
    out = tmp_path / "out"
    command = [
        sys.executable, "-m", "voxlm", "run", tmp_path / "model.toml", "--bids", made,
        "--out", out, "--workers", "2",
    ]  # fmt: skip
    command = [str(part) for part in command]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 240
    while not list(out.glob("sub-*/*_provenance.json")) and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in told
    assert "Traceback" not in told
    assert not list(tmp_path.glob(".*.out"))
    done = len(list(out.glob("sub-*/*_provenance.json")))
    assert len(list(out.glob("sub-*"))) == done
    model = vx.Model.load(tmp_path / "model.toml")
    whole = [path.parent.name for path in out.glob("sub-*/*_provenance.json")]
    again = model.run(made, out)
    assert states(again).count("kept") == done
    assert again.failed == {}
    model.run(made, tmp_path / "alone", subjects=whole[:1])
    for path in (tmp_path / "alone").rglob("*_statmap.nii.gz"):
        other = out / path.relative_to(tmp_path / "alone")
        np.testing.assert_array_equal(nib.load(path).get_fdata(), nib.load(other).get_fdata())


def test_check_names_everything_that_is_wrong(study):
    next(study.rglob("sub-02_task-faces_run-2_events.tsv")).unlink()
    table = next(study.rglob("sub-04_task-faces_run-1_events.tsv"))
    table.write_text(table.read_text().replace("house", "hosue", 1))
    people = pd.read_csv(study / "participants.tsv", sep="\t")
    people[people.participant_id != "sub-03"].to_csv(
        study / "participants.tsv", sep="\t", index=False
    )
    images = list(study.rglob("*_bold.nii.gz"))
    for image in images:  # only headers are whole
        image.write_bytes(image.read_bytes()[:20_000])
    wrong = {**MODEL, "contrasts": {"a": "face - hose", "b": "face - house"}}
    found = vx.Model(**wrong).check(study)
    assert list(found.columns) == ["subject", "run", "problem", "place", "level"]
    rows = found.set_index(["subject", "place"]).problem
    assert "did you mean 'house'" in rows[("sub-01", "contrasts.a")].iloc[0]
    missing = found[(found.subject == "sub-02")]
    assert missing.run.str.contains("run-2").any()
    assert missing.problem.str.contains("no events").any()
    typo = found[(found.subject == "sub-04") & found.place.str.endswith("events.tsv")]
    assert "'hosue'" in typo.problem.iloc[0]
    assert "did you mean 'house'" in typo.problem.iloc[0]
    assert typo.level.tolist() == ["warning"]  # it may be meant
    assert "no row for sub-03" in found[found.subject == "group"].problem.iloc[0]


def test_check_passes_what_is_well(made):
    assert vx.Model(**MODEL).check(made).empty
    allowed = {**MODEL, "data": {"trial_types": ["face"]}}
    found = vx.Model(**allowed).check(made)
    assert set(found.subject) == {"sub-01", "sub-02", "sub-03", "sub-04"}
    assert found.problem.str.contains("not among data.trial_types").all()


@pytest.mark.parametrize(
    ("group", "says"),
    [
        ({"formula": "effect ~ agee"}, "did you mean 'age'?"),
        ({"formula": "effect ~ group", "contrasts": ["group[T.patent]"]}, "group[T.patient]"),
        ({"formula": "effect ~ 1", "of": ["any"]}, "joint test"),
        ({"formula": "effect ~ age + (1 | subject)", "model": "lmer"}, "as many levels"),
        ({"formula": "effect ~ group", "participants": "none.tsv"}, "does not exist"),
    ],
)
def test_the_group_is_checked_without_a_map(made, group, says):
    found = vx.Model(**{**MODEL, "group": group}).check(made)
    assert len(found) == 1
    assert says in found.problem.iloc[0]


def test_repeated_measures_of_several_contrasts_are_one_model(made, tmp_path):
    group = {
        "formula": "effect ~ contrast + (1 | subject)",
        "model": "lmer",
        "together": True,
        "of": ["face", "house"],
        "contrasts": {"difference": "contrast[T.house]"},
    }
    model = vx.Model(**{**MODEL, "contrasts": ["face", "house"], "group": group})
    assert model.check(made).empty
    outcome = model.run(made, tmp_path / "out")
    assert outcome.failed == {}
    assert len(list((tmp_path / "out" / "group").glob("*contrast-difference_stat-t_*.nii.gz"))) == 1


def test_another_programs_folder_is_refused(made):
    with pytest.raises(DataError, match="made by"):
        vx.Model(**MODEL).run(made, made / "derivatives" / "fmriprep")


def test_a_page_is_written_where_it_is_asked_for(made, tmp_path, monkeypatch):
    """Pages have tests of their own; here, that they are part of what is finished."""
    asked = []

    def page(self, path, contrasts, **options):
        asked.append((sorted(contrasts), options["title"]))
        path.write_text("<html>")
        return path

    monkeypatch.setattr(vx.FixedEffects, "report", page)
    monkeypatch.setattr(vx.GroupFit, "report", page)
    out, model = tmp_path / "out", vx.Model(**MODEL, data={"subjects": ["01", "02", "03", "04"]})
    assert states(model.run(made, out)) == ["done"] * 5
    assert states(model.run(made, out, report=True)) == ["done"] * 5
    assert asked[0] == (["any", "faceVsHouse"], "sub-01")
    assert len(list(out.rglob("*.html"))) == 5
    assert states(model.run(made, out, report=True)) == ["kept"] * 5


def test_files_beside_the_images_are_part_of_what_is_done(study, tmp_path):
    """An image that the formula names, and what a table's sidecar says of its columns."""
    for path in study.rglob("*space*desc-preproc_bold.nii.gz"):
        image = nib.load(path)
        rng = np.random.default_rng(len(path.name))
        own = nib.Nifti1Image(rng.normal(size=image.shape).astype(np.float32), image.affine)
        sub, run = re.search(r"sub-(\d+).*run-(\d)", path.name).groups()
        nib.save(own, tmp_path / f"own_{sub}_{run}.nii")
    named = str(tmp_path / "own_{sub}_{run}.nii")
    model = vx.Model(formula=f'y ~ face + voxel("{named}")', noise="ols", contrasts=["face"])
    assert model.check(study).empty
    out = tmp_path / "out"
    assert states(model.run(study, out)) == ["done"] * 4
    own = tmp_path / "own_02_1.nii"
    image = nib.load(own)
    nib.save(nib.Nifti1Image(2 * image.get_fdata(dtype=np.float32) + 1, image.affine), own)
    (sidecar,) = study.rglob("sub-03_task-faces_run-1*confounds*.json")
    sidecar.write_text(sidecar.read_text().rstrip()[:-1] + ', "new": {}}')
    assert states(model.run(study, out)) == ["kept", "done", "done", "kept"]
    own.unlink()
    assert "no such file" in model.check(study).problem.iloc[0]


def test_participants_without_images_are_told(study):
    people = study / "participants.tsv"
    row = people.read_text().splitlines()[-1].replace("sub-04", "sub-05")
    people.write_text(people.read_text().rstrip() + f"\n{row}\n")
    found = vx.Model(**MODEL).check(study)
    assert found.subject.tolist() == ["sub-05"]
    assert found.level.tolist() == ["warning"]
    assert vx.Model(**MODEL, data={"exclude": ["05"]}).check(study).empty


def test_the_mask_of_a_group_lies_in_the_data_set_and_is_part_of_what_is_done(study, tmp_path):
    group = {**MODEL["group"], "mask": "grey_mask.nii.gz"}
    model = vx.Model(**{**MODEL, "group": group})
    assert "grey_mask.nii.gz does not exist" in model.check(study).problem.iloc[0]
    brain = nib.load(next(study.rglob("*desc-brain_mask.nii.gz")))
    inside = np.asarray(brain.dataobj)
    for first in (5, 7):
        part = inside.copy()
        part[:first] = 0
        nib.save(nib.Nifti1Image(part, brain.affine), study / "grey_mask.nii.gz")
        outcome = model.run(study, tmp_path / "out")
        assert outcome.groups[0].state == "done"
        found = next((tmp_path / "out" / "group").rglob("mask.nii.gz"), None)
        found = found or next((tmp_path / "out" / "group").rglob("*_mask.nii.gz"))
        assert int(np.asarray(nib.load(found).dataobj).sum()) == int(part.sum())
    assert model.run(study, tmp_path / "out").groups[0].state == "kept"
