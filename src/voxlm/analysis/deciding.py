"""From a contrast to a verdict: which correction, and what it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import lazy_loader

from voxlm.analysis.verdict import Verdict
from voxlm.errors import VoxlmError, did_you_mean
from voxlm.images.linked import linked
from voxlm.images.space import measured
from voxlm.inference.decision import METHODS, correct

if TYPE_CHECKING:
    from voxlm.analysis.contrast import Contrast

# Only some corrections need these, and compiled kernels with them.
permuting = lazy_loader.load("voxlm.analysis.permuting", suppress_warning=True)
regions = lazy_loader.load("voxlm.analysis.regions", suppress_warning=True)
randomfields = lazy_loader.load("voxlm.analysis.randomfields", suppress_warning=True)

PERMUTED = ("maxt", "maxt_step", "cluster_extent", "cluster_mass", "tfce")
KNOWN = (*METHODS, *PERMUTED, "ari", "pari", "grf")


def decide(
    contrast: Contrast, method: str, alpha: float, two_sided: bool, options: Mapping[str, Any]
) -> Verdict:
    """Correct a contrast for the number of voxels; see :meth:`voxlm.Contrast.correct`."""
    check_method(method)
    own = {name: options[name] for name in ("graph", "sizes") if name in options}
    if own:
        options = {name: value for name, value in options.items() if name not in own}
        if method in METHODS or method == "grf" or "graph" not in own:
            raise VoxlmError(
                f"{', '.join(own)}: neighbours are for clusters, TFCE and all-resolution inference "
                "(sizes= goes with graph=)"
            )
        contrast = replace(contrast, space=linked(contrast.space, own["graph"], own.get("sizes")))
    if method in METHODS:
        if options:
            raise VoxlmError(f"{', '.join(options)}: not for {method!r}, which permutes nothing")
        decision = correct(contrast.result, method, alpha, two_sided)
        return Verdict(contrast, decision, two_sided)
    if method == "grf":
        decision, field, forming, reach = randomfields.decide_by_field(
            contrast, alpha, two_sided, options
        )
        return Verdict(
            contrast, decision, two_sided, connectivity=reach, field=field, forming=forming
        )
    if method in ("ari", "pari"):
        decision, bounds, formed, reach = regions.decide_by_region(
            contrast, method, alpha, two_sided, options
        )
        return Verdict(
            contrast, decision, two_sided, connectivity=reach, bounds=bounds, formed=formed
        )
    test = permuting.permute(
        contrast.resampling, contrast.hypothesis, contrast.space, method, alpha, two_sided, options
    )
    reach = options.get("connectivity", 6)
    return Verdict(
        contrast,
        test.decide(method, alpha, unit=measured(contrast.space)),
        two_sided,
        connectivity=reach,
        permutations=test,
    )


def check_method(method: str) -> None:
    """Refuse a correction that does not exist.

    Raises
    ------
    VoxlmError
        With the nearest names.
    """
    if method not in KNOWN:
        raise VoxlmError(
            f"unknown correction {method!r}; {did_you_mean(str(method), KNOWN)} "
            f"The methods are: {', '.join(KNOWN)}"
        )
