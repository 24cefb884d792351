"""The repetition time: who is believed, and who contradicts whom."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from voxlm.bids.sidecar import Sidecar
from voxlm.bids.timing import repetition_time
from voxlm.errors import DataError


def header(value: float, unit: str | None = "sec") -> nib.Nifti1Header:
    made = nib.Nifti1Header()
    made.set_data_shape((2, 2, 2, 5))
    made["pixdim"][4] = value
    if unit:
        made.set_xyzt_units("mm", unit)
    return made


def sidecar(value: object = None) -> Sidecar:
    if value is None:
        return Sidecar()
    return Sidecar({"RepetitionTime": value}, {"RepetitionTime": Path("sub-01_bold.json")})


def found(argument: float | None, beside: object, head: nib.Nifti1Header) -> tuple[float, str]:
    tr, notes = repetition_time(argument, sidecar(beside), head, "bold.nii.gz")
    return tr, " ".join(notes)


@pytest.mark.parametrize(
    ("argument", "beside", "head", "tr"),
    [
        (2.0, None, header(2.0), 2.0),
        (2.0, 2.0, header(2.0), 2.0),
        (None, 1.97, header(1.97), 1.97),
        (None, None, header(1.97), 1.97),
        (None, None, header(2000, "msec"), 2.0),
        (None, None, header(720_000, "usec"), 0.72),
        (2, None, header(2000, "msec"), 2.0),
        (2.0, None, header(0.0), 2.0),
        (None, 2.5, header(0.0), 2.5),
        (1.9999, None, header(2.0), 1.9999),
        (2.0, None, header(np.nan), 2.0),
        (2.0, None, header(-1.0), 2.0),
        (2.0, None, header(12.0, "hz"), 2.0),
    ],
)
def test_agreement(
    argument: float | None, beside: float | None, head: nib.Nifti1Header, tr: float
) -> None:
    assert found(argument, beside, head) == (tr, "")


@pytest.mark.parametrize(
    ("argument", "beside", "head", "both"),
    [
        (2.0, 2.5, header(0.0), ["2 s (argument tr)", "2.5 s (sidecar sub-01_bold.json)"]),
        (2.0, None, header(3.0), ["2 s (argument tr)", "3 s (header, in sec)"]),
        (2.0, None, header(2500, "msec"), ["2 s (argument tr)", "2.5 s (header, in msec)"]),
        (None, 2.0, header(1.5), ["2 s (sidecar sub-01_bold.json)", "1.5 s (header, in sec)"]),
        (2.0, None, header(3.0, None), ["2 s (argument tr)", "3 s (header, which names no unit)"]),
        (2.0, 2.0, header(1.0), ["2 s", "1 s", "1 is also what a header says when nobody set"]),
    ],
)
def test_contradictions_name_both(
    argument: float | None, beside: float | None, head: nib.Nifti1Header, both: list[str]
) -> None:
    with pytest.raises(DataError, match="contradictory") as caught:
        found(argument, beside, head)
    for part in [*both, "bold.nii.gz", "pixdim"]:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (header(0.0), "the header says 0"),
        (header(1.0, None), "1 without a unit is what files carry when nobody set it"),
        (header(2000.0), "2000, which is not believed: too long for seconds"),
        (header(2000.0, None), "too long for seconds, though its unit is unknown"),
    ],
)
def test_missing(head: nib.Nifti1Header, says: str) -> None:
    with pytest.raises(DataError, match="repetition time is missing") as caught:
        found(None, None, head)
    assert says in str(caught.value)
    assert "Give tr= in seconds" in str(caught.value)


@pytest.mark.parametrize(
    ("argument", "head", "says"),
    [
        (2.0, header(1.0, None), "was passed over for 2 s (argument tr)"),
        (2.0, header(2000.0), "was passed over for 2 s"),
        (None, header(2.0, None), "taken as seconds"),
        (None, header(1.0), "as headers also say when nobody set it"),
    ],
)
def test_what_is_assumed_is_said(argument: float | None, head: nib.Nifti1Header, says: str) -> None:
    assert says in found(argument, None, head)[1]


@pytest.mark.parametrize("bad", [0, -2.0, np.nan, np.inf, "2", True])
def test_arguments_that_are_no_time(bad: float) -> None:
    with pytest.raises(DataError, match="tr must be a positive number of seconds"):
        found(bad, None, header(2.0))


@pytest.mark.parametrize("bad", ["2.0", True, [2], 0, -1])
def test_sidecars_that_are_no_time(bad: object) -> None:
    with pytest.raises(DataError, match=r"sub-01_bold\.json: RepetitionTime must be"):
        found(None, bad, header(2.0))
