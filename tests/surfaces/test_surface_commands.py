"""Surfaces and grayordinates through ``vx.threshold`` and the command line: the API's numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_surfaces import (
    bold,
    events,
    flat_mesh,
    func_image,
    models,
    scalars,
    surf_image,
    write,
)
from typer.testing import CliRunner

import voxlm as vx
from voxlm.cli.app import app

SIDE = {"left": (6, 7), "right": (5, 8)}
N, RUNS = 10, 6


def voxlm(*words: Any, code: int = 0) -> Any:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("commands")
    rng = np.random.default_rng(5)
    for side, size in SIDE.items():
        write(place / f"hemi-{side[0].upper()}.surf.gii", surf_image(*flat_mesh(*size)))
    rows = []
    for k in range(N):
        row = {"age": rng.normal()}
        for side, n in (("left", 42), ("right", 40)):
            values = rng.normal(0.2, 1, n)
            values[:9] += 2
            name = f"sub-{k}_hemi-{side[0].upper()}_map.func.gii"
            write(place / name, func_image(values, f"Cortex{side.title()}"))
            row[side] = name
        rows.append(row)
    pd.DataFrame(rows).to_csv(place / "maps.tsv", sep="\t", index=False)
    for run in range(RUNS):
        for k, n in enumerate((42, 40)):
            image = func_image(bold(2 * run + k, n), ("CortexLeft", "CortexRight")[k], 2.0)
            write(place / f"run-{run}_hemi-{'LR'[k]}_bold.func.gii", image)
    events().to_csv(place / "events.tsv", sep="\t", index=False)
    return place


def both(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / f"hemi-L{name}", folder / f"hemi-R{name}"


def group(folder: Path) -> vx.Contrast:
    maps = vx.Maps(folder / "maps.tsv", effect=("left", "right"), mesh=both(folder, ".surf.gii"))
    return vx.lm("~ age", maps).contrast("Intercept")


@pytest.mark.parametrize("method", ["fdr", "bonferroni", "ari"])
def test_a_saved_map_of_a_surface_is_corrected_as_the_contrast(
    folder: Path, tmp_path: Path, method: str
) -> None:
    con = group(folder)
    con.save(tmp_path / "con")
    files = tuple(tmp_path / f"con_hemi-{side}_stat-t_statmap.func.gii" for side in "LR")
    found = vx.threshold(files, method, mesh=both(folder, ".surf.gii"))
    wanted = con.correct(method)
    # The file says that it is a t, and its degrees of freedom; it holds float32.
    assert found.contrast.kind == "t"
    np.testing.assert_array_equal(np.unique(found.contrast.df), np.unique(con.df))
    assert found.contrast.text == "t of con_stat-t_statmap.func.gii"
    np.testing.assert_array_equal(found.significant, wanted.significant)
    np.testing.assert_allclose(found.p, wanted.p, rtol=1e-5)
    assert list(found.table().columns) == list(wanted.table().columns)
    again = voxlm(
        "threshold", *files, "--method", method, "--mesh", folder / "hemi-L.surf.gii", "--mesh",
        folder / "hemi-R.surf.gii", "--out", tmp_path / "out",
    )  # fmt: skip
    assert str(found) in again.stdout
    assert vx.load_verdict(tmp_path / "out") == found


def test_grayordinates_masks_and_one_hemisphere(folder: Path, tmp_path: Path) -> None:
    axis = models(np.ones(42, bool), np.ones(40, bool), np.ones((4, 3, 2), bool))
    z = np.random.default_rng(0).normal(0, 1, len(axis))
    z[:20] += 6
    file = write(tmp_path / "z.dscalar.nii", scalars(z, axis))
    inside = np.arange(len(axis)) % 3 > 0
    mask = write(tmp_path / "mask.dscalar.nii", scalars(inside.astype(float), axis))
    verdict = vx.threshold(file, "bonferroni", mask=mask)
    assert verdict.decision.n_tests == inside.sum()
    assert verdict.image("z").header.get_axis(1) == axis
    said = json.loads(voxlm("threshold", file, "--mask", mask, "--json").stdout)
    assert said["n_significant"] == vx.threshold(file, mask=mask).n_significant
    t = np.abs(z)
    con = vx.threshold(scalars(t, axis), "none", stat="t", df=9).contrast
    con.save(tmp_path / "t")
    back = vx.threshold(tmp_path / "t_stat-t_statmap.dscalar.nii", "none")
    assert (back.contrast.kind, back.contrast.df) == ("t", 9.0)
    left = vx.threshold(func_image(z[:42], "CortexLeft"), "fdr")
    assert left.contrast.space.n_voxels == 42


def test_commands_take_pairs(folder: Path, tmp_path: Path) -> None:
    mesh = [x for file in both(folder, ".surf.gii") for x in ("--mesh", file)]
    options = ["--n-perm", 39, "--forming-p", 0.05, "--seed", 2]
    voxlm(
        "group", "~ age", "--maps", folder / "maps.tsv", "--effect", "left", "--effect", "right",
        "--contrast", "Intercept", "--correct", "cluster_mass", *options, *mesh, "--out",
        tmp_path / "group",
    )  # fmt: skip
    (found,) = [path.parent for path in (tmp_path / "group").rglob("verdict.json")]
    plan = {"n_perm": 39, "forming_p": 0.05, "seed": 2}
    assert vx.load_verdict(found) == group(folder).correct("cluster_mass", **plan)
    pairs = [both(folder, "_bold.func.gii") for _ in range(RUNS)]
    pairs = [tuple(f.with_name(f"run-{k}_{f.name}") for f in pair) for k, pair in enumerate(pairs)]
    given = [x for pair in pairs for file in pair for x in ("--bold", file)]
    given += ["--events", folder / "events.tsv"] * RUNS
    result = voxlm(
        "fit", "y ~ face", "--model", "lm", *given, *mesh, "--contrast", "face", "--correct",
        "tfce", "--n-perm", 40, "--seed", 1, "--out", tmp_path / "fit",
    )  # fmt: skip
    runs = [
        vx.Run(pair, events=folder / "events.tsv", mesh=both(folder, ".surf.gii")) for pair in pairs
    ]
    wanted = vx.lm("y ~ face", runs).contrast("face").correct("tfce", n_perm=40, seed=1)
    assert str(wanted) in result.stdout
    assert (tmp_path / "fit" / "contrast-face_desc-tfce_stat-z.png").exists()


def test_what_cannot_be(folder: Path) -> None:
    left, right = both(folder, ".surf.gii")
    image = func_image(np.arange(42.0) - 20, "CortexLeft")
    with pytest.raises(vx.DataError, match="min_size counts clusters, and without the surface"):
        vx.threshold(image, min_size=3)
    with pytest.raises(vx.DataError, match="threshold takes one map; GiftiImage has 2"):
        vx.threshold(func_image(np.ones((2, 42)), "CortexLeft"))
    with pytest.raises(vx.DataError, match="mesh= goes with maps on surfaces"):
        vx.threshold("z.nii.gz", mesh=(left, right))
    with pytest.raises(vx.DataError, match="data of a surface need a mask of the same kind"):
        vx.threshold(image, mask="mask.nii.gz")
    said = voxlm("threshold", left, left, code=2).stderr
    assert "MAP is one image, or one of each hemisphere; got 2" in said
    said = voxlm("threshold", folder / "thick.func.gii", code=1).stderr
    assert "thick.func.gii" in said
    assert "neither in its name" not in said
    said = voxlm("group", "~ 1", "--maps", "m.tsv", *["--effect", "a"] * 3, code=2).stderr
    assert "--effect is one column, or one a hemisphere" in said


def test_pictures_of_surfaces_grayordinates_and_tables(folder: Path) -> None:
    pytest.importorskip("nilearn")
    con = group(folder)
    on_mesh = con.correct("none").plot()
    titles = {place.get_title() for place in on_mesh.axes}
    assert {"left lateral", "right medial", "dorsal", "ventral"} <= titles
    assert "vertices" in on_mesh.get_suptitle()
    axis = models(np.ones(42, bool), np.ones(40, bool), np.ones((4, 3, 2), bool))
    z = np.full(len(axis), 5.0)
    cortex = vx.threshold(scalars(z, axis), "none", mesh=both(folder, ".surf.gii")).plot()
    assert "24 of them beneath the cortex, not drawn" in cortex.get_suptitle().replace("\n", " ")
    with pytest.raises(vx.DataError, match="a background lies under volumes"):
        con.correct("none").plot(background=0)
    maps = vx.Maps(pd.DataFrame(index=range(9)), data=np.random.default_rng(0).normal(size=(9, 5)))
    table = vx.lm("~ 1", maps).contrast("Intercept")
    (place,) = table.correct("bonferroni").plot().axes
    heights = sorted({float(line.get_ydata()[0]) for line in place.lines})
    cut = float(table.correct("bonferroni").threshold)
    assert heights == [0.0] if np.isinf(cut) else [-cut, 0.0, cut]
    assert sum(len(c.get_offsets()) for c in place.collections) == 5
