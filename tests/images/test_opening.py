"""Files that cannot be a run, each refused with a reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from small_images import SHAPE, image_of

from voxlm.errors import DataError
from voxlm.images.opening import check_bold, open_image

Save = Callable[..., Path]


def opening(source: object) -> None:
    check_bold(open_image(source, "bold"))


def test_missing_names_what_is_there(saved: Save, tmp_path: Path) -> None:
    saved(np.zeros((*SHAPE, 3), dtype=np.int16), "other_bold.nii.gz")
    with pytest.raises(DataError, match=r"does not exist; .* has other_bold\.nii\.gz"):
        opening(tmp_path / "bold.nii.gz")


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder"):
        opening(tmp_path)


@pytest.mark.parametrize("content", [b"hello", b"\x1f\x8b\x08\x00", b"\0" * 400])
@pytest.mark.parametrize("name", ["bold.nii", "bold.nii.gz", "bold.txt"])
def test_not_nifti(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"{name} cannot be read as NIfTI"):
        opening(path)


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "bold.nii.gz"
    path.touch()
    with pytest.raises(DataError, match="0 bytes"):
        opening(path)


def test_another_kind_of_image(tmp_path: Path) -> None:
    path = tmp_path / "bold.mgz"
    nib.save(nib.MGHImage(np.zeros(SHAPE, dtype=np.float32), np.eye(4)), path)
    with pytest.raises(DataError, match="MGHImage, not a NIfTI volume"):
        opening(path)


def test_cut_within_the_header(saved: Save) -> None:
    path = saved(np.zeros((*SHAPE, 3), dtype=np.int16), "bold.nii")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match="cannot be read as NIfTI"):
        opening(path)


def test_three_axes(saved: Save) -> None:
    with pytest.raises(DataError, match=r"three axes .*one volume, not a run"):
        opening(saved(np.zeros(SHAPE, dtype=np.int16)))


@pytest.mark.parametrize("shape", [(*SHAPE, 2, 2), (7, 6)])
def test_other_numbers_of_axes(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="a run has four"):
        opening(nib.Nifti1Image(np.zeros(shape, dtype=np.int16), np.eye(4)))


def test_zero_volumes() -> None:
    with pytest.raises(DataError, match="zero volumes"):
        opening(nib.Nifti1Image(np.zeros((*SHAPE, 0), dtype=np.int16), np.eye(4)))


@pytest.mark.parametrize("kind", [np.complex64, np.dtype([(c, "u1") for c in "RGB"])])
def test_values_that_are_no_real_numbers(tmp_path: Path, kind: object) -> None:
    path = tmp_path / "bold.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros((*SHAPE, 3), dtype=kind), np.eye(4)), path)
    with pytest.raises(DataError, match="expected real numbers, one of int8"):
        opening(path)


def test_neither_path_nor_image() -> None:
    with pytest.raises(DataError, match=r"must be a path .* got int"):
        opening(3)


def test_nothing_of_the_voxels_is_read(saved: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(np.zeros((*SHAPE, 3), dtype=np.int16), "bold.nii")
    path.write_bytes(path.read_bytes()[:400])
    assert open_image(path, "bold").n_scans == 3


def test_nifti2_and_pairs(tmp_path: Path) -> None:
    data = np.arange(int(np.prod(SHAPE)) * 3, dtype=np.int16).reshape(*SHAPE, 3)
    nib.save(nib.Nifti2Image(data, np.eye(4)), tmp_path / "two.nii.gz")
    nib.save(nib.Nifti1Pair(data, np.eye(4)), tmp_path / "pair.img")
    assert open_image(tmp_path / "two.nii.gz", "bold").path is not None
    pair = open_image(tmp_path / "pair.img", "bold")
    assert pair.data is not None
    np.testing.assert_array_equal(pair.data, data)


def test_the_image_given_is_not_kept() -> None:
    image = image_of(np.zeros((*SHAPE, 3), dtype=np.int16))
    opened = open_image(image, "bold")
    image.header["pixdim"][4] = 9
    image.affine[0, 0] = 9
    assert opened.header["pixdim"][4] == 2
    assert opened.affine[0, 0] == -2


@pytest.mark.parametrize("kind", [nib.MGHImage, nib.Spm99AnalyzeImage])
def test_images_of_other_formats_in_memory(kind: type) -> None:
    values = np.arange(16, dtype=np.float32).reshape(2, 2, 2, 2)
    opened = open_image(kind(values, np.diag([2.0, 2.0, 2.0, 1.0])), "bold")
    assert opened.header.get_xyzt_units()[1] == "unknown"
    assert int(opened.header["intent_code"]) == 0
