"""From what a user holds to what can be drawn: designs, images, backgrounds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxlm import report
from voxlm.analysis.background import mean_image
from voxlm.analysis.contrast import Contrast
from voxlm.analysis.fitted import Fitted
from voxlm.analysis.verdict import Verdict
from voxlm.errors import DataError


def design_of(thing: Any) -> Any:
    """Return the design of a fit, or a design itself."""
    found = getattr(thing, "design", thing)
    if not hasattr(found, "matrix"):
        raise DataError(
            f"a design or a fit is drawn, got {type(thing).__name__}; of several runs give one: "
            "fixed[0]"
        )
    return found


def map_of(drawn: Any, name: str) -> tuple[Any, str, float | None]:
    """Return an image, its title, and the least value that is shown."""
    if isinstance(drawn, Verdict):
        shown = _flat(drawn.contrast, drawn.values(name), name)
        least = weakest(drawn, name)
        unit = drawn.contrast.space.counted
        words = f"{drawn.contrast.text}: {drawn.n_significant:,} {unit} significant"
        hidden = float("inf") if least is None else least
        return on_grid(drawn.contrast.space, shown), words, hidden
    if isinstance(drawn, Contrast):
        shown = _flat(drawn, drawn.values(name), name)
        return on_grid(drawn.space, shown), drawn.text, None
    if hasattr(drawn, "mesh") or hasattr(drawn, "dataobj"):
        return drawn, "", None
    raise DataError(
        f"a map is a Contrast, a Verdict or an image, got {type(drawn).__name__}; of a fit ask a "
        "contrast, or fit.image('rsquared')"
    )


def weakest(verdict: Verdict, name: str = "z") -> float | None:
    """Return the least significant value, as float64 or float32 holds it, whichever is less."""
    sizes = np.abs(verdict.values(name)[verdict.significant])
    return min(float(np.float32(sizes.min())), float(sizes.min())) if sizes.size else None


def _flat(asked: Contrast, values: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    if values.ndim > 1:
        raise DataError(f"{asked.text!r} has {len(values)} rows of {name!r}: draw 'z' or 'stat'")
    return values


def on_grid(space: Any, values: NDArray[np.float64]) -> Any:
    """Return a map as an image that can be drawn.

    Raises
    ------
    DataError
        Columns of an array; vertices whose surface was not given.
    """
    sheets = space.sheets(values)
    if sheets:
        return report.surface_image(sheets)
    image = space.image(values)
    if not (hasattr(image, "dataobj") or hasattr(image, "mesh")):
        raise DataError(
            "these results are arrays, which have no grid to be drawn on, or vertices whose "
            "surface, mesh=, was not given"
        )
    return image


def background_of(given: Any) -> Any:
    """Return the image under a map: an image as it is, of a fit the mean of its data."""
    if given is None or hasattr(given, "dataobj"):
        return given
    fits = list(given) if hasattr(given, "fits") else [given]
    if not isinstance(fits[0], Fitted):
        raise DataError(f"a background is a fit or an image, got {type(given).__name__}")
    return mean_image(fits[0])
