"""The closed vocabulary: every word that may be called or has a meaning of its own."""

from __future__ import annotations

import re

#: A name that needs no backticks.
PLAIN = re.compile(r"[^\W\d]\w*(?:\.\w+)*")

#: Tables a name may be qualified with.
SOURCES = ("events", "confounds", "participants")

#: Calls that set the response of a formula, their first argument, and what follows it.
TAGS: dict[str, tuple[str, ...]] = {
    "hrf": ("response",),
    "fir": ("delays",),
    "tent": ("start", "stop", "n"),
    "spline": ("start", "stop", "n"),
    "gamma": ("delay", "dispersion"),
    "boxcar": (),
}

#: Named responses and what may be added to them.
RESPONSES = ("spm", "glover", "spm_exact", "glover_exact")
MODIFIERS = ("derivative", "dispersion")

#: Calls that make columns on the scans.
MACROS = frozenset({"cosine", "scrub", "acompcor", "tcompcor", "match", "ppi", "voxel"})

#: Functions of one variable, and the number of columns does not depend on the values.
ELEMENTWISE = frozenset({"log", "exp", "sqrt", "abs", "I"})
STATEFUL = frozenset({"center", "scale", "standardize"})
SPREADING = frozenset({"poly", "bs", "cr", "cc"})
#: What is known of a map beside its columns: it is subtracted and has no coefficient.
OFFSET = "offset"
TRANSFORMS = ELEMENTWISE | STATEFUL | SPREADING | {"C", "lag", "trials", OFFSET}

#: Contrast codings ``C(x, …)`` knows.
CODINGS = ("Treatment", "Sum", "Helmert", "Poly", "Diff")
CONTR = {f"contr.{name.lower()}": name for name in CODINGS}

FUNCTIONS = frozenset(TAGS) | MACROS | TRANSFORMS | frozenset(CODINGS) | frozenset(CONTR)

AXES = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
MOTION = {
    "motion": ("",),
    "motion12": ("", "_derivative1"),
    "motion24": ("", "_derivative1", "_power2", "_derivative1_power2"),
}

#: Bare words that stand for groups of confound columns.
GROUPS = {"wmcsf": ("csf", "white_matter"), "gsr": ("global_signal",)}
NUMBERED = {"ica_aroma": "aroma_motion_", "nonsteady": "non_steady_state_outlier"}
WORDS = frozenset(MOTION) | frozenset(GROUPS) | frozenset(NUMBERED) | {"scrub"}

#: Confounds that are differences to the scan before: the first row has none and is ``n/a``.
DIFFERENCES = frozenset({"framewise_displacement", "dvars", "std_dvars", "non_std_dvars", "rmsd"})


def is_difference(name: str) -> bool:
    """Tell whether a confound column is a difference to the scan before.

    Examples
    --------
    >>> is_difference("trans_x_derivative1_power2"), is_difference("trans_x")
    (True, False)
    """
    return name in DIFFERENCES or "derivative1" in name
