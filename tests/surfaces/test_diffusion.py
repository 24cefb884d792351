"""Smoothing by heat: against Gaussians on the plane, harmonics on the sphere, dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg, special
from small_surfaces import flat_mesh, icosphere

from voxlm.images.meshes import Mesh
from voxlm.images.parts import Lump, Sheet, joined_diffusion
from voxlm.images.smoothing import FWHM_PER_SIGMA
from voxlm.kernels.diffuse import diffuse, diffusion
from voxlm.kernels.mesh import mesh_stiffness, vertex_areas

# The series is cut where its terms are below 1e-13.
SERIES = 1e-11
# Linear elements on triangles of a tenth of a wavelength.
ELEMENTS = 0.01


def sheet(places: np.ndarray, faces: np.ndarray, inside: np.ndarray | None = None) -> Sheet:
    kept = np.arange(len(places)) if inside is None else np.flatnonzero(inside)
    return Sheet("left", kept, len(places), Mesh(places, faces))


@pytest.mark.parametrize("time", [0.01, 1.0, 30.0])
def test_the_series_is_the_exponential(time: float) -> None:
    places, faces = flat_mesh(5, 6)
    places = places + np.random.default_rng(0).normal(0, 0.15, places.shape)
    stiffness, mass = mesh_stiffness(places, faces, np.ones(30, bool))
    values = np.random.default_rng(1).normal(size=(3, 30))
    exact = values @ linalg.expm(-time * stiffness.toarray() / mass[:, None]).T
    found = diffuse(diffusion(stiffness, mass, time), values)
    np.testing.assert_allclose(found, exact, atol=SERIES)


def test_heat_is_kept_and_holds_at_a_rim() -> None:
    places, faces = flat_mesh(12, 12)
    inside = np.ones(144, bool)
    inside[66:78] = False
    plan = joined_diffusion([sheet(places, faces, inside)], 4.0)
    start = np.zeros((1, 132))
    start[0, :66] = np.random.default_rng(0).normal(5, 1, 66)
    after = diffuse(plan, start)
    mass = plan.root**2
    assert after @ mass == pytest.approx(start @ mass, rel=SERIES)
    assert np.abs(after[0, 66:]).max() < SERIES
    np.testing.assert_allclose(diffuse(plan, np.ones((1, 132))), 1.0, atol=SERIES)


@pytest.mark.parametrize("fwhm", [3.0, 5.0])
def test_a_point_on_the_plane_becomes_a_gaussian(fwhm: float) -> None:
    places, faces = flat_mesh(41, 41, 0.5)
    plan = joined_diffusion([sheet(places, faces)], fwhm)
    start = np.zeros((1, 1681))
    start[0, 840] = 1.0
    after = diffuse(plan, start)[0]
    weight = after * vertex_areas(places, faces)
    weight /= weight.sum()
    sigma = fwhm / FWHM_PER_SIGMA
    offset = places - places[840]
    variance = (weight[:, None] * offset[:, :2] ** 2).sum(axis=0)
    np.testing.assert_allclose(variance, sigma**2, rtol=ELEMENTS)
    gauss = np.exp(-0.5 * (offset**2).sum(axis=1) / sigma**2)
    assert np.abs(after / after.max() - gauss).max() < 0.03


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_harmonics_of_a_sphere_decay_as_they_must(degree: int) -> None:
    radius, fwhm = 50.0, 30.0
    places, faces = icosphere(4, radius)
    plan = joined_diffusion([sheet(places, faces)], fwhm)
    values = special.eval_legendre(degree, places[:, 2] / radius)
    time = 0.5 * (fwhm / FWHM_PER_SIGMA) ** 2
    expected = np.exp(-degree * (degree + 1) * time / radius**2) * values
    np.testing.assert_allclose(diffuse(plan, values[None])[0], expected, atol=ELEMENTS)


def test_voxels_spread_within_their_structure() -> None:
    grid = np.argwhere(np.ones((11, 11, 11), bool))
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    half = grid[:, 0] < 6
    lumps = [Lump(name, grid[k], (11, 11, 11), affine) for name, k in (("A", half), ("B", ~half))]
    plan = joined_diffusion(lumps, 3.0)
    start = np.zeros((1, 1331))
    at = np.flatnonzero((lumps[0].voxels == [0, 5, 5]).all(axis=1))[0]
    start[0, at] = 1.0
    after = diffuse(plan, start)[0]
    assert np.abs(after[half.sum() :]).max() == 0.0
    weight = after[: half.sum()]
    assert weight.sum() == pytest.approx(1.0)
    spread = (weight * (lumps[0].voxels[:, 1] - 5) ** 2).sum()
    assert spread == pytest.approx((3.0 / FWHM_PER_SIGMA) ** 2, rel=ELEMENTS)


def test_areas_add_up() -> None:
    places, faces = icosphere(4, 10.0)
    assert vertex_areas(places, faces).sum() == pytest.approx(4 * np.pi * 100, rel=ELEMENTS)
