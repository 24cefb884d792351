"""Which JSON files apply to an image."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from voxlm.bids.sidecar import read_sidecar
from voxlm.errors import DataError


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    (tmp_path / "dataset_description.json").write_text("{}")
    (tmp_path / "sub-01" / "func").mkdir(parents=True)
    return tmp_path


def put(path: Path, **content: object) -> None:
    path.write_text(json.dumps(content))


def test_beside(tmp_path: Path) -> None:
    put(tmp_path / "scan.json", RepetitionTime=2.0)
    for name in ("scan.nii.gz", "scan.nii"):
        assert read_sidecar(tmp_path / name).number("RepetitionTime") == 2.0
    assert read_sidecar(tmp_path / "other.nii.gz").number("RepetitionTime") is None


def test_the_nearest_wins(dataset: Path) -> None:
    func = dataset / "sub-01" / "func"
    put(dataset / "task-a_bold.json", RepetitionTime=1.0, EchoTime=0.03, Units="V")
    put(dataset / "sub-01" / "sub-01_task-a_bold.json", RepetitionTime=1.5, EchoTime=0.02)
    put(func / "sub-01_task-a_run-1_bold.json", RepetitionTime=2.0)
    found = read_sidecar(func / "sub-01_task-a_run-1_bold.nii.gz")
    assert found.values == {"RepetitionTime": 2.0, "EchoTime": 0.02, "Units": "V"}
    assert found.origin["EchoTime"].name == "sub-01_task-a_bold.json"


def test_others_do_not_apply(dataset: Path) -> None:
    func = dataset / "sub-01" / "func"
    put(dataset / "task-b_bold.json", RepetitionTime=9.0)
    put(dataset / "task-a_sbref.json", RepetitionTime=9.0)
    put(dataset.parent / "task-a_bold.json", RepetitionTime=9.0)
    assert not read_sidecar(func / "sub-01_task-a_bold.nii.gz").values


@pytest.mark.parametrize(
    ("text", "says"), [("{oops", "line 1, column 2"), ("[1]", "must hold a JSON object")]
)
def test_not_json(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "scan.json").write_text(text)
    with pytest.raises(DataError, match=says):
        read_sidecar(tmp_path / "scan.nii.gz")
