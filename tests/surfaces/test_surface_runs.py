"""Runs on surfaces and grayordinates: the numbers of an array run, and files as they came."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from small_surfaces import (
    TR,
    T,
    bold,
    events,
    flat_mesh,
    func_image,
    models,
    scalars,
    series,
    surf_image,
    write,
)

import voxlm as vx

# Sums over scans come in another order where blocks differ.
SAME = 1e-12
# Maps are stored as float32.
STORED = 1e-6
FORMULA = "y ~ face + house"
LEFT, RIGHT = bold(0, 42), bold(1, 40)
NAMES = ("params", "bse", "tvalues", "scale", "rsquared", "rho")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("surfaces")
    write(place / "lh.func.gii", func_image(LEFT, "CortexLeft", 1000 * TR))
    write(place / "rh.func.gii", func_image(RIGHT, "CortexRight", 1000 * TR))
    write(place / "lh.surf.gii", surf_image(*flat_mesh(6, 7), "CortexLeft"))
    write(place / "rh.surf.gii", surf_image(*flat_mesh(5, 8), "CortexRight"))
    return place


@pytest.fixture(scope="module")
def pair(folder: Path) -> tuple[Path, Path]:
    return folder / "lh.func.gii", folder / "rh.func.gii"


@pytest.fixture(scope="module")
def mesh(folder: Path) -> tuple[Path, Path]:
    return folder / "lh.surf.gii", folder / "rh.surf.gii"


@pytest.fixture(scope="module")
def axis() -> Any:
    voxels = np.ones((4, 3, 2), dtype=bool)
    return models(np.arange(42) % 5 > 0, np.arange(40) % 4 > 0, voxels)


def array_fit(rows: np.ndarray) -> Any:
    return vx.glsar(FORMULA, vx.Run(rows.astype(np.float64), events(), tr=TR))


def same(one: Any, other: Any) -> None:
    for name in NAMES:
        np.testing.assert_allclose(
            getattr(one, name), getattr(other, name), rtol=SAME, atol=SAME, err_msg=name
        )
    asked, told = (fit.contrast("face - house") for fit in (one, other))
    for name in ("effect", "se", "t", "z", "p"):
        np.testing.assert_allclose(
            getattr(asked, name), getattr(told, name), rtol=SAME, atol=SAME, err_msg=name
        )


def test_a_pair_equals_an_array(pair: Any) -> None:
    run = vx.Run(pair, events())
    assert (run.tr, run.n_scans) == (TR, T)
    same(vx.glsar(FORMULA, run), array_fit(np.c_[LEFT, RIGHT]))


def test_a_series_equals_an_array(tmp_path: Path, axis: Any) -> None:
    rows = bold(2, len(axis))
    run = vx.Run(write(tmp_path / "a.dtseries.nii", series(rows, axis)), events())
    assert run.tr == TR
    same(vx.glsar(FORMULA, run), array_fit(rows))


def test_other_ways_to_say_the_same(pair: Any, mesh: Any, folder: Path) -> None:
    expected = vx.Run(pair, events()).scans.read(np.arange(82))
    images = tuple(nib.load(path) for path in pair)
    ways = [images, {"left": pair[0], "right": images[1]}, [str(path) for path in pair]]
    for way in ways:
        found = vx.Run(way, events(), tr=TR).scans.read(np.arange(82))
        np.testing.assert_array_equal(found, expected)
    alone = vx.Run({"right": pair[1]}, events(), mesh={"right": mesh[1]})
    assert alone.space.n_voxels == 40
    assert list(alone.space.mesh) == ["right"]
    np.testing.assert_array_equal(alone.scans.read(np.arange(40)), expected[:, 42:])
    assert vx.Run(pair[0], events()).space.n_voxels == 42
    one = func_image(LEFT, "CortexLeft")
    whole = nib.gifti.GiftiDataArray(LEFT.T.copy(), intent=0, datatype="NIFTI_TYPE_FLOAT32")
    together = nib.GiftiImage(meta=one.meta, darrays=[whole])
    table = vx.Run(write(folder / "lh.table.func.gii", together), events(), tr=TR)
    np.testing.assert_array_equal(table.scans.read(np.arange(42)), expected[:, :42])


def test_surface_images_of_nilearn(pair: Any) -> None:
    surface = pytest.importorskip("nilearn.surface")
    meshes = {
        side: surface.InMemoryMesh(*flat_mesh(*size))
        for side, size in {"left": (6, 7), "right": (5, 8)}.items()
    }
    image = surface.SurfaceImage(
        mesh=surface.PolyMesh(**meshes), data={"left": LEFT.T, "right": RIGHT.T}
    )
    run = vx.Run(image, events(), tr=TR)
    assert run.space.linked
    fit = vx.glsar(FORMULA, run)
    same(fit, array_fit(np.c_[LEFT, RIGHT]))
    found = fit.contrast("face").image("t")
    assert isinstance(found, surface.SurfaceImage)
    assert found.data.parts["right"].shape == (40,)


def test_a_mask_takes_vertices_out(pair: Any, tmp_path: Path) -> None:
    inside = {"left": np.arange(42) % 3 > 0, "right": np.arange(40) % 4 > 0}
    values = {side: np.where(kept, 1.0, np.nan) for side, kept in inside.items()}
    mask = {side: func_image(one) for side, one in values.items()}
    run = vx.Run(pair, events(), mask=mask)
    kept = np.concatenate(list(inside.values()))
    fit = vx.glsar(FORMULA, run)
    same(fit, array_fit(np.c_[LEFT, RIGHT][:, kept]))
    image = fit.contrast("face").image("t")
    for side, here in inside.items():
        assert ((image[side].agg_data() != 0) == here).all()
    assert run.space.index("right", 1) == inside["left"].sum()
    with pytest.raises(vx.DataError, match="vertex 0 of left is outside the mask"):
        run.space.index("left", 0)


def test_a_mask_of_grayordinates(tmp_path: Path, axis: Any) -> None:
    rows = bold(2, len(axis))
    inside = np.arange(len(axis)) % 3 > 0
    run = vx.Run(
        write(tmp_path / "a.dtseries.nii", series(rows, axis)), events(),
        mask=write(tmp_path / "mask.dscalar.nii", scalars(inside.astype(float), axis)),
    )  # fmt: skip
    fit = vx.glsar(FORMULA, run)
    same(fit, array_fit(rows[:, inside]))
    image = fit.contrast("face").image("t")
    assert image.header.get_axis(1) == axis
    assert ((image.get_fdata()[0] != 0) == inside).all()


def test_images_say_what_they_hold(pair: Any) -> None:
    con = vx.lm(FORMULA, vx.Run(pair, events())).contrast("face - house")
    image = con.image("t")
    left = image["left"]
    assert left.meta["AnatomicalStructurePrimary"] == "CortexLeft"
    assert left.darrays[0].intent == 3
    assert float(left.darrays[0].meta["Intent_p1"]) == con.df
    np.testing.assert_allclose(
        np.concatenate([image[side].agg_data() for side in image]), con.t, rtol=STORED
    )


def test_saved_maps_are_read_back(pair: Any, mesh: Any, tmp_path: Path) -> None:
    run = vx.Run(pair, events(), mesh=mesh, entities={"sub": "01", "space": "fsaverage5"})
    fit = vx.glsar(FORMULA, run)
    out = fit.save(tmp_path / "out", contrasts=["face - house"])
    files = {path.name: path for path in out.rglob("*.gii")}
    name = "sub-01_hemi-{}_space-fsaverage5_contrast-faceMinusHouse_stat-t_statmap.func.gii"
    maps = tuple(files[name.format(letter)] for letter in "LR")
    back = nib.load(maps[1]).agg_data()
    np.testing.assert_allclose(back, fit.contrast("face - house").t[42:], rtol=STORED)
    assert maps[0].with_name(maps[0].name.replace(".func.gii", ".json")).exists()


def test_saved_scalars_are_read_back(tmp_path: Path, axis: Any) -> None:
    rows = bold(2, len(axis))
    run = vx.Run(series(rows, axis), events())
    con = vx.glsar(FORMULA, run).contrast("face - house")
    (path,) = run.space.write(tmp_path / "t.dscalar.nii", con.t, "t", con.df)
    image = nib.load(path)
    assert image.nifti_header.get_intent()[0] == "ConnDenseScalar"
    assert image.header.get_axis(1) == axis
    assert list(image.header.get_axis(0).name) == ["t"]
    np.testing.assert_allclose(image.get_fdata()[0], con.t, rtol=STORED)


def test_several_runs_are_combined(pair: Any) -> None:
    again = (func_image(bold(4, 42)), func_image(bold(5, 40)))
    runs = [vx.Run(pair, events()), vx.Run(again, events(), tr=TR)]
    arrays = [
        vx.Run(np.c_[a, b].astype(float), events(), tr=TR)
        for a, b in ((LEFT, RIGHT), (bold(4, 42), bold(5, 40)))
    ]
    found, expected = (vx.lm(FORMULA, r).contrast("face - house") for r in (runs, arrays))
    np.testing.assert_allclose(found.t, expected.t, rtol=SAME)
    with pytest.raises(vx.DataError, match="one is a surface"):
        vx.lm(FORMULA, [runs[0], arrays[1]])


def test_a_vertex_is_refitted(pair: Any, mesh: Any) -> None:
    fit = vx.lm(FORMULA, vx.Run(pair, events(), mesh=mesh))
    assert fit.voxel("right", 3).params.iloc[0] == pytest.approx(fit.params[0, 45], rel=1e-9)
    assert fit.run.space.index_mm(5.2, 6.1, 0) == 41
    with pytest.raises(vx.DataError, match="did you mean 'left'"):
        fit.voxel("lefft", 3)


SWAPPED = "hemispheres are swapped: .* is given as the left one"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p, m: vx.Run(p[::-1], events()), SWAPPED),
        (lambda p, m: vx.Run(tuple(nib.load(x) for x in p[::-1]), events()), SWAPPED),
        (lambda p, m: vx.Run(p, events(), mesh=m[::-1]), SWAPPED),
        (lambda p, m: vx.Run({"left": p[0]}, events(), mesh=m), "mesh= gives the right surface"),
        (lambda p, m: vx.Run({"lh": p[0]}, events()), "keys 'left' and 'right'; got \\['lh'\\]"),
        (lambda p, m: vx.Run(p, events(), smoothing_fwhm=4), "surface, which was not given: say"),
        (lambda p, m: vx.Run(p, events(), mesh=m, smoothing_fwhm=(4, 4, 2)), "is one width"),
        (lambda p, m: vx.Run(p, events(), tr=3.0), "repetition time is contradictory"),
        (lambda p, m: vx.Run(m, events()), "is a surface, not data on one"),
        (lambda p, m: vx.Run(p, events(), mesh=p), "is no surface: it holds no coordinates"),
        (lambda p, m: vx.Run(p, events(), mask="mask.nii.gz"), "is no map of vertices"),
        (lambda p, m: vx.Run(p, events(), mask=p), "has 40 maps; a mask is one"),
        (
            lambda p, m: vx.Run((p[0], func_image(RIGHT[:30])), events()),
            "different numbers of scans: {'left': 40, 'right': 30}",
        ),
        (
            lambda p, m: vx.Run((p[0], func_image(RIGHT[:, :30])), events(), mesh=m),
            "has 40 vertices, but .* has 30: they are of different surfaces",
        ),
        (
            lambda p, m: vx.Run(func_image(LEFT), events(), tr=TR),
            "which hemisphere it is of is written neither in its name",
        ),
        (
            lambda p, m: vx.Run(p, events(), mask=(func_image(LEFT[0]), func_image(LEFT[0]))),
            "different vertices of right, 42 and 40",
        ),
        (
            lambda p, m: vx.Run((func_image(LEFT), func_image(RIGHT)), events()),
            "repetition time is missing",
        ),
        (lambda p, m: vx.Run(LEFT, events(), tr=TR, mesh=m), "mesh= goes with surfaces"),
    ],
)  # fmt: skip
def test_bad_surfaces(pair: Any, mesh: Any, change: Any, message: str) -> None:
    with pytest.raises(vx.DataError, match=message):
        change(pair, mesh)


def test_bad_grayordinates(tmp_path: Path, axis: Any, mesh: Any, pair: Any) -> None:
    rows = bold(2, len(axis))
    path = write(tmp_path / "a.dtseries.nii", series(rows, axis))
    other = models(np.arange(42) % 5 > 1, np.arange(40) % 4 > 0, np.ones((4, 3, 2), bool))
    with pytest.raises(vx.DataError, match="different grayordinates of CORTEX_LEFT"):
        vx.Run(path, events(), mask=scalars(np.ones(len(other)), other))
    with pytest.raises(vx.DataError, match=r"CORTEX_LEFT of .* is on a surface of 42"):
        vx.Run(path, events(), mesh={"left": surf_image(*flat_mesh(3, 3))})
    square = nib.Cifti2Image(np.ones((len(axis),) * 2, np.float32), (axis, axis))
    with pytest.raises(vx.DataError, match="axes brain_models × brain_models; expected series"):
        vx.Run(square, events())
    (tmp_path / "cut.dtseries.nii").write_bytes(path.read_bytes()[:-100])
    with pytest.raises(vx.DataError, match="cut short"):
        vx.Run(tmp_path / "cut.dtseries.nii", events())
    with pytest.raises(vx.DataError, match="one is grayordinates"):
        vx.lm(FORMULA, [vx.Run(path, events()), vx.Run(pair, events())])


def test_a_file_that_is_cut_short(pair: Any, tmp_path: Path) -> None:
    text = pair[0].read_bytes()
    path = tmp_path / "lh.func.gii"
    path.write_bytes(text[: len(text) // 2])
    run = vx.Run(path, events())
    with pytest.raises(vx.DataError, match=r"cut short or damaged: \d+ of 40 arrays"):
        vx.lm(FORMULA, run)
    path.write_bytes(b"not xml at all")
    with pytest.raises(vx.DataError, match="cannot be read as GIFTI"):
        vx.Run(path, events())


def test_smoothing_keeps_holes_and_constants(pair: Any, mesh: Any) -> None:
    rows = np.c_[LEFT, RIGHT].copy()
    rows[:, 5] = np.nan
    images = func_image(rows[:, :42]), func_image(rows[:, 42:])
    run = vx.Run(images, events(), tr=TR, mesh=mesh, smoothing_fwhm=2.5)
    found = run.scans.read(np.arange(82))
    assert np.isnan(found[:, 5]).all()
    assert np.isfinite(np.delete(found, 5, axis=1)).all()
    inside = found[:, [4, 6, 12]].std(axis=0)
    assert (inside < 0.7 * rows[:, [4, 6, 12]].std(axis=0)).all()
    level = (func_image(np.full((T, 42), 7.0)), func_image(np.full((T, 40), 7.0)))
    flat = vx.Run(level, events(), tr=TR, mesh=mesh, smoothing_fwhm=2.5)
    np.testing.assert_allclose(flat.scans.read(np.arange(82)), 7.0, rtol=SAME)
