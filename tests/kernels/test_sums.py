import numpy as np
import pytest

from voxlm.kernels.lagged import lagged_basis
from voxlm.kernels.sums import sums_of_array

# Residuals of 1e-5 on a signal of 1: a difference of sums of squares keeps no more than 5 digits.
NOISE = 1e-5
# What rounding of the data alone costs such residuals, with room for the sum over scans.
DIGITS = 1e-9


@pytest.mark.parametrize("noise", [1.0, NOISE])
def test_sums_of_squares_keep_their_digits_under_a_large_signal(noise):
    rng = np.random.default_rng(0)
    X = np.column_stack([np.ones(120), rng.standard_normal((120, 3))])
    Y = X @ rng.standard_normal((4, 300)) + noise * rng.standard_normal((120, 300))
    sums = sums_of_array(lagged_basis(X, 0), Y)
    exact = np.sum((Y - X @ np.linalg.lstsq(X, Y, rcond=None)[0]) ** 2, axis=0)
    np.testing.assert_allclose(sums.auto[0], exact, rtol=DIGITS)
    np.testing.assert_allclose(sums.spread, Y.var(axis=0) * 120, rtol=DIGITS)


def test_one_voxel_without_residuals_does_not_cost_its_neighbours_digits():
    rng = np.random.default_rng(1)
    X = np.column_stack([np.ones(60), np.arange(60.0)])
    Y = rng.standard_normal((60, 5))
    alone = sums_of_array(lagged_basis(X, 0), Y).auto
    Y[:, 2] = X @ [3.0, 0.5]
    beside = sums_of_array(lagged_basis(X, 0), Y).auto
    others = [0, 1, 3, 4]
    np.testing.assert_allclose(beside[:, others], alone[:, others], rtol=1e-12)
    assert beside[0, 2] < 1e-20 * np.sum(Y[:, 2] ** 2)
