"""Whether pictures can be drawn here at all."""

from __future__ import annotations

import warnings
from importlib.util import find_spec

from voxlm.errors import VoxlmWarning


def can_draw(what: str) -> bool:
    """Tell whether matplotlib is installed; where it is not, warn that ``what`` is left out.

    Parameters
    ----------
    what : str
        Name of the picture.

    Returns
    -------
    bool

    Examples
    --------
    >>> can_draw("design.png")
    True
    """
    if find_spec("matplotlib") is not None:
        return True
    warnings.warn(
        f"{what} was left out: pictures need matplotlib, which is not installed; "
        "install it with: pip install 'voxlm[report]'",
        VoxlmWarning,
        stacklevel=3,
    )
    return False
