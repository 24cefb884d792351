"""Maps on the input's grid, and columns from places."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_images import AFFINE, SHAPE, image_of

from voxlm.errors import DataError
from voxlm.images.space import Space, Table, Volume


@pytest.fixture
def space(mask: np.ndarray) -> Volume:
    header = image_of(np.zeros((*SHAPE, 2), dtype=np.int16)).header
    return Volume(mask, AFFINE, header)


def test_values_come_back_in_mask_order(space: Volume) -> None:
    values = np.random.default_rng(0).normal(size=space.n_voxels).astype(np.float32)
    values[3] = np.nan
    image = space.image(values)
    assert image.get_data_dtype() == np.float32
    np.testing.assert_array_equal(np.asarray(image.dataobj)[space.mask], values)
    assert not np.asarray(image.dataobj)[~space.mask].any()


def test_several_maps_are_a_fourth_axis(space: Volume) -> None:
    values = np.random.default_rng(0).normal(size=(3, space.n_voxels))
    image = space.image(values)
    assert image.shape == (*SHAPE, 3)
    np.testing.assert_allclose(image.get_fdata()[space.mask].T, values, rtol=1e-6)
    assert image.header["pixdim"][4] == 2


@pytest.mark.parametrize("codes", [(1, 4), (0, 2), (1, 0), (0, 0)])
def test_geometry_is_the_inputs(mask: np.ndarray, tmp_path: Path, codes: tuple[int, int]) -> None:
    template = nib.Nifti1Image(np.zeros(SHAPE, dtype=np.int16), np.diag([2.0, 2.5, 3, 1]))
    template.set_qform(template.affine, codes[0])
    template.set_sform(template.affine, codes[1])
    template.header.set_xyzt_units("mm", "msec")
    path = tmp_path / "in.nii"
    nib.save(template, path)
    template = nib.load(path)
    space = Volume(mask, template.affine, template.header)
    (out,) = space.write(tmp_path / "out.nii.gz", np.ones(space.n_voxels))
    image = nib.load(out)
    np.testing.assert_allclose(image.affine, template.affine, atol=1e-6)
    assert int(image.header["qform_code"]) == codes[0]
    assert int(image.header["sform_code"]) == codes[1]
    assert image.header.get_xyzt_units()[0] == "mm"


@pytest.mark.parametrize(
    ("intent", "df", "expected"),
    [
        ("t", 57, ("t test", (57.0,), "t")),
        ("F", (2, 57), ("f test", (2.0, 57.0), "F")),
        ("t", np.full(9, 57.0), ("t test", (57.0,), "t")),
        ("t", np.arange(9.0), ("none", (), "t, df vary")),
        ("z", None, ("z score", (), "z")),
        ("p", None, ("p value", (), "p")),
        ("estimate", None, ("estimate", (), "estimate")),
        (None, None, ("none", (), "")),
    ],
)
def test_intents_survive_the_file(
    space: Volume, tmp_path: Path, intent: str, df: object, expected: tuple[object, ...]
) -> None:
    (path,) = space.write(tmp_path / "map.nii.gz", np.zeros(space.n_voxels), intent, df)
    assert nib.load(path).header.get_intent() == expected


def test_intents_that_are_wrong(space: Volume) -> None:
    values = np.zeros(space.n_voxels)
    with pytest.raises(DataError, match=r"unknown intent 'zz'.*z"):
        space.image(values, "zz")
    with pytest.raises(DataError, match="two numbers"):
        space.image(values, "F", 3)
    with pytest.raises(DataError, match="one number"):
        space.image(values, "t")


def test_wrong_number_of_values(space: Volume) -> None:
    with pytest.raises(DataError, match=rf"\(7,\) do not fit {space.n_voxels} voxels"):
        space.image(np.zeros(7))


def test_the_same_map_gives_the_same_bytes(space: Volume, tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=space.n_voxels)
    first = space.write(tmp_path / "a.nii.gz", values)[0].read_bytes()
    assert space.write(tmp_path / "b.nii.gz", values)[0].read_bytes() == first


def test_only_nifti_is_written(space: Volume, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"written as \.nii or \.nii\.gz"):
        space.write(tmp_path / "map.img", np.zeros(space.n_voxels))


@given(data=st.data())
def test_index_is_the_place_in_mask_order(data: st.DataObject) -> None:
    inside = np.random.default_rng(4).random(SHAPE) < 0.6
    space = Volume(inside, AFFINE)
    column = data.draw(st.integers(0, space.n_voxels - 1))
    i, j, k = (int(at) for at in space.voxels[column])
    assert space.index(i, j, k) == column
    assert space.index_mm(*space.mm([i, j, k])[0]) == column


def test_places_outside(space: Volume) -> None:
    with pytest.raises(DataError, match=r"outside the grid: indices go from 0 to \(6, 5, 4\)"):
        space.index(7, 0, 0)
    with pytest.raises(DataError, match="outside the grid"):
        space.index(-1, 0, 0)
    with pytest.raises(DataError, match=r"\(0, 0, 0\) is outside the mask.*nearest voxel inside"):
        space.index(0, 0, 0)
    with pytest.raises(DataError, match=r"at \(1000, 0, 0\) mm: voxel .* outside the grid"):
        space.index_mm(1000, 0, 0)
    with pytest.raises(DataError, match="three indices"):
        space.index(3)


def test_table(tmp_path: Path) -> None:
    table = Table(3)
    assert isinstance(table, Space)
    assert table.index(2) == 2
    for wrong in (lambda: table.index(3), lambda: table.index(1, 1, 1)):
        with pytest.raises(DataError, match="column"):
            wrong()
    with pytest.raises(DataError, match="without places"):
        table.index_mm(0, 0, 0)
    (path,) = table.write(tmp_path / "map.npy", [1, 2, 3])
    np.testing.assert_array_equal(np.load(path), [1, 2, 3])
    with pytest.raises(DataError, match=r"\.npy"):
        table.write(tmp_path / "map.nii.gz", [1, 2, 3])


def test_volume_is_read_only(mask: np.ndarray) -> None:
    space = Volume(mask, AFFINE)
    mask[:] = False
    assert space.n_voxels > 0
    with pytest.raises(ValueError, match="read-only"):
        space.mask[0, 0, 0] = True
