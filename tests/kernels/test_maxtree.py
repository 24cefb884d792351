"""The max-tree, enhancement, extents and masses against brute force, scipy and nilearn."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nilearn.mass_univariate._utils import calculate_cluster_measures, calculate_tfce
from scipy import ndimage, sparse

from voxlm.kernels.enhance import clusters_above, tfce
from voxlm.kernels.graph import components, volume_graph
from voxlm.kernels.maxtree import grow_tree

SHAPE = (8, 8, 8)
RANK = {6: 1, 18: 2, 26: 3}
# Sums of at most 512 products in another order.
RTOL = 1e-12
# float32 maps keep seven digits; heights are cubed.
SINGLE_RTOL = 1e-6
# The package tfce computes in single precision.
PEER_RTOL = 1e-5
# What the second order of the step adds at 125 steps.
FIRST_ORDER = 0.05


def smooth(shape=SHAPE, seed=0, scale=2.0):
    volume = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 1.0)
    return scale * volume / volume.std()


def brute_tfce(values, graph, E=0.5, H=2.0, weights=None):
    """Integrate piece by piece: between two neighbouring heights no cluster changes."""
    weights = np.ones(len(values)) if weights is None else weights
    total = np.zeros(len(values))
    for sign in (1, -1):
        stat = np.where(np.isnan(values), -1.0, sign * values)
        heights = np.unique(stat[stat > 0])
        for low, high in pairwise(np.r_[0.0, heights]):
            labels = components(graph, stat >= high)
            inside = labels >= 0
            extent = np.bincount(labels[inside], weights[inside])[labels[inside]]
            total[inside] += sign * extent**E * (high ** (H + 1) - low ** (H + 1)) / (H + 1)
    return np.where(np.isnan(values), np.nan, total)


def cases():
    whole = smooth().ravel()
    ties = np.round(whole)
    holes = whole.copy()
    holes[np.random.default_rng(1).random(whole.size) < 0.2] = np.nan
    endless, both = np.random.default_rng(3).random((2, whole.size))
    infinite = np.where(endless < 0.1, np.copysign(np.inf, whole), ties)
    return {
        "smooth": whole,
        "infinite and ties": infinite,
        "infinite and nan": np.where(both < 0.2, np.nan, infinite),
        "all infinite": np.copysign(np.full(512, np.inf), whole),
        "ties": ties,
        "ties at halves": np.round(2 * whole) / 2,
        "nan": holes,
        "all equal": np.full(512, 1.5),
        "all negative": -np.abs(whole),
        "zero": np.zeros(512),
        "all nan": np.full(512, np.nan),
        # Doubles that differ only beyond the first half of their words, few and many alike.
        "one step apart": 1.0 + np.random.default_rng(4).permutation(512) * 2.0**-52,
        "a few steps apart": np.round(whole, 2) + np.random.default_rng(5).random(512) * 1e-9,
        "huge and tiny": whole * 10.0 ** np.random.default_rng(2).integers(-8, 8, 512),
    }


@pytest.mark.parametrize("connectivity", [6, 18, 26])
@pytest.mark.parametrize("name", list(cases()))
def test_tfce_equals_brute_force(name, connectivity):
    values = cases()[name]
    graph = volume_graph(SHAPE, np.arange(512), connectivity)
    for E, H in [(0.5, 2.0), (1.0, 2.0), (0.66, 1.5), (0.0, 0.0)]:
        expected = brute_tfce(values, graph, E, H)
        np.testing.assert_allclose(tfce(values, graph, E=E, H=H), expected, rtol=RTOL)
    # Steps beyond single precision are ties in it.
    single = tfce(values.astype(np.float32), graph)
    np.testing.assert_allclose(single, brute_tfce(values, graph), rtol=SINGLE_RTOL, atol=1e-30)


def test_areas_weigh_extents():
    values = smooth(seed=3).ravel()
    areas = np.random.default_rng(3).uniform(0.2, 3.0, values.size)
    graph = volume_graph(SHAPE, np.arange(512), 18)
    np.testing.assert_allclose(
        tfce(values, graph, weights=areas), brute_tfce(values, graph, weights=areas), rtol=RTOL
    )
    twice = tfce(values, graph, E=1.0, weights=np.full(512, 2.0))
    np.testing.assert_allclose(twice, 2 * tfce(values, graph, E=1.0), rtol=RTOL)


def test_one_sided_leaves_negative_voxels_at_zero():
    values = smooth().ravel()
    graph = volume_graph(SHAPE, np.arange(512))
    found = tfce(values, graph, two_sided=False)
    np.testing.assert_array_equal(found, np.maximum(tfce(values, graph), 0.0))
    np.testing.assert_array_equal(tfce(-values, graph), -tfce(values, graph))


def test_infinite_voxels_are_infinite_and_their_neighbours_are_not():
    values = np.array([1.0, np.inf, np.inf, 2.0, -np.inf])
    found = tfce(values, volume_graph((5, 1, 1), range(5)), E=1, H=0)
    assert found.tolist() == [4.0, np.inf, np.inf, 7.0, -np.inf]


def test_infinite_voxels_leave_the_steps_of_a_map_finite():
    values, graph = smooth(seed=5).ravel(), volume_graph(SHAPE, np.arange(512))
    at = np.argmax(values)
    with_one = np.where(np.arange(512) == at, np.inf, values)
    below = np.sort(values)[-2]
    expected = tfce(np.minimum(values, below), graph, scaling="per-map")
    found = tfce(with_one, graph, scaling="per-map")
    assert found[at] == np.inf
    np.testing.assert_allclose(np.delete(found, at), np.delete(expected, at), rtol=RTOL)


@settings(deadline=None, max_examples=150)
@given(
    values=st.lists(
        st.sampled_from([-2.0, -1.0, 0.0, 0.5, 1.0, 2.0, np.nan]), min_size=2, max_size=9
    ),
    edges=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=14),
    E=st.sampled_from([0.5, 1.0]),
)
def test_law_any_graph_any_ties(values, edges, E):
    V = len(values)
    dense = np.zeros((V, V), dtype=bool)
    for a, b in edges:
        if a < V and b < V and a != b:
            dense[a, b] = dense[b, a] = True
    graph, stat = sparse.csr_array(dense), np.array(values)
    np.testing.assert_allclose(tfce(stat, graph, E=E), brute_tfce(stat, graph, E), rtol=RTOL)


@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize("E", [0.5, 1.0])
def test_per_map_scaling_is_nilearns(two_sided, E):
    volume = smooth((14, 12, 10), seed=5)
    graph = volume_graph(volume.shape, np.arange(volume.size))
    ours = tfce(volume.ravel(), graph, E=E, two_sided=two_sided, scaling="per-map")
    theirs = calculate_tfce(
        volume[..., None], ndimage.generate_binary_structure(3, 1), E=E, two_sided_test=two_sided
    )
    np.testing.assert_allclose(ours, theirs.ravel(), rtol=RTOL)


def test_nilearns_steps_come_nearer_at_first_order():
    volume = smooth((14, 12, 10), seed=6)
    graph = volume_graph(volume.shape, np.arange(volume.size))
    exact = tfce(volume.ravel(), graph)
    largest = np.abs(volume).max()
    gaps = []
    for steps in (125, 250, 500, 1000):
        dh = largest / steps
        stepped = dh * calculate_tfce(
            volume[..., None], ndimage.generate_binary_structure(3, 1), dh=dh
        )
        gaps.append(np.abs(stepped.ravel() - exact).mean())
    ratios = np.array(gaps[:-1]) / gaps[1:]
    # Half the step, half the error.
    np.testing.assert_allclose(ratios, 2.0, rtol=FIRST_ORDER)
    assert gaps[-1] < 0.01 * np.abs(exact).mean()


@pytest.mark.parametrize("connectivity", [6, 26])
@pytest.mark.parametrize("threshold", [0.0, 1.0, 2.0, 3.5, 9.0])
@pytest.mark.parametrize("seed", range(3))
def test_extents_and_masses_equal_labelling(connectivity, threshold, seed):
    stat = np.round(smooth(seed=seed).ravel(), 1)
    graph = volume_graph(SHAPE, np.arange(512), connectivity)
    weights = np.random.default_rng(seed).uniform(0.5, 2, 512)
    for w in (None, weights):
        extent, mass = clusters_above(grow_tree(stat, graph, weights=w), threshold, 512)
        counted = np.ones(512) if w is None else w
        labels = components(graph, np.abs(stat) > threshold, np.sign(stat))
        inside = labels >= 0
        sizes = np.bincount(labels[inside], counted[inside])
        over = np.bincount(labels[inside], counted[inside] * (np.abs(stat[inside]) - threshold))
        np.testing.assert_allclose(extent[inside], sizes[labels[inside]], rtol=RTOL)
        np.testing.assert_allclose(mass[inside], over[labels[inside]], rtol=RTOL, atol=RTOL)
        assert not extent[~inside].any()
        assert not mass[~inside].any()


def test_a_floor_cuts_the_tree_and_nothing_above_it():
    stat = smooth().ravel()
    graph = volume_graph(SHAPE, np.arange(512))
    whole, cut = grow_tree(stat, graph), grow_tree(stat, graph, floor=2.0)
    assert len(cut.voxel) == np.sum(np.abs(stat) > 2.0) < len(whole.voxel)
    for threshold in (2.0, 3.0):
        for a, b in zip(
            clusters_above(whole, threshold, 512), clusters_above(cut, threshold, 512), strict=True
        ):
            np.testing.assert_array_equal(a, b)


def test_largest_clusters_equal_nilearns():
    volume = smooth((14, 12, 10), seed=8)
    graph = volume_graph(volume.shape, np.arange(volume.size))
    for threshold in (1.5, 2.5):
        extent, mass = clusters_above(grow_tree(volume.ravel(), graph), threshold, volume.size)
        size, total = calculate_cluster_measures(
            volume[..., None], threshold, ndimage.generate_binary_structure(3, 1), True
        )
        assert extent.max() == size[0]
        assert mass.max() == pytest.approx(total[0], rel=RTOL)


def test_edges_that_stand_twice_count_once():
    graph = volume_graph((5, 1, 1), range(5))
    twice = sparse.csr_array(
        (np.ones(2 * graph.nnz), np.repeat(graph.indices, 2), 2 * graph.indptr), shape=graph.shape
    )
    values = np.array([3.0, 1.0, 2.0, -1.0, -4.0])
    np.testing.assert_array_equal(tfce(values, twice), tfce(values, graph))
    assert twice.nnz == 2 * graph.nnz


@pytest.mark.parametrize("connectivity", [6, 18, 26])
def test_the_other_exact_implementation(connectivity):
    peer = pytest.importorskip("tfce", reason="has no wheel for every Python")
    volume = smooth((14, 12, 10), seed=9)
    graph = volume_graph(volume.shape, np.arange(volume.size), connectivity)
    for E in (0.5, 1.0):
        theirs = peer.tfce(volume, connectivity=connectivity, E=E)
        np.testing.assert_allclose(tfce(volume.ravel(), graph, E=E), theirs.ravel(), PEER_RTOL)
