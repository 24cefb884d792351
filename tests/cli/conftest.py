"""A small study, written once for all tests of the command line."""

import os

import pytest
from typer.testing import CliRunner

from voxlm.cli.app import app
from voxlm.simulate import study


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """Return two short runs of a coarse brain."""
    return study(
        tmp_path_factory.mktemp("small"), n_runs=2, n_scans=80, shape=(20, 24, 18), voxel_mm=8.0
    )


@pytest.fixture
def voxlm():
    """Return a function that runs the program and gives its result."""
    runner = CliRunner(env={"COLUMNS": "120", "NO_COLOR": "1", "TERM": os.environ.get("TERM", "")})
    return lambda *args: runner.invoke(app, [str(arg) for arg in args])
