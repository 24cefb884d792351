"""Neighbour graphs and components against scipy.ndimage and brute force."""

from itertools import product

import numpy as np
import pytest
from scipy import ndimage

from voxlm.kernels.graph import components, volume_graph

SHAPE = (7, 5, 6)


def mask(seed=0, share=0.6):
    return np.random.default_rng(seed).random(SHAPE) < share


@pytest.mark.parametrize(("connectivity", "reach"), [(6, 1), (18, 2), (26, 3)])
def test_edges_equal_brute_force(connectivity, reach):
    inside = mask()
    places = np.argwhere(inside)
    graph = volume_graph(SHAPE, np.flatnonzero(inside), connectivity).toarray()
    for a, b in product(range(len(places)), repeat=2):
        step = np.abs(places[a] - places[b])
        assert graph[a, b] == (0 < step.sum() <= reach and step.max() == 1)


@pytest.mark.parametrize(("connectivity", "rank"), [(6, 1), (18, 2), (26, 3)])
@pytest.mark.parametrize("seed", range(3))
def test_components_equal_ndimage(connectivity, rank, seed):
    brain, above = mask(seed, 0.8), mask(seed + 10, 0.3)
    structure = ndimage.generate_binary_structure(3, rank)
    expected, n = ndimage.label(brain & above, structure)
    graph = volume_graph(SHAPE, np.flatnonzero(brain), connectivity)
    found = components(graph, above[brain])
    assert found.max() + 1 == n
    np.testing.assert_array_equal(found, expected[brain] - 1)


def test_keys_cut_components():
    graph = volume_graph((1, 1, 4), [0, 1, 2, 3])
    found = components(graph, np.ones(4, dtype=bool), np.array([1, 1, -1, -1]))
    assert found.tolist() == [0, 0, 1, 1]


def test_no_voxel_inside():
    graph = volume_graph((1, 1, 2), [0, 1])
    assert components(graph, np.zeros(2, dtype=bool)).tolist() == [-1, -1]


def test_other_connectivities_are_refused():
    with pytest.raises(ValueError, match="6, 18 or 26, got 8"):
        volume_graph((1, 1, 2), [0, 1], 8)
