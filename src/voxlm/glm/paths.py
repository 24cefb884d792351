"""nilearn's import paths: what a module of that name has there, and its own has not here.

A public name may be imported from nilearn's file as well as from the package around it:
``first_level.first_level`` has ``first_level_from_bids``. A private name, such as ``_yule_walker``
or all of ``_utils``, is nilearn's own object handed over as it is, where nilearn is installed, and
no name at all where it is not. Nothing of this package uses those. Three are this package's, since
they take models, and nilearn's know only its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

PUBLIC = (
    "contrasts",
    "io",
    "model",
    "regression",
    "thresholding",
    "first_level.design_matrix",
    "first_level.experimental_paradigm",
    "first_level.first_level",
    "first_level.hemodynamic_models",
    "second_level.second_level",
)
PRIVATE = ("_base", "_reporting_utils", "_utils")


def open_path(module: str, **own: Any) -> None:
    """Let a module answer for the names that nilearn's module has at its path.

    Parameters
    ----------
    module : str
        Its name; its own names are found first.
    **own : object
        What this package gives for a private name.
    """
    vars(sys.modules[module])["__getattr__"] = _finder(module, own)


def _finder(module: str, own: dict[str, Any]) -> Callable[[str], Any]:
    """Return what looks up names that a module lacks; nilearn is loaded when it is needed."""
    path = module.removeprefix(f"{__package__}.")

    def find(name: str) -> Any:
        around = sys.modules[module.rpartition(".")[0]]
        if name in own:
            return own[name]
        if path not in PRIVATE and name in around.__all__:
            return getattr(around, name)
        asked = path in PRIVATE or name.startswith("_") or name.isupper()
        known = _theirs(path) if asked and not name.startswith("__") else {}
        if name not in known:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        return known[name]

    return find


def _theirs(path: str) -> dict[str, Any]:
    """Return the names of one of nilearn's modules; none where it is not installed."""
    try:
        return vars(import_module(f"nilearn.glm.{path}"))
    except ModuleNotFoundError:
        return {}
