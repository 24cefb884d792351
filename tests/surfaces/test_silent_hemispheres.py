"""Files of a hemisphere whose names do not say which, and what is said of vertices."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_surfaces import flat_mesh, func_image, models, scalars, surf_image, write
from typer.testing import CliRunner

import voxlm as vx
from voxlm.cli.app import app

ROWS, COLUMNS, N = 6, 7, 12
V = ROWS * COLUMNS


def voxlm(*words: Any, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return re.sub(r"[\s│]+", " ", result.output)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("silent")
    rng = np.random.default_rng(3)
    mesh = flat_mesh(ROWS, COLUMNS, 2.0)
    write(place / "known.surf.gii", surf_image(*mesh, "CortexRight"))
    write(place / "surface.surf.gii", surf_image(*mesh))
    z = np.where(np.arange(V) < 9, 5.0, rng.uniform(-1, 1, V))
    write(place / "map.func.gii", func_image(z))
    write(place / "right.func.gii", func_image(z, "CortexRight"))
    write(place / "mask.shape.gii", func_image(np.arange(V) < 30))
    names = []
    for k in range(N):
        values = rng.standard_normal(V) + 3 * (np.arange(V) < 9)
        names.append(f"sub-{k}.func.gii")
        write(place / names[-1], func_image(values))
    pd.DataFrame({"effect": names, "age": rng.normal(size=N)}).to_csv(
        place / "maps.tsv", sep="\t", index=False
    )
    return place


def test_the_header_says_it_where_the_name_does_not(folder: Path) -> None:
    verdict = vx.threshold(folder / "right.func.gii", mesh=folder / "known.surf.gii")
    assert set(verdict.table()["hemisphere"]) == {"right"}
    assert "9 of 42 vertices significant" in voxlm("threshold", folder / "right.func.gii")


def test_a_mesh_that_says_it_says_it_of_the_map(folder: Path) -> None:
    image, mask = folder / "map.func.gii", folder / "mask.shape.gii"
    verdict = vx.threshold(image, mesh=folder / "known.surf.gii", mask=mask)
    assert set(verdict.table()["hemisphere"]) == {"right"}
    assert "9 of 30 vertices" in repr(verdict)
    surface = {"left": folder / "surface.surf.gii"}
    assert set(vx.threshold(image, mesh=surface).table()["hemisphere"]) == {"left"}


def test_a_map_that_says_it_says_it_of_the_mesh(folder: Path) -> None:
    verdict = vx.threshold(folder / "right.func.gii", mesh=folder / "surface.surf.gii")
    assert set(verdict.table()["hemisphere"]) == {"right"}


def test_where_nothing_says_it_the_option_does(folder: Path) -> None:
    image, mesh = folder / "map.func.gii", folder / "surface.surf.gii"
    with pytest.raises(vx.DataError, match="neither in its name"):
        vx.threshold(image, mesh=mesh)
    said = voxlm("threshold", image, "--mesh", mesh, code=1)
    assert "in a command --hemisphere left or right" in said
    said = voxlm("threshold", image, "--mesh", mesh, "--hemisphere", "right", "--min-size", 3)
    assert "in clusters of 3 vertices or more" in said
    assert " right " in said
    assert "mm2" in said
    assert "mm3" not in said
    assert "voxel" not in said
    pair = ("threshold", image, image, "--hemisphere", "left", "--hemisphere", "right")
    assert "18 of 84 vertices" in voxlm(*pair)


@pytest.mark.parametrize("mesh", ["known.surf.gii", "surface.surf.gii"])
def test_a_group_of_maps_that_do_not_say_it(folder: Path, mesh: str) -> None:
    words = ["group", "effect ~ age", "--maps", folder / "maps.tsv", "--mesh", folder / mesh,
             "--mask", folder / "mask.shape.gii", "--contrast", "Intercept",
             "--correct", "cluster_extent", "--n-perm", 99]  # fmt: skip
    if mesh == "surface.surf.gii":
        assert "--hemisphere left or right" in voxlm(*words, code=1)
        words += ["--hemisphere", "right"]
    said = voxlm(*words)
    assert re.search(r"of 30 vertices significant: .*extent > [\d.]+ mm²", said)
    assert " right " in said
    assert "voxel" not in said


def test_a_group_without_a_mesh(folder: Path) -> None:
    words = ["group", "effect ~ age", "--maps", folder / "maps.tsv", "--contrast", "age"]
    said = voxlm(*words, "--hemisphere", "left", "--correct", "none", "--alpha", "0.5")
    assert " left " in said
    table = pd.read_csv(folder / "maps.tsv", sep="\t")
    table["effect"] = [str(folder / name) for name in table["effect"]]
    maps = vx.Maps(table, effect={"right": "effect"})
    assert "right" in repr(maps)
    with pytest.raises(vx.DataError, match="effect in row 1"):
        vx.Maps(table)


METHODS = ["none", "fdr", "holm", "maxt", "maxt_step", "cluster_extent", "cluster_mass", "tfce",
           "ari", "pari"]  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["surface", "grayordinates"])
def test_what_is_said_of_places_that_are_no_voxels(kind: str, method: str) -> None:
    rng = np.random.default_rng(8)
    mesh = {"left": surf_image(*flat_mesh(5, 6)), "right": surf_image(*flat_mesh(4, 5))}
    axis = models(np.ones(30, bool), np.ones(20, bool), np.ones((2, 3, 2), bool))
    rows = rng.standard_normal((10, 50 if kind == "surface" else 62))
    rows[:, :8] += 3
    if kind == "surface":
        images = [(func_image(row[:30]), func_image(row[30:])) for row in rows]
    else:
        images = [scalars(row, axis) for row in rows]
    maps = vx.Maps(pd.DataFrame({"effect": images}), mesh=mesh)
    options = {} if method in METHODS[:3] or method == "ari" else {"n_perm": 99}
    verdict = vx.lm("~ 1", maps).contrast("Intercept").correct(method, **options)
    unit = "vertices" if kind == "surface" else "grayordinates"
    assert f"{unit} significant" in repr(verdict)
    for said in (repr(verdict), verdict.words, repr(verdict.contrast), str(verdict.bounds)):
        assert "voxel" not in said
    columns = set(verdict.table().columns)
    assert {unit, "mm2"} <= columns
    assert ("mm3" in columns) == (kind == "grayordinates")
    if method == "cluster_extent":
        expected = "mm²" if kind == "surface" else "mm² or mm³"
        assert re.search(rf"extent > [\d.]+ {expected} \(", verdict.words)
