"""Small studies on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_study import Study, make_study


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return make_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="session")
def odd_study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """One voxel is zero, one constant, one has a NaN, one a negative mean."""
    return make_study(tmp_path_factory.mktemp("odd"), odd_voxels=True)


@pytest.fixture
def new_study(tmp_path: Path) -> Any:
    """Return a maker of studies of other seeds and types."""

    def make(seed: int, dtype: str = "<f8") -> Study:
        folder = tmp_path / f"{seed}{dtype[1:]}"
        folder.mkdir()
        return make_study(folder, seed, dtype)

    return make


@pytest.fixture
def bad(tmp_path: Path) -> Study:
    """Return a study of one's own, to be damaged."""
    return make_study(tmp_path)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return make_study(tmp_path_factory.mktemp("good"))
