"""Maps of a group on surfaces and grayordinates, and clusters by area."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from small_surfaces import flat_mesh, func_image, models, scalars, surf_image, write

import voxlm as vx
from voxlm.kernels.enhance import tfce
from voxlm.kernels.mesh import mesh_graph, vertex_areas

SAME = 1e-12
# A sum over thresholds against the integral: the error of a midpoint rule with so many steps.
STEPS, RIEMANN = 4000, 2e-3
N, SIDE = 12, {"left": (6, 7), "right": (5, 8)}
RNG = np.random.default_rng(3)
VALUES = RNG.normal(0.4, 1.0, (N, 82)).astype(np.float32).astype(np.float64)
AGE = RNG.normal(40, 9, N)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("maps")
    for k, row in enumerate(VALUES):
        write(place / f"sub-{k}_hemi-L_map.func.gii", func_image(row[:42], "CortexLeft"))
        write(place / f"sub-{k}_hemi-R_map.func.gii", func_image(row[42:], "CortexRight"))
    return place


@pytest.fixture(scope="module")
def mesh() -> dict[str, Any]:
    return {side: surf_image(*flat_mesh(*size)) for side, size in SIDE.items()}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    names = {s: [f"sub-{k}_hemi-{s}_map.func.gii" for k in range(N)] for s in "LR"}
    return pd.DataFrame({"left": names["L"], "right": names["R"], "age": AGE})


def on_surface(folder: Path, table: pd.DataFrame, **more: Any) -> vx.Maps:
    path = folder / "maps.tsv"
    table.to_csv(path, sep="\t", index=False)
    return vx.Maps(path, effect=("left", "right"), **more)


@pytest.mark.parametrize("verb", [vx.lm, vx.lmer], ids=["lm", "lmer"])
def test_a_group_equals_arrays(folder: Path, table: pd.DataFrame, verb: Any) -> None:
    table = table.assign(site=np.repeat(["a", "b", "c"], N // 3))
    formula = "~ age" if verb is vx.lm else "~ age + (1 | site)"
    found = verb(formula, on_surface(folder, table)).contrast("age")
    expected = verb(formula, vx.Maps(table, data=VALUES)).contrast("age")
    np.testing.assert_allclose(found.t, expected.t, rtol=SAME, atol=SAME)
    assert set(found.image("t")) == {"left", "right"}


def test_scalars_equal_arrays(tmp_path: Path) -> None:
    axis = models(np.arange(42) % 5 > 0, np.arange(40) % 4 > 0, np.ones((4, 3, 2), bool))
    rows = RNG.normal(size=(N, len(axis))).astype(np.float32)
    files = [write(tmp_path / f"{k}.dscalar.nii", scalars(row, axis)) for k, row in enumerate(rows)]
    maps = vx.Maps(pd.DataFrame({"effect": files, "age": AGE}))
    found = vx.lm("~ age", maps).contrast("age")
    expected = vx.lm("~ age", vx.Maps(pd.DataFrame({"age": AGE}), data=rows)).contrast("age")
    np.testing.assert_allclose(found.t, expected.t, rtol=SAME)
    assert found.image("z").header.get_axis(1) == axis


def test_pairs_in_a_column(folder: Path, table: pd.DataFrame) -> None:
    pairs = [(folder / a, folder / b) for a, b in zip(table.left, table.right, strict=True)]
    maps = vx.Maps(pd.DataFrame({"effect": pairs, "age": AGE}))
    np.testing.assert_array_equal(maps.values, VALUES)
    assert len([one for one in maps.inputs if one.role == "map"]) == 2 * N


def flat_graph() -> tuple[sparse.csr_array, np.ndarray]:
    graphs, areas = [], []
    for size in SIDE.values():
        places, faces = flat_mesh(*size)
        graphs.append(mesh_graph(faces, np.ones(len(places), bool)))
        areas.append(vertex_areas(places, faces))
    return sparse.csr_array(sparse.block_diag(graphs)), np.concatenate(areas)


def brute_tfce(stat: np.ndarray, graph: Any, areas: np.ndarray, E: float, H: float) -> np.ndarray:
    """Enhance by labelling at every one of many thresholds."""
    out = np.zeros_like(stat)
    top = np.abs(stat).max()
    step = top / STEPS
    for sign in (1, -1):
        for h in (np.arange(STEPS) + 0.5) * step:
            inside = np.flatnonzero(sign * stat > h)
            if not inside.size:
                break
            part = graph[inside][:, inside]
            _, label = sparse.csgraph.connected_components(part, directed=False)
            extent = np.bincount(label, areas[inside])[label]
            out[inside] += sign * extent**E * h**H * step
    return out


@pytest.mark.parametrize(("E", "H"), [(1.0, 2.0), (0.5, 2.0), (0.7, 1.3)])
def test_enhancement_by_area_against_brute_force(E: float, H: float) -> None:
    graph, areas = flat_graph()
    stat = np.random.default_rng(1).normal(size=82) * 2
    found = tfce(stat, graph, E=E, H=H, weights=areas)
    expected = brute_tfce(stat, graph, areas, E, H)
    assert np.abs(found - expected).max() < RIEMANN * np.abs(expected).max()


def test_permutations_are_those_of_the_kernel(
    folder: Path, table: pd.DataFrame, mesh: dict[str, Any]
) -> None:
    """What a verdict compares is the enhancement by area of its own statistic."""
    graph, areas = flat_graph()
    con = vx.lm("~ 1", on_surface(folder, table, mesh=mesh)).contrast("Intercept")
    verdict = con.correct("tfce", n_perm=99, seed=1)
    assert verdict.permutations is not None
    observed = verdict.permutations.measure("tfce").observed
    expected = np.abs(tfce(con.t, graph, E=1.0, H=2.0, weights=areas))
    np.testing.assert_allclose(observed, expected, rtol=1e-9)
    extent = con.correct("cluster_extent", n_perm=99, seed=1, forming=1.0)
    assert extent.permutations is not None
    sizes = extent.permutations.measure("cluster_extent").observed
    k = int(np.nanargmax(sizes))
    inside = np.flatnonzero(np.sign(con.t[k]) * con.t > 1.0)
    _, label = sparse.csgraph.connected_components(graph[inside][:, inside], directed=False)
    here = inside[label == label[np.flatnonzero(inside == k)[0]]]
    assert sizes[k] == pytest.approx(areas[here].sum())


def test_a_graph_of_ones_own_is_the_meshs(
    folder: Path, table: pd.DataFrame, mesh: dict[str, Any]
) -> None:
    graph, areas = flat_graph()
    surface = vx.lm("~ 1", on_surface(folder, table, mesh=mesh)).contrast("Intercept")
    array = vx.lm("~ 1", vx.Maps(table[["age"]], data=VALUES)).contrast("Intercept")
    options = {"n_perm": 99, "seed": 1}
    one = surface.correct("tfce", **options)
    other = array.correct("tfce", graph=graph, sizes=areas, E=1.0, **options)
    np.testing.assert_array_equal(one.p, other.p)
    assert "size" in other.table().columns
    one_way = array.correct("tfce", graph=sparse.triu(graph), sizes=areas, E=1.0, **options)
    np.testing.assert_array_equal(one_way.p, other.p)
    with pytest.raises(vx.DataError, match="clusters and TFCE need neighbours"):
        array.correct("tfce", **options)
    with pytest.raises(vx.DataError, match=r"graph= has shape \(3, 3\), but there are 82"):
        array.correct("tfce", graph=np.eye(3), **options)
    with pytest.raises(vx.DataError, match="sizes= are 82 positive numbers"):
        array.correct("tfce", graph=graph, sizes=-areas, **options)
    with pytest.raises(vx.VoxlmError, match="graph: neighbours are for clusters"):
        array.correct("fdr", graph=graph)


def test_table_of_a_surface(folder: Path, table: pd.DataFrame, mesh: dict[str, Any]) -> None:
    _, areas = flat_graph()
    con = vx.lm("~ 1", on_surface(folder, table, mesh=mesh)).contrast("Intercept")
    verdict = con.correct("none", alpha=0.05)
    found = verdict.table()
    assert found.columns[:6].tolist() == ["cluster", "hemisphere", "vertex", "x", "y", "z"]
    whole = found[found["vertices"].notna()]
    assert whole["vertices"].sum() == verdict.n_significant
    assert whole["mm2"].sum() == pytest.approx(areas[verdict.significant].sum())
    peak = found.iloc[0]
    column = con.space.index(peak["hemisphere"], int(peak["vertex"]))
    assert con.t[column] == peak["stat"]
    assert con.space.index_mm(peak["x"], peak["y"], peak["z"]) in (column, column % 42)
    bare = vx.lm("~ 1", on_surface(folder, table)).contrast("Intercept").correct("none")
    assert bare.table().columns.tolist() == ["hemisphere", "vertex", "stat", "p"]
    with pytest.raises(vx.DataError, match="give the surfaces, mesh="):
        vx.lm("~ 1", on_surface(folder, table)).contrast("Intercept").correct("tfce")


def test_grayordinates_cluster_within_structures(mesh: dict[str, Any]) -> None:
    axis = models(np.ones(42, bool), np.ones(40, bool), np.ones((4, 3, 2), bool))
    rows = RNG.normal(1.0, 1.0, (N, len(axis)))
    maps = vx.Maps(pd.DataFrame({"effect": [scalars(row, axis) for row in rows]}), mesh=mesh)
    graph = maps.space.graph()
    count, label = sparse.csgraph.connected_components(graph, directed=False)
    assert count == 4
    names = np.array([name.removeprefix("CIFTI_STRUCTURE_") for name in axis.name])
    assert len({(one, name) for one, name in zip(label, names, strict=True)}) == 4
    np.testing.assert_allclose(maps.space.sizes[82:], 8.0)
    verdict = vx.lm("~ 1", maps).contrast("Intercept").correct("cluster_mass", n_perm=49, alpha=0.1)
    found = verdict.table()
    assert {"structure", "mm2", "mm3"} <= set(found.columns)


def test_verdicts_are_read_back(
    folder: Path, table: pd.DataFrame, mesh: dict[str, Any], tmp_path: Path
) -> None:
    axis = models(np.ones(42, bool), np.ones(40, bool), np.ones((4, 3, 2), bool))
    rows = RNG.normal(1.0, 1.0, (N, len(axis)))
    graph, _ = flat_graph()
    contrasts = {
        "surface": vx.lm("~ 1", on_surface(folder, table, mesh=mesh)).contrast("Intercept"),
        "cifti": vx.lm(
            "~ 1", vx.Maps(pd.DataFrame({"effect": [scalars(r, axis) for r in rows]}), mesh=mesh)
        ).contrast("Intercept"),
        "array": vx.lm("~ 1", vx.Maps(table[["age"]], data=VALUES)).contrast("Intercept"),
    }
    for name, con in contrasts.items():
        options = {"graph": graph} if name == "array" else {}
        verdict = con.correct("tfce", n_perm=49, alpha=0.1, **options)
        back = vx.load_verdict(verdict.save(tmp_path / name))
        assert back == verdict
        pd.testing.assert_frame_equal(back.table(), verdict.table())
        assert (back.contrast.space.graph() != verdict.contrast.space.graph()).nnz == 0


def test_regions_are_maps_of_the_same_kind(
    folder: Path, table: pd.DataFrame, mesh: dict[str, Any]
) -> None:
    con = vx.lm("~ 1", on_surface(folder, table, mesh=mesh)).contrast("Intercept")
    inside = np.arange(82) % 3 == 0
    region = (func_image(inside[:42].astype(float)), func_image(inside[42:].astype(float)))
    verdict = con.correct("ari")
    assert verdict.tdp(region) == verdict.tdp(inside)


def test_smoothing_and_masks_of_maps(
    folder: Path, table: pd.DataFrame, mesh: dict[str, Any]
) -> None:
    inside = np.arange(82) % 7 > 0
    mask = (func_image(inside[:42].astype(float)), func_image(inside[42:].astype(float)))
    rough = on_surface(folder, table, mask=mask)
    np.testing.assert_array_equal(rough.values, VALUES[:, inside])
    fine = on_surface(folder, table, mask=mask, mesh=mesh, smoothing_fwhm=3)
    assert (fine.values.std(axis=1) < 0.6 * rough.values.std(axis=1)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.assign(left=t.right), "hemispheres are swapped"),
        (lambda t: t.assign(left="missing_hemi-L_map.func.gii"), "effect in row 1 .* not exist"),
        (lambda t: t.rename(columns={"left": "lft"}), "'left' is not a column .* did you mean"),
    ],
    ids=["swapped", "missing", "column"],
)
def test_bad_tables(folder: Path, table: pd.DataFrame, change: Any, message: str) -> None:
    with pytest.raises(vx.DataError, match=message):
        on_surface(folder, change(table))


def test_maps_on_other_meshes(mesh: dict[str, Any]) -> None:
    pairs = [
        (func_image(np.ones(42)), func_image(np.ones(40))),
        (func_image(np.ones(42)), func_image(np.ones(41))),
    ]
    with pytest.raises(vx.DataError, match=r"row 2 of the table, .*vertices of right, 41 and 40"):
        vx.Maps(pd.DataFrame({"effect": pairs}))
    with pytest.raises(vx.DataError, match="mesh= goes with maps on surfaces"):
        vx.Maps(pd.DataFrame({"effect": ["a.nii.gz"]}), mesh=mesh)
    with pytest.raises(vx.DataError, match="resample= is for volumes"):
        vx.Maps(pd.DataFrame({"effect": pairs[:1]}), resample=True)


def test_a_surface_is_drawn(folder: Path, table: pd.DataFrame, mesh: dict[str, Any]) -> None:
    pytest.importorskip("nilearn")
    con = vx.lm("~ 1", on_surface(folder, table, mesh=mesh)).contrast("Intercept")
    figure = vx.plot.surface(con.correct("none"))
    titles = [place.get_title() for place in figure.axes if place.get_title()]
    sides = ["left lateral", "right lateral", "dorsal", "left medial", "right medial", "ventral"]
    assert titles == sides
    with pytest.raises(vx.DataError, match="surface, mesh=, was not given"):
        vx.plot.surface(vx.lm("~ 1", on_surface(folder, table)).contrast("Intercept"))
