"""Pictures: what is drawn is what was given, and nothing overlaps."""

import nibabel as nib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from voxlm.design.clock import Clock
from voxlm.design.columns import Column, Design
from voxlm.errors import DataError
from voxlm.report import plot_correlation, plot_design, plot_stat_map, plot_truth, save_picture
from voxlm.report.brain_plots import COLD_HOT, plot_mosaic

RIGHT_TO_LEFT = np.diag([-2.0, 2.0, 2.0, 1.0])


def _design(n_task=3, n_drift=4, n_scans=60):
    rng = np.random.default_rng(0)
    columns = [Column(f"condition_{k}", f"condition_{k}", "task") for k in range(n_task)]
    columns += [Column(f"drift_{k}", "cosine", "drift") for k in range(n_drift)]
    columns += [Column("constant", "1", "constant")]
    matrix = np.column_stack([rng.standard_normal((n_scans, n_task + n_drift)), np.ones(n_scans)])
    return Design(matrix, tuple(columns), Clock(n_scans, 1.5, 0.5))


def _drawn(figure):
    """Draw a figure and return the renderer that knows where everything came to lie."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas.get_renderer()


def _overlaps(texts, renderer):
    boxes = [text.get_window_extent(renderer) for text in texts if text.get_text()]
    return [(a, b) for i, a in enumerate(boxes) for b in boxes[i + 1 :] if a.overlaps(b)]


def test_design_shows_every_column_scaled_and_named():
    design = _design()
    ax = plot_design(design)
    shown = ax.images[0].get_array()
    assert shown.shape == design.matrix.shape
    np.testing.assert_allclose(np.abs(shown).max(axis=0), 1.0)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == list(design.names)
    assert {text.get_text() for text in ax.texts} == {"task", "drift", "constant"}


def test_design_times_follow_the_clock():
    ax = plot_design(_design())
    (right,) = ax.child_axes
    _drawn(ax.figure)
    # Scan 0 is taken in the middle of the first TR of 1.5 s.
    low, high = sorted(right.get_ylim())
    assert (low, high) == pytest.approx((0.0, 60 * 1.5))


@pytest.mark.parametrize("n_task", [2, 40])
def test_column_names_do_not_cover_each_other(n_task):
    ax = plot_design(_design(n_task=n_task))
    figure = ax.figure
    _drawn(figure)
    tops = [label.get_position()[0] for label in ax.get_xticklabels()]
    step = np.diff(ax.transData.transform([(t, 0) for t in tops])[:, 0]).min()
    letters = ax.get_xticklabels()[0].get_fontsize() * figure.dpi / 72
    # Slanted by 60°, neighbours stand letters / sin(60°) apart at least.
    assert step >= letters * 0.85


def test_correlation_leaves_out_what_does_not_vary():
    design = _design()
    ax = plot_correlation(design)
    names = [tick.get_text() for tick in ax.get_yticklabels()]
    assert names == [name for name in design.names if name != "constant"]
    shown = ax.images[0].get_array()
    expected = np.corrcoef(design.matrix[:, :-1], rowvar=False)
    np.testing.assert_allclose(shown.compressed(), expected[~np.triu(np.ones((7, 7), bool), 1)])
    assert "-0" not in {text.get_text() for text in ax.texts}


def test_given_axes_are_drawn_on():
    ax = plot_design(_design())
    assert plot_correlation(_design(), ax=ax) is ax


def test_left_is_left():
    """A peak on the subject's right lies right of the middle, whatever the storage order."""
    values = np.zeros((9, 8, 6))
    values[1, 4, 3] = 5.0  # the first axis runs right to left: index 1 is far right
    values[2:7, 2:6, 1:5] += 0.5
    figure = plot_mosaic(values, RIGHT_TO_LEFT, n_slices=6)
    panels = [ax.images[-1].get_array() for ax in figure.axes if ax.images]
    (peak,) = [panel for panel in panels if panel.max() == 5.0]
    _, column = np.unravel_index(peak.argmax(), peak.shape)
    assert column > (peak.shape[1] - 1) / 2


