"""Tables by path or as they are, with nilearn's rules."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from voxlm.errors import DataError
from voxlm.glm.faults import InputTypeError


def load_tables(tables: Any, name: str) -> list[Any]:
    """Return one table or a list of them, reading those that are paths.

    Parameters
    ----------
    tables : DataFrame, ndarray, path, or list of them
        Paths end in ``.tsv`` or ``.csv``.
    name : str
        What they are, in messages.

    Returns
    -------
    list of DataFrame or ndarray
    """
    listed = tables if isinstance(tables, list) else [tables]
    return [load_table(table, name, k) for k, table in enumerate(listed)]


def load_table(table: Any, name: str, index: int = 0) -> Any:
    """Return one table; see :func:`load_tables`."""
    if isinstance(table, pd.DataFrame | np.ndarray):
        return table
    if not isinstance(table, str | os.PathLike):
        raise InputTypeError(
            f"{name} can only be a pandas DataFrame, a Path object or a string, or a numpy array. "
            f"A {type(table)} was provided at idx {index}"
        )
    path = Path(table)
    if path.suffix not in (".tsv", ".csv"):
        raise DataError(f"Tables to load can only be TSV or CSV.\nGot {path}")
    return pd.read_csv(path, sep="\t" if path.suffix == ".tsv" else ",")


def check_separators(tables: Any) -> None:
    """Require tabs or commas in the heads of files of events."""
    for table in tables if isinstance(tables, list | tuple) else [tables]:
        if not isinstance(table, str | os.PathLike) or not Path(table).is_file():
            continue
        with Path(table).open(encoding="utf-8") as file:
            head = file.readline()
        try:
            csv.Sniffer().sniff(head, delimiters="\t,")
        except csv.Error as error:
            raise DataError(
                f"The values in the events file are not separated by tabs; please enforce BIDS "
                f"conventions: {table}"
            ) from error


def run_tables(n_runs: int, tables: Any, name: str) -> list[Any]:
    """Return one table a run."""
    listed = tables if isinstance(tables, list) else [tables]
    if len(listed) != n_runs:
        raise DataError(f"len(run_imgs) {n_runs} does not match len({name}) {len(listed)}")
    return load_tables(listed, name)
