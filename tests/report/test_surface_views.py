"""Surfaces seen from six sides: what lies in front is drawn where an anatomist expects it."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("nilearn")

from matplotlib.backends.backend_agg import FigureCanvasAgg
from nilearn.surface import InMemoryMesh

from voxlm import DataError, report
from voxlm.kernels.mesh import folding, vertex_normals

# Where the front and the top of the head are on the page: right and up are positive, 0 is the
# middle, None is hidden.
LAID_OUT = {
    ("left", "lateral"): ((-1, 0), (0, 1)),
    ("left", "medial"): ((1, 0), (0, 1)),
    ("right", "lateral"): ((1, 0), (0, 1)),
    ("right", "medial"): ((-1, 0), (0, 1)),
    ("left", "dorsal"): ((0, 1), (0, 0)),
    ("left", "ventral"): ((0, 1), None),
    ("left", "anterior"): ((0, 0), (0, 1)),
    ("left", "posterior"): (None, (0, 1)),
}


def ball() -> InMemoryMesh:
    """A sphere of 10 mm, by longitude and latitude."""
    n, m = 40, 21
    turn, rise = np.meshgrid(np.arange(n) * 2 * np.pi / n, np.linspace(0, np.pi, m), indexing="ij")
    places = 10 * np.stack(
        [np.sin(rise) * np.cos(turn), np.sin(rise) * np.sin(turn), np.cos(rise)], axis=-1
    )
    at = np.arange(n * m).reshape(n, m)
    a, b = at[:, :-1], np.roll(at, -1, axis=0)[:, :-1]
    faces = np.concatenate([np.stack([a, a + 1, b], -1), np.stack([b, a + 1, b + 1], -1)])
    return InMemoryMesh(places.reshape(-1, 3), faces.reshape(-1, 3))


BALL = ball()


def red(figure) -> np.ndarray:
    """Which pixels of the one panel are red."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    image = np.asarray(canvas.buffer_rgba()).astype(int)
    x0, y0, x1, y1 = figure.axes[0].get_window_extent().extents.round().astype(int)
    panel = image[image.shape[0] - y1 : image.shape[0] - y0, x0:x1]
    return panel[..., 0] - panel[..., 2] > 60


@pytest.mark.parametrize(("side", "view"), LAID_OUT)
def test_the_front_and_the_top_lie_where_they_belong(side: str, view: str) -> None:
    for axis, where in zip((1, 2), LAID_OUT[side, view], strict=True):
        values = np.where(BALL.coordinates[:, axis] > 8.0, 3.0, 0.0)
        image = report.surface_image({side: (BALL, values)})
        shown = red(report.plot_surface(image, hemi=side, view=view))
        if where is None:
            assert not shown.any()
            continue
        rows, columns = np.nonzero(shown)
        assert rows.size > 30
        middle = (np.array(shown.shape) - 1) / 2
        found = (columns.mean() - middle[1], middle[0] - rows.mean())
        radius = 0.5 * min(shown.shape)
        for at, expected in zip(found, where, strict=True):
            assert at / radius == pytest.approx(0.88 * expected, abs=0.12)


def test_what_a_threshold_hides_is_grey() -> None:
    values = np.where(BALL.coordinates[:, 0] < -8.0, 3.0, 0.5)
    image = report.surface_image({"left": (BALL, values)})
    every = red(report.plot_surface(image, view="lateral")).sum()
    strong = red(report.plot_surface(image, view="lateral", threshold=2.0)).sum()
    assert 0 < strong <= every
    assert not red(report.plot_surface(image, view="medial", threshold=2.0)).any()


def test_a_single_vertex_is_seen() -> None:
    values = np.zeros(len(BALL.coordinates))
    values[int(BALL.coordinates[:, 0].argmin())] = 5.0
    image = report.surface_image({"left": (BALL, values)})
    assert red(report.plot_surface(image, view="lateral", threshold=4.0)).any()


def test_folding_is_deep_in_a_dent_and_normals_point_outwards() -> None:
    places = BALL.coordinates.copy()
    dent = int(places[:, 0].argmin())
    places[dent] *= 0.7
    depth = folding(places, BALL.faces, 4.0)
    assert depth[dent] > 1.0
    # A mesh whose triangles run the other way round has the same folds.
    np.testing.assert_allclose(folding(places, BALL.faces[:, ::-1], 4.0), depth, atol=1e-12)
    normals = vertex_normals(BALL.coordinates, BALL.faces)
    inside = np.abs(BALL.coordinates[:, 2]) < 9.9  # the poles are many vertices in one place
    along = np.sum(normals * BALL.coordinates / 10, axis=1)[inside]
    assert np.abs(along).min() > 0.99


def test_hemispheres_that_overlap_are_moved_apart() -> None:
    image = report.surface_image({side: (BALL, np.ones(840)) for side in ("left", "right")})
    figure = report.plot_surface(image, view="dorsal")
    left, right = (drawn.get_paths()[0].get_extents() for drawn in figure.axes[0].collections)
    assert left.x1 < right.x0


def test_mistakes_are_told() -> None:
    image = report.surface_image({"left": (BALL, np.ones(840))})
    with pytest.raises(DataError, match="no view 'latteral'; did you mean 'lateral'"):
        report.plot_surface(image, view="latteral")
    with pytest.raises(DataError, match="no right hemisphere"):
        report.plot_surface(image, hemi="right")
    with pytest.raises(DataError, match="no finite value"):
        report.plot_surface(report.surface_image({"left": (BALL, np.full(840, np.nan))}))
