"""Clusters and peaks against nilearn's get_clusters_table and scipy.ndimage."""

import numpy as np
import pytest
from nibabel import Nifti1Image
from nibabel.affines import apply_affine
from nilearn.reporting import get_clusters_table
from scipy import ndimage

from voxlm.errors import VoxlmError
from voxlm.inference import find_clusters
from voxlm.kernels.graph import volume_graph

SHAPE = (18, 20, 14)
AFFINE = np.array([[3.0, 0, 0, -20], [0, 3, 0, -30], [0, 0, 3, -10], [0, 0, 0, 1]])
VOXEL = 27.0  # mm3
# nilearn's images hold float64 values; peaks are copies of voxels.
EXACT = 0.0


def study(seed):
    """Make a smooth map in a ball-shaped mask."""
    rng = np.random.default_rng(seed)
    volume = ndimage.gaussian_filter(rng.standard_normal(SHAPE), 1.3)
    volume *= 2.2 / volume.std()
    grid = np.indices(SHAPE) - np.reshape(np.array(SHAPE) / 2, (3, 1, 1, 1))
    mask = (grid**2).sum(axis=0) < 80
    return np.where(mask, volume, 0.0), mask


def found_in(volume, mask, threshold, **options):
    graph = volume_graph(SHAPE, np.flatnonzero(mask))
    values = volume[mask]
    places = apply_affine(AFFINE, np.argwhere(mask))
    return find_clusters(
        values, graph, np.abs(values) > threshold, positions=places, **options
    ), places


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("min_size", [1, 5])
def test_sizes_peaks_and_order_equal_nilearn(seed, min_size):
    volume, mask = study(seed)
    found, places = found_in(volume, mask, 2.5, min_size=min_size)
    table = get_clusters_table(
        Nifti1Image(volume, AFFINE), 2.5, cluster_threshold=min_size, two_sided=True
    )
    main = table[table["Cluster Size (mm3)"].astype(str) != ""]
    assert len(found) == len(main) > 3
    np.testing.assert_array_equal(found.size * VOXEL, main["Cluster Size (mm3)"].astype(float))
    np.testing.assert_allclose([v[0] for v in found.value], main["Peak Stat"], rtol=EXACT)
    peaks = np.array([places[p[0]] for p in found.peaks])
    np.testing.assert_array_equal(peaks, main[["X", "Y", "Z"]].astype(float))


@pytest.mark.parametrize("seed", range(3))
def test_further_peaks_are_maxima_far_enough_apart(seed):
    volume, mask = study(seed)
    inside = volume[mask]
    corner = volume_graph(SHAPE, np.flatnonzero(mask), 26)
    found, places = found_in(volume, mask, 1.0, peak_graph=corner, min_distance=8.0)
    assert max(len(p) for p in found.peaks) > 1
    for voxels, values in zip(found.peaks, found.value, strict=True):
        assert len(voxels) <= 4
        assert np.all(np.diff(np.abs(values)) <= 0)
        for voxel in voxels:
            around = corner.indices[corner.indptr[voxel] : corner.indptr[voxel + 1]]
            same = around[found.labels[around] == found.labels[voxel]]
            assert np.all(np.abs(inside[same]) <= np.abs(inside[voxel]))
        gaps = np.linalg.norm(places[voxels][:, None] - places[voxels], axis=2)
        assert np.all(gaps[np.triu_indices(len(voxels), 1)] > 8.0)


def test_opposite_signs_are_never_one_cluster():
    values = np.array([3.0, -3.0, -4.0, 3.5])
    found = find_clusters(values, volume_graph((4, 1, 1), range(4)), np.abs(values) > 2)
    assert found.labels.tolist() == [2, 3, 3, 1]
    assert found.sign.tolist() == [1, 1, -1]
    assert found.size.tolist() == [1, 1, 2]


def test_of_equal_neighbours_the_first_is_the_peak():
    values = np.array([1.0, 5.0, 5.0, 1.0])
    graph = volume_graph((4, 1, 1), range(4))
    places = np.arange(4)[:, None] * np.array([[100.0, 0, 0]])
    found = find_clusters(values, graph, np.ones(4, dtype=bool), positions=places)
    assert [p.tolist() for p in found.peaks] == [[1]]


def test_none_found():
    found = find_clusters(np.ones(3), volume_graph((3, 1, 1), range(3)), np.zeros(3, dtype=bool))
    assert len(found) == 0
    assert found.labels.tolist() == [0, 0, 0]


def test_it_prints_a_table():
    values = np.array([3.0, 4.0, 0.0, -5.0])
    found = find_clusters(values, volume_graph((4, 1, 1), range(4)), values != 0)
    assert str(found).splitlines()[1:] == [
        "       1        2     4.000          1",
        "       2        1    -5.000          3",
    ]


def test_refused():
    graph = volume_graph((3, 1, 1), range(3))
    with pytest.raises(VoxlmError, match="graph has 3 voxels, the map has 4"):
        find_clusters(np.ones(4), graph, np.ones(4, dtype=bool))
    with pytest.raises(VoxlmError, match="without a statistic"):
        find_clusters([1, np.nan, 1], graph, np.ones(3, dtype=bool))
    with pytest.raises(VoxlmError, match="at least 1, got 0"):
        find_clusters(np.ones(3), graph, np.ones(3, dtype=bool), min_size=0)
    with pytest.raises(VoxlmError, match="'inside' has shape"):
        find_clusters(np.ones(3), graph, np.ones(2, dtype=bool))
