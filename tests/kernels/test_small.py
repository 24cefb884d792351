"""Batched small solves against LAPACK, one voxel at a time."""

import numpy as np
import pytest

from voxlm.kernels.small import factor, inverse, quadratic

# Condition numbers here stay below 1e4: a few eps times that.
RTOL = 1e-11


def matrices(Q, V, seed=0):
    rng = np.random.default_rng(seed)
    half = rng.standard_normal((V, Q, Q + 3))
    return np.moveaxis(half @ np.swapaxes(half, 1, 2), 0, -1)


@pytest.mark.parametrize("Q", [1, 2, 3, 8])
def test_equal_to_lapack(Q):
    A = matrices(Q, 50)
    b = np.random.default_rng(1).standard_normal((Q, 50))
    L = factor(A)
    for v in range(50):
        np.testing.assert_allclose(L[..., v], np.linalg.cholesky(A[..., v]), rtol=RTOL, atol=1e-13)
        solved = np.linalg.solve(A[..., v], b[:, v])
        assert quadratic(A, b)[v] == pytest.approx(b[:, v] @ solved, rel=RTOL)
        np.testing.assert_allclose(inverse(A)[..., v] @ A[..., v], np.eye(Q), atol=1e-9)


def test_a_singular_or_nan_voxel_is_nan_and_disturbs_no_other():
    A = matrices(3, 5)
    whole = quadratic(A, np.ones((3, 5)))
    A[:, :, 1] = np.ones((3, 3))
    A[:, :, 2] = 0.0
    A[2, 1, 3] = np.nan
    broken = quadratic(A, np.ones((3, 5)))
    assert np.isnan(broken[1:4]).all()
    np.testing.assert_array_equal(broken[[0, 4]], whole[[0, 4]])
    assert np.isnan(inverse(A)[:, :, 1:4]).any(axis=(0, 1)).all()
