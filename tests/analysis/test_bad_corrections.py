"""What a correction refuses, and how it says so, before anything is computed."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import voxlm as vx
from voxlm.errors import ContrastError, DataError, DesignError, VoxlmError
from voxlm.inference import correct
from voxlm.inference.permutation import permutation_test
from voxlm.inference.plan import Plan
from voxlm.kernels.graph import volume_graph

SHAPE, N = (4, 4, 3), 12


@pytest.fixture(scope="module")
def maps():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"group": list("ab") * 6, "pair": np.repeat(range(6), 2)})
    table["alone"], table["twin"] = range(N), list("cd") * 6
    table["effect"] = [
        nib.Nifti1Image(rng.normal(size=SHAPE).astype(np.float32), np.eye(4)) for _ in range(N)
    ]
    return vx.Maps(table, mask=nib.Nifti1Image(np.ones(SHAPE, np.uint8), np.eye(4)))


@pytest.fixture
def contrast(maps):
    return vx.lm("effect ~ group", maps).contrast("group[T.b]")


@pytest.fixture
def never(monkeypatch):
    """Fail where permutations begin."""

    def begun(*args, **kwargs):
        raise AssertionError("the refusal came after the work")

    monkeypatch.setattr("voxlm.inference.permutation.measure_all", begun)


@pytest.mark.parametrize("method", ["cluster_extent", "cluster_mass", "ari", "pari", "grf"])
def test_a_threshold_in_the_wrong_units_is_named(contrast, method):
    level = {"level": "cluster"} if method == "grf" else {}
    with pytest.raises(VoxlmError, match=r"0\.001 looks like a p-value: give it as forming_p"):
        contrast.correct(method, forming=0.001, **level)
    with pytest.raises(VoxlmError, match=r"3\.1 looks like a statistic: give it as forming"):
        contrast.correct(method, forming_p=3.1, **level)
    with pytest.raises(VoxlmError, match="as forming_p or as forming, not as both"):
        contrast.correct(method, forming_p=0.01, forming=3.1, **level)


@pytest.mark.parametrize("method", ["maxt", "tfce", "cluster_mass"])
def test_too_few_permutations_are_refused_before_the_first(contrast, never, method):
    said = r"10 permutations cannot reach p <= 0\.05: .* ask for n_perm >= 19"
    with pytest.raises(VoxlmError, match=said):
        contrast.correct(method, n_perm=10)
    with pytest.raises(VoxlmError, match="ask for n_perm >= 199"):
        contrast.correct(method, alpha=0.005, n_perm=198)


def test_a_design_of_too_few_arrangements_says_so(never):
    rng = np.random.default_rng(1)
    few = vx.Maps(pd.DataFrame(index=range(5)), data=rng.normal(size=(5, 7)))
    contrast = vx.lm("~ 1", few).contrast("Intercept")
    with pytest.raises(VoxlmError, match=r"the smallest p is 0\.0625; the design allows no more"):
        contrast.correct("maxt")  # ± of five maps: 16 sizes, not 32
    with pytest.raises(AssertionError, match="after the work"):
        contrast.correct("maxt", two_sided=False)


def test_blocks_that_forbid_every_permutation(contrast):
    for blocks in ("alone", "group"):
        with pytest.raises(DesignError, match="nothing can be permuted: no two observations"):
            contrast.correct("maxt", blocks=blocks)
    with pytest.raises(DesignError, match=r"blocks have shape \(3,\), expected \(12,\)"):
        contrast.correct("maxt", blocks=[1, 2, 3])


def test_a_contrast_that_is_not_estimable(maps):
    fit = vx.lm("effect ~ group + twin", maps)
    with pytest.raises(ContrastError, match=r"cannot be estimated|not estimable"):
        fit.contrast("group[T.b]")
    X = np.c_[np.ones(N), np.eye(2)[np.arange(N) % 2]]
    with pytest.raises(DesignError, match="rows are not estimable from the design"):
        permutation_test(np.zeros((N, 3)), X, [0, 1, 0])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", ["fdr", "holm", "maxt", "ari", "tfce"])
def test_a_map_without_any_value(method):
    data = np.full((6, 8), np.nan)
    with pytest.raises(VoxlmError, match=r"NaN|not finite|no voxel|no value|no finite"):
        vx.lm("~ 1", vx.Maps(pd.DataFrame(index=range(6)), data=data)).contrast(
            "Intercept"
        ).correct(method)


def test_p_that_are_all_nan_or_no_p():
    with pytest.raises(VoxlmError, match="every p is NaN: there is no test to correct"):
        correct([np.nan, np.nan])
    with pytest.raises(VoxlmError, match="are these statistics rather than p"):
        correct([0.1, 3.1])


def test_a_graph_of_another_size():
    Y = np.random.default_rng(0).normal(size=(8, 10))
    graph = volume_graph((3, 3, 3), np.arange(27))
    with pytest.raises(VoxlmError, match="the neighbour graph has 27 voxels, the maps 10"):
        permutation_test(Y, np.ones((8, 1)), [1.0], Plan(("tfce",)), graph=graph)


@pytest.mark.parametrize("alpha", [0, 1, 5, -0.1])
@pytest.mark.parametrize("method", ["fdr", "maxt", "ari", "pari", "grf"])
def test_alpha_is_a_share(contrast, method, alpha):
    with pytest.raises(VoxlmError, match=r"between 0 and 1|cannot reach"):
        contrast.correct(method, alpha=alpha)


def test_options_of_other_methods(contrast):
    for method, options, said in [
        ("grf", {"n_perm": 10}, "unknown option 'n_perm'"),
        ("ari", {"n_perm": 10}, "the options of 'ari' are forming_p, forming, connectivity"),
        ("holm", {"connectivity": 18}, "connectivity: not for 'holm'"),
        ("maxt", {"level": "voxel"}, "unknown option 'level'"),
        ("pari", {"two_sided": False}, "pari counts both signs"),
        ("ari", {"forming_p": [0.01, 0.001]}, "at one threshold: give one"),
        ("tfce", {"connectivity": 8}, "connectivity is 6, 18 or 26, got 8"),
        ("grf", {"connectivity": 8}, "connectivity is 6, 18 or 26, got 8"),
    ]:
        with pytest.raises((VoxlmError, DataError), match=said):
            contrast.correct(method, **options)


def test_methods_that_a_fit_cannot_give(maps):
    rng = np.random.default_rng(2)
    known = vx.Maps(
        maps.table.drop(columns="effect").assign(pair=[f"p{k}" for k in maps.table["pair"]]),
        data=rng.normal(size=(N, 9)),
        variance=np.ones((N, 9)),
    )
    meta = vx.meta("~ group", known).contrast("group[T.b]")
    mixed = vx.lmer("~ group + (1 | pair)", known).contrast("group[T.b]")
    with pytest.raises(DataError, match="this is a fit with meta: use plain lm over the"):
        meta.correct("grf")
    robust = vx.lm("effect ~ group", maps, robust="huber").contrast("Intercept")
    with pytest.raises(DataError, match="this is a fit with robust=: use plain lm"):
        robust.correct("maxt")
    with pytest.raises(DataError, match="this is a fit with lmer: use plain lm over the"):
        mixed.correct("grf")
    with pytest.raises(DataError, match="this is a fit with meta"):
        meta.correct("pari")
    for contrast in (meta, mixed):
        for method in ("none", "bonferroni", "holm", "fdr", "fdr_by", "ari"):
            verdict = contrast.correct(method)
            np.testing.assert_array_equal(verdict.p <= 0.05, verdict.significant)
