"""Permutation tests against brute-force refits, full enumeration, nilearn and scipy."""

from itertools import permutations, product

import numpy as np
import pytest
from nibabel import Nifti1Image
from nilearn.maskers import NiftiMasker
from nilearn.mass_univariate import permuted_ols
from scipy import ndimage, stats

from voxlm.errors import DataError, DesignError, VoxlmError
from voxlm.inference.exchange import Arrangements, arrange, read_blocks
from voxlm.inference.maxima import Enhancement, permute_trees
from voxlm.inference.partition import partition
from voxlm.inference.permutation import permutation_test
from voxlm.inference.permute import permute_maxima, reduce_data, statistic_of
from voxlm.inference.plan import Plan, arrange_plan, read_groups
from voxlm.inference.stepdown import permute_counts
from voxlm.kernels import threads
from voxlm.kernels.enhance import clusters_above, tfce
from voxlm.kernels.graph import volume_graph
from voxlm.kernels.maxtree import grow_tree

# A t from an orthonormal basis and from least squares: rounding of a few products.
RTOL = 1e-9
# float32 products of unit vectors, see SHARE_SLACK.
SINGLE = 2e-5
# Two tilings of one matrix product may sum in another order: units in the last place of a share.
TILING = 8
# A permuted share of variance 2e-6 or less below the observed one counts as a tie.
ONE_COUNT = 1.01
SHAPE = (6, 5, 4)
V = 120


def study(N=14, seed=0, P=4):
    rng = np.random.default_rng(seed)
    X = np.c_[np.ones(N), rng.standard_normal((N, P - 1))]
    Y = ndimage.gaussian_filter(rng.standard_normal((N, *SHAPE)), (0, 0.8, 0.8, 0.8))
    return Y.reshape(N, -1) * 3 + X @ rng.standard_normal((P, V)) * 0.3, X


def graph():
    return volume_graph(SHAPE, np.arange(V))


def fitted(Y, X, C):
    """Test a contrast by least squares: t, or F for several rows."""
    C = np.atleast_2d(C)
    inverse = np.linalg.pinv(X.T @ X)
    b = inverse @ X.T @ Y
    df = len(X) - np.linalg.matrix_rank(X)
    scale = ((Y - X @ b) ** 2).sum(axis=0) / df
    effect, middle = C @ b, np.linalg.inv(C @ inverse @ C.T)
    if len(C) == 1:
        return effect[0] * np.sqrt(middle[0, 0] / scale)
    return np.einsum("qv,qr,rv->v", effect, middle, effect) / len(C) / scale


def freedman_lane(Y, X, C, order, sign):
    """Refit the whole model to permuted residuals of the reduced one, as published."""
    C = np.atleast_2d(C)
    _, s, right = np.linalg.svd(C)
    Z = X @ right[len(s) :].T
    kept = Z @ np.linalg.pinv(Z) @ Y
    residual = (Y - kept) * (1 if sign is None else sign[:, None])
    moved = np.empty_like(residual)
    moved[np.arange(len(Y)) if order is None else order] = residual
    return fitted(kept + moved, X, C)


