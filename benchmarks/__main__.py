"""Print one table of all benchmarks: ``python -m benchmarks`` from the root of the repository."""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median

from benchmarks import (
    rows_arrays,
    rows_face,
    rows_files,
    rows_formula,
    rows_group,
    rows_inference,
    rows_mixed,
    rows_processes,
    rows_report,
)
from benchmarks.measure import Measured, Row, Settings

ROWS = (*rows_arrays.ROWS[:3], *rows_files.ROWS, *rows_processes.ROWS[:3], rows_arrays.ROWS[3])
ROWS += (*rows_processes.ROWS[3:], *rows_formula.ROWS, *rows_inference.ROWS, *rows_group.ROWS)
ROWS += (*rows_mixed.ROWS, *rows_report.ROWS, *rows_face.ROWS)
PACKAGES = ("voxlm", "nilearn", "statsmodels", "numpy", "scipy", "numba", "isal")
HEADS = ("work", "peer", "ours", "peer's", "ratio", "at least", "aim", "verdict")


def main() -> int:
    """Measure the rows asked for, print the table, and fail if a row misses its mark."""
    asked = _arguments()
    settings = Settings(asked.repeat, asked.cache, asked.peer_jobs)
    chosen = [row for row in ROWS if not asked.only or row.name in asked.only]
    machine = _machine()
    print(machine["text"], flush=True)
    measured = []
    for row in chosen:
        start = time.perf_counter()
        measured.append(row.measure(settings))
        print(f"  {row.name}: {time.perf_counter() - start:.0f} s", flush=True)
    print()
    print(_table(chosen, measured))
    for row, one in zip(chosen, measured, strict=True):
        if one.agreement:
            print(f"{row.name}: {one.agreement}")
    if asked.json:
        _save(asked.json, machine, settings, chosen, measured)
    missed = [row.name for row, one in zip(chosen, measured, strict=True) if _missed(row, one)]
    return 1 if missed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = [row.name for row in ROWS]
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--repeat", type=int, default=5, help="measurements a side (median; 5)")
    parser.add_argument("--json", type=Path, help="write every measurement to this file")
    parser.add_argument("--peer-jobs", type=int, default=1, help="n_jobs of nilearn (its own 1)")
    cache = Path(tempfile.gettempdir()) / "voxlm-benchmarks"
    parser.add_argument("--cache", type=Path, default=cache, help=f"folder of files ({cache})")
    return parser.parse_args()


def _missed(row: Row, measured: Measured) -> bool:
    return row.verdict(row.ratio(measured)) == "MISSED"


def _cells(row: Row, measured: Measured) -> tuple[str, ...]:
    figure = row.ratio(measured)
    sign = {"faster": "≥ ", "within": "≤ ", "under": "≤ "}[row.sense]
    mark = " s" if row.sense == "under" else "×"
    peer = _amount(median(measured.peer), row.unit) if measured.peer else "—"
    return (
        row.work,
        row.peer,
        _amount(median(measured.ours), row.unit),
        peer,
        f"{figure:.3g}{mark}",
        f"{sign}{row.at_least:.3g}{mark}",
        f"{sign}{row.aim:.3g}{mark}",
        row.verdict(figure),
    )


def _amount(value: float, unit: str) -> str:
    return f"{value:.0f} MB" if unit == "MB" else f"{value:.3g} s"


def _table(rows: list[Row], measured: list[Measured]) -> str:
    lines = [HEADS, *(_cells(row, one) for row, one in zip(rows, measured, strict=True))]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADS))]
    lines.insert(1, tuple("-" * width for width in widths))
    padded = (
        " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )
    return "\n".join(f"| {line} |" for line in padded)


def _machine() -> dict[str, object]:
    versions = {name: version(name) for name in PACKAGES}
    cores = _cores()
    listed = ", ".join(f"{name} {number}" for name, number in versions.items())
    text = f"{platform.machine()}, {cores} cores, Python {platform.python_version()}; {listed}"
    return {"text": text, "cores": cores, "versions": versions}


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _save(
    path: Path,
    machine: dict[str, object],
    settings: Settings,
    rows: list[Row],
    measured: list[Measured],
) -> None:
    lines = [
        {
            "name": row.name,
            "work": row.work,
            "peer": row.peer,
            "unit": row.unit,
            "sense": row.sense,
            "ours": one.ours,
            "peers": one.peer,
            "figure": row.ratio(one),
            "at_least": row.at_least,
            "aim": row.aim,
            "verdict": row.verdict(row.ratio(one)),
            "agreement": one.agreement,
        }
        for row, one in zip(rows, measured, strict=True)
    ]
    record = {
        "machine": machine,
        "repeat": settings.repeat,
        "peer_jobs": settings.peer_jobs,
        "rows": lines,
    }
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