def test_heights_are_millimetres_of_the_affine():
    affine = np.diag([2.0, 2.0, 3.0, 1.0])
    affine[2, 3] = -30.0
    figure = plot_mosaic(np.ones((6, 6, 5)), affine, n_slices=5)
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    assert titles == [f"z = {z} mm" for z in (-30, -27, -24, -21, -18)]
    flipped = affine.copy()
    flipped[2] = [0, 0, -3.0, -18.0]
    again = plot_mosaic(np.ones((6, 6, 5)), flipped, n_slices=5)
    assert [ax.get_title() for ax in again.axes if ax.get_title()] == titles


def test_threshold_hides_and_colours_are_symmetric():
    values = np.linspace(-4, 4, 6**3).reshape(6, 6, 6)
    figure = plot_mosaic(values, np.eye(4), np.ones((6, 6, 6)), threshold=2.0)
    shown = [ax.images[-1] for ax in figure.axes if len(ax.images) == 2]
    drawn = np.concatenate([image.get_array().compressed() for image in shown])
    assert np.abs(drawn).min() >= 2.0
    assert {image.get_clim() for image in shown} == {(-4.0, 4.0)}
    assert shown[0].get_cmap().name == COLD_HOT.name


def test_labels_stand_clear_of_each_other():
    values = np.random.default_rng(1).standard_normal((20, 24, 18))
    figure = plot_mosaic(values, np.eye(4) * 4, title="a title", label="z")
    renderer = _drawn(figure)
    titles = [ax.title for ax in figure.axes] + [figure._suptitle]
    assert not _overlaps(titles, renderer)


@pytest.mark.parametrize("shape", [(20, 24, 1), (20, 24, 18)])
def test_a_long_title_stays_inside_the_picture(shape):
    values = np.random.default_rng(1).standard_normal(shape)
    title = "trial_type[face] - trial_type[house]: 227 of 530 voxels significant (fdr, 0.05)"
    figure = plot_mosaic(values, np.eye(4) * 4, title=2 * title)
    box = figure._suptitle.get_window_extent(_drawn(figure))
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1


def test_confounds_are_drawn_less_their_mean():
    matrix = np.column_stack([np.linspace(7990.0, 8010.0, 21), np.linspace(0, 2, 21)])
    columns = (Column("csf", "csf", "confound"), Column("face", "face", "task"))
    shown = plot_design(Design(matrix, columns, Clock(21, 2.0))).images[0].get_array()
    np.testing.assert_allclose(shown[[0, -1]], [[-1.0, 0.0], [1.0, 1.0]], atol=1e-12)


def test_other_grids_and_empty_maps_are_refused():
    with pytest.raises(DataError, match="resample"):
        plot_mosaic(np.ones((4, 4, 4)), np.eye(4), np.ones((5, 4, 4)))
    with pytest.raises(DataError, match="no finite value"):
        plot_mosaic(np.full((4, 4, 4), np.nan), np.eye(4))
    with pytest.raises(DataError, match="three axes"):
        plot_mosaic(np.ones((4, 4)), np.eye(4))


def test_mni_maps_lie_on_the_template(tmp_path):
    affine = np.diag([8.0, 8.0, 8.0, 1.0])
    affine[:3, 3] = -72.0
    values = np.zeros((20, 24, 20), np.float32)
    values[8:12, 8:12, 8:12] = 4.0
    values[0, 0, 0] = np.nan
    image = nib.Nifti1Image(values, affine)
    image.set_sform(affine, 4)
    figure = plot_stat_map(image, threshold=2.0, title="effect")
    assert figure.get_suptitle() == "effect (z)"
    assert save_picture(figure, tmp_path / "map.png").stat().st_size > 10_000


def test_same_picture_same_bytes(tmp_path):
    one = save_picture(plot_design(_design()), tmp_path / "one.png")
    two = save_picture(plot_design(_design()), tmp_path / "two.png")
    assert one.read_bytes() == two.read_bytes()
    assert one.read_bytes()[:4] == b"\x89PNG"


def test_truth_counts_and_draws_every_region():
    labels = np.array([0, 0, 1, 2, 2])
    true = np.array([0.0, 0.0, 1.0, -1.0, -2.0])
    found = np.array([0.1, np.nan, 1.2, -0.9, -2.2])
    ax = plot_truth(true, found, labels, ("face", "house"))
    named = [text.get_text() for text in ax.get_legend().get_texts()]
    assert named == [
        "no response (1 voxels)",
        "face region (1 voxels)",
        "house region (2 voxels)",
        "estimate = truth",
    ]
