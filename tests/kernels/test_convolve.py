"""Responses at scans against the plain convolution they are a short cut for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxlm.kernels.convolve import micro_grid, orthogonalise, place, read_at, respond

# Differences of running sums of order one: some eps each, a few hundred events.
TOLERANCE = 1e-12


def plain(grid, times, steps, heights, kernel, lead=0):
    train = np.zeros(grid.size)
    np.add.at(train, steps.up, heights)
    np.add.at(train, steps.down, -heights)
    series = np.convolve(np.cumsum(train), kernel)[: grid.size]
    return np.interp(times, grid[: grid.size - lead], series[lead:])


@given(seed=st.integers(0, 9999), lead=st.sampled_from([0, 3]), ref=st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_equals_the_plain_convolution(seed, lead, ref):
    rng = np.random.default_rng(seed)
    times = (np.arange(40) + ref) * 1.3
    grid = micro_grid(times, oversampling=16)
    steps = place(grid, rng.uniform(-24, 60, 30), rng.choice([0.0, 0.5, 9.0], 30))
    heights = rng.normal(size=(30, 2))
    kernel = rng.normal(size=200) * np.exp(-np.arange(200) / 40)
    found = respond(steps, heights, kernel, read_at(grid, times), lead)
    for k in range(2):
        expected = plain(grid, times, steps, heights[:, k], kernel, lead)
        assert np.max(np.abs(found[:, k] - expected)) < TOLERANCE * np.abs(kernel).sum() * 30


def test_blocks_of_events_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    times = np.arange(50.0)
    grid = micro_grid(times)
    steps = place(grid, rng.uniform(0, 50, 100), rng.uniform(0, 5, 100))
    heights, kernel = rng.normal(size=(100, 3)), rng.normal(size=500)
    whole = respond(steps, heights, kernel, read_at(grid, times))
    monkeypatch.setattr("voxlm.kernels.convolve.BLOCK", 350)
    pieces = respond(steps, heights, kernel, read_at(grid, times))
    assert np.allclose(whole, pieces, rtol=0, atol=1e-11)


def test_orthogonal_to_all_before():
    X = np.random.default_rng(1).normal(size=(30, 3))
    out = orthogonalise(X)
    assert np.array_equal(out[:, 0], X[:, 0])
    gram = out.T @ out
    assert np.max(np.abs(gram - np.diag(np.diag(gram)))) < 1e-12
    assert np.linalg.matrix_rank(np.hstack([X, out])) == 3


def test_a_zero_column_stays_zero():
    X = np.zeros((10, 2))
    assert orthogonalise(X) == pytest.approx(X)
