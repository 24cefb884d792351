"""nilearn's own report page, of maps that were computed here.

nilearn lays the page out and draws it; the designs, the mask and every map are the model's.
"""

from __future__ import annotations

import warnings
from typing import Any

import lazy_loader

# A page is asked for seldom, and nilearn and scikit-learn take seconds to load.
standin = lazy_loader.load("voxlm.glm.standin", suppress_warning=True)

#: What nilearn warns of where nothing is above a threshold; the page itself says so.
EMPTY = (
    "No clusters found with stat higher",
    "The given float value must not exceed",
    "empty mask",
)


class Reported:
    """Adds :meth:`generate_report` to a model."""

    #: Contrasts, and that of the first level, of the last save after the fit.
    _saved: tuple[Any, Any] | None = None

    def generate_report(
        self,
        contrasts: Any = None,
        first_level_contrast: Any = None,
        title: str | None = None,
        bg_img: Any = "MNI152TEMPLATE",
        threshold: float | None = None,
        alpha: float = 0.001,
        cluster_threshold: int = 0,
        height_control: str | None = "fpr",
        two_sided: bool = False,
        min_distance: float = 8.0,
        plot_type: str = "slice",
        cut_coords: Any = None,
        display_mode: str | None = None,
        report_dims: Any = (1600, 800),
    ) -> Any:
        """Return nilearn's page about the model; :meth:`voxlm.Fit.report` writes our own.

        Parameters
        ----------
        contrasts : str, array, or a list or dict of them, optional
            As :meth:`compute_contrast` takes them. Left out, those of the last
            :func:`~voxlm.glm.save_glm_to_bids`, if there was one.
        first_level_contrast : str or array, optional
            Of a group model.
        title : str, optional
            Of the page.
        bg_img : image, "MNI152TEMPLATE" or None
            Under the maps.
        threshold : float, optional
            On z, where ``height_control`` is None.
        alpha : float
            The level of ``height_control``.
        cluster_threshold : int
            Smallest cluster shown, in voxels.
        height_control : {"fpr", "fdr", "bonferroni", None}
            How the threshold is found.
        two_sided : bool
            Whether negative values are shown too.
        min_distance : float
            Between peaks of a cluster, in millimetres.
        plot_type : {"slice", "glass"}
            How maps are drawn.
        cut_coords, display_mode
            As :func:`nilearn.plotting.plot_stat_map` takes them.
        report_dims : two ints
            Width and height in a notebook, in pixels.

        Returns
        -------
        nilearn.reporting.HTMLReport
            With ``save_as_html`` and ``open_in_browser``; shown as it is in a notebook.
        """
        if contrasts is None:
            contrasts, first_level_contrast = self._saved or (None, first_level_contrast)
        with warnings.catch_warnings():
            for words in EMPTY:
                warnings.filterwarnings("ignore", message=words)
            return standin.stand_in(self).generate_report(
                contrasts=contrasts,
                first_level_contrast=first_level_contrast,
                title=title,
                bg_img=bg_img,
                threshold=threshold,
                alpha=alpha,
                cluster_threshold=cluster_threshold,
                height_control=height_control,
                two_sided=two_sided,
                min_distance=min_distance,
                plot_type=plot_type,
                cut_coords=cut_coords,
                display_mode=display_mode,
                report_dims=report_dims,
            )
