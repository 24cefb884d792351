"""What a response is: some basis functions of time, ready to be sampled on any grid."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@runtime_checkable
class Response(Protocol):
    """A haemodynamic response as a value.

    ``labels`` has one entry a basis function: empty for the canonical one, else what is added to
    a column's name. ``orthogonal`` tells whether the columns of one condition are made orthogonal
    in their order. ``lead`` is the part of a TR by which the response is read ahead.
    """

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the basis functions, length B."""

    @property
    def orthogonal(self) -> bool:
        """Whether later columns of a condition are made orthogonal to earlier ones."""

    def kernels(self, tr: float, oversampling: int) -> tuple[Floats, ...]:
        """Return the B basis functions, one sample every ``tr / oversampling`` seconds."""

    def lead(self, oversampling: int) -> int:
        """Return the grid steps by which the response is read ahead."""
