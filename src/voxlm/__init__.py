"""Formula modelling for every voxel of an fMRI study.

Names load on first use, so that ``import voxlm`` costs next to nothing; ``__init__.pyi`` is the
list of them.
"""

import sys as _sys
from types import ModuleType as _ModuleType

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)


class _Package(_ModuleType):
    """Keeps ``design`` the verb: importing the layer of that name would put a module there."""

    def __setattr__(self, name: str, value: object) -> None:
        if name != "design" or not isinstance(value, _ModuleType):
            super().__setattr__(name, value)


_sys.modules[__name__].__class__ = _Package
__version__ = "0.1.0"
