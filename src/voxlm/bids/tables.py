"""Events and confounds, from files or frames, as plain data frames."""

from __future__ import annotations

import csv
import os
from collections import Counter
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from voxlm.bids.sidecar import read_beside
from voxlm.design.events import check_events
from voxlm.errors import DataError
from voxlm.images.opening import beside

MISSING = ("n/a", "N/A", "NaN", "nan", "NA", "")
SEPARATORS = {".tsv": "\t", ".csv": ","}
EVENT = "event"  # the condition of events whose table has no trial_type


def read_events(
    source: object, role: str = "events"
) -> tuple[pd.DataFrame, tuple[str, ...], Path | None]:
    """Read a table of events.

    Parameters
    ----------
    source : path or DataFrame
        Columns ``onset`` and ``duration`` in seconds, ``trial_type`` (if there is none, every
        event belongs to one condition called ``event``), and any others, which are kept.
        ``n/a`` is a missing value.
    role : str
        What the table is called in messages.

    Returns
    -------
    frame : DataFrame
        A copy.
    notes : tuple of str
        What was assumed.
    path : Path or None
        The file, if it was one.

    Raises
    ------
    DataError
        If the file is missing or separated otherwise than its name says, if column names repeat,
        or if an onset, duration or other value cannot be one.

    Examples
    --------
    >>> frame, notes, path = read_events(pd.DataFrame({"onset": [1.0], "duration": [0.5]}))
    >>> frame.trial_type.tolist(), notes
    (['event'], ("events: no trial_type column, so every event is of condition 'event'",))
    """
    frame, path = read_table(source, role)
    where = str(path) if path else role
    notes: tuple[str, ...] = ()
    if "onset" in frame.columns and "trial_type" not in frame.columns:
        frame["trial_type"] = EVENT
        notes = (f"{where}: no trial_type column, so every event is of condition {EVENT!r}",)
    return check_events(frame, where), notes, path


def read_confounds(
    source: object, n_scans: int | None, role: str = "confounds"
) -> tuple[pd.DataFrame, Path | None]:
    """Read a table of confounds, one row a scan.

    Parameters
    ----------
    source : path or DataFrame
        ``n/a`` is a missing value and stays one: only the columns that a formula uses have to be
        complete.
    n_scans : int or None
        Number of scans of the run, T; None where there is no image to compare with.
    role : str
        What the table is called in messages.

    Returns
    -------
    frame : DataFrame
        A copy, indexed from 0; ``attrs["sidecar"]`` is the JSON beside the file, where there is
        one (fMRIPrep's says which mask each component came from).
    path : Path or None
        The file, if it was one.

    Raises
    ------
    DataError
        If the file is missing or separated otherwise than its name says, if column names repeat,
        or if there are not as many rows as scans.
    """
    frame, path = read_table(source, role)
    if n_scans is not None and len(frame) != n_scans:
        raise DataError(
            f"{path or role} has {len(frame)} rows, but the run has {n_scans} scans; confounds "
            "need one row a scan. Is it the table of another run, or were scans removed from one "
            "of the two? (To leave scans out, keep both whole and use sample_mask=)"
        )
    if path is not None and (sidecar := read_beside(path)):
        frame.attrs["sidecar"] = sidecar
    return frame, path


def _from_other(source: Any) -> pd.DataFrame:
    """Return another library's data frame as pandas'."""
    try:
        found = source.to_pandas()
    except ImportError:  # polars' way goes through pyarrow
        found = {str(name): source[name].to_list() for name in source.columns}
    return pd.DataFrame(found)


def read_table(source: object, role: str) -> tuple[pd.DataFrame, Path | None]:
    """Read a ``.tsv`` or ``.csv`` file, or copy a data frame.

    Parameters
    ----------
    source : path or DataFrame
        The table; of another library where it turns into pandas', as polars' does.
    role : str
        What it is called in messages.

    Returns
    -------
    frame : DataFrame
        Missing values are NaN.
    path : Path or None
        The file, if it was one.

    Raises
    ------
    DataError
        If it is neither, is missing or empty, is separated otherwise than its name says, has
        rows longer than its first, or column names that are empty or repeat.
    """
    if not isinstance(source, pd.DataFrame) and hasattr(source, "to_pandas"):
        source = _from_other(source)
    if isinstance(source, pd.DataFrame):
        frame = source.rename(columns=str).reset_index(drop=True)
        _check_names([str(name) for name in frame.columns], role)
        return _without_na(frame), None
    if not isinstance(source, (str, os.PathLike)):
        package = type(source).__module__.partition(".")[0]
        kind = f"{package}.{type(source).__name__}".removeprefix("builtins.")
        raise DataError(
            f"{role} must be a path (.tsv, .csv) or a DataFrame of pandas or polars, got {kind}"
        )
    path = Path(source).expanduser()
    return _read_file(path, role), path


