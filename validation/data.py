"""Where the real data lie."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def folder(name: str) -> Path:
    """Return a data set: in ``$VOXLM_DATA``, or in shared/data in or beside the checkout."""
    named = os.environ.get("VOXLM_DATA")
    places = [Path(named)] if named else [ROOT / "shared/data", ROOT.parent / "shared/data"]
    for place in places:
        if (place / name).is_dir():
            return place / name
    raise SystemExit(
        f"the data set {name} is in none of {', '.join(map(str, places))}; set VOXLM_DATA to the "
        "folder that holds it"
    )
