"""Bad input through the public verbs: a sentence with the place and the next step."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from small_study import AFFINE, FORMULA, N_SCANS, SHAPE, TR, events_of, fitted, refused

import voxlm as vx
from voxlm.errors import DataError, FormulaError, VoxlmError


def write(study: Any, data: np.ndarray, name: str = "bad_bold.nii.gz", tr: float = TR) -> Path:
    image = nib.Nifti1Image(data, AFFINE, dtype=data.dtype)
    if data.ndim == 4:
        image.header["pixdim"][4] = tr
    image.header.set_xyzt_units("mm", "sec")
    path = study.folder / name
    nib.save(image, path)
    return path


# Formula


@pytest.mark.parametrize(
    ("text", "says", "caret", "hint"),
    [
        ("y ~ fce + house", "unknown name 'fce'", "fce", "did you mean 'face'?"),
        ("y ~ face + moton", "unknown name 'moton'", "moton", "did you mean 'motion'"),
        ("y ~ face + trns_x", "unknown name 'trns_x'", "trns_x", "'trans_x'"),
        ("y ~ (face + house", "( is never closed", "(", ""),
        ("y ~ face + house)", "never opened", ")", ""),
        ("y ~", "right side is empty", None, "y ~ face"),
        ("y ~ face - house", "removes nothing", "house", ""),
        ("y ~ face - tool", "'tool'", "tool", ""),
        ("y ~ face + __import__('os').system('true')", "'__import__'", "__import__", ""),
        ("y ~ face.__class__", "", None, ""),
        ("y ~ lambda x: x", "", None, ""),
        ("y ~ face[0]", "", None, ""),
        ("y ~ open('/etc/passwd')", "'open'", "open", ""),
    ],
)
def test_formulas(good: Any, text: str, says: str, caret: str | None, hint: str) -> None:
    for act in (
        lambda: vx.glsar(text, good.run()),
        lambda: vx.design(text, good.run()),
        lambda: vx.explain(text, good.events, good.confounds),
    ):
        message = refused(FormulaError, act, says, hint, text)
        lines = message.splitlines()
        under = next(at for at, line in enumerate(lines) if set(line.strip()) == {"^"})
        start, stop = lines[under].index("^"), len(lines[under])
        if caret:
            assert lines[under - 1][start:stop] == caret


def test_code_is_refused_before_it_runs(good: Any, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    code = f"__import__('pathlib').Path('{proof}').touch()"
    for text in (f"y ~ {code}", f"y ~ I({code})", f"y ~ face:I({code})", f"{code} ~ face"):
        refused(FormulaError, lambda text=text: vx.lm(text, good.run()))
    refused(VoxlmError, lambda: vx.lm("y ~ face", good.run()).contrast(code))
    refused(VoxlmError, lambda: vx.lm("y ~ face", good.run(), hrf=code))
    assert not proof.exists()


# Files


def test_a_file_that_is_missing(bad: Any) -> None:
    gone = bad.folder / "sub-02_bold.nii.gz"
    refused(DataError, lambda: vx.Run(gone), str(gone), "does not exist", bad.bold.name)
    for name in ("events", "confounds"):
        path = bad.folder / f"no_{name}.tsv"
        refused(DataError, lambda n=name, p=path: bad.run(**{n: p}), str(path), "does not exist")
    refused(DataError, lambda: bad.run(mask=bad.folder / "m.nii"), "mask", "does not exist")
    refused(DataError, lambda: vx.Run(bad.folder), "is a folder")


def test_a_file_that_is_not_nifti(bad: Any) -> None:
    text = bad.folder / "text.nii"
    text.write_text("this is not an image " * 40, encoding="utf-8")
    refused(DataError, lambda: vx.Run(text), str(text), "cannot be read as NIfTI")
    packed = bad.folder / "text.nii.gz"
    packed.write_bytes(gzip.compress(b"this is not an image " * 40))
    refused(DataError, lambda: vx.Run(packed), str(packed), "cannot be read as NIfTI")
    plain = bad.folder / "plain.nii.gz"
    plain.write_bytes(gzip.decompress(bad.bold.read_bytes()))
    refused(DataError, lambda: vx.Run(plain), str(plain), ".nii.gz if it is compressed")
    empty = bad.folder / "empty.nii.gz"
    empty.touch()
    refused(DataError, lambda: vx.Run(empty), "is empty (0 bytes)", "download it again")
    refused(DataError, lambda: vx.Run(bad.events), str(bad.events))


@pytest.mark.parametrize("kept", [0.01, 0.3, 0.9, 0.999])
def test_a_truncated_file_and_nothing_written(bad: Any, kept: float) -> None:
    content = bad.bold.read_bytes()
    path = bad.folder / "cut_bold.nii.gz"
    path.write_bytes(content[: int(kept * len(content))])
    out = bad.folder / "out"

    def act() -> None:
        run = vx.Run(path, bad.events, bad.confounds, bad.mask)
        vx.glsar(FORMULA, run).save(out, "face - house")

    words = () if kept == 0.01 else ("is cut short or damaged", "volumes could be read")
    refused(DataError, act, str(path), *words)
    assert not out.exists()
    assert not [file for file in bad.folder.iterdir() if file.name.startswith(".")]


def test_a_damaged_file(bad: Any) -> None:
    content = bytearray(bad.bold.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path = bad.folder / "flipped_bold.nii.gz"
    path.write_bytes(content)
    act = lambda: vx.lm(FORMULA, vx.Run(path, bad.events, bad.confounds, bad.mask))  # noqa: E731
    refused(DataError, act, str(path), "is cut short or damaged")


def test_one_volume_is_no_run(bad: Any) -> None:
    path = write(bad, bad.values[..., 0].astype(np.float32))
    text = refused(
        DataError, lambda: vx.Run(path, bad.events), str(path), "three axes", "(6, 5, 4)"
    )
    assert "nibabel.concat_images" in text


def test_no_volumes(bad: Any) -> None:
    path = write(bad, np.zeros((*SHAPE, 0), np.float32))
    refused(DataError, lambda: vx.Run(path, tr=2.0), "zero volumes", "(6, 5, 4, 0)")
    refused(DataError, lambda: vx.Run(np.zeros((0, 4))), "zero scans or zero voxels: ", "(0, 4)")
    refused(DataError, lambda: vx.Run(np.zeros((9, 0))), "zero scans or zero voxels: ", "(9, 0)")


def test_arrays_that_are_none(good: Any) -> None:
    masked = np.ma.masked_less(good.rows, 990.0)
    count = f"{masked.mask.sum():,} masked values"
    refused(DataError, lambda: vx.Run(masked, tr=TR), count, "bold.filled(", "sample_mask=")
    assert vx.Run(np.ma.masked_array(good.rows), tr=TR).n_scans == N_SCANS
    refused(DataError, lambda: vx.Run([[1.0, 2.0], [3.0]]), "cannot be an array")
    refused(DataError, lambda: vx.Run(good.values, tr=TR), "two axes", "data[mask].T")
    refused(DataError, lambda: vx.Run(good.rows.astype(complex)), "complex128")
    refused(DataError, lambda: vx.Run(None), "nibabel image")


def test_volumes_of_nan(bad: Any) -> None:
    values = bad.values.astype(np.float32)
    values[..., [5, 60]] = np.nan
    path = write(bad, values)
    refused(
        DataError,
        lambda: fitted(type(bad)(**{**vars(bad), "bold": path})),
        "scan 5 (counted from 0) holds no finite value",
        "sample_mask=",
    )
    kept = np.setdiff1d(np.arange(N_SCANS), [5, 60])
    run = vx.Run(path, bad.events, bad.confounds, bad.mask, sample_mask=kept)
    assert np.isfinite(vx.lm(FORMULA, run).params).all()


def test_confounds_of_another_length(bad: Any) -> None:
    short = bad.folder / "short.tsv"
    pd.read_csv(bad.confounds, sep="\t").iloc[4:].to_csv(short, sep="\t", index=False)
    refused(
        DataError,
        lambda: bad.run(confounds=short),
        str(short),
        f"{N_SCANS - 4} rows",
        f"{N_SCANS} scans",
        "sample_mask=",
    )


def test_events_without_onset(bad: Any) -> None:
    table = events_of(bad).rename(columns={"onset": "start"})
    path = bad.folder / "start_events.tsv"
    table.to_csv(path, sep="\t", index=False)
    refused(DataError, lambda: bad.run(events=path), str(path), "onset")
    refused(DataError, lambda: bad.run(events=table), "events", "onset")


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("duration", -1.0, ("duration", "negative")),
        ("onset", np.nan, ("onset",)),
        ("onset", "soon", ("onset", "soon")),
        ("duration", np.nan, ("duration",)),
        ("onset", np.inf, ("onset",)),
    ],
)
def test_events_with_impossible_times(
    bad: Any, column: str, value: Any, says: tuple[str, ...]
) -> None:
    table = events_of(bad)
    table[column] = table[column].astype(object)
    table.loc[3, column] = value
    path = bad.folder / "odd_events.tsv"
    table.to_csv(path, sep="\t", index=False, na_rep="n/a")
    for source, where in ((path, str(path)), (table, "events")):
        text = refused(DataError, lambda source=source: bad.run(events=source), where, *says)
        assert value == "soon" or "row 4" in text


def test_commas_in_a_tsv(bad: Any) -> None:
    path = bad.folder / "commas_events.tsv"
    events_of(bad).to_csv(path, index=False)
    text = refused(DataError, lambda: bad.run(events=path), str(path), "separated by commas")
    assert "Rename it to .csv" in text


def test_onsets_in_milliseconds(bad: Any) -> None:
    table = events_of(bad)
    late = table.assign(onset=table["onset"] * 1000)
    text = refused(DataError, lambda: fitted(bad, events=late), "after the run's end", "6000")
    assert "divide milliseconds by 1000" in text
    assert "180 s" in text


def test_some_events_after_the_end_are_noted(bad: Any) -> None:
    table = events_of(bad)
    table.loc[len(table) - 1, "onset"] = 500.0
    fit = fitted(bad, events=table)
    assert any("1 of" in note and "after the run's end" in note for note in fit.design.notes)
    assert "after the run's end" in repr(fit)


def test_duplicate_columns(bad: Any) -> None:
    table = pd.read_csv(bad.confounds, sep="\t")
    table.insert(1, "trans_y", table["trans_y"], allow_duplicates=True)
    path = bad.folder / "twice.tsv"
    table.to_csv(path, sep="\t", index=False)
    for source, where in ((path, str(path)), (table, "confounds")):
        refused(
            DataError,
            lambda source=source: bad.run(confounds=source),
            where,
            "'trans_y' stands 2 times (columns 2, 3)",
            "rename or remove",
        )


def test_an_empty_mask(bad: Any) -> None:
    for fill in (0.0, np.nan):
        path = write(bad, np.full(SHAPE, fill, np.float32), "mask.nii.gz")
        refused(DataError, lambda p=path: fitted(bad, mask=p), str(path), "is empty", "120 voxels")


def test_a_mask_on_another_grid(bad: Any) -> None:
    moved = AFFINE.copy()
    moved[0, 3] += 1.5
    path = bad.folder / "moved.nii.gz"
    nib.save(nib.Nifti1Image(bad.inside.astype(np.uint8), moved), path)
    text = refused(DataError, lambda: fitted(bad, mask=path), "another grid", str(path), "31.5")
    assert "30." in text
    assert "resample_to_img" in text
    small = nib.Nifti1Image(np.ones((5, 5, 4), np.uint8), AFFINE)
    refused(DataError, lambda: fitted(bad, mask=small), "(5, 5, 4)", "(6, 5, 4", "resample")


def test_a_mask_of_several_volumes(bad: Any) -> None:
    for mask in (bad.bold, nib.Nifti1Image(np.ones((*SHAPE, 2), np.uint8), AFFINE)):
        refused(
            DataError, lambda m=mask: bad.run(mask=m), "mask ", "4 axes (6, 5, 4, ", "one volume"
        )
    single = nib.Nifti1Image(np.ones((*SHAPE, 1), np.uint8), AFFINE)
    assert bad.run(mask=single).space.n_voxels == np.prod(SHAPE)


def test_a_mask_of_one_slice_may_lack_its_axis(bad: Any) -> None:
    bold = write(bad, bad.values[:, :, :1])
    flat = bad.folder / "flat.nii.gz"
    nib.save(nib.Nifti1Image(np.ones(SHAPE[:2], np.uint8), AFFINE), flat)
    fit = vx.lm("y ~ face", vx.Run(bold, bad.events, mask=flat))
    assert fit.n_voxels == SHAPE[0] * SHAPE[1]


# The repetition time


def test_repetition_times(bad: Any) -> None:
    zero = write(bad, bad.values, "zero_bold.nii.gz", tr=0.0)
    refused(DataError, lambda: vx.Run(zero, bad.events), "zero_bold", "is missing", "tr=")
    assert vx.Run(zero, bad.events, tr=1.5).clock.tr == 1.5
    text = refused(DataError, lambda: bad.run(tr=3.0), "contradictory", "3 s", "2 s")
    assert "header" in text
    sidecar = bad.folder / "sub-01_task-faces_bold.json"
    sidecar.write_text('{"RepetitionTime": 1.9}', encoding="utf-8")
    refused(DataError, bad.run, "contradictory", "1.9 s", "2 s", sidecar.name)
    sidecar.write_text('{"RepetitionTime": 0}', encoding="utf-8")
    refused(DataError, bad.run, "RepetitionTime", "positive", sidecar.name)
    sidecar.write_text('{"RepetitionTime": ', encoding="utf-8")
    refused(DataError, bad.run, sidecar.name)
    for tr in (0, -2, "2", float("nan")):
        refused(DataError, lambda tr=tr: vx.Run(bad.rows, tr=tr), "positive number of seconds")
    refused(DataError, lambda: vx.Run(bad.rows, bad.events), "an array needs tr=")
