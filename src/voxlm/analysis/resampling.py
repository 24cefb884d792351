"""What a contrast keeps so that its maps can be permuted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from voxlm.bids.maps import Maps


@dataclass(frozen=True, slots=True, eq=False)
class Resampling:
    """The maps behind a contrast, so that they can be permuted.

    Parameters
    ----------
    maps : Maps
        The data and their table.
    X : ndarray, shape (N, P)
        The design.
    refusal : str
        Why this fit cannot be permuted; empty where it can.
    """

    maps: Maps
    X: NDArray[np.float64]
    refusal: str = ""