CONTRASTS = {
    "slope": [0, 1, 0, 0],
    "difference": [0, 1, -1, 0],
    "mean": [1, 0, 0, 0],
    "joint": [[0, 1, 0, 0], [0, 0, 1, -1]],
    "joint with the mean": [[1, 0, 0, 0], [0, 0, 1, 0]],
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("how", ["shuffle", "flip", "both"])
@pytest.mark.parametrize("name", list(CONTRASTS))
def test_maxima_equal_refits(name, how, dtype):
    Y, X = study()
    C = CONTRASTS[name]
    data = reduce_data(Y, partition(X, C), dtype)
    np.testing.assert_allclose(statistic_of(data), fitted(Y, X, C), rtol=RTOL)
    found = arrange(read_blocks(14), 70, seed=2, shuffle=how != "flip", flip=how != "shuffle")
    trees = permute_trees(data, found, graph(), thresholds=(1.0,))
    share = permute_maxima(data, found).share
    np.testing.assert_allclose(share, trees.share, rtol=0, atol=TILING * np.finfo(dtype).eps)
    order, sign = found.rows(0, 70)
    for k in range(70):
        expected = freedman_lane(
            Y, X, C, None if order is None else order[k], None if sign is None else sign[k]
        )
        df, Q = 10, np.atleast_2d(C).shape[0]
        ratio = df * share[k] / (1 - np.abs(share[k]))
        rtol = RTOL if dtype == np.float64 else SINGLE
        if Q == 1:
            both = np.array([expected.max(), -expected.min()])
            np.testing.assert_allclose(np.sign(ratio) * np.sqrt(np.abs(ratio)), both, rtol=rtol)
        else:
            np.testing.assert_allclose(ratio[0] / Q, expected.max(), rtol=rtol)


def test_a_rank_deficient_design_answers_what_it_can():
    Y, X = study()
    groups = np.c_[np.arange(14) < 6, np.arange(14) >= 6].astype(float)
    wide = np.c_[np.ones(14), groups, X[:, 1]]
    C = [0, 1, -1, 0]
    data = reduce_data(Y, partition(wide, C))
    full = np.c_[groups, X[:, 1]]
    np.testing.assert_allclose(statistic_of(data), fitted(Y, full, [1, -1, 0]), rtol=RTOL)
    with pytest.raises(DesignError, match="not estimable"):
        partition(wide, [0, 1, 0, 0])


def test_a_difference_of_columns_keeps_their_sum():
    # nilearn drops both columns, which is another model; the parametric t is the reference.
    Y, X = study()
    both = X[:, 1:3]
    found = permutation_test(Y, both, [1, -1], Plan(n_perm=50))
    np.testing.assert_allclose(found.statistic, fitted(Y, both, [1, -1]), rtol=RTOL)


def test_null_values_are_taken_off():
    Y, X = study()
    shifted = Y + 2.0 * X[:, [1]]
    a = permutation_test(shifted, X, CONTRASTS["slope"], Plan(n_perm=99), null=2.0)
    b = permutation_test(Y, X, CONTRASTS["slope"], Plan(n_perm=99))
    np.testing.assert_allclose(a.statistic, b.statistic, rtol=1e-7)
    np.testing.assert_array_equal(a.measures[0].p, b.measures[0].p)


@pytest.mark.parametrize("N", [3, 6, 8])
@pytest.mark.parametrize("two_sided", [True, False])
def test_all_flips_equal_enumeration(N, two_sided):
    Y = study(N)[0]
    found = permutation_test(Y, np.ones((N, 1)), [1], Plan(two_sided=two_sided))
    assert found.exhaustive
    assert found.n_perm == 2**N - 1
    maps = np.array(
        [fitted(np.array(s)[:, None] * Y, np.ones((N, 1)), [1]) for s in product([1, -1], repeat=N)]
    )
    maps = np.abs(maps) if two_sided else maps
    largest = maps.max(axis=1)
    expected = (largest[:, None] >= maps[0] * (1 - np.sign(maps[0]) * RTOL)).mean(axis=0)
    np.testing.assert_allclose(found.measures[0].p, expected, rtol=RTOL)


def test_all_exchanges_equal_enumeration():
    Y, _ = study(7, P=2)
    group = np.r_[np.ones(3), np.zeros(4)]
    found = permutation_test(Y, np.c_[np.ones(7), group], [0, 1], Plan(n_perm=5000))
    assert found.n_perm == 34
    everything = np.array(
        [
            fitted(Y, np.c_[np.ones(7), group[list(order)]], [0, 1])
            for order in permutations(range(7))
        ]
    )
    largest = np.abs(everything).max(axis=1)
    size = np.abs(fitted(Y, np.c_[np.ones(7), group], [0, 1]))
    expected = (largest[:, None] >= size * (1 - RTOL)).mean(axis=0)
    np.testing.assert_allclose(found.measures[0].p, expected, rtol=RTOL)


@pytest.mark.parametrize("scaling", ["exact", "per-map"])
@pytest.mark.parametrize("two_sided", [True, False])
def test_trees_equal_each_map_on_its_own(scaling, two_sided):
    Y, X = study()
    part = partition(X, CONTRASTS["slope"])
    data = reduce_data(Y, part, np.float64)
    found = arrange(read_blocks(14), 21, seed=5)
    enhancement = Enhancement(0.6, 1.7, scaling)
    cuts = (1.2, 2.0, 2.7)
    maxima = permute_trees(
        data, found, graph(), enhancement=enhancement, thresholds=cuts, two_sided=two_sided
    )
    alone = permute_trees(data, found, graph(), thresholds=cuts, two_sided=two_sided)
    np.testing.assert_array_equal(maxima.extent, alone.extent)
    np.testing.assert_allclose(maxima.mass, alone.mass, rtol=RTOL)
    order, _ = found.rows(0, 21)
    for k in range(21):
        stat = freedman_lane(Y, X, CONTRASTS["slope"], order[k], None)
        enhanced = tfce(stat, graph(), E=0.6, H=1.7, scaling=scaling, two_sided=two_sided)
        both = [enhanced.max(), -enhanced.min()]
        np.testing.assert_allclose(maxima.tfce[k], both, rtol=1e-7)
        tree = grow_tree(stat, graph(), two_sided=two_sided)
        for j, cut in enumerate(cuts):
            for measured, whole in zip(
                (maxima.extent, maxima.mass), clusters_above(tree, cut, V), strict=True
            ):
                sides = [whole[stat > 0].max(initial=0), whole[stat < 0].max(initial=0)]
                np.testing.assert_allclose(measured[j, k], sides, rtol=1e-7, atol=1e-9)


def nilearn_draws(seed, n, N, flip):
    """Draw what nilearn's single job draws: each permutation on top of the one before."""
    parent = np.random.RandomState(seed)
    rng = np.random.RandomState(parent.randint(1, np.iinfo(np.int32).max - 1))
    sign, order = np.ones((n, N), np.int8), np.tile(np.arange(N, dtype=np.int32), (n, 1))
    for k in range(n):
        if flip:
            sign[k] = sign[max(k - 1, 0)] * (rng.randint(2, size=(N, 1)) * 2 - 1)[:, 0]
        else:
            order[k] = order[max(k - 1, 0)][rng.permutation(N)]
    return Arrangements(n, False, 0, None if flip else order, sign if flip else None, N)


@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize("design", ["mean", "covariate", "covariate and confounds"])
def test_nilearn_with_the_same_permutations(design, two_sided):
    N, n = 16, 60
    Y, X = study(N)
    tested = X[:, :1] if design == "mean" else X[:, 1:2]
    confounds = X[:, 2:] if design.endswith("confounds") else None
    flip = design == "mean"
    masker = NiftiMasker(Nifti1Image(np.ones(SHAPE, np.uint8), np.eye(4))).fit()
    forming = 0.05
    theirs = permuted_ols(
        tested, Y, confounds, model_intercept=False, n_perm=n, two_sided_test=two_sided,
        random_state=4, n_jobs=1, output_type="dict", tfce=True, masker=masker, threshold=forming,
    )  # fmt: skip
    whole = tested if confounds is None else np.c_[tested, confounds]
    contrast = np.eye(whole.shape[1])[0]
    plan = Plan(
        ("maxt", "tfce", "cluster_extent", "cluster_mass"), two_sided=two_sided,
        scaling="per-map", forming_p=forming, dtype="float64",
    )  # fmt: skip
    ours = permutation_test(
        Y, whole, contrast, plan, graph=graph(), arrangements=nilearn_draws(4, n, N, flip)
    )
    np.testing.assert_allclose(ours.statistic, theirs["t"][0], rtol=RTOL)
    maxt = ours.measure("maxt")
    np.testing.assert_allclose(maxt.null, theirs["h0_max_t"][0], rtol=1e-7)
    np.testing.assert_allclose(-np.log10(maxt.p), theirs["logp_max_t"][0], rtol=1e-7)
    np.testing.assert_allclose(ours.measure("tfce").null, theirs["h0_max_tfce"][0], rtol=1e-6)
    np.testing.assert_array_equal(ours.measure("cluster_extent").null, theirs["h0_max_size"][0])
    np.testing.assert_allclose(
        ours.measure("cluster_mass").null, theirs["h0_max_mass"][0], rtol=1e-6, atol=1e-9
    )


def everything(Y, X, C, **options):
    plan = Plan(
        ("maxt", "maxt_step", "tfce", "cluster_extent", "cluster_mass"), forming_p=(0.05, 0.01),
        **options,
    )  # fmt: skip
    return permutation_test(Y, X, C, plan, graph=graph())


@pytest.mark.parametrize(
    "options", [{}, {"variance_groups": np.arange(14) % 2}, {"permute": "both"}]
)
def test_the_same_for_any_number_of_threads(monkeypatch, options):
    Y, X = study()
    found = []
    for n in (1, 2, 5):
        monkeypatch.setattr(threads, "n_threads", lambda n=n: n)
        found.append(everything(Y, X, CONTRASTS["slope"], n_perm=333, seed=8, **options))
    for other in found[1:]:
        for a, b in zip(found[0].measures, other.measures, strict=True):
            np.testing.assert_array_equal(a.null, b.null)
            np.testing.assert_array_equal(a.p, b.p)
    different = everything(Y, X, CONTRASTS["slope"], n_perm=333, seed=9, **options)
    assert np.any(different.measures[0].null != found[0].measures[0].null)


def test_more_permutations_begin_with_the_same_ones():
    Y, X = study()
    few = permutation_test(Y, X, CONTRASTS["slope"], Plan(n_perm=128))
    many = permutation_test(Y, X, CONTRASTS["slope"], Plan(n_perm=500))
    np.testing.assert_array_equal(many.measures[0].null[:128], few.measures[0].null)


def test_single_precision_decides_as_double_does():
    Y, X = study()
    for name, C in CONTRASTS.items():
        single = everything(Y, X, C, n_perm=400)
        double = everything(Y, X, C, n_perm=400, dtype="float64")
        for a, b in zip(single.measures, double.measures, strict=True):
            np.testing.assert_allclose(a.p, b.p, rtol=0, atol=ONE_COUNT / 401, err_msg=name)


def test_step_down_equals_brute_force():
    Y, X = study()
    Y[:, :10] += 2.0 * X[:, [1]]
    found = arrange(read_blocks(14), 199, seed=1)
    plan = Plan(("maxt", "maxt_step"), n_perm=199, seed=1, dtype="float64")
    ours = permutation_test(Y, X, CONTRASTS["slope"], plan)
    order, _ = found.rows(0, 199)
    null = np.array([np.abs(freedman_lane(Y, X, CONTRASTS["slope"], o, None)) for o in order])
    size = np.abs(ours.statistic)
    ranked = np.argsort(-size)
    p, last = np.empty(V), 0.0
    for i, v in enumerate(ranked):
        over = null[:, ranked[i:]].max(axis=1) >= size[v] * (1 - RTOL)
        last = max(last, (1 + over.sum()) / 200)
        p[v] = last
    np.testing.assert_allclose(ours.measure("maxt_step").p, p, rtol=RTOL)
    assert np.all(p <= ours.measure("maxt").p + RTOL)
    assert np.any(p < ours.measure("maxt").p - 0.01)


def test_voxelwise_p_equal_brute_force():
    Y, X = study()
    data = reduce_data(Y, partition(X, CONTRASTS["joint"]), np.float64)
    found = arrange(read_blocks(14), 99, seed=1)
    _, alone = permute_counts(data, found)
    order, _ = found.rows(0, 99)
    null = np.array([freedman_lane(Y, X, CONTRASTS["joint"], o, None) for o in order])
    expected = (1 + (null >= statistic_of(data) * (1 - RTOL)).sum(axis=0)) / 100
    np.testing.assert_allclose(alone, expected, rtol=RTOL)


def g_statistic(Y, X, C, groups):
    """Write out Winkler et al. (2014), equation 4, voxel by voxel."""
    C = np.atleast_2d(C)
    s, H = len(C), X @ np.linalg.pinv(X)
    R = np.eye(len(X)) - H
    names = np.unique(groups)
    found = np.empty(Y.shape[1])
    for v in range(Y.shape[1]):
        e, b = R @ Y[:, v], np.linalg.pinv(X) @ Y[:, v]
        w = np.empty(len(X))
        trace = {g: np.diag(R)[groups == g].sum() for g in names}
        for g in names:
            w[groups == g] = trace[g] / (e[groups == g] ** 2).sum()
        middle = np.linalg.inv(C @ np.linalg.inv(X.T @ (w[:, None] * X)) @ C.T)
        spread = sum((1 - w[groups == g].sum() / w.sum()) ** 2 / trace[g] for g in names)
        scale = s * (1 + 2 * (s - 1) / (s * (s + 2)) * spread)
        G = (C @ b) @ middle @ (C @ b) / scale
        found[v] = np.sign((C @ b)[0]) * np.sqrt(G) if s == 1 else G
    return found


@pytest.mark.parametrize("how", ["shuffle", "flip"])
@pytest.mark.parametrize("name", list(CONTRASTS))
def test_variance_groups_equal_the_published_formula(name, how):
    Y, X = study()
    C, groups = CONTRASTS[name], np.repeat([0, 1, 2], [5, 5, 4])
    data = reduce_data(Y, partition(X, C), np.float64, groups)
    np.testing.assert_allclose(statistic_of(data), g_statistic(Y, X, C, groups), rtol=RTOL)
    found = arrange(read_blocks(14), 9, seed=3, shuffle=how == "shuffle", flip=how == "flip")
    share = permute_maxima(data, found).share
    order, sign = found.rows(0, 9)
    _, s, right = np.linalg.svd(np.atleast_2d(C))
    Z = X @ right[len(s) :].T
    residual = Y - Z @ np.linalg.pinv(Z) @ Y
    for k in range(9):
        moved = np.empty_like(residual)
        moved[np.arange(14) if order is None else order[k]] = (
            residual if sign is None else residual * sign[k][:, None]
        )
        expected = g_statistic(moved, X, C, groups)
        assert share[k, 0] == pytest.approx(expected.max(), rel=1e-7)
        assert share[k, 1] == pytest.approx(-expected.min(), rel=1e-7)


def test_two_groups_of_unequal_variance_are_welchs_t():
    Y = study()[0]
    group = np.r_[np.ones(5), np.zeros(9)]
    X = np.c_[group, 1 - group]
    found = permutation_test(Y, X, [1, -1], Plan(n_perm=20, variance_groups=group))
    welch = stats.ttest_ind(Y[:5], Y[5:], equal_var=False).statistic
    np.testing.assert_allclose(found.statistic, welch, rtol=RTOL)
    assert found.kind == "v"
    one = permutation_test(Y, X, [1, -1], Plan(n_perm=20, variance_groups=np.zeros(14)))
    np.testing.assert_allclose(one.statistic, fitted(Y, X, [1, -1]), rtol=RTOL)


def test_maps_of_unequal_variance_do_not_change_places():
    Y, X = study()
    site = np.arange(14) % 2
    part = partition(X, CONTRASTS["slope"])

    def arranged(**options):
        plan = Plan(n_perm=50, variance_groups=site, **options)
        return arrange_plan(plan, X, part, read_groups(plan, part))

    assert arranged().order is None
    order, sign = arranged(permute="shuffle").rows(0, 50)
    assert sign is None
    np.testing.assert_array_equal(site[order], np.tile(site, (50, 1)))
    order, sign = arranged(permute="both").rows(0, 50)
    np.testing.assert_array_equal(site[order], np.tile(site, (50, 1)))
    assert (sign == -1).any()
    pairs = np.arange(14) // 2
    assert arranged(permute="shuffle", blocks=pairs, exchange="whole").order is not None
    with pytest.raises(DesignError, match="different variance groups change places"):
        arranged(permute="shuffle", blocks=pairs)
    alike = Plan(n_perm=50, variance_groups=np.zeros(14))
    assert arrange_plan(alike, X, part, read_groups(alike, part)).sign is None
    two = np.c_[site, 1 - site]
    with pytest.raises(DesignError, match=r"nothing can be permuted.*flip signs"):
        permutation_test(Y, two, [1, -1], Plan(variance_groups=site, permute="shuffle"))


def test_two_groups_of_unequal_variance_hold_their_level():
    # With exchanges between the groups a quarter of such studies had a significant voxel.
    hits, group = 0, np.arange(20) < 8
    for seed in range(60):
        noise = np.random.default_rng((seed, 5)).standard_normal((20, 50))
        Y = noise * np.where(group, 3.0, 1.0)[:, None]
        plan = Plan(n_perm=59, seed=seed, variance_groups=group)
        test = permutation_test(Y, np.c_[group, ~group].astype(float), [1, -1], plan)
        hits += test.measure("maxt").p.min() <= 0.05
    assert hits <= stats.binom.isf(0.005, 60, 0.07)


def test_the_mean_is_flipped_and_the_rest_exchanged():
    Y, X = study()
    group = np.r_[np.ones(6), np.zeros(8)]
    cells = np.c_[group, 1 - group]
    for design, C, scheme in [
        (X, CONTRASTS["mean"], "sign flips"),
        (X, CONTRASTS["slope"], "exchanges"),
        (X, CONTRASTS["joint with the mean"], "sign flips"),
        (cells, [1, -1], "exchanges"),
        (cells, [1, 0], "sign flips"),
        (cells, [[1, 0], [0, 1]], "sign flips"),
        (X[:, 1:], [1, 0, 0], "exchanges"),
    ]:
        assert permutation_test(Y, design, C, Plan(n_perm=30)).scheme == f"30 random {scheme}"


def test_blocks_are_kept():
    Y, _ = study()
    subject = np.repeat(np.arange(7), 2)
    visit = np.tile([0.0, 1.0], 7)
    design = np.c_[visit, subject[:, None] == np.arange(7)]
    C = np.eye(8)[0]
    found = permutation_test(Y, design, C, Plan(blocks=subject, permute="shuffle"))
    assert (found.n_perm, found.exhaustive) == (2**7 - 1, True)
    # A paired test by exchanges within subjects is a one-sample test of differences by flips.
    gaps = Y[1::2] - Y[::2]
    flips = permutation_test(gaps, np.ones((7, 1)), [1])
    np.testing.assert_allclose(found.statistic, flips.statistic, rtol=1e-7)
    np.testing.assert_array_equal(found.measures[0].p, flips.measures[0].p)


def test_voxels_without_a_test_are_nan_and_cut_the_graph():
    Y, _ = study(10)
    Y[3, 7] = np.nan
    Y[:, 9] = 5.0
    Y[:, 11] = np.inf
    design = np.c_[np.ones(10), np.arange(10.0)]
    found = permutation_test(
        Y, design, [0, 1], Plan(("maxt", "tfce", "cluster_mass"), n_perm=60, forming=1.0),
        graph=graph(),
    )  # fmt: skip
    for m in found.measures:
        assert np.isnan(m.p[[7, 9, 11]]).all()
        assert np.isfinite(np.delete(m.p, [7, 9, 11])).all()
    assert np.isnan(found.statistic[[7, 9, 11]]).all()
    decided = found.decide("maxt", 0.5)
    assert decided.n_tests == V - 3
    assert not decided.significant[[7, 9, 11]].any()


def test_decisions_and_words():
    Y, X = study()
    Y[:, :10] += 3.0 * X[:, [1]]
    found = everything(Y, X, CONTRASTS["slope"], n_perm=199)
    decided = found.decide("maxt")
    np.testing.assert_array_equal(decided.significant, np.abs(found.statistic) > decided.threshold)
    assert decided.n_significant >= 5
    assert "family-wise error 0.05, largest statistic of 199 random exchanges" in decided.words
    first, second = (m for m in found.measures if m.method == "cluster_mass")
    assert first.forming == pytest.approx(stats.t.isf(0.025, 10))
    assert second.forming == pytest.approx(stats.t.isf(0.005, 10))
    at = found.decide("cluster_mass", forming=second.forming)
    np.testing.assert_array_equal(at.p, second.p)
    assert f"clusters of |t| > {second.forming:.4f}, mass > " in at.words
    assert not at.significant[np.abs(found.statistic) <= second.forming].any()
    for method in ("tfce", "cluster_extent"):
        m, d = found.measure(method), found.decide(method, 0.1)
        np.testing.assert_array_equal(d.significant, m.observed > m.threshold(0.1))
    assert "TFCE > " in found.decide("tfce").words
    assert "maxt_step: smallest p 0.005" in repr(found)


def test_progress_is_told():
    Y, X = study()
    told = []
    plan = Plan(("tfce", "maxt"), n_perm=100)
    permutation_test(Y, X, CONTRASTS["slope"], plan, graph=graph(), progress=told.append)
    assert sum(told) == 100


PLANS = [
    (Plan(("maxx",)), VoxlmError, "unknown method 'maxx'; did you mean 'maxt'"),
    (Plan(n_perm=0), DesignError, "at least 1; got 0"),
    (Plan(permute="swap"), VoxlmError, "permute is one of auto, flip, shuffle, both"),
    (Plan(dtype="int8"), VoxlmError, "dtype is one of"),
    (Plan(tail="fat"), VoxlmError, "tail is one of count, pareto"),
    (Plan(scaling="nilearn"), VoxlmError, "scaling is one of exact, per-map"),
    (Plan(("cluster_mass",), forming=0.001), VoxlmError, "0.001 looks like a p-value"),
    (Plan(("cluster_mass",), forming_p=3.1), VoxlmError, "3.1 looks like a statistic"),
    (Plan(("cluster_mass",), forming=3, forming_p=0.01), VoxlmError, "not as both"),
    (Plan(blocks=np.arange(14)), DesignError, "nothing can be permuted"),
    (Plan(variance_groups=np.arange(14)), DesignError, "variance group 0 has no residual|fits its"),
    (Plan(variance_groups=[1, 2]), DesignError, r"variance groups have shape \(2,\)"),
]


@pytest.mark.parametrize(("plan", "kind", "said"), PLANS)
def test_plans_refused(plan, kind, said):
    Y, X = study()
    X = np.c_[X[:, :2], np.eye(14)[:, 0]]
    with pytest.raises(kind, match=said):
        permutation_test(Y, X, [0, 1, 0], plan, graph=graph())


def test_data_refused():
    Y, X = study()
    slope = CONTRASTS["slope"]
    for data, design, C, kind, said in [
        (Y[0], X, slope, DataError, "one map a row"),
        (Y[:5], X, slope, DesignError, "14 rows, the data have 5 maps"),
        (Y * np.nan, X, slope, DataError, "no voxel can be tested"),
        (Y, X, [0, 1], DesignError, "the contrast"),
        (Y, X, [0, 0, 0, 0], DesignError, "asks nothing"),
        (Y, X, [[0, 1, 0, 0], [0, 2, 0, 0]], DesignError, "depend on each other"),
        (Y, X * np.inf, slope, DesignError, "not finite"),
        (Y[:4], X[:4], slope, DesignError, "leave no residual"),
    ]:
        with pytest.raises(kind, match=said), np.errstate(invalid="ignore"):
            permutation_test(data, design, C)
    with pytest.raises(VoxlmError, match="need a neighbour graph"):
        permutation_test(Y, X, slope, Plan(("tfce",)))
    with pytest.raises(VoxlmError, match="graph has 8 voxels, the maps 120"):
        permutation_test(Y, X, slope, Plan(("tfce",)), graph=volume_graph((2, 2, 2), range(8)))


def test_decisions_refused():
    Y, X = study()
    found = permutation_test(Y, X, CONTRASTS["slope"], Plan(n_perm=10))
    with pytest.raises(VoxlmError, match=r"smallest p is 0.0909; ask for n_perm >= 19"):
        found.decide("maxt")
    with pytest.raises(VoxlmError, match="between 0 and 1"):
        found.decide("maxt", 5)
    with pytest.raises(VoxlmError, match="no 'tfce' was asked for"):
        found.decide("tfce")
    few = permutation_test(Y[:4], np.ones((4, 1)), [1])
    with pytest.raises(VoxlmError, match="the design allows no more"):
        few.decide("maxt")
    masses = permutation_test(
        Y, X, CONTRASTS["slope"], Plan(("cluster_mass",), n_perm=19), graph=graph()
    )
    with pytest.raises(VoxlmError, match="no clusters were formed at 2, only at 4"):
        masses.decide("cluster_mass", forming=2.0)


@pytest.mark.parametrize("methods", [("maxt", "maxt_step"), ("tfce", "cluster_mass")])
def test_voxels_without_noise_are_no_tests_and_change_no_other(methods):
    """A t of a constant would be infinite, in the data as in permutations of them."""
    Y, X = study()
    found, known = Y.copy(), Y.copy()
    found[:, 7], known[:, 7] = 5.0, np.nan
    for design, C in ((np.ones((14, 1)), [1.0]), (X, CONTRASTS["slope"])):
        found[:, 8], known[:, 8] = design @ np.arange(1.0, 1 + design.shape[1]), np.nan
        plan = Plan(methods, n_perm=200)
        ours, other = (permutation_test(y, design, C, plan, graph=graph()) for y in (found, known))
        assert np.isnan(ours.statistic[[7, 8]]).all()
        for a, b in zip(ours.measures, other.measures, strict=True):
            np.testing.assert_array_equal(a.p, b.p)


def test_the_threshold_of_step_down_is_the_smallest_statistic_that_passes():
    Y, X = study()
    found = permutation_test(Y + 2.0, X[:, :1], [1.0], Plan(("maxt_step",), n_perm=200))
    decision = found.decide("maxt_step", 0.1)
    assert decision.significant.any()
    np.testing.assert_array_equal(
        decision.significant, np.abs(found.statistic) >= decision.threshold
    )
