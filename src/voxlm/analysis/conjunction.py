"""Several contrasts that must hold together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from voxlm.analysis.contrast import Contrast
from voxlm.errors import DataError, did_you_mean
from voxlm.images.space import Space, Volume
from voxlm.inference.conjunction import Conjunction, conjoin
from voxlm.inference.decision import Decision, correct

Floats = NDArray[np.float64]

MAPS = ("p", "z")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class JointContrast:
    """The weakest of several contrasts at every voxel.

    Parameters
    ----------
    contrasts : tuple of Contrast
        What was joined.
    result : Conjunction
        The numbers.
    """

    contrasts: tuple[Contrast, ...]
    result: Conjunction

    @property
    def space(self) -> Space:
        """Where the voxels lie."""
        return self.contrasts[0].space

    @property
    def p(self) -> Floats:
        """Uncorrected p of the conjunction, shape ``(V,)``; 1 where directions differ."""
        return self.result.p

    @property
    def z(self) -> Floats:
        """The z nearest to 0, shape ``(V,)``; 0 where directions differ."""
        return self.result.z

    def correct(self, method: str = "fdr", alpha: float = 0.05) -> Decision:
        """Decide which voxels are significant; methods as of :func:`voxlm.inference.correct`."""
        return correct(self.p, method, alpha)

    def image(self, name: str = "z") -> Any:
        """Return ``z`` or ``p`` as an image of the kind the data were."""
        if name not in MAPS:
            raise DataError(f"no map called {name!r}; {did_you_mean(name, MAPS)}")
        return self.space.image(getattr(self, name), intent=name)

    def __repr__(self) -> str:
        asked = "\n".join(f"  {contrast.text}" for contrast in self.contrasts)
        n = len(self.contrasts)
        return f"{n} contrasts against the {self.result.null} null hypothesis:\n{asked}"


def conjunction(
    *contrasts: Contrast, null: Literal["conjunction", "global"] = "conjunction"
) -> JointContrast:
    """Join t contrasts: voxels where all of them hold, in one direction.

    Parameters
    ----------
    *contrasts : Contrast
        Two or more, of the same voxels.
    null : {"conjunction", "global"}
        Rejecting ``conjunction`` says that all have an effect; rejecting ``global`` only that some
        has one, and only if the contrasts are independent.

    Returns
    -------
    JointContrast

    Raises
    ------
    DataError, VoxlmError
        Contrasts of different voxels, an F, fewer than two.
    """
    for other in contrasts[1:]:
        if not _same(contrasts[0].space, other.space):
            raise DataError(
                f"{contrasts[0].text!r} and {other.text!r} lie on different voxels: "
                f"{contrasts[0].space!r} and {other.space!r}"
            )
    return JointContrast(contrasts, conjoin([c.result for c in contrasts], null))


def _same(a: Space, b: Space) -> bool:
    if isinstance(a, Volume) and isinstance(b, Volume):
        return np.array_equal(a.mask, b.mask) and np.allclose(a.affine, b.affine)
    return type(a) is type(b) and a.n_voxels == b.n_voxels
