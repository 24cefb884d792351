"""A decision judged by its truth."""

import numpy as np
import pytest

from voxlm.errors import DataError
from voxlm.simulate import score

LABELS = np.array([1, 1, 2, 2, 0, 0])
REGIONS = ("face", "house")
TRUTH = np.array([1.0, 1.0, -1.0, -1.0, 0.0, 0.0])
FOUND = np.array([1.2, 0.8, 0.9, -1.1, 0.0, 0.3])


def test_a_detection_of_the_wrong_sign_is_false():
    judged = score(TRUTH, FOUND, np.array([1, 0, 1, 1, 0, 1], bool), LABELS, REGIONS)
    assert (judged.n_true, judged.n_detected, judged.n_false) == (4, 4, 2)
    assert judged.power == 0.5
    assert judged.false_discovery_proportion == 0.5


def test_table_averages_over_regions():
    table = score(TRUTH, FOUND, np.ones(6, bool), LABELS, REGIONS).table
    assert list(table.index) == ["face", "house", "elsewhere"]
    assert table.loc["face", "estimate"] == pytest.approx(1.0)
    assert table.loc["house", "rmse"] == pytest.approx(np.sqrt((1.9**2 + 0.1**2) / 2))
    assert table["voxels"].sum() == 6


def test_joint_test_has_a_truth_where_any_row_has_one():
    truth = np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    judged = score(truth, truth, np.array([1, 1, 1], bool), np.array([1, 1, 0]), ("face",))
    assert (judged.n_true, judged.power, judged.n_false) == (2, 1.0, 1)


def test_nothing_detected_and_nothing_true():
    judged = score(np.zeros(6), FOUND, np.zeros(6, bool), LABELS, REGIONS)
    assert judged.false_discovery_proportion == 0.0
    assert np.isnan(judged.power)
    assert "no voxel has a true effect" in str(judged)


def test_unequal_voxels_are_refused():
    with pytest.raises(DataError, match="not of the same voxels"):
        score(TRUTH, FOUND[:3], np.zeros(6, bool), LABELS, REGIONS)
    with pytest.raises(DataError, match="not of the same voxels"):
        score(TRUTH, FOUND, np.zeros(5, bool), LABELS, REGIONS)
