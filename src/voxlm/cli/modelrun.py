"""What ``run`` and ``check`` do and print; loaded only when they do it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

import voxlm as vx
from voxlm.analysis.batch import Outcome
from voxlm.analysis.survey import check as check_model
from voxlm.analysis.survey import collapsed

WIDTH = 100  # of what is printed, in characters


def run(path: Path, bids: Path, out: Path, **options: Any) -> Outcome:
    """Run a model file."""
    found: Outcome = vx.Model.load(path).run(bids, out, **options)
    return found


def told(outcome: Outcome, debug: bool) -> str:
    """Return what came of it, with notes, and with tracebacks where they are asked for."""
    lines = [repr(outcome)]
    for one in (*outcome.subjects, *outcome.groups):
        lines += [f"  {one.name} note: {note}" for note in one.notes]
        lines += [one.trace] if debug and one.trace else []
    return "\n".join(lines)


def record(outcome: Outcome) -> dict[str, Any]:
    """Return the outcome as plain numbers and texts."""
    table = json.loads(outcome.table().to_json(orient="records"))
    return {"out": str(outcome.out), "group_left_out": outcome.skipped, "results": table}


def check(path: Path, bids: Path, subjects: Sequence[str] | None) -> tuple[pd.DataFrame, int]:
    """Check a model file; return the problems and the number of subjects and sessions."""
    return check_model(vx.Model.load(path), bids, subjects)


def listed(table: pd.DataFrame, n_units: int) -> str:
    """Lay out problems, one a paragraph, those of several subjects once."""
    if table.empty:
        return f"all is well in {n_units} subjects"
    lines = []
    for row in collapsed(table).to_dict("records"):
        head = "  ".join(str(row[part]) for part in ("subject", "run", "place") if row[part])
        head = f"warning: {head}" if row["level"] == "warning" else head
        text = textwrap.fill(
            str(row["problem"]), WIDTH, initial_indent="    ", subsequent_indent="    ",
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
        lines.append(f"{head}\n{text}")
    errors = table[table.level == "error"]
    wrong = len({subject for subject in errors.subject if subject != "group"})
    count = _counted(len(errors), "problem")
    if len(errors) < len(table):
        count += f" and {_counted(len(table) - len(errors), 'warning')}"
    lines.append(f"{count}; {wrong} of {n_units} subjects cannot be fitted as they are")
    return "\n".join(lines)


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"
