"""The page on a fit of one run or of several."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lazy_loader

from voxlm.analysis.contrast import Contrast
from voxlm.analysis.spec import ContrastSpec

if TYPE_CHECKING:
    from voxlm.analysis.fit import Fit

# Pictures and the page's template are loaded by whoever wants a report.
pages = lazy_loader.load("voxlm.analysis.pages.write", suppress_warning=True)


class Reported(ABC):
    """Fits that a page can be written on."""

    __slots__ = ()

    @abstractmethod
    def contrast(self, spec: ContrastSpec) -> Contrast:
        """Ask a question of the coefficients."""

    @abstractmethod
    def _by_run(self) -> Sequence[Fit]:
        """Return the fits, one a run."""

    def report(
        self,
        path: str | PathLike[str],
        contrasts: Any = (),
        *,
        correct: str = "fdr",
        alpha: float = 0.05,
        title: str | None = None,
        **options: Any,
    ) -> Path:
        """Write one page: the model of each run, contrasts, residuals, methods.

        Parameters
        ----------
        path : path
            Ends in ``.html``. The page holds its pictures and viewers and loads nothing.
        contrasts : iterable of str, Contrast or Verdict, or a dict of them by name
            What is shown and tabulated; a Verdict as it was decided.
        correct, alpha, **options
            As for :meth:`voxlm.Contrast.correct`.
        title : str, optional
            Of the page; the name of the data where not given.

        Returns
        -------
        Path
            ``path``.

        Raises
        ------
        DataError
            The name does not end in ``.html``, or two contrasts have one name.
        """
        return pages.write_run_report(
            self._by_run(), self.contrast, Path(path), contrasts, correct, alpha, title, options,
            getattr(self, "weighting", "unweighted"),
        )  # fmt: skip
