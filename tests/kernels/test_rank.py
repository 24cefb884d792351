"""Rank and dependencies against numpy and by construction."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from voxlm.kernels.rank import dependencies, null_columns, null_space, rank


@given(
    seed=st.integers(0, 9999), t=st.integers(12, 60), p=st.integers(1, 8), extra=st.integers(0, 3)
)
@settings(max_examples=60, deadline=None)
def test_planted_dependencies_are_found(seed, t, p, extra):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(t, p)) * 10.0 ** rng.integers(-6, 6, p)
    X = np.hstack([X, X / np.linalg.norm(X, axis=0) @ rng.normal(size=(p, extra))])
    assert rank(X) == p
    found = dependencies(X)
    assert [d.column for d in found] == list(range(p, p + extra))
    for d in found:
        # Weights are rounded to nine digits for reading.
        size = np.abs(X[:, list(d.others)]) @ np.abs(d.weights)
        gap = X[:, d.column] - X[:, list(d.others)] @ np.array(d.weights)
        assert np.all(np.abs(gap) <= 1e-6 * size + 1e-9 * np.abs(X).max())
    assert set(range(p, p + extra)) <= set(null_columns(X))
    assert null_space(X).shape == (p + extra, extra)


def test_zero_columns_and_empty_designs():
    X = np.column_stack([np.ones(5), np.zeros(5)])
    assert rank(X) == 1
    assert rank(np.zeros((5, 2))) == 0
    assert rank(np.empty((5, 0))) == 0
    assert dependencies(X) == ((1, (), ()),)
    assert null_columns(X) == (1,)


def test_agrees_with_numpy_on_ordinary_designs():
    rng = np.random.default_rng(4)
    X = rng.normal(size=(100, 12))
    X[:, 5] = X[:, 0] + X[:, 1]
    assert rank(X) == np.linalg.matrix_rank(X) == 11
