"""``vx.plot``: every picture shows the numbers it was given, where it was told to."""

from __future__ import annotations

import matplotlib as mpl
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy import stats
from small_study import FORMULA, Study, fitted

import voxlm as vx

#: A band that statsmodels computes too, from the same covariance by other sums.
ROUNDING = 1e-8


@pytest.fixture(scope="module")
def fit(study: Study) -> vx.Fit:
    return fitted(study)


@pytest.fixture(scope="module")
def in_mni() -> nib.Nifti1Image:
    """A cube of 4 on the right of the template, a NaN outside it."""
    affine = np.diag([8.0, 8.0, 8.0, 1.0])
    affine[:3, 3] = -76, -112, -66
    values = np.zeros((20, 24, 20), np.float32)
    values[13:16, 8:12, 8:12] = 4.0
    values[0, 0, 0] = np.nan
    image = nib.Nifti1Image(values, affine)
    image.set_sform(affine, 4)
    return image


def pixels(drawn) -> np.ndarray:
    """Return what a picture looks like: (height, width, 3), 0 to 255."""
    figure = drawn if isinstance(drawn, Figure) else drawn.get_figure(root=True)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].astype(int)


def reddish(image: np.ndarray) -> np.ndarray:
    return image[..., 0] > 60 + image[..., 1:].max(axis=-1)


def test_design_and_correlation_take_fits_and_designs(fit: vx.Fit):
    of_fit, of_design = vx.plot.design(fit), vx.plot.design(fit.design)
    np.testing.assert_array_equal(of_fit.images[0].get_array(), of_design.images[0].get_array())
    shown = vx.plot.design_correlation(fit).images[0].get_array()
    varies = np.ptp(fit.design.matrix, axis=0) > 0
    expected = np.corrcoef(fit.design.matrix[:, varies], rowvar=False)
    np.testing.assert_allclose(shown.compressed(), expected[np.tril_indices(varies.sum())])
    with pytest.raises(vx.DataError, match="of several runs give one"):
        vx.plot.design(object())


def test_events_are_bars_at_their_onsets(study: Study, fit: vx.Fit):
    table = study.run().events
    ax = vx.plot.events(fit)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == list(
        dict.fromkeys(table.trial_type)
    )
    starts = [path.vertices[:, 0].min() for bars in ax.collections for path in bars.get_paths()]
    np.testing.assert_allclose(sorted(starts), np.sort(table.onset))
    widths = [np.ptp(path.vertices[:, 0]) for bars in ax.collections for path in bars.get_paths()]
    np.testing.assert_allclose(widths, 4.0)
    counted = [text.get_text() for text in ax.texts]
    assert counted == [
        str((table.trial_type == name).sum()) for name in dict.fromkeys(table.trial_type)
    ]
    with pytest.raises(vx.DataError, match="no events"):
        vx.plot.events(vx.Run(np.ones((9, 2)) + np.arange(9)[:, None]))


def test_contrast_weights_stand_in_their_columns(fit: vx.Fit):
    ax = vx.plot.contrast(fit, "face - 0.5*house")
    shown = ax.images[0].get_array()
    names = [tick.get_text() for tick in ax.get_xticklabels()]
    assert shown.shape == (1, len(fit.names))
    assert shown[0, names.index("face")] == 1
    assert shown[0, names.index("house")] == -0.5
    assert vx.plot.contrast(fit, "face, house").images[0].get_array().shape[0] == 2


def test_hrf_peaks_where_the_response_does():
    ax = vx.plot.hrf("spm + derivative", vx.hrf.fir([0, 2]), tr=2.0)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels[:2] == ["spm + derivative", "spm + derivative, derivative"]
    first = ax.lines[1]
    seconds, values = first.get_data()
    t = np.arange(0, 32, 0.1)
    canonical = stats.gamma.pdf(t, 6) - stats.gamma.pdf(t, 16) / 6
    assert seconds[values.argmax()] == pytest.approx(t[canonical.argmax()], abs=0.15)
    assert values.max() == pytest.approx(1.0)
    (later,) = [line for line in ax.lines if str(line.get_label()).endswith("delay_2")]
    at_scans = np.interp([0.0, 2.0, 4.0, 6.0], *later.get_data(), right=0.0)
    np.testing.assert_allclose(at_scans, [0, 0, 1, 0], atol=1e-12)  # two scans after the event


