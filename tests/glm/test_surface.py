"""Models of data on meshes against nilearn in the same process."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from nilearn.glm.first_level import FirstLevelModel as TheirFirst
from nilearn.glm.second_level import SecondLevelModel as TheirSecond
from nilearn.surface import InMemoryMesh, PolyMesh, SurfaceImage
from nilearn_study import TR, T, events, mask_image

from voxlm.errors import VoxlmWarning
from voxlm.glm import threshold_stats_img
from voxlm.glm.first_level import FirstLevelModel
from voxlm.glm.second_level import SecondLevelModel

SAME = 1e-9
# nilearn holds the maps of a group on surfaces in single precision.
SINGLE = 1e-6
SIZES = {"left": 14, "right": 11}


def mesh() -> PolyMesh:
    parts = {}
    for side, n in SIZES.items():
        k = np.arange(n)
        faces = np.c_[k[:-2], k[1:-1], k[2:]]
        parts[side] = InMemoryMesh(np.c_[k // 2, k % 2, 0 * k].astype(float), faces)
    return PolyMesh(**parts)


def picture(seed: int, n: int | None) -> SurfaceImage:
    rng = np.random.default_rng(seed)
    data = {}
    for side, size in SIZES.items():
        data[side] = rng.normal(size=size) if n is None else rng.normal(500, 9, size=(size, n))
    return SurfaceImage(mesh=mesh(), data=data)


def mask() -> SurfaceImage:
    return SurfaceImage(mesh=mesh(), data={s: np.arange(n) % 4 > 0 for s, n in SIZES.items()})


@pytest.mark.parametrize("where", [None, mask()], ids=["all", "mask"])
def test_first_level(where):
    run, table = picture(0, T), events(0)
    one, other = (
        kind(t_r=TR, mask_img=where).fit(run, table) for kind in (TheirFirst, FirstLevelModel)
    )
    expected = one.compute_contrast("face - house", output_type="all")
    found = other.compute_contrast("face - house", output_type="all")
    for name, image in expected.items():
        assert isinstance(found[name], SurfaceImage)
        for side in SIZES:
            np.testing.assert_allclose(
                found[name].data.parts[side].ravel(), image.data.parts[side].ravel(), atol=SAME
            )


def test_second_level():
    maps = [picture(k, None) for k in range(8)]
    design = pd.DataFrame({"intercept": np.ones(8)})
    one, other = (
        kind().fit(maps, design_matrix=design).compute_contrast("intercept")
        for kind in (TheirSecond, SecondLevelModel)
    )
    for side in SIZES:
        np.testing.assert_allclose(
            other.data.parts[side].ravel(), one.data.parts[side].ravel(), atol=SINGLE
        )


def test_clusters_are_of_the_mesh():
    values = {side: np.zeros(n) for side, n in SIZES.items()}
    values["left"][[2, 3, 4, 9]] = 4.0
    found, _ = threshold_stats_img(
        SurfaceImage(mesh=mesh(), data=values),
        threshold=3.1,
        height_control=None,
        cluster_threshold=2,
    )
    assert np.flatnonzero(found.data.parts["left"].ravel()).tolist() == [2, 3, 4]


def test_kinds_do_not_mix():
    with pytest.raises(TypeError, match="Mask and input images must be of compatible types"):
        FirstLevelModel(t_r=TR, mask_img=mask_image()).fit(picture(0, T), events(0))


def found_mask(model):
    return model.masker_.mask_img_.data.parts["left"].ravel()


@pytest.mark.filterwarnings("ignore:.*[Nn]on-finite")
@pytest.mark.parametrize("where", [None, mask()], ids=["all", "mask"])
def test_smoothing(where):
    run, table = picture(0, T), events(0)
    run.data.parts["left"][3, 5] = np.nan
    one, other = (
        kind(t_r=TR, mask_img=where, smoothing_fwhm=1.5).fit(run, table)
        for kind in (TheirFirst, FirstLevelModel)
    )
    assert where is not None or not found_mask(other)[3]
    rough = FirstLevelModel(t_r=TR, mask_img=where).fit(run, table)
    expected, found, before = (m.compute_contrast("face - house") for m in (one, other, rough))
    for side in SIZES:
        there = found.data.parts[side].ravel()
        np.testing.assert_allclose(there, expected.data.parts[side].ravel(), atol=SAME)
        assert not np.allclose(there, before.data.parts[side].ravel(), atol=0.01)
    with pytest.raises(TypeError, match="For surface data, 'fwhm' must be a scalar"):
        FirstLevelModel(t_r=TR, smoothing_fwhm=[1.0, 2.0, 3.0]).fit(run, table)


def test_options_of_volumes_are_not_dropped_in_silence():
    model = FirstLevelModel(t_r=TR, target_affine=np.eye(3), noise_model="ols")
    with pytest.warns(VoxlmWarning, match="target_affine is for volumes"):
        model.fit(picture(0, T), events(0))
