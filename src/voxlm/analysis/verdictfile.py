"""Verdicts on disk: maps to look at, and every number to read back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib.metadata import version
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from voxlm.analysis.contrast import Contrast
from voxlm.analysis.verdict import Verdict
from voxlm.contrasts.hypothesis import Hypothesis
from voxlm.contrasts.statmap import StatMap
from voxlm.errors import DataError
from voxlm.images.atomic import staging, write_bytes, write_text
from voxlm.images.space import Space
from voxlm.images.spacefile import pack_space, unpack_space
from voxlm.inference.ari import AllResolution
from voxlm.inference.decision import Decision
from voxlm.inference.measure import Measure
from voxlm.inference.permutation import PermutationTest
from voxlm.inference.randomfield import RandomField
from voxlm.inference.roughness import Roughness

FORMAT = 1
RECORDS = {
    kind.__name__: kind
    for kind in (
        Verdict, Contrast, Hypothesis, StatMap, Decision, PermutationTest, Measure, AllResolution,
        RandomField, Roughness,
    )
}  # fmt: skip
# What leads back to the data, and is not part of a decision.
LEFT_OUT = {"Contrast": ("resampling", "residuals")}
NUMBERS, RECORD = "verdict.npz", "verdict.json"


def save_verdict(verdict: Verdict, out: Path) -> Path:
    """Write a verdict to a folder; see :meth:`voxlm.Verdict.save`."""
    arrays: dict[str, Any] = {}
    packed = _pack(verdict, "verdict", arrays)
    record = {
        "format": FORMAT,
        "contrast": verdict.contrast.text,
        "method": verdict.method,
        "alpha": verdict.alpha,
        "decision": str(verdict),
        "voxlm": version("voxlm"),
        "verdict": packed,
    }
    with staging(out, RECORD) as folder:
        write_maps(verdict, folder)
        buffer = BytesIO()
        np.savez_compressed(buffer, **arrays)
        write_bytes(folder / NUMBERS, buffer.getvalue())
        write_text(folder / RECORD, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    return out


def write_maps(verdict: Verdict, folder: Path, stem: str = "") -> None:
    """Write the maps of a verdict, its table and its null distribution, for eyes."""
    space = verdict.contrast.space
    suffix = space.extension
    if not stem:
        space.write(folder / f"mask{suffix}", np.ones(space.n_voxels, dtype=np.bool_))
    names = ["stat", "z", "p", "q", "significant"]
    if verdict.bounds is not None:
        names.append("tdp")
    for name in names:
        intent, df = verdict.intent(name)
        values = verdict.significant if name == "significant" else verdict.values(name)
        label = verdict.contrast.kind if name == "stat" else name
        space.write(folder / f"{stem}stat-{label}_statmap{suffix}", values, intent=intent, df=df)
    table = verdict.table().to_csv(sep="\t", index=False, na_rep="n/a")
    write_text(folder / f"{stem}clusters.tsv", table)
    if verdict.null.size:
        lines = "\n".join(repr(float(x)) for x in verdict.null)
        write_text(folder / f"{stem}null.tsv", f"null\n{lines}\n")


def load_verdict(folder: str | PathLike[str]) -> Verdict:
    """Read a verdict that :meth:`voxlm.Verdict.save` wrote.

    Parameters
    ----------
    folder : path

    Returns
    -------
    Verdict
        Equal to the one that was saved. It holds no data, so that it cannot be corrected anew.

    Raises
    ------
    DataError
        A folder that holds no verdict, or one by a later version.

    Examples
    --------
    >>> import tempfile
    >>> import pandas as pd
    >>> import voxlm as vx
    >>> values = np.random.default_rng(0).normal(size=(8, 3))
    >>> maps = vx.Maps(pd.DataFrame(index=range(8)), data=values)
    >>> verdict = vx.lm("~ 1", maps).contrast("Intercept").correct("holm")
    >>> vx.load_verdict(verdict.save(tempfile.mkdtemp() + "/holm")) == verdict
    True
    """
    place = Path(folder)
    try:
        record = json.loads((place / RECORD).read_text(encoding="utf-8"))
        with np.load(place / NUMBERS, allow_pickle=False) as file:
            arrays = dict(file)
        if record["format"] != FORMAT:
            raise DataError(f"{place} holds a verdict of format {record['format']}, not {FORMAT}")
        found = _unpack(record["verdict"], arrays, place)
    except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{place} does not hold a verdict: {error}") from error
    if not isinstance(found, Verdict):
        raise DataError(f"{place} does not hold a verdict")
    return found


def _pack(value: Any, name: str, arrays: dict[str, Any]) -> Any:
    """Turn a record into what JSON can hold, its arrays aside, by name."""
    if isinstance(value, Space) and not isinstance(value, Mapping):
        return pack_space(value, name, arrays)
    if is_dataclass(value) and not isinstance(value, type):
        kind = type(value).__name__
        kept = [f.name for f in fields(value) if f.name not in LEFT_OUT.get(kind, ())]
        parts = {n: _pack(getattr(value, n), f"{name}.{n}", arrays) for n in kept}
        return {"record": kind, "fields": parts}
    if isinstance(value, np.ndarray):
        arrays[name] = value
        return {"array": name}
    if isinstance(value, (tuple, list)):
        return {"items": [_pack(x, f"{name}.{i}", arrays) for i, x in enumerate(value)]}
    if isinstance(value, (np.bool_, np.integer, np.floating)):
        value = value.item()
    if isinstance(value, float):
        return {"float": repr(value)}
    return value


def _unpack(packed: Any, arrays: Mapping[str, Any], place: Path) -> Any:
    if not isinstance(packed, dict):
        return packed
    if "record" in packed:
        parts = {n: _unpack(v, arrays, place) for n, v in packed["fields"].items()}
        return RECORDS[packed["record"]](**parts)
    if "space" in packed:
        return unpack_space(packed, arrays, place)
    if "array" in packed:
        return arrays[packed["array"]]
    if "items" in packed:
        return tuple(_unpack(x, arrays, place) for x in packed["items"])
    return float(packed["float"])


def same(a: Any, b: Any) -> bool:
    """Say whether two records hold the same numbers, whatever data lie behind them."""
    if hasattr(a, "differs"):
        return not a.differs(b)
    if is_dataclass(a) and not isinstance(a, type):
        if type(a) is not type(b):
            return False
        left_out = LEFT_OUT.get(type(a).__name__, ())
        names = [f.name for f in fields(a) if f.name not in left_out]
        return all(same(getattr(a, n), getattr(b, n)) for n in names)
    if isinstance(a, (tuple, list)):
        alike = isinstance(b, (tuple, list)) and len(a) == len(b)
        return alike and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, (np.ndarray, np.generic, float, int)) and not isinstance(a, str):
        if not isinstance(b, (np.ndarray, np.generic, float, int)):
            return False
        x, y = np.asarray(a), np.asarray(b)
        real = x.dtype.kind in "fiub" and y.dtype.kind in "fiub"
        return bool(np.array_equal(x, y, equal_nan=real))
    return bool(a == b)
