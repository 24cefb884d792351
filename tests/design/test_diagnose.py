"""Diagnostics against statsmodels and by construction."""

import numpy as np
import pytest
from statsmodels.stats.outliers_influence import variance_inflation_factor

from voxlm.design.columns import Column, Design
from voxlm.design.diagnose import condition_number, efficiency, overlap, vif
from voxlm.errors import DesignError

# Both solve small least-squares problems of condition below 100.
TOLERANCE = 1e-9


def matrix(seed=0, t=80):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(t, 4))
    X[:, 1] += 0.8 * X[:, 0]
    return np.column_stack([X, np.ones(t)])


def test_vif_equals_statsmodels():
    X = matrix()
    found = vif(X)
    for k in range(4):
        assert found[k] == pytest.approx(variance_inflation_factor(X, k), rel=TOLERANCE)


def test_vif_is_infinite_where_others_add_up():
    X = matrix()
    assert np.isinf(vif(np.column_stack([X, X[:, 0] + X[:, 1]]))[[0, 1, 5]]).all()


def test_efficiency_is_the_inverse_variance():
    X = matrix()
    C = np.array([[1.0, -1, 0, 0, 0], [0, 0, 1, 0, 0]])
    expected = 1 / np.diag(C @ np.linalg.inv(X.T @ X) @ C.T)
    assert efficiency(X, C) == pytest.approx(expected, rel=TOLERANCE)
    with pytest.raises(DesignError, match="3 weights does not fit 5"):
        efficiency(X, [1, 0, 0])


def test_condition_number_does_not_depend_on_units():
    X = matrix()
    assert condition_number(X * [1, 1e6, 1e-6, 1, 3]) == pytest.approx(condition_number(X))
    unit = X / np.linalg.norm(X, axis=0)
    assert condition_number(X) == pytest.approx(np.linalg.cond(unit))


def test_overlap_is_r_squared():
    X = matrix()
    expected = np.corrcoef(X[:, 0], X[:, 1])[0, 1] ** 2
    assert overlap(X, [0], [1])[0] == pytest.approx(expected, rel=TOLERANCE)
    assert overlap(X, [0], [])[0] == pytest.approx(0.0, abs=TOLERANCE)


def test_report_of_a_design():
    X = matrix()
    roles = ["task", "confound", "drift", "task", "constant"]
    columns = tuple(Column(f"x{k}", f"x{k}", role) for k, role in enumerate(roles))
    table = Design(X, columns).report()
    assert table.column.tolist() == ["x0", "x1", "x3"]
    expected = 100 * np.corrcoef(X[:, 0], X[:, 1])[0, 1] ** 2
    assert table.removed[0] == pytest.approx(expected)
    assert np.isnan(table.removed[1])
    assert table.r_drift[2] == pytest.approx(abs(np.corrcoef(X[:, 3], X[:, 2])[0, 1]))
    assert table.attrs["rank"] == 5
