"""Several contrasts that must hold together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from voxlm.analysis.contrast import Contrast
from voxlm.analysis.deciding import check_method
from voxlm.analysis.verdict import Verdict
from voxlm.contrasts.hypothesis import Hypothesis
from voxlm.contrasts.statmap import wald
from voxlm.errors import DataError, VoxlmError, did_you_mean
from voxlm.images.space import Space
from voxlm.inference.conjunction import Conjunction, conjoin, z_of
from voxlm.inference.decision import METHODS

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

    @property
    def weakest(self) -> Contrast:
        """The conjunction as a contrast whose statistic is z: for maps, tables and verdicts."""
        text = " & ".join(contrast.text for contrast in self.contrasts)
        one = np.ones((1, 1))
        question = Hypothesis(one, np.zeros(1), "t", text, ("weakest",))
        z = z_of(self.result)
        result = wald(z[None], np.ones((1, 1, z.size)), np.inf, "t")
        return Contrast(question, result, self.space)

    def correct(
        self, method: str = "fdr", alpha: float = 0.05, two_sided: bool = True, **options: Any
    ) -> Verdict:
        """Decide where the conjunction holds.

        Parameters
        ----------
        method, alpha, **options
            As for :meth:`voxlm.Contrast.correct`; random-field theory has none for conjunctions.
        two_sided : bool
            Whether both signs count, the same in all contrasts, or positive effects alone.

        Returns
        -------
        Verdict
            Its statistic is the weakest z; against the global null hypothesis, the z of the joint
            p.

        Raises
        ------
        VoxlmError, DataError
            As for contrasts; a permutation against the global null hypothesis.

        Notes
        -----
        Corrections that take p-values correct the p of the conjunction. Those that permute correct
        each contrast, and the conjunction has the largest of their p: a test of the conjunction
        null hypothesis by intersection and union (Berger, 1982; Nichols et al., 2005).
        """
        if method in METHODS or method == "ari":
            return self.weakest.correct(method, alpha, two_sided, **options)
        check_method(method)
        if method in ("grf", "pari") or self.result.null == "global":
            raise VoxlmError(
                f"{method!r} is not for a conjunction against the {self.result.null} null "
                f"hypothesis: use one of {', '.join(METHODS)}"
                + ("" if self.result.null == "global" else ", or a permutation such as 'maxt'")
            )
        each = [c.correct(method, alpha, two_sided, **options) for c in self.contrasts]
        return self._all(each)

    def _all(self, each: Sequence[Verdict]) -> Verdict:
        """Join the decisions on every contrast: significant in all, and in one direction."""
        first, joint = each[0], self.weakest
        p = np.max([verdict.p for verdict in each], axis=0)
        p = np.where(self.result.p == 1.0, np.where(np.isnan(p), np.nan, 1.0), p)
        significant = np.logical_and.reduce([verdict.significant for verdict in each])
        significant &= self.result.p < 1.0
        words = "; and ".join(verdict.words for verdict in each)
        decision = replace(
            first.decision,
            p=p,
            significant=significant,
            threshold=float("nan"),
            statistic="z",
            n_tests=int(np.sum(~np.isnan(p))),
            words=f"in each of {len(each)} contrasts: {words}",
        )
        return Verdict(joint, decision, first.two_sided, connectivity=first.connectivity)

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
        why = contrasts[0].space.differs(other.space)
        if why:
            raise DataError(
                f"{contrasts[0].text!r} and {other.text!r} lie on different voxels: {why}"
            )
    return JointContrast(contrasts, conjoin([c.result for c in contrasts], null))
