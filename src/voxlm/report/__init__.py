"""Pictures, tables and pages.

Names load on first use: whoever draws nothing needs no matplotlib.
"""

from typing import Any

import lazy_loader as _lazy

from voxlm.errors import VoxlmError as _VoxlmError

_attribute, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
_OPTIONAL = ("matplotlib", "jinja2", "nilearn")


def __getattr__(name: str) -> Any:
    try:
        return _attribute(name)
    except ModuleNotFoundError as missing:
        package = str(missing.name).partition(".")[0]
        if package not in _OPTIONAL:
            raise
        raise _VoxlmError(
            f"pictures and pages need {package}, which is not installed; install it with: "
            "pip install 'voxlm[report]'"
        ) from missing
