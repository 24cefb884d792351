"""Results in BIDS names: the files, their sidecars, the data set they make."""

import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import voxlm as vx
from voxlm.bids.names import ORDER, Name
from voxlm.errors import DataError

MNI = "MNI152NLin2009cAsym"
CONTRASTS = {"face vs house": "face - house", "any": "face, house"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return vx.simulate.bids_dataset(
        tmp_path_factory.mktemp("study"),
        n_subjects=2,
        sessions=["a", "b"],
        n_scans=50,
        resolutions={"3": 12.0},
    )


@pytest.fixture(scope="module")
def out(made, tmp_path_factory):
    """One run of each person and session, all in one folder."""
    folder = tmp_path_factory.mktemp("derivatives") / "voxlm"
    for runs in vx.bids.runs(made.folder).values():
        vx.glsar("y ~ face + house", runs[0]).save(folder, CONTRASTS)
    return folder


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_names(out):
    func = out / "sub-02" / "ses-b" / "func"
    stem = f"sub-02_ses-b_task-faces_space-{MNI}_res-3"
    maps = [f"contrast-faceVsHouse_stat-{stat}" for stat in ("effect", "se", "t", "z", "p")]
    maps += [f"contrast-any_stat-{stat}" for stat in ("effect", "se", "F", "z", "p")]
    maps += [f"stat-{stat}" for stat in ("rsquared", "variance", "rho")]
    expected = {f"{stem}_{name}_statmap{end}" for name in maps for end in (".nii.gz", ".json")}
    expected |= {f"{stem}_desc-fitted_mask{end}" for end in (".nii.gz", ".json")}
    expected |= {f"{stem}_design{end}" for end in (".tsv", ".json", ".png")}
    assert {path.name for path in func.iterdir()} == expected | {f"{stem}_provenance.json"}
    assert {path.name for path in out.iterdir()} == {
        "dataset_description.json",
        ".bidsignore",
        "sub-01",
        "sub-02",
    }


def test_sidecars(out, made):
    (z,) = out.glob("sub-01/ses-a/func/*faceVsHouse_stat-z_statmap.json")
    about = read(z)
    assert about["Contrast"] == "face - house"
    assert about["Hypothesis"] == ["face - house = 0"]
    assert about["Resolution"]
    assert about["DegreesOfFreedom"] == 45  # 49 whitened scans less 2 conditions, drift, constant
    bold = f"sub-01/ses-a/func/sub-01_ses-a_task-faces_space-{MNI}_res-3_desc-preproc_bold.nii.gz"
    assert f"bids:fmriprep:{bold}" in about["Sources"]
    links = {"fmriprep": made.derivatives, made.folder.name: made.folder}
    for source in about["Sources"]:
        _, data_set, place = source.split(":")
        assert (links[data_set] / place).is_file()
    F = read(next(out.glob("sub-01/ses-a/func/*any_stat-F_statmap.json")))
    assert F["NumeratorDegreesOfFreedom"] == 2


def test_every_column_of_the_design_is_described(out):
    (table,) = out.glob("sub-01/ses-a/func/*_design.tsv")
    columns = pd.read_csv(table, sep="\t").columns
    about = read(table.with_suffix(".json"))
    assert list(about) == list(columns)
    assert about["face"]["Role"] == "task"
    assert about["constant"]["Role"] == "constant"


def test_intents(out):
    for stat, code in {"t": "t test", "z": "z score", "effect": "estimate", "p": "p value"}.items():
        (path,) = out.glob(f"sub-01/ses-a/func/*faceVsHouse_stat-{stat}_statmap.nii.gz")
        assert nib.load(path).header.get_intent()[0] == code


def test_the_data_set_describes_itself(out, made):
    about = read(out / "dataset_description.json")
    assert about["DatasetType"] == "derivative"
    assert about["GeneratedBy"][0]["Name"] == "voxlm"
    assert about["DatasetLinks"] == {
        "fmriprep": made.derivatives.as_uri(),
        made.folder.name: made.folder.as_uri(),
    }


def test_bids_itself_has_no_objection(out):
    """Names that .bidsignore does not list fit the BIDS schema, and sidecars say what it asks."""
    schema = pytest.importorskip("bidsschematools.schema").load_schema()
    patterns = (out / ".bidsignore").read_text().split()
    files = [path for path in out.glob("sub-*/**/*") if path.is_file()]
    rest = [path for path in files if not any(path.match(pattern) for pattern in patterns)]
    assert {path.name.split("_")[-1] for path in rest} == {"mask.nii.gz", "mask.json"}
    rule = schema.rules.files.deriv.imaging.func_mask
    short = {schema.objects.entities[entity].name: level for entity, level in rule.entities.items()}
    order = [schema.objects.entities[entity].name for entity in schema.rules.entities]
    for path in rest:
        name = Name.of(path)
        assert name.suffix in rule.suffixes
        assert name.extension in rule.extensions
        assert path.parent.name in rule.datatypes
        assert set(name.entities) <= set(short)
        assert list(name.entities) == sorted(name.entities, key=order.index)
    for path in files:
        if path.match("*_statmap.json") or path.match("*_mask.json"):
            about = read(path)
            assert {"Description", "Sources", "SpatialReference", "Resolution"} <= set(about)
            assert ("SkullStripped" in about) == path.match("*_statmap.json")


def test_order_of_entities_is_the_schemas():
    schema = pytest.importorskip("bidsschematools.schema").load_schema()
    order = [schema.objects.entities[entity].name for entity in schema.rules.entities]
    assert [key for key in ORDER if key in order] == order


def test_runs_together_are_named_by_what_they_share(made, tmp_path):
    runs = [run for runs in vx.bids.runs(made.folder, subjects="01").values() for run in runs]
    vx.lm("y ~ face", runs).save(tmp_path / "out", "face")
    places = {path.relative_to(tmp_path / "out").as_posix() for path in tmp_path.rglob("*.nii.gz")}
    stem = f"space-{MNI}_res-3"
    assert f"sub-01/func/sub-01_task-faces_{stem}_contrast-face_stat-t_statmap.nii.gz" in places
    for ses in "ab":
        name = f"sub-01_ses-{ses}_task-faces_{stem}_stat-variance_statmap.nii.gz"
        assert f"sub-01/ses-{ses}/func/{name}" in places


def test_runs_of_one_name_have_folders(made, tmp_path):
    run = vx.bids.runs(made.folder, subjects="01", sessions="a")["sub-01_ses-a"][0]
    vx.lm("y ~ face", [run, run]).save(tmp_path / "out", "face")
    (first,) = tmp_path.glob("out/run-01/sub-01/ses-a/func/*_design.tsv")
    assert first.is_file()


def test_what_the_last_save_wrote_goes(made, tmp_path):
    first, second = (r[0] for r in vx.bids.runs(made.folder, sessions="a").values())
    out = tmp_path / "out"
    vx.lm("y ~ face", second).save(out, "face")
    others = set(out.glob("sub-02/**/*"))
    fit = vx.glsar("y ~ face + house", first)
    fit.save(out, ["face", "house"])
    mine = out / "sub-01" / "ses-a" / "func" / "notes_statmap.txt"
    mine.write_text("kept")
    vx.lm("y ~ face", first).save(out, ["face"])
    left = {path.name for path in out.glob("sub-01/**/*") if path.is_file()}
    assert mine.name in left
    assert not [name for name in left if "contrast-house" in name or "stat-rho" in name]
    assert [name for name in left if "contrast-face_stat-t" in name]
    assert set(out.glob("sub-02/**/*")) == others
    record = read(next(out.glob("sub-01/**/*_provenance.json")))
    assert all((out / name).is_file() for name in record["files"])


def test_plain_names_are_renewed_too(made, tmp_path):
    run = vx.Run(np.random.default_rng(0).normal(size=(40, 5)) + 100, tr=2.0)
    assert not run.entities
    out = tmp_path / "out"
    fit = vx.lm("y ~ 1", run)
    fit.save(out, {"a": "constant", "b": "constant"})
    fit.save(out, {"b": "constant"})
    assert {path.name for path in out.glob("contrast-*")} == {
        f"contrast-b_stat-{stat}_statmap.npy" for stat in ("effect", "se", "t", "z", "p")
    }


def test_a_manifest_cannot_reach_outside(tmp_path):
    run = vx.Run(np.random.default_rng(0).normal(size=(40, 5)) + 100, tr=2.0)
    out, bystander = tmp_path / "out", tmp_path / "bystander.txt"
    bystander.write_text("here")
    vx.lm("y ~ 1", run).save(out)
    record = read(out / "provenance.json")
    record["files"] += ["../bystander.txt", str(bystander), 5]
    (out / "provenance.json").write_text(json.dumps(record))
    vx.lm("y ~ 1", run).save(out)
    assert bystander.read_text() == "here"


def test_the_data_set_of_another_program_is_refused(made):
    before = (made.derivatives / "dataset_description.json").read_text()
    run = vx.bids.runs(made.folder, subjects="01", sessions="a")["sub-01_ses-a"][0]
    with pytest.raises(DataError, match=r"made by voxlm\.simulate; save results in a folder of"):
        vx.lm("y ~ face", run).save(made.derivatives, "face")
    assert (made.derivatives / "dataset_description.json").read_text() == before


def test_names_that_differ_in_case_only(made, tmp_path):
    run = vx.bids.runs(made.folder, subjects="01", sessions="a")["sub-01_ses-a"][0]
    with pytest.raises(DataError, match="would both be written"):
        vx.lm("y ~ face", run).save(tmp_path / "out", {"Face": "face", "face": "face"})


@pytest.mark.parametrize("entities", [None, {"task": "faces", "space": MNI}], ids=["plain", "bids"])
def test_groups(entities, tmp_path):
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"subject": np.repeat(list("abcdefgh"), 3), "age": rng.normal(size=24)})
    maps = vx.Maps(table, data=rng.normal(size=(24, 4)) + np.repeat(rng.normal(size=8), 3)[:, None])
    fit = vx.lmer("effect ~ age + (1 | subject)", maps)
    fit.save(tmp_path / "out", ["age"], entities=entities)
    start = f"task-faces_space-{MNI}_" if entities else ""
    t = np.load(tmp_path / "out" / f"{start}contrast-age_stat-t_statmap.npy")
    np.testing.assert_array_equal(t, fit.contrast("age").t)
    icc = np.load(tmp_path / "out" / f"{start}stat-icc_statmap.npy")
    np.testing.assert_array_equal(icc, fit.icc)
    record = read(tmp_path / "out" / f"{start}provenance.json")
    assert (record["model"], record["random"]) == ("lmer", ["(1 | subject)"])
    assert record["contrasts"]["age"]["text"] == "age"
    assert (tmp_path / "out" / "dataset_description.json").exists() == bool(entities)
    if entities:
        about = read(tmp_path / "out" / f"{start}contrast-age_stat-t_statmap.json")
        assert about["DegreesOfFreedom"] == "differ by voxel"
        assert about["Sources"] == []  # the maps were an array