def _without_na(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn the text ``n/a`` into a missing value, and what is then all numbers into numbers."""
    for name in frame.select_dtypes(exclude=["number", "bool", "category"]).columns:
        missing = (frame[name] == "n/a").to_numpy(dtype=bool, na_value=False)
        if missing.any():
            column = frame[name].astype(object).mask(missing, np.nan)
            numbers = pd.to_numeric(column, errors="coerce")
            frame[name] = numbers if (numbers.isna() == column.isna()).all() else column
    return frame


def _read_file(path: Path, role: str) -> pd.DataFrame:
    separator = _separator(path, role)
    text = _text(path, role)
    first = text.partition("\n")[0]
    if not first.strip():
        raise DataError(f"{role} {path} is empty: expected a first line with the column names")
    names = next(csv.reader([first], delimiter=separator))
    _check_separator(path, names, separator, first)
    _check_names(names, f"{role} {path}")
    _check_widths(path, text, separator, len(names))
    return pd.read_csv(
        path,
        sep=separator,
        dtype={"participant_id": str},
        na_values=list(MISSING),
        keep_default_na=False,
        encoding="utf-8-sig",
        skip_blank_lines=True,
    ).rename(columns=lambda name: str(name).strip())


def _separator(path: Path, role: str) -> str:
    suffix = path.suffix.lower()
    if suffix not in SEPARATORS:
        raise DataError(
            f"{role} {path}: tables are .tsv (tabs) or .csv (commas); rename the file, or read it "
            "with pandas and give the DataFrame"
        )
    if not path.is_file():
        raise DataError(f"{role} {path} does not exist; {beside(path, f'*{suffix}')}")
    return SEPARATORS[suffix]


def _text(path: Path, role: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{role} {path} is not UTF-8 text: {error.reason}") from error
    except OSError as error:
        raise DataError(f"{role} {path} cannot be read: {error.strerror}") from error


def _check_separator(path: Path, names: list[str], separator: str, first: str) -> None:
    words = {"\t": "tabs", ",": "commas", ";": "semicolons"}
    other = next((sign for sign in words if sign != separator and sign in first), None)
    if len(names) == 1 and other is not None:
        right = {"\t": "Rename it to .tsv, or write", ",": "Rename it to .csv, or write"}
        raise DataError(
            f"{path} is named {path.suffix} but its columns are separated by {words[other]}, not "
            f"{words[separator]}: its first line is {first[:60]!r}. {right.get(other, 'Write')} it "
            f"with {words[separator]}"
        )


def _check_names(names: list[str], where: str) -> None:
    stripped = [name.strip() for name in names]
    twice = [name for name, count in Counter(stripped).items() if count > 1]
    if twice:
        places = [str(at + 1) for at, name in enumerate(stripped) if name == twice[0]]
        raise DataError(
            f"{where}: the column name {twice[0]!r} stands {len(places)} times (columns "
            f"{', '.join(places)}); rename or remove all but one"
        )
    if "" in stripped:
        raise DataError(f"{where}: column {stripped.index('') + 1} has no name")


def _check_widths(path: Path, text: str, separator: str, width: int) -> None:
    """Refuse rows with more or fewer fields than names: values would stand in wrong columns."""
    rows = csv.reader(StringIO(text), delimiter=separator, strict=True)
    try:
        for row in rows:
            if row and len(row) != width:
                raise DataError(
                    f"{path}, line {rows.line_num}: {len(row)} fields where the first line "
                    f"names {width} columns"
                )
    except csv.Error as error:
        raise DataError(
            f"{path}, line {rows.line_num}: {error}; is a quote opened and never closed?"
        ) from error
