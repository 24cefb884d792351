"""All-resolution inference against closed testing by brute force, nilearn and published tables."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel import Nifti1Image
from nilearn.glm import cluster_level_inference
from scipy import ndimage, stats

from voxlm.errors import DataError, VoxlmError
from voxlm.inference.ari import ari, hommel_value, pari
from voxlm.inference.exchange import arrange, read_blocks
from voxlm.inference.partition import partition
from voxlm.inference.permute import reduce_data, statistic_of

# Table of Meijer, Krebs and Goeman (2019) for these seven p, as nilearn's tests give it.
SEVEN = [1.0e-8, 0.01, 0.08, 0.1, 0.5, 0.7, 0.9]
TABLE = [
    (1e-9, 7), (1e-7, 6), (0.059, 6), (0.061, 5), (0.249, 5), (0.251, 4), (0.399, 4), (0.401, 3),
    (0.899, 3), (0.901, 0),
]  # fmt: skip
# nilearn keeps its map of proportions in float64.
RTOL = 1e-12
# What rounding may do to a bound: p are tabulated, lines lowered by a millionth.
NEAR = 1e-4


@pytest.mark.parametrize(("alpha", "h"), TABLE)
def test_hommel_values_of_the_published_example(alpha, h):
    assert hommel_value(SEVEN, alpha) == h


def simes_keeps(p, alpha):
    ordered = np.sort(p)
    return np.all(ordered * len(p) > alpha * np.arange(1, len(p) + 1) * (1 + 1e-13))


def closed_testing(p, region, alpha):
    """Test every set; a region has at most as many true nulls as its largest kept subset."""
    m, most = len(p), 0
    kept = set()
    for size in range(m, 0, -1):
        for chosen in combinations(range(m), size):
            # A set is rejected when all its supersets are, itself included.
            bits = frozenset(chosen)
            if bits in kept or simes_keeps(p[list(chosen)], alpha):
                kept.add(bits)
                kept.update(bits - {i} for i in bits if size > 1)
                most = max(most, len(bits & region))
    return len(region) - most


P_VALUES = st.lists(
    st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.01, 0.0125, 0.025, 0.05, 1e-4])),
    min_size=1,
    max_size=7,
)


@settings(deadline=None, max_examples=150)
@given(p=P_VALUES, chosen=st.sets(st.integers(0, 6)), alpha=st.sampled_from([0.05, 0.2, 0.6]))
def test_bounds_equal_closed_testing(p, chosen, alpha):
    p = np.array(p)
    region = frozenset(i for i in chosen if i < len(p))
    mask = np.isin(np.arange(len(p)), list(region))
    assert ari(p, alpha).discoveries(mask) == closed_testing(p, region, alpha)


@pytest.mark.parametrize("alpha", [0.05, 0.2])
@pytest.mark.parametrize("threshold", [2.0, 3.0])
def test_nilearns_clusters(alpha, threshold):
    rng = np.random.default_rng(1)
    z = ndimage.gaussian_filter(rng.standard_normal((14, 14, 14)), 1.0)
    z = z / z.std()
    z[3:7, 3:7, 3:7] += 3.5
    z[9:11, 9:12, 9:11] += 3.0
    whole = Nifti1Image(np.ones(z.shape, np.uint8), np.eye(4))
    theirs = cluster_level_inference(Nifti1Image(z, np.eye(4)), whole, threshold, alpha)
    labels, n = ndimage.label(z > threshold)
    ours = ari(stats.norm.sf(z.ravel()), alpha)
    names, _, proportion = ours.by_label(labels.ravel())
    assert len(names) == n > 3
    assert proportion.max() > 0.1
    expected = np.r_[0.0, proportion][labels]
    np.testing.assert_allclose(np.asarray(theirs.dataobj), expected, rtol=RTOL)


def test_any_region_and_nan():
    p = np.r_[np.full(30, 1e-6), np.random.default_rng(0).random(200)]
    found = ari(p)
    hit = np.arange(230) < 30
    assert found.discoveries(hit) == 30
    assert found.proportion(~hit) == 0.0
    assert np.isnan(found.proportion(np.zeros(230, dtype=bool)))
    scattered = np.full(240, np.nan)
    scattered[:230] = p
    assert ari(scattered).discoveries(np.ones(240, dtype=bool)) == found.discoveries(
        np.ones(230, dtype=bool)
    )
    assert "at least 30 of 230 null hypotheses are false, with confidence 0.95 (ari)" in str(found)


def test_all_or_nothing():
    assert ari([0.01, 0.02]).discoveries([True, True]) == 2
    assert ari([0.2, 0.9]).discoveries([True, True]) == 0
    assert ari([0.2]).hommel == 1
    assert ari([0.04]).hommel == 0


def null_study(seed, N=12, V=60):
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((N, 1))
    return rng.standard_normal((N, V)) + shared, np.c_[np.ones(N), rng.standard_normal(N)]


def test_pari_equals_its_definition():
    Y, X = null_study(0)
    Y[:, :8] += 3 * X[:, [1]]
    part = partition(X, [0, 1])
    data = reduce_data(Y, part, np.float64)
    arrangements = arrange(read_blocks(12), 199, seed=4)
    found = pari(data, arrangements, 0.1, start=2.0)
    order, _ = arrangements.rows(0, 199)
    slopes = []
    for row in [np.arange(12), *order]:
        share = (part.tested[row, 0] @ data.unit) ** 2 / (
            1 - ((part.nuisance[row].T @ data.unit) ** 2).sum(axis=0)
        )
        p = np.sort(2 * stats.t.sf(np.sqrt(10 * share / (1 - share)), 10))
        ranks = np.arange(1, 61) - 2.0
        slopes.append(np.min(p[2:] / ranks[2:]))
    assert found.slope == pytest.approx(np.sort(slopes)[20], rel=NEAR)
    p = 2 * stats.t.sf(np.abs(statistic_of(data)), 10)
    np.testing.assert_allclose(found.p, p, rtol=NEAR)
    hit = np.arange(60) < 8
    u = np.arange(1, 9)
    critical = np.maximum(u - 2, 0) * found.slope
    expected = max(0, max(1 - a + np.sum(p[hit] <= c) for a, c in zip(u, critical, strict=True)))
    assert found.discoveries(hit) == expected > 0
    assert found.method == "pari"


def test_pari_uses_the_dependence_that_ari_must_allow_for():
    rng = np.random.default_rng(3)
    Y = rng.standard_normal((20, 1)) * 2 + 0.3 * rng.standard_normal((20, 400))
    x = rng.standard_normal(20)
    Y[:, :100] += 2.0 * x[:, None]
    data = reduce_data(Y, partition(np.c_[np.ones(20), x], [0, 1]))
    found = pari(data, arrange(read_blocks(20), 500))
    region = np.arange(400) < 100
    assert found.discoveries(region) >= ari(found.p).discoveries(region)


def test_refused():
    Y, X = null_study(0)
    data = reduce_data(Y, partition(X, [0, 1]))
    some = arrange(read_blocks(12), 10)
    for call, kind, said in [
        (lambda: ari([0.1, 3.0]), VoxlmError, "are these statistics"),
        (lambda: ari([np.nan]), VoxlmError, "at least one that is not NaN"),
        (lambda: ari([0.1], 2.0), VoxlmError, "between 0 and 1"),
        (lambda: ari([0.1, 0.2]).discoveries([0, 1]), DataError, "a region is a mask of the 2"),
        (lambda: ari([0.1, 0.2]).discoveries([True]), DataError, "of shape"),
        (lambda: pari(data, some), VoxlmError, "10 permutations cannot reach the level 0.05"),
        (lambda: pari(data, some, 0.2, start=60), VoxlmError, "start is a rank"),
        (
            lambda: pari(reduce_data(Y, data.part, groups=np.arange(12) % 2), some, 0.2),
            VoxlmError,
            "variance groups",
        ),
    ]:
        with pytest.raises(kind, match=said):
            call()