def test_response_shows_data_fit_and_the_band_of_statsmodels(study: Study):
    fit = vx.lm(FORMULA, study.run())
    at = 7
    voxel = tuple(int(i) for i in fit.run.space.voxels[at])
    figure = vx.plot.response(fit, voxel)
    series, average = figure.axes
    theirs = fit.voxel(*voxel)
    data, fitted_line = series.lines[0].get_ydata(), series.lines[1].get_ydata()
    np.testing.assert_allclose(data, theirs.model.endog, rtol=ROUNDING, atol=ROUNDING)
    np.testing.assert_allclose(fitted_line, theirs.fittedvalues, rtol=ROUNDING, atol=ROUNDING)
    band = theirs.get_prediction().conf_int()
    corners = series.collections[0].get_paths()[0].vertices[:, 1]
    assert corners.min() == pytest.approx(band.min(), rel=ROUNDING)
    assert corners.max() == pytest.approx(band.max(), rel=ROUNDING)
    assert {text.get_text() for text in average.get_legend().get_texts()} == {
        f"{name} ({count})" for name, count in study.run().events.trial_type.value_counts().items()
    }


def test_average_is_the_mean_around_the_onsets(study: Study):
    fit = vx.lm(FORMULA, study.run())
    voxel = tuple(int(i) for i in fit.run.space.voxels[3])
    ax = vx.plot.response(fit, voxel, part="average")
    theirs = fit.voxel(*voxel)
    nuisance = [k for k, column in enumerate(fit.design.columns) if column.role != "task"]
    X = theirs.model.exog
    adjusted = theirs.model.endog - X[:, nuisance] @ theirs.params.to_numpy()[nuisance]
    events = study.run().events
    onsets = events.onset[events.trial_type == "face"].to_numpy()
    at_six = np.concatenate([adjusted[np.rint((onsets + 6.0) / 2.0).astype(int)]])
    points = ax.containers[0].lines[0]
    shown = dict(zip(points.get_xdata(), points.get_ydata(), strict=True))
    assert shown[6.0] == pytest.approx(at_six.mean(), rel=ROUNDING)
    with pytest.raises(vx.DataError, match="one ax holds one part"):
        vx.plot.response(fit, voxel, part="both", ax=ax)


def test_response_of_arrays_and_voxels_left_out(odd_study: Study):
    run = odd_study.run()
    fit = vx.glsar(FORMULA, run)
    with pytest.raises(vx.DataError, match="left out"):
        vx.plot.response(fit, (2, 2, 2))
    plain = vx.lm(fit.design, vx.Run(np.random.default_rng(0).normal(size=(90, 3)), scaling=None))
    (ax,) = vx.plot.response(plain, 1).axes
    assert ax.get_xlabel() == "scan"


def test_qq_of_one_voxel_are_its_residuals(study: Study):
    fit = vx.lm(FORMULA, study.run())
    voxel = tuple(int(i) for i in fit.run.space.voxels[5])
    shown = vx.plot.qq(fit, voxel).lines[1].get_ydata()
    theirs = fit.voxel(*voxel)
    expected = np.sort(theirs.resid / np.sqrt(theirs.scale))
    np.testing.assert_allclose(shown, expected, rtol=ROUNDING, atol=ROUNDING)
    x, y = vx.plot.qq(fit.contrast("face")).lines[1].get_data()
    np.testing.assert_allclose(y, np.sort(fit.contrast("face").z))
    np.testing.assert_allclose(x, stats.norm.ppf((np.arange(len(x)) + 0.5) / len(x)))
    with pytest.raises(vx.DataError, match="goes with a fit"):
        vx.plot.qq(np.ones(9), voxel)


def test_stat_map_of_a_verdict_hides_what_is_not_significant(fit: vx.Fit):
    con = fit.contrast("face")
    verdict = con.correct("fdr", alpha=0.2)
    assert 0 < verdict.n_significant < fit.n_voxels
    figure = vx.plot.stat_map(verdict, fit, n_slices=4)
    panels = [ax.images[-1].get_array() for ax in figure.axes if len(ax.images) == 2]
    drawn = np.concatenate([panel.compressed() for panel in panels])
    assert len(drawn) == verdict.n_significant
    np.testing.assert_allclose(np.sort(drawn), np.sort(con.z[verdict.significant]), rtol=1e-6)
    under = np.concatenate(
        [ax.images[0].get_array().ravel() for ax in figure.axes if len(ax.images) == 2]
    )
    assert under.max() == pytest.approx(1000, rel=0.05)  # the mean of the data, from the fit alone


