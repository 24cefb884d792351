"""What every test may ask for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Each of pytest-xdist's workers gets its share of the cores: threads of matrix products that wait
# for each other take ten times as long. Read when numpy is first imported, which is after this.
_workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
if _workers > 1:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // _workers)))

ROOT = Path(__file__).resolve().parents[1]


def _data_folder() -> Path | None:
    """Return the folder of real data: ``$VOXLM_DATA``, or shared/data in or beside the checkout."""
    named = os.environ.get("VOXLM_DATA")
    candidates = [Path(named)] if named else [ROOT / "shared/data", ROOT.parent / "shared/data"]
    return next((folder for folder in candidates if folder.is_dir()), None)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real data sets, or skip the test with a sentence."""
    folder = _data_folder()
    if folder is None:
        pytest.skip("real data not here: set VOXLM_DATA, or put shared/data beside the checkout")
    return folder
