"""Arrays of known truth."""

import numpy as np
import pytest
from statsmodels.tsa.stattools import acf

from voxlm.errors import DataError
from voxlm.simulate import series

# Sampling error of a lag-one autocorrelation over 200 voxels of 2,000 scans is about
# 1 / sqrt(400,000) = 0.0016; five times that.
RHO_TOLERANCE = 0.008


def _design(n_scans: int) -> np.ndarray:
    scan = np.arange(n_scans)
    return np.column_stack([np.ones(n_scans), np.sin(scan / 7.0)])


def test_data_less_signal_are_the_errors_asked_for():
    made = series(_design(2000), 200, params=[3.0, -1.0], rho=(0.6,), sigma=2.0, seed=3)
    errors = made.data - made.matrix @ made.params
    lag_one = [acf(voxel, nlags=1)[1] for voxel in errors.T]
    assert np.mean(lag_one) == pytest.approx(0.6, abs=RHO_TOLERANCE)
    assert errors.var() == pytest.approx(4.0 / (1 - 0.36), rel=0.02)


def test_ar2_autocovariance_follows_yule_walker():
    made = series(_design(2000), 200, params=[0, 0], rho=(0.5, -0.3), seed=5)
    first = np.mean([acf(voxel, nlags=2)[1:] for voxel in made.data.T], axis=0)
    expected_one = 0.5 / (1 + 0.3)
    assert first[0] == pytest.approx(expected_one, abs=RHO_TOLERANCE)
    assert first[1] == pytest.approx(0.5 * expected_one - 0.3, abs=RHO_TOLERANCE)


def test_white_errors_and_rho_per_voxel():
    white = series(_design(500), 4, rho=())
    assert white.rho.shape == (0, 4)
    each = series(_design(4000), 2, params=[0, 0], rho=[[0.0, 0.8]], seed=1)
    lag_one = [acf(voxel, nlags=1)[1] for voxel in each.data.T]
    assert abs(lag_one[0]) < 0.1 < 0.7 < lag_one[1]


def test_same_seed_same_numbers_and_dtype():
    one, two = (series(_design(50), 3, seed=9, dtype=np.float32, mean=1e4) for _ in range(2))
    assert one.data.dtype == np.float32
    np.testing.assert_array_equal(one.data, two.data)
    assert one.data.mean() == pytest.approx(1e4, rel=1e-3)
    assert not np.array_equal(one.data, series(_design(50), 3, seed=8, mean=1e4).data)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rho": (1.0,)}, "not stationary"),
        ({"rho": (0.9, 0.2)}, "not stationary"),
        ({"params": [1.0]}, "1 rows, the design has 2 columns"),
        ({"params": np.ones((2, 7))}, r"expected \(n,\) or \(n, 3\)"),
        ({"n_voxels": 0}, "at least 1"),
        ({"matrix": np.ones(5)}, "two axes"),
    ],
)
def test_what_cannot_be_simulated_is_said(change, said):
    call = {"matrix": _design(60), "n_voxels": 3} | change
    with pytest.raises(DataError, match=said):
        series(**call)
