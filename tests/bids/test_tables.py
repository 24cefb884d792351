"""Events and confounds: what is read, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from voxlm.bids.tables import read_confounds, read_events, read_table
from voxlm.errors import DataError

EVENTS = "onset\tduration\ttrial_type\trt\n0\t1.5\tface\t0.61\n10\t2\thouse\tn/a\n"


def put(folder: Path, text: str, name: str = "sub-01_events.tsv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_events_keep_other_columns(tmp_path: Path) -> None:
    frame, notes, path = read_events(put(tmp_path, EVENTS))
    assert path == tmp_path / "sub-01_events.tsv"
    assert notes == ()
    assert frame["trial_type"].tolist() == ["face", "house"]
    assert frame["rt"].iloc[0] == 0.61
    assert np.isnan(frame["rt"].iloc[1])


def test_csv_and_frames_are_the_same(tmp_path: Path) -> None:
    from_tsv = read_events(put(tmp_path, EVENTS))[0]
    from_csv = read_events(put(tmp_path, EVENTS.replace("\t", ","), "events.csv"))[0]
    pd.testing.assert_frame_equal(from_tsv, from_csv)
    pd.testing.assert_frame_equal(from_tsv, read_events(from_tsv)[0])


def test_a_frame_given_is_not_changed() -> None:
    given = pd.DataFrame({"onset": [1, 2], "duration": ["0", "n/a"]}, index=[7, 9])
    before = given.copy(deep=True)
    with pytest.raises(DataError, match="duration"):
        read_events(given)
    pd.testing.assert_frame_equal(given, before)


def test_byte_order_marks_and_windows_lines(tmp_path: Path) -> None:
    path = tmp_path / "events.tsv"
    path.write_bytes(b"\xef\xbb\xbf" + EVENTS.replace("\n", "\r\n").encode())
    pd.testing.assert_frame_equal(read_events(path)[0], read_events(put(tmp_path, EVENTS))[0])


def test_no_trial_type_is_one_condition_and_said(tmp_path: Path) -> None:
    frame, notes, _ = read_events(put(tmp_path, "onset\tduration\n1\t2\n3\t4\n"))
    assert frame["trial_type"].tolist() == ["event", "event"]
    assert "no trial_type column" in notes[0]
    assert "sub-01_events.tsv" in notes[0]


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        ("onset,duration\n1,2\n", "e.tsv", r"named \.tsv but .*separated by commas.*\.csv"),
        ("onset\tduration\n1\t2\n", "e.csv", r"named \.csv but .*separated by tabs.*\.tsv"),
        ("", "e.tsv", "is empty"),
        ("onset\tonset\tduration\n1\t1\t2\n", "e.tsv", r"'onset' stands 2 times \(columns 1, 2\)"),
        ("onset\tduration\t\n1\t2\t3\n", "e.tsv", "column 3 has no name"),
        ("onset\tduration\n1\t2\n3\n", "e.tsv", "line 3: 1 fields where .* names 2"),
        ("onset\tduration\n1\t2\t3\n", "e.tsv", "line 2: 3 fields"),
        ("duration\ttrial_type\n1\tface\n", "e.tsv", "onset"),
        ("onset\ttrial_type\n1\tface\n", "e.tsv", "duration"),
        ("onset\tduration\nn/a\t1\n", "e.tsv", "onset"),
        ("onset\tduration\n1\t-1\n", "e.tsv", "negative"),
        ("onset\tduration\nsoon\t1\n", "e.tsv", "soon"),
        (EVENTS, "e.txt", r"\.tsv \(tabs\) or \.csv"),
    ],
)
def test_events_that_are_refused(tmp_path: Path, text: str, name: str, says: str) -> None:
    with pytest.raises(DataError, match=says) as caught:
        read_events(put(tmp_path, text, name))
    assert name in str(caught.value)


def test_missing_names_what_is_there(tmp_path: Path) -> None:
    put(tmp_path, EVENTS)
    with pytest.raises(DataError, match=r"does not exist; .* has sub-01_events\.tsv"):
        read_events(tmp_path / "events.tsv")


def test_not_text(tmp_path: Path) -> None:
    path = tmp_path / "e.tsv"
    path.write_bytes(b"\xff\xfe\x00onset")
    with pytest.raises(DataError, match="not UTF-8"):
        read_events(path)


def test_neither_path_nor_frame() -> None:
    with pytest.raises(DataError, match=r"must be a path .* got list"):
        read_events([1, 2])


def test_frames_with_columns_twice() -> None:
    frame = pd.DataFrame(np.zeros((3, 2)), columns=["csf", "csf"])
    with pytest.raises(DataError, match="'csf' stands 2 times"):
        read_confounds(frame, 3)


def test_confounds_understand_missing_values(tmp_path: Path) -> None:
    path = put(tmp_path, "trans_x\ttrans_x_derivative1\n0.1\tn/a\n0.2\t0.1\n", "c.tsv")
    frame, _ = read_confounds(path, 2)
    assert frame.dtypes.tolist() == [np.float64, np.float64]
    assert frame["trans_x_derivative1"].isna().tolist() == [True, False]
    of_text = pd.DataFrame({"a": ["n/a", "0.5"], "b": ["n/a", "left"]})
    frame, _ = read_confounds(of_text, 2)
    assert frame["a"].iloc[1] == 0.5
    assert frame.isna().iloc[0].all()
    assert frame["b"].iloc[1] == "left"


def test_confounds_of_another_length(tmp_path: Path) -> None:
    path = put(tmp_path, "a\n1\n2\n", "c.tsv")
    with pytest.raises(DataError, match=r"c\.tsv has 2 rows, but the run has 3 scans"):
        read_confounds(path, 3)


def test_quoted_fields_may_hold_separators(tmp_path: Path) -> None:
    path = put(tmp_path, 'onset,duration,note\n1,2,"a, b"\n', "e.csv")
    assert read_table(path, "events")[0]["note"].tolist() == ["a, b"]


def test_real_confounds(shared_data: Path) -> None:
    folder = shared_data / "fmriprep_confounds"
    path = folder / "sub-01_task-auditory_desc-confounds_timeseries.tsv"
    n_rows = len(path.read_text().splitlines()) - 1
    frame, _ = read_confounds(path, n_rows)
    assert all(dtype.kind in "fi" for dtype in frame.dtypes)
    assert frame["framewise_displacement"].isna().tolist() == [True] + [False] * (n_rows - 1)


def test_the_json_beside_confounds_is_read(tmp_path):
    table = tmp_path / "desc-confounds_timeseries.tsv"
    table.write_text("a_comp_cor_00\n0.1\n0.2\n")
    assert "sidecar" not in read_confounds(table, 2)[0].attrs
    table.with_suffix(".json").write_text('{"a_comp_cor_00": {"Mask": "combined"}}')
    frame, _ = read_confounds(table, 2)
    assert frame.attrs["sidecar"]["a_comp_cor_00"]["Mask"] == "combined"
    table.with_suffix(".json").write_text("[]")
    with pytest.raises(DataError, match="json"):
        read_confounds(table, 2)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('onset\tduration\ttrial_type\n1\t1\t"face\n', "quote opened and never closed"),
        ('onset\tduration\ttrial_type\n1\t1\t"face"\t9\n', "line 2: 4 fields where the first"),
        ("onset;duration\n1;1\n", "separated by semicolons, not tabs"),
    ],
    ids=["open", "long", "semicolons"],
)
def test_quotes_and_widths(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read_table(put(tmp_path, text), "events")


def test_labels_of_participants_are_text(tmp_path: Path) -> None:
    path = put(tmp_path, "participant_id\tage\n01\t30\n02\tn/a\n", "participants.tsv")
    frame, _ = read_table(path, "participants")
    assert frame["participant_id"].tolist() == ["01", "02"]
    assert frame["age"].isna().tolist() == [False, True]
