"""Files are written whole or not at all."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from voxlm.errors import DataError
from voxlm.images.atomic import check_writable, replacing, staging, write_bytes, write_text


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a.txt", "old")]


def test_success_replaces(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "a.nii.gz"
    with replacing(path) as temporary:
        assert temporary.name.endswith(".nii.gz")
        temporary.write_text("new")
    assert write_text(path, "é").read_bytes() == "é".encode()
    assert list(path.parent.iterdir()) == [path]


def test_permissions_are_those_of_ordinary_files(tmp_path: Path) -> None:
    ordinary = tmp_path / "o"
    ordinary.write_bytes(b"")
    path = write_bytes(tmp_path / "a", b"")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(ordinary.stat().st_mode)


def test_a_folder_comes_whole(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with staging(out) as temporary:
        (temporary / "sub").mkdir()
        (temporary / "sub" / "a.txt").write_text("a")
        assert not out.exists()
    (out / "kept.txt").write_text("kept")

    def fail() -> None:
        with staging(out) as temporary:
            (temporary / "b.txt").write_text("b")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    found = sorted(str(file.relative_to(out)) for file in out.rglob("*.txt"))
    assert found == ["kept.txt", "sub/a.txt"]
    assert list(tmp_path.iterdir()) == [out]


def test_names_that_are_taken(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is a folder"), replacing(tmp_path):
        pass
    with pytest.raises(DataError, match="is a file"), staging(tmp_path / "file"):
        pass
    with (
        pytest.raises(DataError, match="is a file, not a folder"),
        replacing(tmp_path / "file" / "a.txt"),
    ):
        pass


def test_places_that_cannot_be_written_are_named_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(DataError, match="is a file, not a folder"):
        check_writable(file / "out", folder=True)
    shut = tmp_path / "shut"
    shut.mkdir()
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != shut)
    for place in (shut, shut / "new"):
        with pytest.raises(DataError, match="shut may not be"), staging(place):
            pytest.fail("nothing is worked for a place that cannot be written")
    with pytest.raises(DataError, match="shut may not be"):
        write_text(shut / "a.txt", "text")
