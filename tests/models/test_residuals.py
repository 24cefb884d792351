"""Residuals reduced in one pass equal what brute force makes of the whole array."""

import numpy as np
import pytest
from scipy import stats

from voxlm.images.scans import array_scans
from voxlm.models.linear import fit_linear
from voxlm.models.reduce import FITTED
from voxlm.models.residuals import EXTREME, reduce_residuals

#: Sums of fourth powers over some hundred scans, in another order.
ROUNDING = 1e-9


class Streamed:
    """An array that is only handed out in blocks whose buffer is used again."""

    def __init__(self, data, size=7):
        self.data, self.size, self.array = data, size, None
        self.n_scans, self.n_voxels = data.shape
        self.dtype = data.dtype

    def blocks(self, size=16):
        buffer = np.empty((self.size, self.n_voxels))
        for start in range(0, self.n_scans, self.size):
            rows = self.data[start : start + self.size]
            buffer[: len(rows)] = rows
            yield start, buffer[: len(rows)]


def _data(n_scans=90, n_voxels=40, seed=3):
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((n_scans, n_voxels))
    for t in range(1, n_scans):
        noise[t] += 0.4 * noise[t - 1]
    noise[33] += 6.0
    data = 100.0 + noise
    data[:, 5] = 7.0  # constant: left out
    X = np.column_stack([np.ones(n_scans), np.sin(np.arange(n_scans) / 5.0)])
    return data, X


def _brute(data, X, estimate, kept):
    rows = data if kept is None else data[kept]
    e = estimate.factor * rows + estimate.level - estimate.X @ estimate.params
    pieces, places = [], []
    for start, stop in estimate.basis.segments:
        w = e[start + estimate.order : stop].copy()
        for lag in range(1, estimate.order + 1):
            w -= estimate.rho[lag - 1] * e[start + estimate.order - lag : stop - lag]
        pieces.append(w / np.sqrt(estimate.scale))
        places.append(np.arange(start + estimate.order, stop))
    return pieces, np.concatenate(places)


@pytest.mark.parametrize("order", [0, 1, 3])
@pytest.mark.parametrize("cut", [False, True], ids=["whole", "scans removed"])
def test_equals_brute_force(order, cut):
    data, X = _data()
    kept = None
    if cut:
        kept = np.ones(len(data), bool)
        kept[[20, 21, 50]] = False
    estimate = fit_linear(Streamed(data), X, order=order, kept=kept, scaling="percent")
    found = reduce_residuals(Streamed(data), estimate, kept, sample=1000)
    pieces, places = _brute(data, X, estimate, kept)
    good = estimate.status == FITTED
    u = np.concatenate(pieces)[:, good]
    assert found.n == len(u)
    np.testing.assert_allclose(found.sample, u, rtol=ROUNDING, atol=ROUNDING)
    np.testing.assert_allclose(found.skewness[good], stats.skew(u), rtol=ROUNDING, atol=ROUNDING)
    np.testing.assert_allclose(found.kurtosis[good], stats.kurtosis(u), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(
        found.jarque_bera[good], [stats.jarque_bera(c).statistic for c in u.T], rtol=1e-7
    )
    np.testing.assert_allclose(found.scan_variance[places], (u**2).mean(axis=1), rtol=ROUNDING)
    np.testing.assert_allclose(
        found.scan_extreme[places], (np.abs(u) > EXTREME).mean(axis=1), rtol=ROUNDING
    )
    products = sum((p[1:, good] * p[:-1, good]).sum(axis=0) for p in pieces)
    lag = (products / len(u) - u.mean(axis=0) ** 2) / u.var(axis=0)
    np.testing.assert_allclose(found.autocorrelation[good], lag, rtol=ROUNDING, atol=ROUNDING)
    assert np.isnan(found.skewness[~good]).all()
    outside = np.setdiff1d(np.arange(len(found.scan_variance)), places)
    assert np.isnan(found.scan_variance[outside]).all()


def test_the_scan_with_a_spike_stands_out():
    data, X = _data()
    estimate = fit_linear(array_scans(data), X, order=1)
    found = reduce_residuals(array_scans(data), estimate)
    assert int(np.nanargmax(found.scan_variance)) == 33
    assert found.scan_extreme[33] > 0.3