def test_ortho_cuts_at_the_peak_and_draws_in_colour(in_mni: nib.Nifti1Image):
    drawn = vx.plot.stat_map(in_mni, display="ortho", threshold=2.0)
    titles = [text.get_text() for ax in drawn.axes for text in ax.texts]
    assert {"x=28", "y=-48", "z=-2"} <= {title.replace("−", "-") for title in titles}
    assert reddish(pixels(drawn)).sum() > 300
    empty = vx.plot.stat_map(in_mni, display="ortho", threshold=5.0)
    assert reddish(pixels(empty)).sum() < 50
    with pytest.raises(vx.DataError, match="display"):
        vx.plot.stat_map(in_mni, display="orto")
    with pytest.raises(vx.DataError, match="cut="):
        vx.plot.stat_map(in_mni, cut=(0, 0, 0))


def test_glass_brain_puts_the_right_on_the_right(in_mni: nib.Nifti1Image):
    figure = Figure(figsize=(6, 3))
    ax = figure.add_subplot()
    assert vx.plot.glass_brain(in_mni, threshold=2.0, ax=ax) is ax
    image = pixels(figure)
    third = image[:, int(image.shape[1] * 0.62) : int(image.shape[1] * 0.88)]
    columns = np.flatnonzero(reddish(third).any(axis=0))
    assert columns.size > 5  # the axial view is the last of the three
    assert columns.mean() > third.shape[1] * 0.45


def test_surface_colours_the_hemisphere_of_the_map(in_mni: nib.Nifti1Image):
    values = np.zeros(in_mni.shape, np.float32)
    values[13:20, 6:16, 6:16] = 4.0  # the right side, out to the surface
    image = nib.Nifti1Image(values, in_mni.affine)
    right = reddish(pixels(vx.plot.surface(image, hemi="right", threshold=2.0))).sum()
    left = reddish(pixels(vx.plot.surface(image, hemi="left", threshold=2.0))).sum()
    assert right > 500
    assert right > 5 * left
    ax = Figure(figsize=(6, 4)).subplots(1, 2)[1]
    assert vx.plot.surface(image, hemi="right", ax=ax) is ax
    with pytest.raises(vx.DataError, match="one hemisphere"):
        vx.plot.surface(image, ax=ax)


def test_effects_follow_the_fit():
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"age": np.linspace(20, 60, 24), "group": list("ab") * 12})
    data = 0.05 * table.age.to_numpy()[:, None] + rng.normal(size=(24, 3))
    fit = vx.lm("~ age * group", vx.Maps(table, data=data))
    ax = vx.plot.effects(fit, 1)
    theirs = fit.voxel(1)
    points = np.concatenate([line.get_ydata() for line in ax.lines if line.get_marker() == "o"])
    np.testing.assert_allclose(np.sort(points), np.sort(data[:, 1]))
    (line_a,) = [line for line in ax.lines if line.get_label() == "a"]
    x, y = line_a.get_data()
    np.testing.assert_allclose(y, theirs.params.iloc[0] + theirs.params.iloc[1] * x, rtol=ROUNDING)


def test_given_axes_are_drawn_on_and_nothing_global_is_touched(fit: vx.Fit):
    con, figure = fit.contrast("face"), Figure()
    for draw in (
        lambda ax: vx.plot.design(fit, ax=ax),
        lambda ax: vx.plot.design_correlation(fit, ax=ax),
        lambda ax: vx.plot.events(fit, ax=ax),
        lambda ax: vx.plot.contrast(fit, "face", ax=ax),
        lambda ax: vx.plot.hrf(ax=ax),
        lambda ax: vx.plot.response(fit, fit.run.space.voxels[0], ax=ax),
        lambda ax: vx.plot.qq(con, ax=ax),
        lambda ax: vx.plot.stat_map(con, fit, ax=ax),
        lambda ax: vx.plot.stat_map(con, fit, display="ortho", ax=ax),
    ):
        figure.clear()
        ax = figure.add_subplot(1, 2, 2)
        assert draw(ax) is ax
        before = np.full((int(figure.bbox.height), int(figure.bbox.width) // 4, 3), 255)
        np.testing.assert_array_equal(pixels(figure)[:, : before.shape[1]], before)
    assert mpl.get_backend().lower() == "agg"


def test_arrays_have_no_map(study: Study):
    con = vx.glsar(FORMULA, study.array_run()).contrast("face")
    with pytest.raises(vx.DataError, match="no grid"):
        vx.plot.stat_map(con)
    with pytest.raises(vx.DataError, match="of a fit ask a contrast"):
        vx.plot.stat_map(3)


def test_the_band_says_its_level():
    events = pd.DataFrame({"onset": [10.0, 40.0], "duration": 4.0, "trial_type": "face"})
    run = vx.Run(np.random.default_rng(0).normal(100, 1, (40, 5)), events, tr=2.0)
    drawn = vx.plot.response(vx.lm("y ~ face", run), 0, alpha=0.2, part="series")
    assert "80 % band" in [text.get_text() for text in drawn.get_legend().get_texts()]
