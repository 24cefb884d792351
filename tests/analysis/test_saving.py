"""What is written, that all of it is, and that nothing is when something fails."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import voxlm as vx
from voxlm import report
from voxlm.analysis import save as saving
from voxlm.errors import ContrastError, DataError
from voxlm.images.space import Volume

FORMULA = "y ~ face + house + motion"
MODEL_FILES = {
    "design.tsv",
    "design.png",
    "mask.nii.gz",
    "stat-rsquared_statmap.nii.gz",
    "stat-variance_statmap.nii.gz",
    "stat-rho_statmap.nii.gz",
    "provenance.json",
}


def maps_of(name: str, kind: str) -> set[str]:
    return {
        f"contrast-{name}_stat-{stat}_statmap.nii.gz" for stat in ("effect", "se", kind, "z", "p")
    }


@pytest.fixture(scope="module")
def fit(odd_study: Any) -> vx.Fit:
    return vx.glsar(FORMULA, odd_study.run())


@pytest.fixture(scope="module")
def out(fit: vx.Fit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "deep" / "out"
    assert fit.save(folder, {"diff": "face - house", "any": "face, house"}) == folder
    return folder


def test_the_files(out: Path) -> None:
    expected = MODEL_FILES | maps_of("diff", "t") | maps_of("any", "F")
    assert {path.name for path in out.iterdir()} == expected
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    assert (out / "design.png").read_bytes().startswith(b"\x89PNG")


def test_maps_hold_the_numbers(out: Path, fit: vx.Fit, odd_study: Any) -> None:
    con = fit.contrast("face - house")
    z = nib.load(out / "contrast-diff_stat-z_statmap.nii.gz")
    assert z.get_data_dtype() == np.float32
    assert z.header.get_intent()[0] == "z score"
    np.testing.assert_array_equal(z.affine, nib.load(odd_study.bold).affine)
    np.testing.assert_array_equal(z.get_fdata()[odd_study.inside], con.z.astype(np.float32))
    t = nib.load(out / "contrast-diff_stat-t_statmap.nii.gz")
    assert t.header.get_intent()[:2] == ("t test", (fit.df_resid,))
    F = nib.load(out / "contrast-any_stat-F_statmap.nii.gz")
    assert F.header.get_intent()[:2] == ("f test", (2.0, fit.df_resid))
    rho = nib.load(out / "stat-rho_statmap.nii.gz").get_fdata()[odd_study.inside]
    np.testing.assert_array_equal(rho, fit.rho[0].astype(np.float32))


def test_the_mask_is_of_fitted_voxels(out: Path, fit: vx.Fit, odd_study: Any) -> None:
    mask = np.asarray(nib.load(out / "mask.nii.gz").dataobj)
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask[odd_study.inside] == 1, np.isfinite(fit.scale))
    assert mask.sum() == odd_study.inside.sum() - 4
    assert not mask[~odd_study.inside].any()


def test_the_design_can_be_read_back(out: Path, fit: vx.Fit) -> None:
    frame = pd.read_csv(out / "design.tsv", sep="\t", index_col=0)
    np.testing.assert_allclose(frame.to_numpy(), fit.design.matrix, rtol=1e-14, atol=1e-300)
    assert list(frame.columns) == list(fit.design.names)
    np.testing.assert_allclose(frame.index, fit.run.clock.times)


def test_provenance(out: Path, fit: vx.Fit, odd_study: Any) -> None:
    record = json.loads((out / "provenance.json").read_text(encoding="utf-8"))
    assert record["model"] == "glsar"
    assert record["noise"] == {"model": "ar", "order": 1, "maxiter": 3, "rtol": 1e-4}
    (run,) = record["runs"]
    assert run["formula"] == fit.formula
    assert "cosine(1/128)" in run["formula"]
    assert run["columns"] == list(fit.design.names)
    assert (run["tr"], run["slice_time_ref"], run["scaling"]) == (2.0, 0.0, "percent")
    assert (run["n_scans"], run["n_scans_kept"], run["df_resid"]) == (90, 90, fit.df_resid)
    inside = int(odd_study.inside.sum())
    assert run["voxels"]["in_mask"] == inside
    assert run["voxels"]["fitted"] == inside - 4
    assert sum(run["voxels"]["left_out"].values()) == 4
    given = {file["role"]: file for file in run["inputs"]}
    for role in ("bold", "events", "confounds", "mask"):
        path = Path(given[role]["path"])
        content = path.read_bytes()
        assert path == getattr(odd_study, role)
        assert given[role]["bytes"] == len(content)
        assert given[role]["sha256"] == hashlib.sha256(content).hexdigest()
    assert record["contrasts"]["diff"] == {
        "text": "face - house",
        "statistic": "t",
        "rows": ["face - house = 0"],
        "df": fit.df_resid,
        "df_num": 1,
    }
    assert record["contrasts"]["any"]["statistic"] == "F"
    for package in ("voxlm", "numpy", "nibabel", "numba"):
        assert record["versions"][package] == version(package)


def test_the_sidecar_is_an_input(new_study: Any, tmp_path: Path) -> None:
    study = new_study(4)
    sidecar = study.bold.with_name("sub-01_task-faces_bold.json")
    sidecar.write_text('{"RepetitionTime": 2.0}', encoding="utf-8")
    vx.lm("y ~ face", study.run()).save(tmp_path / "out")
    record = json.loads((tmp_path / "out" / "provenance.json").read_text(encoding="utf-8"))
    assert "sidecar" in [file["role"] for file in record["runs"][0]["inputs"]]
    assert record["noise"] == {"model": "independent"}


def test_runs_have_folders(odd_study: Any, tmp_path: Path) -> None:
    fixed = vx.lm(FORMULA, [odd_study.run(), odd_study.run()])
    fixed.save(tmp_path / "out", "face - house")
    names = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*")}
    model = MODEL_FILES - {"provenance.json", "stat-rho_statmap.nii.gz"}
    runs = {f"run-0{k}/{name}" for k in (1, 2) for name in model}
    assert names == runs | maps_of("faceMinusHouse", "t") | {"provenance.json"}
    record = json.loads((tmp_path / "out" / "provenance.json").read_text(encoding="utf-8"))
    assert len(record["runs"]) == 2
    assert record["contrasts"]["faceMinusHouse"]["df"] == fixed.df_resid


def test_arrays_are_saved_too(odd_study: Any, tmp_path: Path) -> None:
    fit = vx.lm(FORMULA, odd_study.array_run())
    fit.save(tmp_path / "out", ["face"])
    assert np.load(tmp_path / "out" / "mask.npy").sum() == fit.n_voxels - 4
    saved = np.load(tmp_path / "out" / "contrast-face_stat-t_statmap.npy")
    np.testing.assert_array_equal(saved, fit.contrast("face").t)


@pytest.mark.parametrize("already_there", [False, True])
@pytest.mark.parametrize("fails_at", [1, 5, 9])
def test_a_failure_midway_leaves_nothing(
    fit: vx.Fit,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fails_at: int,
    already_there: bool,
) -> None:
    out = tmp_path / "out"
    if already_there:
        out.mkdir()
        (out / "mine.txt").write_text("mine", encoding="utf-8")
        (out / "mask.nii.gz").write_text("old", encoding="utf-8")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    real, calls = Volume.write, []

    def failing(*args: Any, **kwargs: Any) -> Path:
        calls.append(args)
        if len(calls) == fails_at:
            raise OSError(28, "No space left on device")
        return real(*args, **kwargs)

    monkeypatch.setattr(Volume, "write", failing)
    with pytest.raises(OSError, match="No space left"):
        fit.save(out, ["face", "face, house"])
    assert len(calls) == fails_at
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    assert out.exists() == already_there


@pytest.mark.parametrize("step", ["provenance", "plot_design"])
def test_a_failure_of_the_last_steps(
    fit: vx.Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def failing(*args: Any) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(saving if step == "provenance" else report, step, failing, raising=False)
    with pytest.raises(KeyboardInterrupt):
        fit.save(tmp_path / "out")
    assert not [*tmp_path.iterdir()]


def test_wrong_contrasts_are_refused_first(fit: vx.Fit, tmp_path: Path) -> None:
    for contrasts, error, says in (
        ("fce", ContrastError, "did you mean 'face'"),
        (["face", "face"], DataError, "would both be written as contrast-face"),
        (5, DataError, "contrasts are texts or Contrasts"),
    ):
        with pytest.raises(error, match=says):
            fit.save(tmp_path / "out", contrasts)
    assert not [*tmp_path.iterdir()]


def test_places_that_are_taken(fit: vx.Fit, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is a file; give the name of a folder"):
        fit.save(tmp_path / "file")
    with pytest.raises(DataError, match="is a file, not a folder"):
        fit.save(tmp_path / "file" / "out")


def test_inputs_that_changed_since(new_study: Any, tmp_path: Path) -> None:
    study = new_study(5)
    fit = vx.lm("y ~ face", study.run())
    study.events.write_text(study.events.read_text() + "170.0\t4.0\tface\t0.5\n", encoding="utf-8")
    with pytest.raises(DataError, match="has changed since it was opened"):
        fit.save(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_saving_twice_replaces(fit: vx.Fit, tmp_path: Path) -> None:
    fit.save(tmp_path / "out", ["face"])
    (tmp_path / "out" / "mask.nii.gz").write_bytes(b"")
    fit.save(tmp_path / "out", ["house"])
    assert nib.load(tmp_path / "out" / "mask.nii.gz").shape == fit.run.space.shape
    record = json.loads((tmp_path / "out" / "provenance.json").read_text(encoding="utf-8"))
    assert list(record["contrasts"]) == ["house"]


def test_json_is_strict_where_voxels_have_no_df(tmp_path: Path) -> None:
    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON")

    values = np.random.default_rng(0).normal(size=(8, 4))
    values[:, 0] = np.nan
    table = pd.DataFrame({"subject": list("aabbccdd"), "x": [0.0, 1.0] * 4})
    maps = vx.Maps(table, data=values, variance=np.ones((8, 4)))
    mixed = vx.lmer("~ x + (1 | subject)", maps)
    for fit in (vx.lm("~ x", maps), vx.meta("~ x", maps, method="fe"), mixed):
        fit.save(tmp_path / fit.model, contrasts=["x"], entities={"task": fit.model})
    for path in tmp_path.rglob("*.json"):
        json.loads(path.read_text(), parse_constant=refuse)
    found = json.loads(next((tmp_path / "meta").glob("*provenance.json")).read_text())
    assert found["contrasts"]["x"]["df"] is None
