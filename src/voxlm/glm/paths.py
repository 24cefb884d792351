"""nilearn's import paths: what a module of that name has there, and its own has not here.

A public name may be imported from nilearn's file as well as from the package around it:
``first_level.first_level`` has ``first_level_from_bids``. A private name, such as ``_yule_walker``
or all of ``_utils``, is nilearn's own object handed over as it is, where nilearn is installed, and
no name at all where it is not. Nothing of this package uses those. Three are this package's, since
they take models, and nilearn's know only its own.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from voxlm.glm.second_level.inputs import check_first_level_contrast, check_input, maps_of

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
OWN = {
    "second_level.second_level": {
        "_check_first_level_contrast": check_first_level_contrast,
        "_check_second_level_input": check_input,
        "_infer_effect_maps": maps_of,
    }
}


def open_paths(package: str) -> None:
    """Let modules answer for the names that nilearn's modules have at their paths.

    Parameters
    ----------
    package : str
        What stands for ``nilearn.glm``; its modules are loaded.
    """
    for path in PRIVATE:
        name = f"{package}.{path}"
        sys.modules[name] = ModuleType(name, f"``nilearn.glm.{path}``, as it is.")
    for path in PUBLIC + PRIVATE:
        module = sys.modules[f"{package}.{path}"]
        around = sys.modules[module.__name__.rpartition(".")[0]]
        vars(module)["__getattr__"] = _finder(path, module, around)


def _finder(path: str, module: ModuleType, around: ModuleType) -> Any:
    """Return what looks up names that a module lacks; nilearn is loaded when it is needed."""
    own = OWN.get(path, {})

    def find(name: str) -> Any:
        if name in own:
            return own[name]
        if path not in PRIVATE and name in around.__all__:
            return getattr(around, name)
        asked = path in PRIVATE or name.startswith("_") or name.isupper()
        if asked and not name.startswith("__") and find_spec("nilearn"):
            found = vars(import_module(f"nilearn.glm.{path}"))
            if name in found:
                return found[name]
        raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

    return find
