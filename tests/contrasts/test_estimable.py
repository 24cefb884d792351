"""Estimability against the projection on the row space, and its messages."""

import numpy as np
import pytest

from voxlm.contrasts import check_estimable
from voxlm.errors import ContrastError

NAMES = ["a", "b", "twin", "scaled", "constant"]


def design(seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((60, 5))
    X[:, 4] = 1.0
    return X


def deficient():
    X = design()
    X[:, 2] = X[:, 1]
    return X


def test_full_rank_answers_everything():
    check_estimable(np.eye(5), design(), NAMES)


def test_duplicate_columns_alone_are_refused_their_sum_is_not():
    X = deficient()
    check_estimable(np.array([[0, 1, 1, 0, 0], [1, 0, 0, -1, 0]]), X, NAMES)
    for c in ([0, 1, 0, 0, 0], [0, 1, -1, 0, 0], [1, 0.5, 1, 0, 0]):
        with pytest.raises(ContrastError, match="does not determine b, twin one by one"):
            check_estimable(np.array([c]), X, NAMES)


def test_the_row_is_named():
    with pytest.raises(ContrastError, match=r"row 2 of the contrast, a - 1/2\*b = 0, cannot"):
        check_estimable(np.array([[1, 0, 0, 0, 0], [1, -0.5, 0, 0, 0]]), deficient(), NAMES)


def test_a_zero_column_cannot_be_asked_about():
    X = design()
    X[:, 3] = 0
    check_estimable(np.eye(5)[[0, 1, 2, 4]], X, NAMES)
    with pytest.raises(ContrastError, match="does not determine scaled one by one"):
        check_estimable(np.eye(5)[3:4], X, NAMES)


@pytest.mark.parametrize("units", [1e-9, 1.0, 1e9])
def test_units_do_not_matter(units):
    X = deficient()
    scale = np.array([1, 1, 1, units, 1])
    check_estimable(np.array([[0, 1, 1, 1, 0]]) * scale, X * scale, NAMES)
    with pytest.raises(ContrastError):
        check_estimable(np.array([[0, 1, 0, 1, 0]]) * scale, X * scale, NAMES)


def test_law_rows_made_of_rows_of_x_are_estimable():
    X = deficient()
    X[:, 0] = X[:, 3] + X[:, 4]
    C = np.random.default_rng(3).standard_normal((20, 60)) @ X
    check_estimable(C, X, NAMES)
    projector = np.linalg.pinv(X) @ X
    for c in np.eye(5):
        inside = np.linalg.norm(c - c @ projector) < 1e-8
        if inside:
            check_estimable(c[None], X, NAMES)
        else:
            with pytest.raises(ContrastError):
                check_estimable(c[None], X, NAMES)
