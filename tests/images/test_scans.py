"""Streamed rows are what nibabel reads, for every type, order and container."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from isal import igzip
from small_images import N_SCANS, SHAPE, image_of

from voxlm.errors import DataError
from voxlm.images import stream
from voxlm.images.opening import Opened, open_image
from voxlm.images.scans import ImageScans, Scans, array_scans
from voxlm.images.space import Volume

DTYPES = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"]
Save = Callable[..., Path]


def scans_of(source: object, mask: np.ndarray) -> ImageScans:
    opened = open_image(source, "bold")
    return ImageScans(opened, Volume(mask, opened.affine, opened.header), 2.0)


def stacked(scans: Scans, size: int = 16) -> np.ndarray:
    rows = np.full((scans.n_scans, scans.n_voxels), np.nan)
    for start, block in scans.blocks(size):
        rows[start : start + len(block)] = block
    return rows


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", DTYPES)
def test_every_type_equals_nibabel(
    tmp_path: Path, mask: np.ndarray, kind: str, order: str, suffix: str
) -> None:
    rng = np.random.default_rng(0)
    data = rng.integers(0, 120, (*SHAPE, N_SCANS)).astype(np.dtype(order + kind))
    header = nib.Nifti1Header(endianness=order)
    image = nib.Nifti1Image(data, np.eye(4), header, dtype=data.dtype)
    path = tmp_path / f"bold{suffix}"
    nib.save(image, path)
    assert open_image(path, "bold").dtype == data.dtype
    np.testing.assert_array_equal(stacked(scans_of(path, mask)), data[mask].T.astype(float))


def test_slope_and_intercept_equal_nibabel(tmp_path: Path, mask: np.ndarray) -> None:
    raw = np.random.default_rng(0).integers(-9999, 9999, (*SHAPE, N_SCANS)).astype(np.int16)
    image = image_of(raw)
    image.header.set_slope_inter(0.37, 12.5)
    path = tmp_path / "bold.nii.gz"
    with igzip.open(path, "wb") as file:
        file.write(image.header.binaryblock + b"\0" * 4 + raw.tobytes(order="F"))
    expected = nib.load(path).get_fdata()
    assert not np.array_equal(expected, raw)
    np.testing.assert_array_equal(stacked(scans_of(path, mask)), expected[mask].T)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["<f4", ">i2", "<f8"])
def test_images_in_memory(values: np.ndarray, mask: np.ndarray, kind: str, order: str) -> None:
    data = np.array(values, dtype=kind, order=order)
    image = image_of(data)
    np.testing.assert_array_equal(stacked(scans_of(image, mask), 5), data[mask].T.astype(float))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["<f4", ">i2", "<f8"])
def test_one_map_in_memory(values: np.ndarray, mask: np.ndarray, kind: str, order: str) -> None:
    data = np.array(values[..., 3], dtype=kind, order=order)
    scans = scans_of(image_of(data), mask)
    np.testing.assert_array_equal(stacked(scans), [data[mask].astype(float)])
    some = [4, 0, 4]
    np.testing.assert_array_equal(scans.read(some), [data[mask][some].astype(float)])


def test_voxels_of_a_mask_are_not_the_callers_to_change(mask: np.ndarray) -> None:
    space = Volume(mask, np.eye(4))
    with pytest.raises(ValueError, match="read-only"):
        space.voxels[0] = 1
    np.testing.assert_array_equal(space.voxels, np.argwhere(mask))


def test_a_loaded_image_is_streamed_from_its_file(
    values: np.ndarray, mask: np.ndarray, saved: Save
) -> None:
    image = nib.load(saved(values.astype(np.float32)))
    scans = scans_of(image, mask)
    assert scans.source.path is not None
    np.testing.assert_array_equal(stacked(scans), image.get_fdata()[mask].T)
    assert not np.shares_memory(stacked(scans), image.get_fdata())


def test_an_image_whose_data_were_read_may_have_been_changed(
    values: np.ndarray, mask: np.ndarray, saved: Save
) -> None:
    image = nib.load(saved(values))
    changed = image.get_fdata()
    changed += 1
    image = nib.Nifti1Image(changed, image.affine, image.header)
    np.testing.assert_array_equal(stacked(scans_of(image, mask)), values[mask].T + 1)


@settings(deadline=None, max_examples=25)
@given(size=st.integers(1, 40), chunk=st.integers(1, 9))
def test_blocks_cover_the_run_in_order(size: int, chunk: int) -> None:
    data = np.random.default_rng(1).normal(size=(*SHAPE, N_SCANS))
    scans = scans_of(image_of(data), np.ones(SHAPE, dtype=bool))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "CHUNK_BYTES", chunk * int(np.prod(SHAPE)) * 8)
        found = [(start, len(rows)) for start, rows in scans.blocks(size)]
        np.testing.assert_array_equal(stacked(scans, size), data.reshape(-1, N_SCANS).T)
    assert [start for start, _ in found] == list(range(0, N_SCANS, size))
    assert sum(n for _, n in found) == N_SCANS


@pytest.mark.parametrize("chunk", [1, 2, 5])
def test_file_chunks_of_any_size(
    values: np.ndarray, mask: np.ndarray, saved: Save, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "CHUNK_BYTES", chunk * int(np.prod(SHAPE)) * 8)
    np.testing.assert_array_equal(stacked(scans_of(saved(values), mask), 7), values[mask].T)


def test_gzip_in_several_members(values: np.ndarray, mask: np.ndarray, saved: Save) -> None:
    path = saved(values)
    whole = igzip.decompress(path.read_bytes())
    parts = [whole[at : at + 7001] for at in range(0, len(whole), 7001)]
    path.write_bytes(b"".join(igzip.compress(part) for part in parts))
    np.testing.assert_array_equal(stacked(scans_of(path, mask)), values[mask].T)


def test_extensions_of_the_header_are_passed_over(
    tmp_path: Path, values: np.ndarray, mask: np.ndarray
) -> None:
    image = image_of(values)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 500))
    path = tmp_path / "bold.nii.gz"
    nib.save(image, path)
    assert open_image(path, "bold").offset > 500
    np.testing.assert_array_equal(stacked(scans_of(path, mask)), values[mask].T)


def test_two_runs_may_be_streamed_at_once(
    values: np.ndarray, mask: np.ndarray, saved: Save
) -> None:
    first = scans_of(saved(values, "a.nii.gz"), mask)
    second = scans_of(saved(values + 1, "b.nii"), mask)
    for (start, a), (_, b) in zip(first.blocks(3), second.blocks(3), strict=True):
        np.testing.assert_array_equal(a, values[mask].T[start : start + 3])
        np.testing.assert_array_equal(b, (values + 1)[mask].T[start : start + 3])


def test_read_gives_columns(values: np.ndarray, mask: np.ndarray, saved: Save) -> None:
    scans = scans_of(saved(values), mask)
    np.testing.assert_array_equal(scans.read([5, 0]), values[mask].T[:, [5, 0]])
    assert scans.read([]).shape == (N_SCANS, 0)
    with pytest.raises(DataError, match=rf"column {scans.n_voxels} does not exist"):
        scans.read([scans.n_voxels])


def test_nan_stays_inside_the_mask(values: np.ndarray, mask: np.ndarray, saved: Save) -> None:
    values[3, 3, 3, 5:] = np.nan
    values[3, 3, 3, 4] = np.inf
    np.testing.assert_array_equal(stacked(scans_of(saved(values), mask)), values[mask].T)


@pytest.mark.parametrize("lost", [1, 5, 400, 4000])
@pytest.mark.parametrize("suffix", [".nii.gz", ".nii"])
def test_a_truncated_file_says_how_far_it_goes(
    values: np.ndarray, mask: np.ndarray, saved: Save, suffix: str, lost: int
) -> None:
    path = saved(values, f"bold{suffix}")
    path.write_bytes(path.read_bytes()[:-lost])
    scans = scans_of(path, mask)
    with pytest.raises(DataError, match=rf"bold{suffix} .*\d+ of {N_SCANS} volumes could be"):
        stacked(scans)
    assert _readers() == 0


def test_a_damaged_file_is_noticed(values: np.ndarray, mask: np.ndarray, saved: Save) -> None:
    path = saved(values)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match="cut short or damaged"):
        stacked(scans_of(path, mask))


def test_a_file_that_goes_is_noticed(values: np.ndarray, mask: np.ndarray, saved: Save) -> None:
    path = saved(values)
    scans = scans_of(path, mask)
    path.unlink()
    with pytest.raises(DataError, match="0 of 23 volumes"):
        stacked(scans)


def _readers() -> int:
    return sum("_fill" in thread.name for thread in threading.enumerate())


def test_a_consumer_may_stop_early(
    values: np.ndarray, mask: np.ndarray, saved: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "CHUNK_BYTES", 1)
    scans = scans_of(saved(values), mask)
    before = threading.active_count()
    blocks = scans.blocks(2)
    next(blocks)
    assert threading.active_count() == before + 1
    blocks.close()
    assert threading.active_count() == before


def test_an_error_of_the_consumer_ends_the_reader(
    values: np.ndarray, mask: np.ndarray, saved: Save
) -> None:
    scans = scans_of(saved(values), mask)
    before = threading.active_count()

    def consume() -> None:
        for _ in scans.blocks(2):
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        consume()
    assert threading.active_count() == before


def test_buffers_do_not_grow_with_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made: list[int] = []
    real = np.empty

    def counted(shape: object, *args: object, **kwargs: object) -> np.ndarray:
        array = real(shape, *args, **kwargs)  # type: ignore[call-overload]
        made.append(array.nbytes)
        return array

    sizes = []
    for n_scans in (40, 80):
        data = np.zeros((20, 20, 20, n_scans), dtype=np.int16)
        path = tmp_path / f"{n_scans}.nii.gz"
        nib.save(image_of(data), path)
        scans = scans_of(path, np.ones(data.shape[:3], dtype=bool))
        monkeypatch.setattr(stream, "CHUNK_BYTES", 20**3 * 2 * 3)
        made.clear()
        with monkeypatch.context() as patch:
            patch.setattr(np, "empty", counted)
            for _ in scans.blocks(8):
                pass
        sizes.append(sum(made))
    assert sizes[0] == sizes[1] > 0


def test_arrays(values: np.ndarray) -> None:
    data = values.reshape(-1, N_SCANS).T
    scans = array_scans(data)
    assert isinstance(scans, Scans)
    assert scans.array is not None
    assert np.shares_memory(scans.array, data)
    np.testing.assert_array_equal(stacked(scans, 4), data)
    with pytest.raises(ValueError, match="read-only"):
        scans.array[0, 0] = 1


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (np.zeros(5), "two axes"),
        (np.zeros((2, 2, 2, 5)), "two axes"),
        (np.zeros((0, 5)), "zero scans"),
        (np.zeros((5, 0)), "zero voxels"),
        (np.zeros((5, 2), dtype=complex), "complex128"),
        (np.full((5, 2), "a"), "real numbers"),
    ],
)
def test_arrays_that_cannot_be_a_run(bad: np.ndarray, says: str) -> None:
    with pytest.raises(DataError, match=says):
        array_scans(bad)


def test_opened_counts_scans() -> None:
    opened: Opened = open_image(image_of(np.zeros((*SHAPE, 4), dtype=np.float32)), "bold")
    assert (opened.n_scans, opened.grid) == (4, SHAPE)
