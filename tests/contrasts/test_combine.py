"""Fixed effects over runs against nilearn and against dense generalised least squares."""

import numpy as np
import pytest
from nibabel import Nifti1Image
from nilearn.glm.contrasts import compute_fixed_effects

from voxlm.contrasts import combine
from voxlm.errors import ContrastError

# On float64 images nilearn's sums are the same, in another order.
NILEARN_RTOL = 1e-12
# Matrix inverses of condition numbers below 1e4.
GLS_RTOL = 1e-10
SHAPE = (3, 4, 2)
V = int(np.prod(SHAPE))


def runs(Q, R=3, seed=0):
    rng = np.random.default_rng(seed)
    made = []
    for r in range(R):
        half = rng.standard_normal((Q, Q + 2, V))
        cov = np.einsum("ikv,jkv->ijv", half, half)
        made.append((rng.standard_normal((Q, V)), cov, 40.0 + r))
    return made


@pytest.mark.parametrize("weighting", ["unweighted", "precision"])
def test_equals_nilearn(weighting):
    made = runs(1)
    images = [
        [Nifti1Image(values.reshape(SHAPE), np.eye(4)) for values in group]
        for group in ([r[0] for r in made], [r[1] for r in made])
    ]
    mask = Nifti1Image(np.ones(SHAPE, dtype=np.uint8), np.eye(4))
    effect, variance, stat, _ = compute_fixed_effects(
        *images, mask, precision_weighted=weighting == "precision", dofs=[r[2] for r in made]
    )
    found = combine(made, weighting)
    np.testing.assert_allclose(found.effect[0], effect.get_fdata().ravel(), rtol=NILEARN_RTOL)
    np.testing.assert_allclose(found.cov[0, 0], variance.get_fdata().ravel(), rtol=NILEARN_RTOL)
    np.testing.assert_allclose(
        found.effect[0] / np.sqrt(found.cov[0, 0]), stat.get_fdata().ravel(), rtol=NILEARN_RTOL
    )
    assert found.df == 40 + 41 + 42


@pytest.mark.parametrize("Q", [1, 2, 4])
def test_equals_dense_gls(Q):
    made = runs(Q)
    weighted, plain = combine(made, "precision"), combine(made)
    Z = np.tile(np.eye(Q), (3, 1))
    for v in range(V):
        W = np.zeros((3 * Q, 3 * Q))
        for r, (_, cov, _) in enumerate(made):
            W[r * Q : (r + 1) * Q, r * Q : (r + 1) * Q] = np.linalg.inv(cov[..., v])
        y = np.concatenate([e[:, v] for e, _, _ in made])
        cov = np.linalg.inv(Z.T @ W @ Z)
        np.testing.assert_allclose(weighted.cov[..., v], cov, rtol=GLS_RTOL, atol=1e-12)
        np.testing.assert_allclose(
            weighted.effect[:, v], cov @ Z.T @ W @ y, rtol=GLS_RTOL, atol=1e-12
        )
        stacked = np.linalg.inv(W)
        mean = Z.T / 3
        np.testing.assert_allclose(plain.effect[:, v], mean @ y, rtol=GLS_RTOL)
        np.testing.assert_allclose(
            plain.cov[..., v], mean @ stacked @ mean.T, rtol=GLS_RTOL, atol=1e-12
        )


def test_blocks_of_voxels_join_without_a_seam():
    made = [(np.tile(e, 200), np.tile(c, 200), df) for e, c, df in runs(2)]
    found, few = combine(made, "precision"), combine(runs(2), "precision")
    np.testing.assert_array_equal(found.effect, np.tile(few.effect, 200))
    np.testing.assert_array_equal(found.cov, np.tile(few.cov, 200))


@pytest.mark.parametrize("weighting", ["unweighted", "precision"])
def test_nan_in_a_run_is_nan_in_all(weighting):
    made = runs(2)
    made[1][0][:, 3] = np.nan
    made[1][1][..., 3] = np.nan
    found = combine(made, weighting)
    assert np.isnan(found.effect[:, 3]).all()
    assert np.isfinite(np.delete(found.effect, 3, axis=1)).all()


def test_inputs_are_left_alone_and_one_run_is_itself():
    made = runs(2, R=1)
    before = made[0][0].copy()
    for weighting in ("unweighted", "precision"):
        found = combine(made, weighting)
        np.testing.assert_allclose(found.effect, before, rtol=GLS_RTOL)
        np.testing.assert_allclose(found.cov, made[0][1], rtol=1e-8)
    np.testing.assert_array_equal(made[0][0], before)


def test_df_per_voxel_adds_up():
    made = [(e, c, np.full(V, df)) for e, c, df in runs(1)]
    np.testing.assert_array_equal(combine(made).df, np.full(V, 123.0))


def test_refused():
    with pytest.raises(ContrastError, match="no runs to combine"):
        combine([])
    with pytest.raises(ContrastError, match="'unweighted' or 'precision', got 'best'"):
        combine(runs(1), "best")
    with pytest.raises(ContrastError, match=r"run 2 has effects \(2, 24\)"):
        combine([runs(1)[0], runs(2)[0]])
